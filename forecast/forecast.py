"""What one curve lets us say about sizes not trained yet, each number with its interval and its doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .checks import PredictiveCheck, predictive_check
from .curve import Curve
from .errors import InputError
from .families import FAMILIES, NAMED, Family
from .fit import LeastSquaresFit, least_squares
from .notebook import forecast_html
from .population import population_posterior
from .posterior import Posterior
from .prior import AVERAGE, shipped_prior
from .quadrature import DRAWS, quadrature
from .sampler import sample_posterior
from .scores import MOST_CASES
from .subsets import mean_overlap
from .types import FloatArray, IntArray, Interval, SizeInterval
from .verdict import Verdict, verdict_of
from .words import interval_words

HORIZON = 4
"""How many times the largest trained size a forecast reaches; past it the pilots cannot tell."""
FEWEST_SIZES = 3
"""Sizes below which no curve is forecast."""
MOST_LEVEL = 0.99
"""Largest probability of an interval."""
SCOPES = ("test-set", "population")
"""Whose mean a forecast is about: that of this test set, or of all patients."""
BESIDE = 2000
"""Draws of the posteriors beside the main ones: single families, other priors, backtests, quick answers."""
FALL = 5.0
"""Tolerances (eps) of a fall from the smallest to the largest size that is warned of."""
FAR, FAILED = 2.5, 0.05
"""Half-widths from which a backtest has failed by far, and a score below which nothing has been learned."""


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
    model: str = AVERAGE
    """What expected scores and gains come from: `average`, or a family by its name, then by MCMC."""
    scope: str = SCOPES[0]
    """`test-set`: the mean on this test set; `population`: also which patients happen to be in it."""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        for name, value in (("level", self.level), ("eps", self.eps)):
            if not 0 < value < 1:
                raise InputError(f"{name} must lie between 0 and 1 (exclusive), found {value:g}.")
        if self.level > MOST_LEVEL:
            raise InputError(
                f"level must be at most {MOST_LEVEL:g}, found {self.level:g}: the ends of wider intervals cannot be "
                "told from a few thousand draws."
            )
        if self.target is not None and not 0 < self.target <= 1:
            raise InputError(f"the target score must lie in (0, 1], found {self.target:g}.")
        if self.reach is not None and self.reach < 1:
            raise InputError(f"the cases that could ever be annotated (reach) must be >= 1, found {self.reach}.")
        if any(n < 1 for n in self.at):
            raise InputError(f"sizes to forecast at must be >= 1, found {min(self.at)}.")
        most = max(self.reach or 1, *self.at, 1)
        if most > MOST_CASES:
            raise InputError(f"numbers of cases must be at most {MOST_CASES}, found {most}.")
        if self.model not in (AVERAGE, *FAMILIES):
            raise InputError(f"unknown family {self.model!r}: there is {', '.join([AVERAGE, *FAMILIES])}.")
        if self.scope not in SCOPES:
            raise InputError(f"unknown scope {self.scope!r}: there is {' and '.join(SCOPES)}.")
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
    """The next single run at n: also its training noise and which cases it happens to get.

    Where scores are averages over draws with their standard errors, the next such average.
    """
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
    """With the misfit of the larger size."""
    p_below_eps: float
    """Probability that the curve itself gains at most eps."""


@dataclass(frozen=True)
class SizeForTarget:
    """Cases needed for a target score."""

    target: float
    size: SizeInterval
    p_unreachable: float
    """Probability that the ceiling lies below the target."""


@dataclass(frozen=True)
class FamilyView:
    """What one family alone says, by quadrature."""

    family: Family
    weight: float
    """Posterior probability in the weighted average; 0 for a family outside it."""
    plateau: Plateau
    gain: Gain
    """Reachable gain."""
    score: Interval
    """Expected score at N_max."""
    fit: LeastSquaresFit | None
    """None with fewer sizes than parameters."""


@dataclass(frozen=True)
class Sensitivity:
    """The reachable gain under other priors than the shipped one."""

    vague: Gain
    learned: Gain


@dataclass(frozen=True)
class Backtest:
    """A larger size forecast from smaller ones, against what was then observed."""

    from_sizes: tuple[int, ...]
    n: int
    observed: float
    predicted: Interval

    @property
    def held(self) -> bool:
        """Whether the interval held the observed mean."""
        return self.predicted.lo <= self.observed <= self.predicted.hi

    @property
    def missed_by_far(self) -> bool:
        """Whether the observed mean lies far outside: `FAR` times the distance of the nearer end from the median."""
        found = self.predicted
        end = found.hi if self.observed > found.median else found.lo
        return abs(self.observed - found.median) > FAR * max(abs(end - found.median), 1e-3)


@dataclass(frozen=True)
class Forecast:
    """Everything said about one curve; the parts are None where too few sizes were trained."""

    curve: Curve
    question: Question
    verdict: Verdict
    fit: LeastSquaresFit | None = None
    """The named model by least squares."""
    posterior: Posterior | None = None
    """The named model, by MCMC (by quadrature in the scope of the population)."""
    expected: Posterior | None = None
    """What expected scores, gains and sizes for a target come from: the average, or the family asked for."""
    plateau: Plateau | None = None
    """Of the named model."""
    families: tuple[FamilyView, ...] = ()
    reachable_gain: Gain | None = None
    gain_doubling: Gain | None = None
    sensitivity: Sensitivity | None = None
    at: tuple[ScoreAt, ...] = ()
    n_for_target: SizeForTarget | None = None
    check: PredictiveCheck | None = None
    backtest: tuple[Backtest, ...] = ()

    def _repr_html_(self) -> str:
        return forecast_html(self)

    @property
    def horizon(self) -> int:
        """Largest size the pilots can speak of."""
        return horizon_of(self.curve)

    @property
    def named_view(self) -> FamilyView | None:
        """The named model among the families; None where too few sizes were trained."""
        return next((view for view in self.families if view.family is NAMED), None)

    @property
    def falls(self) -> bool:
        """Whether the mean score at the largest size is far below that at the smallest."""
        return bool(self.curve.observed[0] - self.curve.observed[-1] > FALL * self.question.eps)

    @property
    def messages(self) -> tuple[str, ...]:
        """What falls short in sampling and in the predictive check: number, meaning, remedy."""
        found: tuple[str, ...] = ()
        for part in (self.posterior, self.expected):
            found += tuple(m for m in part.diagnostics.messages if m not in found) if part else ()
        found += self.check.messages if self.check else ()
        missed = [test for test in self.backtest if test.missed_by_far]
        if missed:
            worst = missed[-1]
            found += (
                f"backtest: from sizes up to {worst.from_sizes[-1]} the score at {worst.n} was forecast as "
                f"{interval_words(worst.predicted)}, observed was "
                f"{worst.observed:.3f}: the scores did not go on as they began; look at what changed in between",
            )
        if self.falls:
            sizes, scores = self.curve.sizes, self.curve.observed
            found += (
                f"the mean score falls from {scores[0]:.3f} at {sizes[0]} to {scores[-1]:.3f} at {sizes[-1]} cases, "
                "and every family here rises: look whether rows were swapped or runs failed",
            )
        if np.max(self.curve.observed) < FAILED:
            found += (f"no size scores {FAILED:g}: the training may have failed; look at the predictions",)
        return found


def horizon_of(curve: Curve) -> int:
    """Largest size the pilots of a curve can speak of."""
    return HORIZON * int(curve.sizes[-1])


def forecast_curve(
    curve: Curve,
    question: Question | None = None,
    *,
    backtest: bool = True,
    quick: bool = False,
    draws: int | None = None,
) -> Forecast:
    """Fit a curve by least squares and MCMC, average the families, and say what follows.

    Args:
        curve: The observed scores.
        question: What to report; defaults as in `Question`.
        backtest: Also forecast larger sizes from smaller ones, and under other priors.
        quick: Everything by quadrature, without the backtest and without each family on its own.
        draws: Draws of a posterior by quadrature; by default fewer when `quick`. With `DRAWS` a quick forecast
            expects what the full one does, so that the same is decided.

    Raises:
        InputError: The scope is the population but nothing is known of the spread over test cases; the reach is smaller
            than the number of annotated cases.
    """
    question = question or Question()
    check_reach(curve, question)
    if len(curve.sizes) < FEWEST_SIZES:
        sizes = ", ".join(map(str, curve.sizes))
        reason = f"{len(curve.sizes)} size(s) trained ({sizes}); a forecast needs at least {FEWEST_SIZES}, better 5."
        return Forecast(curve, question, Verdict("too_few_sizes", reason))
    draws = draws or (BESIDE if quick else DRAWS)
    posterior = _posterior(curve, question, NAMED.name, quick, draws)
    expected = posterior if question.model == NAMED.name else _posterior(curve, question, question.model, quick, draws)
    plateau = plateau_of(posterior, question)
    reachable, doubling = gains(expected, question)
    check = predictive_check(expected if question.scope == SCOPES[0] else quadrature(curve, question.seed))
    views = () if quick else family_views(curve, expected, question)
    return Forecast(
        curve=curve,
        question=question,
        verdict=verdict_of(curve, plateau, reachable, check, views, expected, question, horizon_of(curve)),
        fit=least_squares(curve),
        posterior=posterior,
        expected=expected,
        plateau=plateau,
        families=views,
        reachable_gain=reachable,
        gain_doubling=doubling,
        sensitivity=_sensitivity(curve, question) if backtest and not quick else None,
        at=tuple(score_at(expected, n, question.level) for n in question.at),
        n_for_target=None if question.target is None else size_for_target(expected, question.target, question.level),
        check=check,
        backtest=rolling_origin(curve, question) if backtest and not quick else (),
    )


def check_reach(curve: Curve, question: Question) -> None:
    """Refuse fewer cases that could ever be annotated than are annotated already.

    Raises:
        InputError: There are fewer.
    """
    if question.reach is not None and question.reach < curve.n_annotated:
        raise InputError(
            f"{curve.name}: the cases that could ever be annotated (reach) must be at least the "
            f"{curve.n_annotated} that are, found {question.reach}."
        )


def _posterior(curve: Curve, question: Question, model: str, quick: bool, draws: int) -> Posterior:
    """MCMC for one family, quadrature for the average, for the population and for haste."""
    if question.scope == "population":
        return population_posterior(curve, question.seed, model=model)
    if quick or model == AVERAGE:
        return quadrature(curve, question.seed, model=model, draws=draws)
    return sample_posterior(curve, question.seed, model=model)


def plateau_of(posterior: Posterior, question: Question) -> Plateau:
    """Posterior of the plateau size and score of the posterior's own model."""
    curve = posterior.curve
    sizes = posterior.plateau_sizes(question.eps)
    horizon = horizon_of(curve)
    return Plateau(
        size=SizeInterval.of(sizes, question.level, horizon),
        score=Interval.of(np.maximum(posterior.dm - question.eps, posterior.dm - posterior.amplitude), question.level)
        if all(family.at_zero for family in posterior.families)
        else Interval.of(posterior.dm - question.eps, question.level),
        p_reached=float(np.mean(sizes <= curve.n_annotated)),
        p_beyond_horizon=float(np.mean(sizes > horizon)),
    )


def family_views(curve: Curve, expected: Posterior, question: Question) -> tuple[FamilyView, ...]:
    """What each family says on its own, and its weight in the average."""
    averaged = expected if expected.model == AVERAGE else quadrature(curve, question.seed)
    weights = dict(zip((family.name for family in averaged.families), averaged.weights, strict=True))
    views = []
    for family in FAMILIES.values():
        alone = quadrature(curve, question.seed, model=family.name, draws=BESIDE)
        gain, _ = gains(alone, question)
        views.append(
            FamilyView(
                family=family,
                weight=float(weights.get(family.name, 0.0)),
                plateau=plateau_of(alone, question),
                gain=gain,
                score=Interval.of(alone.scores(gain.n_to), question.level),
                fit=least_squares(curve, family) if len(curve.sizes) >= len(family.names) else None,
            )
        )
    return tuple(views)


def gains(posterior: Posterior, question: Question) -> tuple[Gain, Gain]:
    """Reachable gain (to N_max, at most the horizon unless asked) and the gain of doubling."""
    now = posterior.curve.n_annotated
    reach = question.reach or horizon_of(posterior.curve)
    return gain_between(posterior, now, max(reach, now), question), gain_between(posterior, now, 2 * now, question)


def gain_draws(posterior: Posterior, start: int, end: int, *, rise: FloatArray | None = None) -> FloatArray:
    """Draws of `D(end) - D(start)` with the misfit of the larger size, shape [draws].

    Args:
        posterior: Whose draws they are.
        start: Cases from which.
        end: Cases to which.
        rise: Draws of the difference without the misfit, where they are known already.
    """
    if rise is None:
        rise = np.subtract(*posterior.scores([end, start]))
    rng = np.random.default_rng([posterior.seed, 7, start, end])
    return np.asarray(rise + posterior.noise[:, 2] * rng.standard_normal(len(rise)))


def gain_between(posterior: Posterior, start: int, end: int, question: Question) -> Gain:
    """What going from one number of cases to another adds: nothing where it is not more."""
    rise = np.subtract(*posterior.scores([end, start]))
    gain = gain_draws(posterior, start, end, rise=rise) if end > start else np.zeros(len(rise))
    return Gain(start, end, Interval.of(gain, question.level), float(np.mean(rise <= question.eps)))


def _sensitivity(curve: Curve, question: Question) -> Sensitivity:
    vague, learned = (
        gains(
            quadrature(curve, question.seed, model=question.model, prior=shipped_prior(share), draws=BESIDE), question
        )[0]
        for share in (0.0, 1.0)
    )
    return Sensitivity(vague, learned)


def score_at(posterior: Posterior, n: int, level: float) -> ScoreAt:
    """The expected score at n and the next run there, both as intervals."""
    curve_at = posterior.scores(n)
    expected, next_run = with_noise(posterior, curve_at, n)
    return ScoreAt(
        n=n,
        expected=Interval.of(expected, level),
        mean=float(curve_at.mean()),
        next_run=Interval.of(next_run, level),
        within_horizon=n <= horizon_of(posterior.curve),
    )


def with_noise(
    posterior: Posterior, curve_at: FloatArray, n: int | IntArray, draws: int = 1, shared: float | None = None
) -> tuple[FloatArray, FloatArray]:
    """The curve at n with its misfit, and the mean of `draws` new runs on top, both kept inside [0, 1].

    Args:
        posterior: Whose noise it is.
        curve_at: Its scores at n, shape [*n.shape, draws of the posterior].
        n: A size, or sizes: each draw then keeps its noise over all of them, so that lines along sizes are smooth.
        draws: Runs that are averaged.
        shared: Subset noise of that mean per unit tau1^2; by default that of one run, 1 / n.
    """
    tau0, tau1, misfit = posterior.noise.T
    rng = np.random.default_rng([posterior.seed, 2, *np.ravel(n)])
    subset = 1 / np.asarray(n)[..., None] if shared is None else shared
    expected = curve_at + misfit * rng.standard_normal(len(misfit))
    runs = expected + np.sqrt(tau0**2 / draws + tau1**2 * subset) * rng.standard_normal(len(misfit))
    return np.clip(expected, 0, 1), np.clip(runs, 0, 1)


def size_for_target(posterior: Posterior, target: float, level: float) -> SizeForTarget:
    """Posterior of the smallest n with `D(n) >= target`."""
    sizes = posterior.sizes_for(target)
    horizon = horizon_of(posterior.curve)
    return SizeForTarget(target, SizeInterval.of(sizes, level, horizon), float(np.mean(np.isinf(sizes))))


def rolling_origin(curve: Curve, question: Question) -> tuple[Backtest, ...]:
    """Forecast the next and the largest size from every smaller set of at least three sizes."""
    tests = []
    for dropped in range(len(curve.sizes) - FEWEST_SIZES, 0, -1):
        earlier = curve.without_largest(dropped)
        posterior = quadrature(earlier, question.seed, model=question.model, draws=BESIDE)
        ahead = curve.sizes[-dropped:]
        tests += [_backtest(curve, posterior, int(n), question.level) for n in sorted({ahead[0], ahead[-1]})]
    return tuple(tests)


def _backtest(curve: Curve, posterior: Posterior, n: int, level: float) -> Backtest:
    there = curve.n == n
    shared = float(mean_overlap(curve).diagonal()[curve.sizes == n].item())
    _, runs = with_noise(posterior, posterior.scores(n), n, int(there.sum()), shared)
    sizes = tuple(int(size) for size in posterior.curve.sizes)
    return Backtest(sizes, n, float(curve.y[there].mean()), Interval.of(runs, level))
