"""Pure statistics: scores in, curves, fits, posteriors, forecasts and recommendations out.

No torch, no terminal, no files, no global state: every function maps frozen values to a frozen value.
"""
