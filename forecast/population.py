"""The same forecast for other patients: test-set noise on top of draw noise.

The same test cases score every size, so their noise is shared: levels move much, differences between sizes little.
With scores per case the test set is drawn again (bootstrap over cases, jointly for all sizes and draws) and the
posterior taken for each: their union. With averaged scores and their standard errors over cases only a common shift
is known, so differences between sizes stay as they are, and nothing ties the test sets of two curves.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from .curve import Curve
from .errors import InputError
from .posterior import Posterior
from .prior import AVERAGE, Prior
from .quadrature import DRAWS, quadrature
from .types import IntArray

TEST_SETS = 150
"""Test sets drawn; as many effective draws."""


def resampled_cases(curve: Curve, seed: int, count: int = TEST_SETS) -> IntArray:
    """Which test cases make up each drawn test set, shape [count, cases]; the same for curves of the same cases."""
    assert curve.cases is not None
    cases = curve.cases.shape[1]
    identity = zlib.crc32("\n".join(curve.case_ids).encode())
    return np.random.default_rng([seed, 5, identity]).integers(cases, size=(count, cases))


def population_posterior(
    curve: Curve,
    seed: int = 0,
    *,
    model: str = AVERAGE,
    prior: Prior | None = None,
    test_seed: int | None = None,
) -> Posterior:
    """The posterior of the curve of the mean over all patients, by quadrature.

    Draws are in the order of the drawn test sets, which depend on `test_seed` (by default the seed) and the test cases
    only: curves on the same test cases are paired draw by draw.

    Raises:
        InputError: Neither scores of at least two test cases nor standard errors over cases.
    """
    tests = seed if test_seed is None else test_seed
    if curve.cases is not None and curve.cases.shape[1] >= 2:
        parts = [
            quadrature(curve.resampled(columns), seed + i, model=model, prior=prior, draws=DRAWS // TEST_SETS)
            for i, columns in enumerate(resampled_cases(curve, tests))
        ]
        return _union(curve, parts, seed)
    if curve.se_cases is None:
        raise InputError(
            f"{curve.name}: the scope 'population' needs scores of at least 2 test cases, or se_cases with averaged "
            "scores; found neither. Add a 'case' or 'se_cases' column, or use the scope 'test-set'."
        )
    found = quadrature(curve, seed, model=model, prior=prior)
    error = float(curve.se_cases[np.isfinite(curve.se_cases)][-1])
    shift = error * np.random.default_rng([seed, 6]).standard_normal(len(found.dm))
    return replace(found, dm=found.dm + np.clip(shift, -found.scores(curve.sizes[0]), 1 - found.dm))


def _union(curve: Curve, parts: list[Posterior], seed: int) -> Posterior:
    first = parts[0]
    messages = tuple(dict.fromkeys(message for part in parts for message in part.diagnostics.messages))
    return replace(
        first,
        curve=curve,
        pick=np.concatenate([part.pick for part in parts]),
        dm=np.concatenate([part.dm for part in parts]),
        amplitude=np.concatenate([part.amplitude for part in parts]),
        theta=np.concatenate([part.theta for part in parts]),
        noise=np.concatenate([part.noise for part in parts]),
        nested=np.concatenate([part.nested for part in parts]),
        diagnostics=replace(first.diagnostics, ess=float(len(parts)), messages=messages),
        seed=seed,
    )
