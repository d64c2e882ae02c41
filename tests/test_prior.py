"""The shipped prior is what its script makes."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from dicecast.forecast.prior import AVERAGE, from_document, mixed, shipped_prior, to_document, vague_like

STUDY = Path(__file__).resolve().parents[1] / "studies/02_extrapolation"


def test_masses_are_probabilities_and_families_weigh_one() -> None:
    prior = shipped_prior()
    assert sum(one.weight for one in prior.families) == pytest.approx(1)
    for one in prior.families:
        assert one.mass.sum() == pytest.approx(1)
        assert one.mass.min() >= 0
    assert prior.misfit_mass.sum() == pytest.approx(1)
    assert {one.family.name for one in prior.only(AVERAGE).families} == {
        "exponential",
        "stretched-exponential",
        "power-law",
        "hill",
    }


def test_the_document_round_trips() -> None:
    prior = shipped_prior(1.0)
    again = from_document(json.loads(json.dumps(to_document(prior, "test"))))
    for one, other in zip(prior.families, again.families, strict=True):
        np.testing.assert_allclose(one.mass, other.mass, atol=2e-6)
    assert again.id == prior.id


def test_mixing_with_itself_changes_nothing_and_the_hash_sees_every_number() -> None:
    prior = shipped_prior(1.0)
    same = mixed(prior, prior, 0.3)
    np.testing.assert_allclose(same.families[1].mass, prior.families[1].mass)
    assert prior.hash != shipped_prior().hash != vague_like(prior).hash


@pytest.mark.slow
def test_the_shipped_file_is_what_the_script_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(STUDY), *sys.path])
    corpus = runpy.run_path(str(STUDY / "corpus.py"))
    if not (corpus["FOLDER"] / corpus["LCDB"]).exists():
        pytest.skip(f"{corpus['FOLDER']} does not hold {corpus['LCDB']}: set DICECAST_CURVES to its folder")
    study = runpy.run_path(str(STUDY / "learn.py"))
    assert study["as_text"](study["learned"]()) == study["PRIOR"].read_text(encoding="utf-8")
