"""One study in small: two rounds, two arms, costs, promises; and what makes a figure readable."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from dicecast.adapters.figures.write import Pictured
from dicecast.forecast.costs import Costs
from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.forecast import Question, forecast_curve
from dicecast.forecast.promises import outcomes
from dicecast.forecast.scores import validate_scores
from dicecast.forecast.stability import DropLargest, Refit, RoundSummary
from dicecast.forecast.types import Interval, SizeInterval

SIZES, POOL = (10, 20, 40, 60, 90), (40, 60, 90)


def curves_of(names: list[str], sizes: tuple[int, ...] = SIZES) -> list[Curve]:
    rng = np.random.default_rng(2)
    rows = [
        {"arm": name, "n_cases": n, "draw": draw, "case": f"c{case}", "score": score}
        for i, name in enumerate(names)
        for n, draw, case in itertools.product(sizes, range(3), range(6))
        if (score := 0.85 - 0.01 * i - 0.4 * np.exp(-0.03 * n) + 0.004 * rng.standard_normal())
    ]
    return curves_from_scores(validate_scores(pd.DataFrame(rows)), 90, POOL)


@pytest.fixture(scope="session")
def curve() -> Curve:
    return curves_of(["2d"])[0]


@pytest.fixture(scope="session")
def dropped() -> DropLargest:
    beyond = SizeInterval(median=None, lo=80, hi=160, hi_censored=True, level=0.9, horizon=160)
    known = SizeInterval(median=90, lo=70, hi=120, hi_censored=False, level=0.9, horizon=360)
    dm = Interval(0.85, 0.84, 0.87, 0.9)
    refits = (Refit(0, SIZES, 0.85, 88.0, dm, known), Refit(1, SIZES[:-1], 0.86, np.inf, dm, beyond))
    return DropLargest(refits, 0.01, True, "DM moves by 0.010 when the largest size is dropped (within 0.02).")


@pytest.fixture(scope="session")
def pictured(curve: Curve, dropped: DropLargest) -> Pictured:
    """Everything that can be drawn of one curve."""
    found = forecast_curve(curve, Question(at=(120,), target=0.84), quick=True)
    earlier = forecast_curve(curve.without_largest(1), quick=True)
    summaries = [RoundSummary.of(number, one) for number, one in enumerate((earlier, found))]
    return Pictured(
        found,
        history=[one for one in summaries if one is not None],
        ceiling=0.9,
        dropped=dropped,
        costs=Costs(per_case=40, per_round=500, budget=6000),
        outcomes=outcomes(curve, Question()),
    )


def texts_of(figure: Figure) -> list[Text]:
    """Every text that is seen."""
    figure.draw_without_rendering()
    unseen = set().union(*(_unseen(axis) for axis in figure.findobj(Axis)))
    return [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip() and one not in unseen]


def _unseen(axis: Axis) -> set[Text]:
    """Labels of ticks outside the limits, which matplotlib keeps but does not draw."""
    if not axis.axes.axison:
        return set(axis.findobj(Text))
    lo, hi = sorted(axis.get_view_interval())
    room = 1e-6 * (hi - lo)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    outside = [one for one in ticks if not lo - room <= one.get_loc() <= hi + room]
    return {text for one in outside for text in (one.label1, one.label2)}


@pytest.fixture(scope="session")
def check_readable() -> Callable[[Figure], Any]:
    """Letters of 8 points at least, inside the figure, over no other letters; a legend below covers no axes."""

    def check(figure: Figure) -> str:
        assert figure.get_figwidth() == pytest.approx(6.4) and figure.get_facecolor() == (1, 1, 1, 1)
        found = texts_of(figure)
        boxes = [(one.get_text(), one.get_window_extent().padded(-1)) for one in found]
        for one in found:
            assert float(one.get_fontsize()) >= 8, one.get_text()
        for words, box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0, f"{words!r} is cut off"
            assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, f"{words!r} is cut off"
        for (words, box), (others, other) in itertools.combinations(boxes, 2):
            assert not box.overlaps(other), f"{words!r} lies over {others!r}"
        for legend, axes in itertools.product(figure.legends, figure.axes):
            assert not legend.get_window_extent().padded(-1).overlaps(axes.get_window_extent())
        return "\n".join(words for words, _ in boxes)

    return check
