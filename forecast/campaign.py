"""Ask and tell: a campaign as a value, for loops of one's own that train whatever they like.

    campaign = Campaign(start=40, n_max=540, costs=Costs(per_case=20))
    while True:
        campaign = campaign.tell(scores_of_the_new_pilots, n_annotated=now)
        found = campaign.recommend()
        if found.code != "annotate":
            break

In between `found.batch` cases are annotated, and pilots trained on them and scored.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd

from .costs import Costs
from .curve import Curve, curves_from_scores
from .errors import InputError
from .forecast import Question, forecast_curve
from .goal import Goal
from .lookahead import LOOK_AHEAD
from .promises import PromiseOutcome, outcomes
from .quadrature import DRAWS
from .recommendation import Recommendation, Situation, recommend_all
from .scores import KEY, validate_scores

FORMAT = 1
"""Version of the JSON that a campaign is kept as."""


@dataclass(frozen=True, eq=False)
class Campaign:
    """Everything known of a campaign: what it is after, what it costs, what was told. Telling makes a new one."""

    goal: Goal | None = None
    """By default the plateau within `eps`, for every structure."""
    goals: Mapping[str, Goal] = field(default_factory=dict)
    """Goals of single structures, instead of `goal`."""
    start: int = 1
    """Cases annotated when the campaign began; larger first pilots count instead."""
    n_max: int | None = None
    """Cases there will ever be; None when unknown."""
    costs: Costs = field(default_factory=Costs)
    """Costs, with the budget as it was at the beginning."""
    deadline_rounds: int | None = None
    """Rounds that the campaign may take in all."""
    draws: int = 3
    """Draws that are trained at every new size."""
    eps: float = 0.01
    level: float = 0.9
    seed: int = 0
    look_ahead: int = LOOK_AHEAD
    scores: pd.DataFrame | None = None
    """All scores told so far, sorted; None before the first."""
    pools: tuple[int, ...] = ()
    """Cases annotated when scores were told, at least `start`, ascending and without repeats."""

    def __post_init__(self) -> None:
        """Refuse what cannot be played."""
        self.question  # noqa: B018 - checks eps, level and seed
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be >= {least}, found {value}.")
        if self.n_max is not None and self.n_max < max(self.start, self.n_annotated):
            raise InputError(
                f"n_max, the cases there will ever be, must be at least the {max(self.start, self.n_annotated)} "
                f"annotated, found {self.n_max}."
            )

    def __eq__(self, other: object) -> bool:
        """Whether both are after the same and were told the same."""
        return isinstance(other, Campaign) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        """By everything that is compared."""
        return hash(self.to_json())

    @property
    def question(self) -> Question:
        """What is asked of every curve."""
        return Question(seed=self.seed, level=self.level, eps=self.eps)

    @property
    def n_annotated(self) -> int:
        """Cases annotated now."""
        return self.pools[-1] if self.pools else 0

    def tell(self, scores: pd.DataFrame, n_annotated: int | None = None) -> Campaign:
        """The campaign with further scores; the order of telling makes no difference. Tell every round on its own.

        Args:
            scores: A scores table (`n_cases` and `score` are required).
            n_annotated: Annotated cases at hand when they were trained; by default the table's largest size, or
                `start` where that is larger. Give it for further pilots at smaller sizes.

        Raises:
            InputError: A faulty table, scores that were told before, a pool smaller than a size or larger than `n_max`.
        """
        if not isinstance(scores, pd.DataFrame):
            raise InputError(f"scores must be a pandas DataFrame, found {type(scores).__name__}.")
        new = validate_scores(scores)
        now = max(int(new["n_cases"].max()), self.start) if n_annotated is None else int(n_annotated)
        if now < new["n_cases"].max():
            raise InputError(f"n_annotated must be at least the largest size {new['n_cases'].max()}, found {now}.")
        every = new if self.scores is None else pd.concat([self.scores, new], ignore_index=True)
        again = every.duplicated(KEY)
        if again.any():
            row = every[again].iloc[0]
            raise InputError(
                f"{again.sum()} of these scores were told before, the first for {row['n_cases']} cases, draw "
                f"{row['draw']}, {row['structure']}. Tell only new ones."
            )
        pools = tuple(sorted({*self.pools, max(now, self.start)}))
        return replace(self, scores=every.sort_values(KEY, ignore_index=True)[sorted(every.columns)], pools=pools)

    def curves(self) -> list[Curve]:
        """The curves so far.

        Raises:
            InputError: Nothing was told.
        """
        if self.scores is None:
            raise InputError("nothing was told yet: tell the scores of pilots at three sizes or more first.")
        return curves_from_scores(self.scores, self.n_annotated, self.pools)

    def recommend(self) -> Recommendation:
        """What to do next; the slowest structure decides.

        Raises:
            InputError: Nothing was told.
        """
        return self.recommend_each()[0]

    def recommend_each(self) -> tuple[Recommendation, list[Recommendation]]:
        """What to do next, and the decision of every curve.

        Raises:
            InputError: Nothing was told.
        """
        question = self.question
        if self.n_max is not None:
            question = replace(question, reach=self.n_max)
        curves = self.curves()
        unknown = set(self.goals) - {curve.structure for curve in curves}
        if unknown:
            known = ", ".join(sorted({curve.structure for curve in curves}))
            raise InputError(f"goals names structure {min(unknown)!r}, which was not told of: there is {known}.")
        forecasts = [forecast_curve(curve, question, quick=True, draws=DRAWS) for curve in curves]
        return recommend_all(forecasts, [self._situation(curve.structure) for curve in curves])

    def promises(self) -> dict[str, tuple[PromiseOutcome, ...]]:
        """Of every curve: what was promised for the score after each batch, and what was observed."""
        return {curve.name: outcomes(curve, self.question) for curve in self.curves()}

    @property
    def left(self) -> int | None:
        """Cases that could still be annotated."""
        return None if self.n_max is None else self.n_max - self.n_annotated

    def _situation(self, structure: str) -> Situation:
        rounds, costs = max(len(self.pools) - 1, 0), self.costs
        if costs.budget is not None:
            added = self.n_annotated - self.pools[0] if self.pools else 0
            spent = added * (costs.per_case or 0.0) + rounds * costs.of_round
            costs = replace(costs, budget=max(0.0, costs.budget - spent))
        return Situation(
            goal=self.goals.get(structure, self.goal),
            left=self.left,
            costs=costs,
            rounds_left=None if self.deadline_rounds is None else max(self.deadline_rounds - rounds, 0),
            draws=self.draws,
            look_ahead=self.look_ahead,
        )

    def to_json(self) -> str:
        """The whole campaign as text; `from_json` gives an equal one."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return json.dumps(
            {
                "format": FORMAT,
                **plain,
                "goal": self.goal and asdict(self.goal),
                "goals": {name: asdict(goal) for name, goal in self.goals.items()},
                "costs": asdict(self.costs),
                "scores": None if self.scores is None else self.scores.to_csv(index=False),
                "pools": list(self.pools),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Campaign:
        """A campaign from `to_json`.

        Raises:
            InputError: Not such a text.
        """
        try:
            found: dict[str, Any] = json.loads(text)
            if found["format"] != FORMAT:
                raise InputError(f"a campaign must have format {FORMAT}, found {found['format']}. Update dicecast.")
            scores = None
            if found["scores"] is not None:
                scores = validate_scores(pd.read_csv(io.StringIO(found["scores"]), dtype=str, keep_default_na=False))
            return cls(
                **{name: found[name] for name in _PLAIN},
                goal=found["goal"] and Goal(**found["goal"]),
                goals={name: Goal(**goal) for name, goal in dict(found["goals"]).items()},
                costs=Costs(**found["costs"]),
                scores=scores,
                pools=tuple(sorted({int(pool) for pool in found["pools"]})),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"a campaign must be text written by Campaign.to_json, found: {error!r}.") from error


_PLAIN = ("start", "n_max", "deadline_rounds", "draws", "eps", "level", "seed", "look_ahead")
_LEAST = {"start": 1, "n_max": 1, "deadline_rounds": 0, "draws": 1, "look_ahead": 1}
