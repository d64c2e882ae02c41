"""What people read in a terminal: reports, tables, plots in characters."""
