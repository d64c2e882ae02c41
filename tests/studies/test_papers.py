"""Published figures beside what dicecast computes: the scripts' numbers by hand, and the table in step with them."""

import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from dicecast import curves_from_scores, validate_scores

PAPERS = Path(__file__).resolve().parents[2] / "studies" / "papers"


@pytest.fixture(scope="module")
def papers() -> Iterator[ModuleType]:
    """The module `table`, beside which every script can be imported."""
    before, known = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(PAPERS))
    try:
        yield import_module("table")
    finally:
        sys.path[:] = before
        for name in set(sys.modules) - known:
            if PAPERS in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
                del sys.modules[name]


def test_every_published_figure_is_there() -> None:
    table = pd.read_csv(PAPERS / "published.csv", dtype=str, keep_default_na=False)
    assert list(table.columns) == ["paper", "curve", "quantity", "n", "value", "sd", "unit", "source"]
    assert table["paper"].value_counts().to_dict() == {"P1": 64, "P2": 23, "P3": 5, "P4": 19, "P5": 16}
    assert not table.duplicated(["paper", "curve", "quantity", "n"]).any()
    assert (table[["value", "unit", "source"]] != "").all().all()
    assert np.isfinite(table["value"].astype(float)).all()


def test_every_published_figure_is_in_the_table_once(papers: ModuleType) -> None:
    found = papers.all_rows()
    shown = Counter(one for rows in found.values() for row in rows for one in row.published)
    assert shown == Counter(import_module("published").facts())
    assert all(papers.answer(row) and row.found and row.command for rows in found.values() for row in rows)


def test_the_table_is_what_the_scripts_give(papers: ModuleType) -> None:
    text = papers.README.read_text(encoding="utf-8")
    assert papers.written(text) == text, "run: python studies/papers/table.py"


def test_a_score_pins_the_curve_of_kits21_3d(papers: ModuleType) -> None:
    # ln((.88 - .84) / .01) / (440 - 240) and .88 - .01 exp(440 k)
    k, at_zero = np.log(4) / 200, 0.88 - 0.01 * 4**2.2
    found = import_module("curves").possible("KiTS21 tumour 3D")
    lo, hi = np.quantile(found.pinned, [0.05, 0.95])
    assert lo < k < hi and np.quantile(found.at_zero, 0.05) < at_zero < np.quantile(found.at_zero, 0.95)
    assert (k, at_zero) == (pytest.approx(0.00693, abs=1e-5), pytest.approx(0.669, abs=1e-3))
    assert import_module("curves").rate("KiTS21 tumour 3D", at_zero) == pytest.approx(k)
    n = np.array([80, 240, 440])
    on_curve = 0.88 - import_module("curves").gap(k, 440, n)
    assert on_curve[1:] == pytest.approx([0.84, 0.87])


@pytest.mark.parametrize("name", ["MR kidney", "CT tumour", "MR tumour", "KiTS21 tumour 2D"])
def test_some_best_scores_lie_on_no_curve(papers: ModuleType, name: str) -> None:
    assert np.isnan(import_module("curves").possible(name).pinned).all()


def test_no_scores_give_the_curve_of_kits21_2d(papers: ModuleType) -> None:
    curves = import_module("curves")
    assert curves.most_residual_sum((80, 120, 160, 200, 240)) < -0.2
    # at 160, 200 and 240 the curve is above .744, .745 and .745, and no score is above .675
    assert curves.possible("KiTS21 tumour 2D").dm.min() - 0.01 > 0.744


def test_jaccards_lie_between_their_bounds(papers: ModuleType) -> None:
    bounds = import_module("curves").jaccard_bounds
    lo, hi = bounds(np.array(0.85), np.array(0.20))
    low, high = 0.85 + 0.04 / 0.85, 0.85 - 0.04 / 0.15
    assert lo == pytest.approx(0.85 / low * low / (2 - low))
    assert hi == pytest.approx(1 - 0.15 / (1 - high) * (1 - high / (2 - high)))
    rng = np.random.default_rng(0)
    for a, b in ((4.0, 1.0), (0.5, 0.3), (20.0, 2.0)):
        dice = rng.beta(a, b, 4000)
        lo, hi = bounds(dice.mean(), dice.std())
        assert lo <= (dice / (2 - dice)).mean() <= hi


def test_mann_whitney_by_hand(papers: ModuleType) -> None:
    kits21 = import_module("kits21")
    for u in (0, 28, 216, 812):
        first, second = kits21.groups_with(u, 28, 29)
        assert (first[:, None] > second).sum() == u and len(np.unique([*first, *second])) == 57
    z = (28 * 29 / 2 - 28) / np.sqrt(28 * 29 * 58 / 12)
    assert z == pytest.approx(6.033, abs=1e-3)
    found = kits21.p_values(28, 28, 29)
    assert found["normal, two-sided"] == pytest.approx(1.6e-9, rel=0.02)
    assert found["normal, two-sided"] > 1e-9 > found["exact, two-sided (dicecast)"]


def test_a_curve_that_levels_off_at_80_percent(papers: ModuleType) -> None:
    share = import_module("share")
    k = share.slowest(0.86, 0.5)
    ceiling = 0.5 + 0.36 / (1 - np.exp(-k))
    assert (ceiling - 0.5) * (np.exp(-0.8 * k) - np.exp(-k)) == pytest.approx(0.01)


def test_f1_and_prevalence_by_hand(papers: ModuleType) -> None:
    pooled = import_module("pooled")
    by_hand = {"kidney": 93.94, "solid": 83.33, "cyst": 86.64}
    for name, f1 in by_hand.items():
        lo, hi = pooled.f1_range(name)
        assert lo - 0.005 <= f1 <= hi + 0.005
    tp, fp, fn, tn = 60, 5, 3, 32
    accuracy, precision, recall = (tp + tn) / 100, tp / (tp + fp), tp / (tp + fn)
    assert pooled.prevalence("any", accuracy, precision, recall) == pytest.approx((tp + fn) / 100)


def test_the_printed_scores_are_a_scores_table(papers: ModuleType) -> None:
    synthetic = import_module("synthetic")
    kept = pd.read_csv(PAPERS / "p4_synthetic" / "scores.csv")
    pd.testing.assert_frame_equal(kept, synthetic.scores().reset_index(drop=True))
    real, both = curves_from_scores(validate_scores(kept))
    assert (real.arm, both.arm) == ("real", "real + synthetic")
    assert real.observed == pytest.approx([0.402, 0.527, 0.54, 0.593, 0.597])


@pytest.mark.parametrize("script", ["plateau", "kits21", "share", "synthetic", "pooled"])
def test_the_scripts_print_their_tables(papers: ModuleType, script: str) -> None:
    module = import_module(script)
    kept = import_module("published").kept_runs(Path(str(module.__file__)).parent)
    text = module.report(kept)
    assert text.count("### ") >= 2 and "nan" not in text.lower().split()


@pytest.mark.slow
@pytest.mark.parametrize("script", ["kits21", "synthetic"])
def test_dicecast_still_says_so(papers: ModuleType, script: str) -> None:
    module = import_module(script)
    kept = import_module("published").kept_runs(Path(str(module.__file__)).parent)
    assert module.report(module.runs()) == module.report(kept)
