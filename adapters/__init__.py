"""Everything that touches the world: nnU-Net, the study folder, tables, processes, the terminal.

Adapters import `forecast`, never the reverse.
"""
