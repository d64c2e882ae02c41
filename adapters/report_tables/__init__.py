"""The tables of reports: made once, shown in the terminal and on the page, downloaded as CSV with every digit."""
