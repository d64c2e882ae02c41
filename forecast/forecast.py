"""What one curve lets us say about sizes not trained yet, each number with its interval and its doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import exponential
from .curve import Curve
from .errors import InputError
from .fit import LeastSquaresFit, least_squares
from .noise import mean_covariance, overlap
from .posterior import Posterior, sample_posterior
from .types import FloatArray, Interval, SizeInterval

HORIZON = 4
"""How many times the largest trained size a forecast reaches; past it the pilots cannot tell."""
FEWEST_SIZES = 3
"""Sizes below which no curve is forecast."""
SURE = 0.95
"""Probability from which the plateau counts as reached, and annotating stops."""
DIP = 3.0
"""Standard errors by which a larger size must score lower before the curve counts as ill-behaved."""


@dataclass(frozen=True)
class Question:
    """What is asked of a curve."""

    seed: int = 0
    """Seed of the sampler; the same seed gives the same numbers."""
    level: float = 0.9
    """Probability of every interval."""
    eps: float = 0.01
    """Tolerance of the plateau, score units."""
    at: tuple[int, ...] = ()
    """Sizes to forecast the score at."""
    target: float | None = None
    """Score to find the necessary size for."""
    reach: int | None = None
    """Cases the user could ever annotate (N_max); by default the horizon."""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        for name, value in (("level", self.level), ("eps", self.eps)):
            if not 0 < value < 1:
                raise InputError(f"{name} must lie between 0 and 1 (exclusive), found {value:g}.")
        if self.target is not None and not 0 < self.target <= 1:
            raise InputError(f"the target score must lie in (0, 1], found {self.target:g}.")
        if self.reach is not None and self.reach < 1:
            raise InputError(f"the cases that could ever be annotated (reach) must be >= 1, found {self.reach}.")
        if any(n < 1 for n in self.at):
            raise InputError(f"sizes to forecast at must be >= 1, found {min(self.at)}.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"the seed must be a whole number >= 0, found {self.seed}.")


@dataclass(frozen=True)
class ScoreAt:
    """The forecast at one size."""

    n: int
    expected: Interval
    """The expected score at n: the curve, with its misfit."""
    mean: float
    """Posterior mean of the curve at n."""
    next_run: Interval
    """The next single run at n: also its training noise and which cases it happens to get."""
    within_horizon: bool


@dataclass(frozen=True)
class Plateau:
    """Where the named model levels off."""

    size: SizeInterval
    """Smallest n with `DM - D(n) <= eps`, cases."""
    score: Interval
    """Score at that size."""
    p_reached: float
    """Probability that the plateau size is at most the annotated cases at hand."""
    p_beyond_horizon: float
    """Probability that it lies past the horizon."""


@dataclass(frozen=True)
class Gain:
    """How much more cases can still add: D(N_max) - D(N)."""

    n_from: int
    n_to: int
    interval: Interval
    p_below_eps: float
    """Probability that the gain is at most eps."""


@dataclass(frozen=True)
class SizeForTarget:
    """Cases needed for a target score."""

    target: float
    size: SizeInterval
    p_unreachable: float
    """Probability that the ceiling lies below the target."""


@dataclass(frozen=True)
class Backtest:
    """The largest size forecast from the smaller ones, against what was then observed."""

    from_sizes: tuple[int, ...]
    n: int
    observed: float
    predicted: Interval

    @property
    def held(self) -> bool:
        """Whether the interval held the observed mean."""
        return self.predicted.lo <= self.observed <= self.predicted.hi


@dataclass(frozen=True)
class Verdict:
    """One word on the curve and the reason for it."""

    code: str
    """`plateau_reached`, `plateau_ahead`, `beyond_horizon`, `families_disagree`, `ill_behaved`, `too_few_sizes`."""
    reason: str


@dataclass(frozen=True)
class Forecast:
    """Everything said about one curve; the parts are None where too few sizes were trained."""

    curve: Curve
    question: Question
    verdict: Verdict
    fit: LeastSquaresFit | None = None
    posterior: Posterior | None = None
    plateau: Plateau | None = None
    reachable_gain: Gain | None = None
    gain_doubling: Gain | None = None
    at: tuple[ScoreAt, ...] = ()
    n_for_target: SizeForTarget | None = None
    backtest: tuple[Backtest, ...] = ()

    @property
    def horizon(self) -> int:
        """Largest size the pilots can speak of."""
        return HORIZON * int(self.curve.sizes[-1])


def forecast_curve(curve: Curve, question: Question | None = None, *, backtest: bool = True) -> Forecast:
    """Fit a curve by least squares and MCMC and say what follows.

    Args:
        curve: The observed scores.
        question: What to report; defaults as in `Question`.
        backtest: Also forecast the largest size from the smaller ones.
    """
    question = question or Question()
    if len(curve.sizes) < FEWEST_SIZES:
        sizes = ", ".join(map(str, curve.sizes))
        reason = f"{len(curve.sizes)} size(s) trained ({sizes}); a forecast needs at least {FEWEST_SIZES}, better 5."
        return Forecast(curve, question, Verdict("too_few_sizes", reason))
    posterior = sample_posterior(curve, question.seed)
    plateau = plateau_of(posterior, question)
    reachable, doubling = gains(posterior, question)
    return Forecast(
        curve=curve,
        question=question,
        verdict=_verdict(posterior, plateau, question),
        fit=least_squares(curve),
        posterior=posterior,
        plateau=plateau,
        reachable_gain=reachable,
        gain_doubling=doubling,
        at=tuple(score_at(posterior, n, question.level) for n in question.at),
        n_for_target=None if question.target is None else size_for_target(posterior, question.target, question.level),
        backtest=_backtest(curve, question) if backtest else (),
    )


def plateau_of(posterior: Posterior, question: Question) -> Plateau:
    """Posterior of the plateau size and score of the named model."""
    curve = posterior.curve
    sizes = exponential.plateau_size(*posterior.flat.T, eps=question.eps)
    horizon = HORIZON * int(curve.sizes[-1])
    return Plateau(
        size=SizeInterval.of(sizes, question.level, horizon),
        score=Interval.of(exponential.score(sizes, *posterior.flat.T), question.level),
        p_reached=float(np.mean(sizes <= curve.n_annotated)),
        p_beyond_horizon=float(np.mean(sizes > horizon)),
    )


def gains(posterior: Posterior, question: Question) -> tuple[Gain, Gain]:
    """Reachable gain (to N_max, at most the horizon unless asked) and the gain of doubling."""
    now = posterior.curve.n_annotated
    reach = question.reach or HORIZON * int(posterior.curve.sizes[-1])
    return _gain(posterior, now, max(reach, now), question), _gain(posterior, now, 2 * now, question)


def _gain(posterior: Posterior, start: int, end: int, question: Question) -> Gain:
    gain = posterior.scores(end) - posterior.scores(start)
    return Gain(start, end, Interval.of(gain, question.level), float(np.mean(gain <= question.eps)))


def score_at(posterior: Posterior, n: int, level: float) -> ScoreAt:
    """The expected score at n and the next run there, both as intervals."""
    curve_at = exponential.score(n, *posterior.predictive.T)
    expected, next_run = _with_noise(posterior, curve_at, n)
    return ScoreAt(
        n=n,
        expected=Interval.of(expected, level),
        mean=float(curve_at.mean()),
        next_run=Interval.of(next_run, level),
        within_horizon=n <= HORIZON * int(posterior.curve.sizes[-1]),
    )


def _with_noise(
    posterior: Posterior, curve_at: FloatArray, n: int, draws: int = 1, shared: float | None = None
) -> tuple[FloatArray, FloatArray]:
    """The curve at n with its misfit, and the mean of `draws` new runs on top, both kept inside [0, 1].

    `shared` is the subset noise of that mean per unit tau1^2; by default that of one run, 1 / n.
    """
    tau0, tau1, misfit = posterior.noise.T
    rng = np.random.default_rng([posterior.seed, 2, n])
    expected = curve_at + misfit * rng.standard_normal(len(curve_at))
    variance = tau0**2 / draws + tau1**2 * (1 / n if shared is None else shared)
    runs = expected + np.sqrt(variance) * rng.standard_normal(len(curve_at))
    return np.clip(expected, 0, 1), np.clip(runs, 0, 1)


def size_for_target(posterior: Posterior, target: float, level: float) -> SizeForTarget:
    """Posterior of the smallest n with `D(n) >= target`."""
    sizes = exponential.size_for_score(target, *posterior.flat.T)
    horizon = HORIZON * int(posterior.curve.sizes[-1])
    return SizeForTarget(target, SizeInterval.of(sizes, level, horizon), float(np.mean(np.isinf(sizes))))


def _backtest(curve: Curve, question: Question) -> tuple[Backtest, ...]:
    if len(curve.sizes) <= FEWEST_SIZES:
        return ()
    earlier = curve.without_largest(1)
    posterior = sample_posterior(earlier, question.seed, quick=True)
    n, last = int(curve.sizes[-1]), curve.n == curve.sizes[-1]
    shared = float(overlap(curve)[np.ix_(last, last)].mean())
    _, runs = _with_noise(posterior, exponential.score(n, *posterior.predictive.T), n, int(last.sum()), shared)
    sizes = tuple(int(s) for s in earlier.sizes)
    return (Backtest(sizes, n, float(curve.observed[-1]), Interval.of(runs, question.level)),)


def _verdict(posterior: Posterior, plateau: Plateau, question: Question) -> Verdict:
    curve = posterior.curve
    dip = _dip(posterior)
    horizon = HORIZON * int(curve.sizes[-1])
    if dip:
        return Verdict("ill_behaved", dip)
    if plateau.p_reached >= SURE:
        return Verdict(
            "plateau_reached",
            f"with probability {plateau.p_reached:.2f} the {curve.n_annotated} annotated cases are within "
            f"{question.eps:g} of the ceiling.",
        )
    if plateau.p_beyond_horizon > 0.5:
        return Verdict(
            "beyond_horizon",
            f"the plateau is beyond what these pilots can tell: more than {horizon} cases with probability "
            f"{plateau.p_beyond_horizon:.2f}, at least {plateau.size.lo:.0f} (lower end of the interval).",
        )
    return Verdict(
        "plateau_ahead",
        f"the plateau is {_words(plateau.size)} cases ({question.level:.0%} interval); {curve.n_annotated} are "
        f"annotated, and they are enough with probability {plateau.p_reached:.2f}.",
    )


def _words(size: SizeInterval) -> str:
    median = "beyond the horizon" if size.median is None else f"at {size.median:.0f}"
    return f"{median} [{size.lo:.0f}, {'>' if size.hi_censored else ''}{size.hi:.0f}]"


def _dip(posterior: Posterior) -> str | None:
    """A fall between two sizes that the noise cannot explain, in words."""
    curve = posterior.curve
    covariance = mean_covariance(curve, *posterior.noise_rms)
    variance = np.diag(covariance)
    falls = curve.observed[:, None] - curve.observed[None, :]
    error = np.sqrt(np.maximum(variance[:, None] + variance[None, :] - 2 * covariance, 1e-12))
    ratio = np.triu(falls / error, 1)
    i, j = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    if ratio[i, j] <= DIP:
        return None
    return (
        f"the score falls from {curve.observed[i]:.3f} at {curve.sizes[i]} to {curve.observed[j]:.3f} at "
        f"{curve.sizes[j]} cases, {ratio[i, j]:.1f} standard errors: noise does not explain it. Look at the cases "
        "and runs of the larger size."
    )
