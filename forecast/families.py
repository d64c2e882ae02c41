"""Families of learning curves: `D(n) = DM - b u(n)` with a decay u that falls towards 0.

Every family is linear in the ceiling DM and the amplitude b; one or two further parameters, `theta`, shape its
decay. Where u(0) = 1 the score at n = 0 is D0 = DM - b; power laws and inverse logarithms say nothing about n = 0.

Every family is also described at an anchor size N, in one language: the error `E = 1 - D(N)`, the share phi of it
that more cases can remove, the log-slope `kappa = -d ln u / d ln n` of the decay at N and a shape. Then
`1 - D(n) = E [1 - phi (1 - u(n) / u(N))]`, and phi kappa is the log-slope of the error itself: the posterior and the
priors live in these, since data constrain them where DM, b and theta trade off.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .types import FloatArray, IntArray

LIMIT = 600.0
"""Largest exponent before exp() overflows."""


class Family(ABC):
    """One family of curves; arguments of all methods broadcast, sizes and parameters are never negative."""

    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    theta_names: ClassVar[tuple[str, ...]]
    """Names of the parameters that shape the decay."""
    at_zero: ClassVar[bool]
    """Whether the score at n = 0 is defined (as D0)."""
    straight: ClassVar[float] = 0.0
    """Log-slope below which the curve is a straight line in n up to the anchor; 0 where it never is."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters: DM, then D0 or b, then theta."""
        return ("DM", "D0" if self.at_zero else "b", *self.theta_names)

    @abstractmethod
    def decay(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        """u(n)."""

    @abstractmethod
    def decay_jacobian(self, n: FloatArray, *theta: float) -> FloatArray:
        """Derivatives of u(n) by theta, shape [sizes, len(theta)]."""

    @abstractmethod
    def size_for_decay(self, u: ArrayLike, *theta: ArrayLike) -> FloatArray:
        """The n with u(n) = u; inf for u = 0."""

    @abstractmethod
    def slope(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        """Log-slope `-d ln u / d ln n` at n."""

    @abstractmethod
    def theta(self, slope: ArrayLike, shape: ArrayLike, anchor: float) -> tuple[FloatArray, ...]:
        """The theta whose log-slope at the anchor size is `slope`."""

    def shape(self, anchor: float, *theta: ArrayLike) -> FloatArray:
        """The shape of `theta` at the anchor; by default its last parameter."""
        return np.asarray(theta[-1], dtype=float)

    @abstractmethod
    def bounds(self, sizes: IntArray) -> tuple[tuple[float, float], ...]:
        """Box of theta that least squares searches: what sizes like these can show at all."""

    def score(self, n: ArrayLike, dm: ArrayLike, amplitude: ArrayLike, *theta: ArrayLike) -> FloatArray:
        """D(n) for ceiling DM and amplitude b."""
        return np.asarray(np.asarray(dm) - np.asarray(amplitude) * self.decay(n, *theta), dtype=float)

    def size_for_score(self, target: ArrayLike, dm: ArrayLike, amplitude: ArrayLike, *theta: ArrayLike) -> FloatArray:
        """Smallest n with D(n) >= target: 0 when D0 is enough, inf when the ceiling is below the target."""
        missing = np.asarray(dm, dtype=float) - np.asarray(target, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            u = missing / np.asarray(amplitude, dtype=float)
            size = self.size_for_decay(np.where(u > 0, u, 0.0), *theta)
        if self.at_zero:
            size = np.where(u >= 1, 0.0, size)
        return np.asarray(np.where(missing > 0, size, np.inf), dtype=float)

    def plateau_size(self, amplitude: ArrayLike, *theta: ArrayLike, eps: float) -> FloatArray:
        """Smallest n with `DM - D(n) <= eps`; 0 when already within eps at n = 0."""
        return self.size_for_score(-eps, 0.0, amplitude, *theta)


class Exponential(Family):
    """The named model. Its plateau size is `ln((DM - D0) / eps) / k`."""

    name = "exponential"
    formula = "DM - (DM - D0) exp(-k n)"
    source = "Gottlich et al. 2023, doi 10.1007/s10278-023-00804-1"
    theta_names = ("k",)
    at_zero = True
    straight = 0.6

    def decay(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        (k,) = theta
        return np.asarray(np.exp(-np.asarray(k, dtype=float) * np.asarray(n, dtype=float)))

    def decay_jacobian(self, n: FloatArray, *theta: float) -> FloatArray:
        return (-n * self.decay(n, *theta))[:, None]

    def size_for_decay(self, u: ArrayLike, *theta: ArrayLike) -> FloatArray:
        return np.asarray(-np.log(u) / np.asarray(theta[0]))

    def slope(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        return np.asarray(np.asarray(theta[0], dtype=float) * np.asarray(n, dtype=float))

    def theta(self, slope: ArrayLike, shape: ArrayLike, anchor: float) -> tuple[FloatArray, ...]:
        return (np.asarray(slope, dtype=float) / anchor,)

    def bounds(self, sizes: IntArray) -> tuple[tuple[float, float], ...]:
        return ((1e-4 / float(sizes[-1]), 100 / float(sizes[0])),)


class Stretched(Family):
    """Stretched exponential (Weibull growth): the exponential at g = 1, towards a power law as g falls."""

    name = "stretched-exponential"
    formula = "DM - (DM - D0) exp(-(k n)^g)"
    source = "Kohlrausch 1854; as Weibull growth in Viering and Loog 2022, arXiv 2103.10948, table 1"
    theta_names = ("k", "g")
    at_zero = True
    straight = 0.3

    def decay(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        return np.exp(-np.minimum(_power(n, *theta), LIMIT))

    def decay_jacobian(self, n: FloatArray, *theta: float) -> FloatArray:
        k, g = theta
        z = _power(n, k, g)
        with np.errstate(divide="ignore"):
            log = np.where(z > 0, np.log(k * n), 0.0)
        return -np.exp(-np.minimum(z, LIMIT))[:, None] * np.stack([g * z / k, z * log], axis=-1)

    def size_for_decay(self, u: ArrayLike, *theta: ArrayLike) -> FloatArray:
        k, g = theta
        return np.asarray((-np.log(u)) ** (1 / np.asarray(g, dtype=float)) / np.asarray(k))

    def slope(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        return np.asarray(theta[1]) * _power(n, *theta)

    def theta(self, slope: ArrayLike, shape: ArrayLike, anchor: float) -> tuple[FloatArray, ...]:
        g = np.asarray(shape, dtype=float)
        return np.exp(np.clip(np.log(np.asarray(slope, dtype=float) / g) / g, -LIMIT / 2, LIMIT / 2)) / anchor, g

    def bounds(self, sizes: IntArray) -> tuple[tuple[float, float], ...]:
        return ((1e-6 / float(sizes[-1]), 1000 / float(sizes[0])), (0.05, 4.0))


class PowerLaw(Family):
    """Power law with ceiling."""

    name = "power-law"
    formula = "DM - b n^-c"
    source = "Figueroa et al. 2012, doi 10.1186/1472-6947-12-8; Viering and Loog 2022, arXiv 2103.10948, table 1"
    theta_names = ("c",)
    at_zero = False

    def decay(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.asarray(np.asarray(n, dtype=float) ** -np.asarray(theta[0], dtype=float))

    def decay_jacobian(self, n: FloatArray, *theta: float) -> FloatArray:
        return (-np.log(n) * self.decay(n, *theta))[:, None]

    def size_for_decay(self, u: ArrayLike, *theta: ArrayLike) -> FloatArray:
        return np.asarray(np.asarray(u, dtype=float) ** (-1 / np.asarray(theta[0], dtype=float)))

    def slope(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        return np.asarray(np.asarray(theta[0], dtype=float) + 0 * np.asarray(n, dtype=float))

    def theta(self, slope: ArrayLike, shape: ArrayLike, anchor: float) -> tuple[FloatArray, ...]:
        return (np.asarray(slope, dtype=float),)

    def bounds(self, sizes: IntArray) -> tuple[tuple[float, float], ...]:
        return ((1e-3, 20.0),)


class Hill(Family):
    """Hill curve, in growth studies the Morgan-Mercer-Flodin model (MMF); its shape is (k N)^g at the anchor N."""

    name = "hill"
    formula = "DM - (DM - D0) / (1 + (k n)^g)"
    source = "Morgan, Mercer and Flodin 1975, doi 10.1073/pnas.72.11.4327 (MMF)"
    theta_names = ("k", "g")
    at_zero = True

    def decay(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        return 1 / (1 + _power(n, *theta))

    def decay_jacobian(self, n: FloatArray, *theta: float) -> FloatArray:
        k, g = theta
        z = _power(n, k, g)
        with np.errstate(divide="ignore"):
            log = np.where(z > 0, np.log(k * n), 0.0)
        return -((1 + z) ** -2.0)[:, None] * np.stack([g * z / k, z * log], axis=-1)

    def size_for_decay(self, u: ArrayLike, *theta: ArrayLike) -> FloatArray:
        k, g = theta
        odds = np.maximum(1 / np.asarray(u, dtype=float) - 1, 0.0)
        return np.asarray(odds ** (1 / np.asarray(g, dtype=float)) / np.asarray(k))

    def slope(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        z = _power(n, *theta)
        return np.asarray(np.asarray(theta[1]) * z / (1 + z))

    def theta(self, slope: ArrayLike, shape: ArrayLike, anchor: float) -> tuple[FloatArray, ...]:
        odds = np.asarray(shape, dtype=float)
        g = np.asarray(slope, dtype=float) * (1 + odds) / odds
        return np.exp(np.clip(np.log(odds) / g, -LIMIT / 2, LIMIT / 2)) / anchor, g

    def shape(self, anchor: float, *theta: ArrayLike) -> FloatArray:
        return _power(anchor, *theta)

    def bounds(self, sizes: IntArray) -> tuple[tuple[float, float], ...]:
        return ((1e-6 / float(sizes[-1]), 1000 / float(sizes[0])), (0.1, 5.0))


class InverseLog(Family):
    """Inverse logarithm: two parameters, good with three or four sizes, poor far out."""

    name = "inverse-log"
    formula = "DM - b / ln(n + 1)"
    source = "ilog2 of Domhan et al. 2015 (IJCAI), shifted by one case"
    theta_names = ()
    at_zero = False

    def decay(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.log1p(np.asarray(n, dtype=float)))

    def decay_jacobian(self, n: FloatArray, *theta: float) -> FloatArray:
        return np.empty((len(n), 0))

    def size_for_decay(self, u: ArrayLike, *theta: ArrayLike) -> FloatArray:
        with np.errstate(over="ignore"):
            return np.asarray(np.expm1(1 / np.asarray(u, dtype=float)))

    def slope(self, n: ArrayLike, *theta: ArrayLike) -> FloatArray:
        n = np.asarray(n, dtype=float)
        return np.asarray(n / ((n + 1) * np.log1p(n)))

    def theta(self, slope: ArrayLike, shape: ArrayLike, anchor: float) -> tuple[FloatArray, ...]:
        return ()

    def bounds(self, sizes: IntArray) -> tuple[tuple[float, float], ...]:
        return ()


def _power(n: ArrayLike, k: ArrayLike, g: ArrayLike) -> FloatArray:
    with np.errstate(over="ignore"):  # what is infinite leaves nothing of the decay
        return np.asarray((np.asarray(k, dtype=float) * np.asarray(n, dtype=float)) ** np.asarray(g, dtype=float))


EXPONENTIAL, STRETCHED, POWER_LAW, HILL, INVERSE_LOG = Exponential(), Stretched(), PowerLaw(), Hill(), InverseLog()
FAMILIES: dict[str, Family] = {one.name: one for one in (EXPONENTIAL, STRETCHED, POWER_LAW, HILL, INVERSE_LOG)}
"""Every family by its name."""
NAMED = EXPONENTIAL
"""The model the card names; always fitted, always reported."""
