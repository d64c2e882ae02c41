"""Draws of whole curves, whatever made them: quadrature or MCMC, one family or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .curve import Curve
from .diagnostics import Diagnostics
from .families import Family
from .short_repr import short_fields, short_repr
from .types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Chain:
    """The Markov chains behind a posterior, in the family's own parameters."""

    draws: FloatArray
    """Shape [step, walker, parameter] after burn-in; walkers of all ensembles side by side."""
    log_prob: FloatArray
    """Log posterior density up to a constant, in sampling coordinates, shape [step, walker]."""
    ensembles: int
    burn_in: int
    """Steps discarded per ensemble."""

    def __repr__(self) -> str:
        return short_repr(self)

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        return short_fields(self)


@dataclass(frozen=True)
class Posterior:
    """Equally likely curves given one curve's scores, each with the noise it was drawn with."""

    curve: Curve
    model: str
    """Name of the family, or `average`."""
    families: tuple[Family, ...]
    pick: IntArray
    """Which family each draw is of, shape [draws]."""
    dm: FloatArray
    """Ceiling DM, score units, shape [draws]."""
    amplitude: FloatArray
    """Amplitude b, score units, shape [draws]; DM - D0 where the score at n = 0 is defined."""
    theta: FloatArray
    """Parameters of the decay, shape [draws, 2]; NaN where the family has fewer."""
    noise: FloatArray
    """(tau0, tau1, misfit), shape [draws, 3]."""
    nested: BoolArray
    """Whether each draw's tau1 is subset noise, shared along the nested sizes of a draw, or independent by run."""
    noise_source: str
    diagnostics: Diagnostics
    seed: int
    prior: str
    """Identity of the prior."""
    chain: Chain | None = None
    """The chains, where MCMC made the draws."""

    def __repr__(self) -> str:
        return short_repr(self)

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        return short_fields(self)

    @property
    def noise_median(self) -> tuple[float, float, float]:
        """Posterior medians of (tau0, tau1, misfit)."""
        tau0, tau1, misfit = (float(value) for value in np.median(self.noise, axis=0))
        return tau0, tau1, misfit

    @property
    def noise_rms(self) -> tuple[float, float, float]:
        """Root mean squares of (tau0, tau1, misfit): the SDs whose variances are the posterior means."""
        tau0, tau1, misfit = (float(value) for value in np.sqrt(np.mean(self.noise**2, axis=0)))
        return tau0, tau1, misfit

    @property
    def weights(self) -> FloatArray:
        """Posterior probability of each family, shape [families]."""
        return np.asarray(np.bincount(self.pick, minlength=len(self.families)) / len(self.pick))

    def first(self, count: int) -> Posterior:
        """The first draws alone, without the chains behind them."""
        names = ("pick", "dm", "amplitude", "theta", "noise", "nested")
        return replace(self, chain=None, **{name: getattr(self, name)[:count] for name in names})

    def scores(self, n: ArrayLike) -> FloatArray:
        """Draws of the expected score D(n), shape [*n.shape, draws]."""
        n = np.asarray(n, dtype=float)

        def score(family: Family, who: IntArray, theta: list[FloatArray]) -> FloatArray:
            return family.score(n[..., None], self.dm[who], self.amplitude[who], *theta)

        return self._by_family(score, n.shape)

    def plateau_sizes(self, eps: float) -> FloatArray:
        """Draws of the smallest n with `DM - D(n) <= eps`, shape [draws]."""
        return self._by_family(lambda f, who, theta: f.plateau_size(self.amplitude[who], *theta, eps=eps))

    def sizes_for(self, target: ArrayLike) -> FloatArray:
        """Draws of the smallest n with `D(n) >= target` (a number, or one per draw); inf where never."""
        target = np.broadcast_to(np.asarray(target, dtype=float), self.dm.shape)
        return self._by_family(
            lambda f, who, theta: f.size_for_score(target[who], self.dm[who], self.amplitude[who], *theta)
        )

    def parameters(self) -> dict[str, FloatArray]:
        """Draws of a single family's own parameters by name.

        Raises:
            ValueError: The draws are of several families.
        """
        if len(self.families) != 1:
            raise ValueError("parameters belong to one family; this posterior averages several")
        family = self.families[0]
        second = self.dm - self.amplitude if family.at_zero else self.amplitude
        return dict(zip(family.names, (self.dm, second, *self.theta.T), strict=False))

    def _by_family(
        self, function: Callable[[Family, IntArray, list[FloatArray]], FloatArray], shape: tuple[int, ...] = ()
    ) -> FloatArray:
        out = np.empty((*shape, len(self.dm)))
        for index, family in enumerate(self.families):
            who = np.flatnonzero(self.pick == index)
            if len(who):
                theta = [self.theta[who, j] for j in range(len(family.theta_names))]
                out[..., who] = function(family, who, theta)
        return out
