"""Tables that can be downloaded from the page, with every digit."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ..report_tables.columns import Row


def csv_uri(rows: Iterable[Row]) -> str:
    """Rows as a CSV file inside a link; unknown numbers are empty cells."""
    cells = pd.DataFrame([{key: _harmless(value) for key, value in row.items()} for row in rows])
    content = cells.to_csv(index=False, lineterminator="\n").encode("utf-8-sig")  # the mark tells spreadsheets
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(content).decode()}"


def _harmless(value: Any) -> Any:
    """A name as spreadsheets take it for a name and not for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
