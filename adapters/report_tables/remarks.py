"""What a forecast must not be read without, and how it came about, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...forecast.forecast import HORIZON, Forecast
from ...forecast.prior import AVERAGE
from ...forecast.verdict import NOTABLE
from ...forecast.words import interval_words, score_words


def warnings_of(forecast: Forecast) -> Iterator[str]:
    """What the answer must not be read without."""
    yield from (f"{message}." for message in forecast.messages)
    view, gain = forecast.named_view, forecast.reachable_gain
    if forecast.posterior is None or view is None or gain is None:
        return
    if view.weight < NOTABLE and forecast.question.model == AVERAGE:
        yield (
            f"these scores speak against the exponential plateau (weight {view.weight:.2f}): alone it expects "
            f"{score_words(view.score.median)} at {gain.n_to}; do not plan by its n*."
        )


def notes_of(forecast: Forecast) -> Iterator[str]:
    """What the numbers are of, the most important first, and how they came about."""
    if forecast.fit is not None and forecast.fit.status != "ok":
        yield f"least squares: {forecast.fit.status}."
    if forecast.posterior is not None:
        if forecast.question.model != AVERAGE:
            yield f"expected scores and gains are those of the family {forecast.question.model} alone."
        yield (
            "the exponential plateau tends to flatten too early on real curves: read its n* as optimistic, and decide "
            "by the gains."
        )
    yield {
        "test-set": "intervals are for the mean on this test set; for all patients use --scope population.",
        "population": "intervals are for the mean over all patients: they include which patients the test set holds.",
    }[forecast.question.scope]
    yield from _basis(forecast)


def _basis(forecast: Forecast) -> Iterator[str]:
    """Data, horizon, prior and sampling."""
    curve = forecast.curve
    if curve.n_test is not None:
        left_out = (
            f"; {curve.n_left_out} left out of every size (structure absent, or no score at some size)"
            if curve.n_left_out
            else ""
        )
        yield f"scored on {curve.n_test} test cases{left_out}."
    yield f"looked at up to {forecast.horizon} cases, the horizon ({HORIZON} x the largest trained size)."
    if forecast.sensitivity is not None:
        vague, learned = forecast.sensitivity.vague.interval, forecast.sensitivity.learned.interval
        yield (
            f"sensitivity of the reachable gain to the prior: {interval_words(vague)} with its vague half alone, "
            f"{interval_words(learned)} with its learned half alone."
        )
    if forecast.posterior is not None:
        yield _sampling(forecast)


def _sampling(forecast: Forecast) -> str:
    assert forecast.posterior is not None and forecast.expected is not None
    d = forecast.posterior.diagnostics
    tau0, tau1, misfit = forecast.expected.noise_median
    smallest = forecast.curve.sizes[0]
    chains = "" if d.tau is None else f", tau {d.tau:.0f}, R-hat {d.rhat:.3f}, acceptance {d.acceptance:.2f}"
    return (
        f"named model by {'quadrature' if d.tau is None else 'MCMC'}: ESS {d.ess:.0f}{chains}. Noise SDs from "
        f"{forecast.expected.noise_source}: training {tau0:.4f}, subset at {smallest} cases "
        f"{tau1 / math.sqrt(smallest):.4f}, misfit {misfit:.4f}."
    )
