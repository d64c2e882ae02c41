"""Pairs of arms whose truth is known: the truth itself by hand, and the study at a small count."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

STUDY = Path(__file__).resolve().parents[2] / "studies" / "10_pairs" / "pairs.py"


@pytest.fixture(scope="module")
def pairs() -> Iterator[ModuleType]:
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("pairs_of_study", STUDY)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[spec.name]
        sys.path[:] = before


def test_the_cases_it_truly_takes(pairs: ModuleType) -> None:
    truth = pairs.Truth(lambda n: 0.9 - 0.4 * np.exp(-0.02 * n), lambda n: 0.01)
    assert truth.cases_for(0.8, 10, 640) == pytest.approx(np.log(4) / 0.02, rel=2e-3)
    assert truth.cases_for(0.95, 10, 640) == 640
    assert truth.cases_for(0.3, 10, 640) == 10


def test_what_is_simulated_has_the_truth_as_its_mean(pairs: ModuleType) -> None:
    pair = pairs.exponential_pair(3)
    assert pairs.exponential_pair(3).truths[1].score(np.array(50)) == pair.truths[1].score(np.array(50))
    many = pairs.Pair(pair.source, pair.truths, pair.sizes, (80,) * len(pair.sizes))
    for curve, truth in zip(pairs.runs(many, 3), pair.truths, strict=True):
        sd = np.array([truth.sd(n) for n in pair.sizes])
        assert curve.observed == pytest.approx(truth.score(np.array(pair.sizes)), abs=4 * sd.max() / 9)


def test_arms_of_the_prior_never_fall(pairs: ModuleType) -> None:
    for truth in pairs.prior_pair(5).truths:
        scores = truth.score(np.geomspace(10, 640, 50))
        assert (np.diff(scores) >= 0).all() and 0 <= scores[0] <= scores[-1] <= 1


def test_intervals_of_cases_saved_hold(pairs: ModuleType) -> None:
    found = pd.DataFrame([row for index in range(12) for row in pairs.judged(index, pairs.exponential_pair)])
    assert found["held"].mean() > 0.7
    assert np.isfinite(found["width"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["exponential_pair", "prior_pair"])
def test_intervals_hold_and_calls_are_right(pairs: ModuleType, source: str) -> None:
    simulated = getattr(pairs, source)
    found = pd.DataFrame([row for index in range(80) for row in pairs.judged(index, simulated)])
    assert 0.82 < found["held"].mean() <= 1
    for times in (1, 2, 4):
        sure = found[found[f"p {times}"] > pairs.CALL]
        assert len(sure) > 10 and sure[f"right {times}"].mean() > 0.9
