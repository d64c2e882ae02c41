"""Study 7: what the shipped network was trained on, and the grid of depths."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from dicecast.forecast.errors import InputError  # noqa: E402

STUDY = Path(__file__).resolve().parents[3] / "studies/07_surrogate"
Study = Callable[[str], SimpleNamespace]


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    """study("grid"): the names in a script of the study."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return lambda name: SimpleNamespace(**runpy.run_path(str(STUDY / f"{name}.py")))


@pytest.fixture
def grid_csv(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    made = [
        (
            f"{depth} layers",
            n,
            0.8 + 0.02 * depth - (0.3 + 0.05 * depth) * (n / 4) ** -0.5 + 0.003 * rng.standard_normal(),
        )
        for depth in (2, 3, 4)
        for n in (4, 8, 12, 16, 24, 32, 40, 52, 64, 80)
    ]
    path = tmp_path / "grid.csv"
    pd.DataFrame(made, columns=["arm", "n_cases", "score"]).to_csv(path, index=False)
    return path


def test_real_curves_are_those_of_the_sources_asked_for(study: Study) -> None:
    script = study("train")
    corpus: Any = sys.modules["corpus"]
    if not (corpus.FOLDER / corpus.LCDB).exists():
        pytest.skip(f"needs {corpus.LCDB} in the folder of DICECAST_CURVES")
    learned = script.learn_sources()
    curves = script.real_curves(learned)
    assert len(curves) > 1000
    assert {one.source for one in curves} <= learned
    tested = {one.source for one in corpus.not_learned(None)}
    assert not {one.source for one in curves} & tested
    assert {one.weight for one in curves} == {1.0, script.OTHERS}


def test_a_grid_is_read_by_depth(study: Study, grid_csv: Path) -> None:
    (rows,) = study("grid").read_grid(grid_csv).values()
    assert [one.depth for one in rows] == [2, 3, 4]


def test_arms_that_are_no_depths_are_refused(study: Study, grid_csv: Path) -> None:
    table = pd.read_csv(grid_csv)
    table.replace({"2 layers": "2d"}).to_csv(grid_csv, index=False)
    with pytest.raises(InputError, match="'2d'"):
        study("grid").read_grid(grid_csv)
    table[table["arm"] != "2 layers"].to_csv(grid_csv, index=False)
    with pytest.raises(InputError, match="at least 3 depths"):
        study("grid").read_grid(grid_csv)


def test_the_first_sizes_are_those_up_to_the_share(study: Study, grid_csv: Path) -> None:
    script = study("grid")
    (rows,) = script.read_grid(grid_csv).values()
    assert script.first_sizes(rows[0].curve, 0.4).sizes.tolist() == [4, 8, 12, 16, 24, 32]
    assert script.first_sizes(rows[0].curve, 0.05).sizes.tolist() == [4, 8, 12]


def test_a_depth_that_comes_twice_is_refused(study: Study, grid_csv: Path) -> None:
    table = pd.read_csv(grid_csv)
    again = table[table["arm"] == "2 layers"].assign(protocol="b")
    pd.concat([table.assign(protocol="a"), again]).to_csv(grid_csv, index=False)
    with pytest.raises(InputError, match="2 layers must occur once"):
        study("grid").read_grid(grid_csv)


def test_many_sizes_are_sampled_without_listing_their_subsets(study: Study, grid_csv: Path) -> None:
    script, rng = study("grid"), np.random.default_rng(0)
    made = [(f"{depth} layers", n, draw, rng.random()) for depth in (2, 3, 4) for n in range(2, 52) for draw in (0, 1)]
    pd.DataFrame(made, columns=["arm", "n_cases", "draw", "score"]).to_csv(grid_csv, index=False)
    (rows,) = script.read_grid(grid_csv).values()
    batches = script.lessons(rows[:1], [2, 3, 4], rng)
    assert [len(one.tokens) for one in batches] == [200] * 8
    known = {float(flag) for one in batches for flag in one.tokens[..., -2].unique()}
    assert known == {1.0}, "lessons know of the noise what the question knows"


def test_every_depth_is_forecast_without_having_been_learned_from(study: Study, grid_csv: Path) -> None:
    script = study("grid")
    script.with_depth.__globals__.update(EPOCHS=1, MOST_SUBSETS=20)
    (rows,) = script.read_grid(grid_csv).values()
    found = script.left_out(rows, 0.4, 0)
    assert found["depth"].tolist() == [2, 3, 4]
    assert (found["from sizes up to"] == 32).all() and (found["at"] == 80).all()
    for name in ("LSTM with depth", "shipped LSTM", "average", "last value"):
        assert found[name].between(0, 1).all()
    assert (found["LSTM with depth"] - found["final score"]).abs().mean() < 0.05
    table = pd.read_csv(grid_csv)
    table.loc[(table["arm"] == "3 layers") & (table["n_cases"] > 32), "score"] -= 0.3
    table.to_csv(grid_csv, index=False)
    (other,) = script.read_grid(grid_csv).values()
    lower = script.left_out(other, 0.4, 0)
    assert lower["LSTM with depth"][1] == found["LSTM with depth"][1], "its own end is not learned from"
    assert (lower["LSTM with depth"][[0, 2]] != found["LSTM with depth"][[0, 2]]).all(), "that of the others is"
