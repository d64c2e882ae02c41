"""Arms against each other as one JSON-ready document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from .across_test_sets import AcrossTestSets
from .comparison import ArmComparison, Comparison, split_decisions
from .curve import Curve
from .document import Document, interval_document, question_document
from .equal_performance import Crossing, EqualPerformance
from .forecast import Question, horizon_of
from .paired import PairedDifference, SizeDifference
from .ranking import Ranked
from .types import CensoredInterval


def comparison_document(
    comparisons: Sequence[Comparison], question: Question, version: str, across: Sequence[AcrossTestSets] = ()
) -> Document:
    """Arms, sizes and test sets against each other."""
    return {
        **question_document(question, version),
        "model": question.model,
        "comparisons": [_comparison(one) for one in comparisons],
        "across_test_sets": [_across(one) for one in across],
        "split_decisions": split_decisions(comparisons),
    }


def _comparison(found: Comparison) -> Document:
    first = found.curves[0]
    names = [curve.arm for curve in found.curves]
    ranked = [arm.name for arm in found.arms]
    return {
        "structure": first.structure,
        "metric": first.metric,
        "test_set": first.test_set,
        "stratum": first.stratum,
        "arms": names,
        "not_judged": list(found.not_judged),
        "curves": [_curve(curve) for curve in found.curves],
        "costs": {arm: asdict(cost) for arm, cost in found.costs.items()},
        "unit": found.unit,
        "by_cases": [{"n": row.sizes[0], "arms": _ranked(ranked, row)} for row in found.by_cases],
        "by_cost": [{"cost": row.cost, "unit": found.unit, "arms": _by_cost(ranked, row)} for row in found.by_cost],
        "pairs": [_pair(pair) for pair in found.pairs],
        "sizes": {arm: [_sizes(one) for one in sizes] for arm, sizes in zip(names, found.sizes, strict=True)},
        "recommendation": {"arm": found.arm, "reason": found.reason},
    }


def _curve(curve: Curve) -> Document:
    """The data behind an arm."""
    return {
        "arm": curve.arm,
        "protocol": curve.protocol,
        "sizes": curve.sizes.tolist(),
        "observed": curve.observed.tolist(),
        "draws": curve.draws.tolist(),
        "n_test": curve.n_test,
        "n_left_out": curve.n_left_out,
        "n_annotated": curve.n_annotated,
        "horizon": horizon_of(curve),
    }


def _ranked(names: Sequence[str], row: Ranked) -> list[Document]:
    entries = zip(names, row.sizes, row.scores, row.p_best, strict=True)
    return [
        {"arm": name, "n": n, "score": None if score is None else interval_document(score), "p_best": p}
        for name, n, score, p in entries
    ]


def _by_cost(names: Sequence[str], row: Ranked) -> list[Document]:
    return [{**one, "beyond": beyond} for one, beyond in zip(_ranked(names, row), row.beyond, strict=True)]


def _pair(pair: ArmComparison) -> Document:
    reach = {"horizon": pair.horizon, "censored": pair.plateau_censored}
    return {
        "first": pair.first.arm,
        "second": pair.second.arm,
        "shared_test_cases": pair.shared,
        "ceiling_difference": interval_document(pair.ceiling),
        "plateau_difference": {**interval_document(pair.plateau), **reach},
        "p_second_smaller_plateau": pair.p_second_smaller,
        "score_difference": [
            {"n": one.n, **interval_document(one.interval), "p_second_better": one.p_second_better}
            for one in pair.scores
        ],
        "equal_performance": _equal(pair.equal),
        "equal_performance_reverse": _reverse(pair.reverse),
        "data_efficiency": _censored(pair.equal.ratio),
        "p_never": pair.equal.p_never,
        "equal_performance_curve": [_equal(one) for one in pair.equal_curve],
        "crossing": _crossing(pair.crossing),
        "observed": [_sizes(one) for one in pair.observed],
    }


def _equal(found: EqualPerformance) -> Document:
    return {
        "n_first": found.n,
        "n_second": _censored(found.cases),
        "saved": _censored(found.saved),
        "p_fewer": found.p_fewer,
        "p_beyond_horizon": found.p_beyond,
        "p_never": found.p_never,
    }


def _reverse(found: EqualPerformance) -> Document:
    """The first arm for what the second reaches: the names of the sizes change places."""
    entry = _equal(found)
    return {"n_second": entry.pop("n_first"), "n_first": entry.pop("n_second"), **entry}


def _censored(found: CensoredInterval) -> Document:
    """Ends of what can be told mean "that or beyond"; a median there is null, and `side` says which end it is."""
    side = None if found.inside(found.median) else "floor" if found.median <= found.floor else "horizon"
    return {
        "median": found.median if side is None else None,
        "side": side,
        "lo": found.lo,
        "hi": found.hi,
        "lo_censored": not found.inside(found.lo),
        "hi_censored": not found.inside(found.hi),
        "floor": found.floor,
        "horizon": found.horizon,
    }


def _crossing(found: Crossing) -> Document:
    return {
        "from": found.start,
        "to": found.end,
        "p_first_ahead": found.p_first,
        "p_second_ahead": found.p_second,
        "p_first_overtakes": found.p_first_overtakes,
        "p_second_overtakes": found.p_second_overtakes,
        "n": None if found.n is None else interval_document(found.n),
    }


def _across(found: AcrossTestSets) -> Document:
    first = found.views[0].curve
    views = [
        {
            "test_set": view.curve.test_set,
            "n_test": view.curve.n_test,
            "score_now": view.now,
            "gain": {
                "n_from": view.gain.n_from,
                "n_to": view.gain.n_to,
                **interval_document(view.gain.interval),
                "p_below_eps": view.gain.p_below_eps,
            },
            "state": view.state,
        }
        for view in found.views
    ]
    names = {name: getattr(first, name) for name in ("arm", "structure", "metric", "stratum")}
    return {**names, "test_sets": views, "differs": found.differs, "reason": found.reason}


def _sizes(one: SizeDifference) -> Document:
    return {"n": one.n, "n_reference": one.n_reference, **_paired(one.difference), "draw_sd": one.draw_sd}


def _paired(found: PairedDifference) -> Document:
    names = ("mean", "lo", "hi", "p", "p_holm", "cases")
    return {name: value for name, value in asdict(found).items() if name in names}
