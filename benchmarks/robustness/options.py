"""Options that hold more than one number: costs by arm, sizes, ranges; and the numbers they may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from dicecast.adapters import commands
from dicecast.adapters.compare_command import Terms as CompareTerms
from dicecast.adapters.compare_command import compare
from dicecast.adapters.conclusion import Asked
from dicecast.adapters.decisions import check_arms, check_numbers, decide
from dicecast.adapters.sources import Wishes, read_source, whole_numbers
from dicecast.adapters.starting import new_study
from dicecast.adapters.terminal.round_report import recommendation_panel
from dicecast.adapters.terminal.screen import as_text
from dicecast.benchmarks.robustness.breaking import ODD, broken_text
from dicecast.benchmarks.robustness.reading import Reader
from dicecast.forecast.errors import InputError
from dicecast.forecast.forecast import Forecast, forecast_curve
from dicecast.forecast.guess import Guess

TABLE = "n_cases,arm,score\n" + "".join(
    f"{n},{arm},{score}\n" for n, score in ((4, 0.5), (8, 0.62), (16, 0.7)) for arm in ("2d", "3d")
)
TEXTS = (
    "2d=300,3d=5",
    "20",
    "10,20,40",
    "0.65:0.75",
    "2000, 4000",
    "150:600",
    "a,b",
    "0.2",
    "=3",
    "1e308",
    "nan",
    "inf",
)
NUMBERS = (
    0.0,
    1.0,
    -1.0,
    0.5,
    20.0,
    1e308,
    1e-308,
    5e-324,
    -0.0,
    float("nan"),
    float("inf"),
    float("-inf"),
    1e15,
    2.0**63,
)
WHOLE = (None, 0, 1, 2, 3, 10, 1000, 10**6, 10**9, 2**53, 2**63, 10**30, -1)


def option_texts(folder: Path) -> Reader:
    """A text given to every option that is taken apart."""
    dataset = folder / "dataset"

    def read(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape").replace("@", "")
        refused = 0
        uses = (_costs, _sizes, _guess, _budgets, lambda one: new_study_of(folder / "study", dataset, one))
        for use in uses:
            try:
                use(text)
            except InputError:
                refused += 1
        if refused == len(uses):
            raise InputError("no option takes it")

    return Reader("options", tuple(text.encode() for text in TEXTS), read, _texts())


@st.composite
def _texts(draw: st.DrawFn) -> bytes:
    return draw(broken_text(TEXTS, ODD)).encode("utf-8", "surrogatepass")


def _costs(text: str) -> None:
    asked = Asked(per_case=commands.numbers_by_arm(text, "per-case"))
    assert all(isinstance(one, float) for one in asked.per_case.values())


def _sizes(text: str) -> None:
    assert all(one >= 1 for one in whole_numbers(text, "at"))


def _guess(text: str) -> None:
    low, high = commands.range_of(text, "plateau")
    made = Guess(30, (0.6, 0.7), (0.85, 0.9), (low, high))
    assert len(made.truths(1000, 3, 0)) == 3


def _budgets(text: str) -> None:
    assert commands.numbers_of(text, "budget")


def new_study_of(folder: Path, dataset: Path, text: str) -> None:
    """What `init` makes of a text in the options that it takes apart."""
    for name in ("test", "sizes", "draws"):
        options: dict[str, Any] = {"test": None, "sizes": None, "draws": None, name: text}
        new_study(
            folder,
            dataset,
            settings=None,
            cases=None,
            gpu_hours=None,
            seconds_per_iteration=None,
            protocol={},
            **options,
        )


@st.composite
def _numbers(draw: st.DrawFn) -> bytes:
    number, whole = st.none() | st.sampled_from(NUMBERS), st.sampled_from(WHOLE)
    asked: dict[str, Any] = {"per_case": {"": 20.0}, "goal": [None, 0.0]}
    wishes: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 4))):
        name = draw(
            st.sampled_from(("per_round", "per_run", "budget", "left", "rounds_left", "per_case", "look_ahead", "goal"))
        )
        if name == "per_case":
            asked[name] = {draw(st.sampled_from(["", "2d", "3d", "4d"])): draw(st.sampled_from(NUMBERS))}
        elif name == "look_ahead":
            asked[name] = draw(st.sampled_from([1, 2, 0, 3]))
        elif name == "goal":
            asked[name] = [draw(st.sampled_from([None, "target", "per_point"])), draw(st.sampled_from(NUMBERS))]
        else:
            asked[name] = draw(whole if name in ("left", "rounds_left") else number)
    if draw(st.integers(0, 2)) == 0:
        name = draw(st.sampled_from(("level", "eps", "target", "seed", "annotated", "reach")))
        wishes[name] = draw(number if name in ("level", "eps", "target") else whole)
    return json.dumps({"asked": asked, "wishes": wishes}).encode()


def option_numbers(folder: Path) -> Reader:
    """Numbers given to `recommend`, to the decision."""
    path = folder / "scores.csv"
    path.write_text(TABLE, encoding="utf-8")
    known: dict[Any, Forecast] = {}

    def read(data: bytes) -> None:
        given = json.loads(data)
        asked = dict(given["asked"])
        kind, amount = asked.pop("goal")
        goal = commands.goal_of(**{"target": None, "per_point": None, **({kind: amount} if kind else {})})
        numbers = Asked(goal=goal, **asked)
        check_numbers(numbers)
        source = read_source(path, Wishes(**given["wishes"], left=numbers.left))
        check_arms(numbers, source.deciding)
        forecasts = []
        for curve in source.deciding:
            key = (curve.name, curve.n_annotated, source.question)
            if key not in known:
                known[key] = forecast_curve(curve, source.question, quick=True)
            forecasts.append(known[key])
        if len(known) > 500:
            known.clear()
        decision, each = decide(forecasts, numbers)
        json.dumps([one.document() for one in each], allow_nan=False)
        as_text(recommendation_panel(decision, each, []))

    plain = json.dumps({"asked": {"goal": [None, 0.0], "per_case": {"": 2.0}}, "wishes": {}}).encode()
    return Reader("numbers of recommend", (plain,), read, _numbers(), seconds=20.0)


def comparison_options(folder: Path) -> Reader:
    """Costs and sizes given to `compare`, to its document."""
    path = folder / "scores.csv"
    path.write_text(TABLE, encoding="utf-8")

    def read(data: bytes) -> None:
        given = json.loads(data)
        report, document, _ = compare([str(path)], Wishes(at=given.pop("at")), CompareTerms(**given), None)
        as_text(report)
        json.dumps(document, allow_nan=False)

    plain = {"at": None, "arms": None, "per_case": "2d=20,3d=30", "per_run": None, "spend": "1000"}
    return Reader("options of compare", (json.dumps(plain).encode(),), read, _terms(), seconds=20.0)


@st.composite
def _terms(draw: st.DrawFn) -> bytes:
    text = st.none() | st.sampled_from(("2d=300,3d=5", "20", "10,20,40", "3d,2d", "2d", "1000", "1e308", "nan", "0"))
    given: dict[str, Any] = {"at": None, "arms": None, "per_case": "2d=20,3d=30", "per_run": None, "spend": None}
    for _ in range(draw(st.integers(1, 3))):
        given[draw(st.sampled_from(sorted(given)))] = draw(text | text | broken_text(TEXTS))
    return json.dumps(given).encode()
