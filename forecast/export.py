"""Posteriors for ArviZ, so that users can bring their own diagnostics and plots."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import install_words
from .posterior import Posterior


def to_datatree(posterior: Posterior) -> Any:
    """The posterior as an `xarray.DataTree` in ArviZ's layout.

    Groups: `posterior` (the family's parameters, dims chain x draw; for an average DM, family and the score at the
    trained sizes), `sample_stats` (log density, where MCMC made the draws), `posterior_predictive` (mean score at
    each trained size) and `observed_data`. The walkers of emcee are chains, but not independent ones: judge
    convergence by the posterior's own diagnostics.

    Raises:
        ImportError: arviz-base is not installed; the message names the extra.
    """
    try:
        from arviz_base import from_dict
    except ImportError as error:
        raise ImportError(f"exporting to ArviZ needs arviz-base. Install it {install_words('arviz')}.") from error
    from .. import __version__

    curve = posterior.curve
    sizes = curve.sizes
    groups: dict[str, dict[str, Any]] = {
        "posterior": _parameters(posterior),
        "posterior_predictive": {"score": _predictive(posterior)[None]},
        "observed_data": {"score": curve.observed},
    }
    if posterior.chain is not None:
        groups["sample_stats"] = {"lp": posterior.chain.log_prob.T}
    return from_dict(
        groups,
        coords={"size": sizes},
        dims={"score": ["size"]},
        attrs={
            "/": {
                "created_by": f"dicecast {__version__}",
                "model": posterior.model,
                "seed": posterior.seed,
                "prior": posterior.prior,
                "curve": curve.name,
            }
        },
    )


def _parameters(posterior: Posterior) -> dict[str, Any]:
    """Parameters by name, each [chain, draw]."""
    chain = posterior.chain
    if chain is not None:
        names = posterior.families[0].names
        return {name: chain.draws[:, :, i].T for i, name in enumerate(names)}
    if len(posterior.families) == 1:
        return {name: draws[None] for name, draws in posterior.parameters().items()}
    labels = np.array([family.name for family in posterior.families])
    return {"DM": posterior.dm[None], "b": posterior.amplitude[None], "family": labels[posterior.pick][None]}


def _predictive(posterior: Posterior) -> Any:
    """Replicated mean scores [draw, size] with misfit and the noise of the draws at each size."""
    curve = posterior.curve
    tau0, tau1, misfit = posterior.noise.T[:, :, None]
    variance = misfit**2 + (tau0**2 + tau1**2 / curve.sizes) / curve.draws
    rng = np.random.default_rng([posterior.seed, 10])
    means = posterior.scores(curve.sizes).T
    return means + np.sqrt(variance) * rng.standard_normal(means.shape)
