import numpy as np
import pandas as pd
import pytest

from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.export import to_datatree
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.sampler import sample_posterior
from dicecast.forecast.scores import validate_scores

pytest.importorskip("arviz_base", reason="arviz-base is not installed")


@pytest.fixture(scope="module")
def curve() -> Curve:
    rows = {"n_cases": [10, 20, 40, 80], "score": [0.5, 0.62, 0.7, 0.75]}
    return curves_from_scores(validate_scores(pd.DataFrame(rows)))[0]


def test_the_named_model_exports_its_chains(curve: Curve) -> None:
    found = sample_posterior(curve, seed=0)
    tree = to_datatree(found)
    assert set(tree["posterior"].data_vars) == {"DM", "D0", "k"}
    assert found.chain is not None
    steps, walkers, _ = found.chain.draws.shape
    assert tree["posterior"]["DM"].shape == (walkers, steps)
    np.testing.assert_array_equal(tree["posterior"]["k"].values, found.chain.draws[:, :, 2].T)
    np.testing.assert_array_equal(tree["sample_stats"]["lp"].values, found.chain.log_prob.T)
    assert tree.attrs["model"] == "exponential"
    assert tree.attrs["seed"] == 0


def test_the_average_exports_its_families(curve: Curve) -> None:
    found = quadrature(curve, 0)
    tree = to_datatree(found)
    families = tree["posterior"]["family"].values.ravel()
    weights = [np.mean(families == family.name) for family in found.families]
    np.testing.assert_allclose(weights, found.weights)
    np.testing.assert_array_equal(tree["observed_data"]["score"].values, curve.observed)
    assert tree["posterior_predictive"]["score"].sizes["size"] == 4
    spread = tree["posterior_predictive"]["score"].std(("chain", "draw")).values
    assert np.all(spread > found.scores(curve.sizes).std(axis=1))
