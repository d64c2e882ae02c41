"""The notebook runs from the first cell to the last, shows what it promises, and is kept without outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "studies" / "11_notebook" / "curves.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def test_it_is_kept_without_outputs() -> None:
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning:zmq")
def test_it_runs_and_shows_tables_and_figures() -> None:
    notebook = read()
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=500, kernel_name="python3", resources=where).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in shown)
    data = [output.data for output in shown if "data" in output]
    assert sum("image/png" in one for one in data) == 6
    tables = [str(one["text/html"]) for one in data if "text/html" in one]
    assert sum("<strong>2d / hippocampus / dice" in one for one in tables) == 2
    assert any("ANNOTATE" in one for one in tables) and any("run 3d" in one for one in tables)
