"""The report of agreement for 80 columns: renderables built from finished results. They compute nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...forecast.agreement import BlandAltman, ConfidenceInterval
from ...forecast.annotators import AgainstAnnotator, AnnotatorCeiling
from ...forecast.run_agreement import MetricSummary, RunAgreement, SizesCompared
from ...forecast.words import level_words, score_words
from .score_tables import NOT_AVERAGED, metric_words
from .screen import Heading, note, plain_table

LIMITS = ("bias", "SD of the differences", "lower limit of agreement", "upper limit of agreement", "cases")
"""Rows of a Bland-Altman table."""


def agreement_block(
    name: str,
    run: RunAgreement,
    sizes: SizesCompared,
    annotators: Sequence[AgainstAnnotator] = (),
    ceiling: AnnotatorCeiling | None = None,
) -> RenderableType:
    """One arm and structure: counts, metrics, volumes, Dice by volume, sizes, annotators, and what is not known."""
    return Group(*_parts(name, run, sizes, annotators, ceiling))


def _parts(
    name: str,
    run: RunAgreement,
    sizes: SizesCompared,
    annotators: Sequence[AgainstAnnotator],
    ceiling: AnnotatorCeiling | None,
) -> Iterator[RenderableType]:
    yield Heading(f"{name} at {run.n} cases")
    yield Text(_counts(run))
    yield Text("")
    yield _metrics_table(run)
    yield Text("")
    yield from _volumes(run)
    yield from _dice_by_volume(run)
    yield from _sizes(sizes)
    if annotators:
        yield from _annotators(annotators, sizes.metric)
        yield Text("")
    if ceiling is not None:
        yield from _ceiling(ceiling)
    notes = [*run.messages, *([f"sizes: {sizes.note}"] if sizes.note else [])]
    notes += [f"annotators: {ceiling.note}"] if ceiling is not None and ceiling.note else []
    if notes:
        yield from (note(f"{words}.") for words in notes)
        yield Text("")


def _counts(run: RunAgreement) -> str:
    """How many cases and draws; how often the structure was missed, or found where it is not."""
    draws = f"draw {run.draws[0]}" if len(run.draws) == 1 else f"mean of {len(run.draws)} draws"
    words = [f"{_count(len(run.cases) - run.absent, 'test case')}, {draws}"]
    if run.missed is not None:
        cases = f" ({_count(run.missed.cases, 'case')})" if run.missed.missed else ""
        words.append(f"missed in {run.missed.missed} of {_count(run.missed.predictions, 'prediction')}{cases}")
    if run.absent:
        words.append(f"{run.absent} more without the structure{_false_positives(run)}")
    return f"{'; '.join(words)}."


def _false_positives(run: RunAgreement) -> str:
    means = {one.metric: one.mean for one in run.metrics if one.metric.startswith("false_positive")}
    rate, volume = means.get("false_positive"), means.get("false_positive_ml")
    if rate is None:
        return ""
    words = f", some of it found in {rate:.0%} of predictions"
    return words + ("" if volume is None else f" ({_number(volume, _digits('mL', volume))} mL on average)")


def _metrics_table(run: RunAgreement) -> Table:
    table = plain_table("", "metric", "mean ± SD", "median [quartiles]", "undefined", narrow=True)
    for one in run.metrics:
        if one.metric not in (*NOT_AVERAGED, "missed"):
            words, unit = metric_words(one.metric)
            table.add_row(f"{words}, {unit}" if unit else words, *_summary(one, unit), str(one.undefined))
    return table


def _summary(one: MetricSummary, unit: str) -> tuple[str, str]:
    if one.mean is None:
        return "-", "-"
    digits = _digits(unit, one.mean, one.sd, one.q1, one.q3)
    mean, sd, median, q1, q3 = (_number(value, digits) for value in (one.mean, one.sd, one.median, one.q1, one.q3))
    return mean if one.sd is None else f"{mean} ± {sd}", f"{median} [{q1}, {q3}]"


def _volumes(run: RunAgreement) -> Iterator[RenderableType]:
    """Bland-Altman in mL and percent, and the line of predicted on reference volumes."""
    if run.bland_altman is None or run.bland_altman_percent is None or run.bland_altman.n == 0:
        return
    both = (run.bland_altman, run.bland_altman_percent)
    level = next((f" [{level_words(one.bias_ci.level)} CI (t)]" for one in both if one.bias_ci), "")
    yield Text(f"Volumes, predicted minus reference{level}", "bold")
    of = both[1].definition.partition("% of ")[2]
    table = plain_table("", "Bland-Altman", "mL", f"% of {of}", narrow=True)
    cells = [_limits(one) for one in both]
    for name, *row in zip(LIMITS, *cells, strict=True):
        table.add_row(name, *row)
    yield table
    line = run.regression
    if line is not None and line.slope is not None:
        slope = _with_error(line.slope, line.slope_se)
        intercept = _with_error(line.intercept, line.intercept_se, "mL")
        yield Text(f"Predicted on reference ± SE: slope {slope}, intercept {intercept} mL.")
        yield Text(f"R² {score_words(line.r2)}, concordance {score_words(line.concordance)}.")
    yield Text("")


def _limits(found: BlandAltman) -> list[str]:
    digits = _digits("%", found.bias, found.lower, found.upper)
    limits = (found.bias, found.bias_ci), (found.lower, found.lower_ci), (found.upper, found.upper_ci)
    bias, lower, upper = (f"{_number(value, digits)}{_ends(interval, digits)}" for value, interval in limits)
    left_out = f" ({found.left_out} with reference 0 left out)" if found.left_out else ""
    return [bias, _number(found.sd, digits), lower, upper, f"{found.n}{left_out}"]


def _dice_by_volume(run: RunAgreement) -> Iterator[RenderableType]:
    """Rank correlation with the volume, and the small half of the cases against the large one."""
    rank, groups = run.dice_by_volume, run.small_and_large
    tests = []
    if rank is not None and rank.r is not None:
        tests.append(f"Spearman r = {rank.r:.2f}, p = {_p(rank.p)}")
    if groups is not None and groups.p is not None and run.median_ml is not None:
        table = plain_table("", "Dice by volume", "cases", "median Dice", narrow=True)
        median = _number(run.median_ml, _digits("mL", run.median_ml))
        table.add_row(f"up to {median} mL (the median)", str(groups.n_a), score_words(groups.median_a))
        table.add_row("above", str(groups.n_b), score_words(groups.median_b))
        yield table
        tests.append(f"Mann-Whitney U = {groups.u:g}, p = {_p(groups.p)}")
    if tests:
        yield Text(f"{'; '.join(tests)}.")
        yield Text("")


def _sizes(found: SizesCompared) -> Iterator[RenderableType]:
    """The largest size minus every smaller one."""
    if not found.tests:
        return
    left_out = f", {found.left_out} left out" if found.left_out else ""
    largest, cases = found.tests[0].n_reference, len(found.cases)
    yield Text(f"{_metric(found.metric)}: {largest} cases minus fewer, same {cases} test cases{left_out}", "bold")
    level = next(
        (f"{level_words(test.paired.mean_ci.level)} CI (t)" for test in found.tests if test.paired.mean_ci), ""
    )
    columns = ("minus", "mean", level, "p, paired t", "Holm", "p, Wilcoxon", "Holm")
    table = plain_table("", *columns, narrow=True)
    digits = _digits(metric_words(found.metric)[1], *(test.paired.mean for test in found.tests))
    for test in found.tests:
        one = test.paired
        p_values = (one.p_t, test.difference.p_holm, one.p_wilcoxon, test.p_wilcoxon_holm)
        ends = _ends(one.mean_ci, digits, "+").strip() or "-"
        table.add_row(str(test.n), _number(one.mean, digits, "+"), ends, *map(_p, p_values))
    yield table
    yield Text("")


def _annotators(found: Sequence[AgainstAnnotator], metric: str) -> Iterator[RenderableType]:
    """Scores against every annotator beside those against the majority vote."""
    yield Text(f"{_metric(metric)} against each annotator, and against their majority on the same cases", "bold")
    table = plain_table("", "annotator", "cases", "against it", "majority", "Spearman r", "p")
    digits = _digits(metric_words(metric)[1], *(value for one in found for value in (one.mean, one.mean_majority)))
    for one in found:
        means = (_number(value, digits) for value in (one.mean, one.mean_majority))
        table.add_row(one.annotator, str(one.cases), *means, score_words(one.rank.r), _p(one.rank.p))
    yield table


def _ceiling(found: AnnotatorCeiling) -> Iterator[RenderableType]:
    """How well annotators agree among themselves."""
    level = next(
        (f"[{level_words(one.ci.level)} CI (bootstrap)]" for one in (found.between, found.with_majority) if one.ci), ""
    )
    table = plain_table("", "annotators against", f"mean Dice {level}".strip(), "cases", narrow=True)
    for name, one in (("each other", found.between), ("the majority, which each is a part of", found.with_majority)):
        table.add_row(name, f"{score_words(one.mean)}{_ends(one.ci, 3)}", str(one.cases))
    yield table
    if found.undefined:
        yield Text(f"{_count(found.undefined, 'pair')} without a Dice, as neither found it, left out.")
    yield Text("")


def _metric(name: str) -> str:
    words, unit = metric_words(name)
    return f"{words[:1].upper()}{words[1:]}" + (f", {unit}" if unit else "")


def _digits(unit: str, *values: float | None) -> int:
    """Decimals that give the largest of some numbers three digits; three decimals for ratios."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if largest == 0 or (not unit and largest <= 1):
        return 3
    return min(6, max(0, 2 - math.floor(math.log10(largest))))


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def _with_error(value: float | None, error: float | None, unit: str = "") -> str:
    digits = _digits(unit, value, error)
    return _number(value, digits) + ("" if error is None else f" ± {_number(error, digits)}")


def _ends(interval: ConfidenceInterval | None, digits: int, sign: str = "") -> str:
    """An interval after its number; nothing where there is none."""
    if interval is None:
        return ""
    return f" [{_number(interval.lo, digits, sign)}, {_number(interval.hi, digits, sign)}]"


def _p(p: float | None) -> str:
    return "-" if p is None else f"{p:.2g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
