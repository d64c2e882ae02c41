"""The terminal report: renderables built from finished results. They compute nothing; the caller prints."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..forecast.comparison import ArmComparison, Comparison, SizeDifference
from ..forecast.document import curve_document
from ..forecast.forecast import HORIZON, Forecast, Gain, Question
from ..forecast.goal import PLATEAU, TARGET, VALUE, Goal
from ..forecast.prior import AVERAGE
from ..forecast.promises import PromiseOutcome
from ..forecast.recommendation import Recommendation
from ..forecast.stability import DropLargest, RoundSummary
from ..forecast.summary import Summary, needed_cases
from ..forecast.types import Interval, SizeInterval
from ..forecast.verdict import NOTABLE
from .conclusion import Round
from .findings import FalsePositives, ScheduleCheck
from .plot import curve_plot
from .score_tables import score_tables
from .screen import plain_table, score_words

VERDICT_STYLE = {
    "plateau_reached": "green",
    "plateau_ahead": "cyan",
    "beyond_horizon": "yellow",
    "families_disagree": "yellow",
    "ill_behaved": "red",
    "too_few_sizes": "red",
}
RULES = (
    "Rules: exponential = what a least-squares fit of it says is needed; +25 % = of the pool, each round; shares = of "
    "everything, as far as growth (fourfold a round) and money allow."
)
TAKES_NO_PART = "by quadrature alone; no part in the decision"
MOST_CASES = 20
"""Case ids a recommendation lists."""
MOST_LINES = 200
"""Curves a quick report lists."""
CODE_STYLE = {"annotate": "cyan", "train_pilots": "yellow", "cannot_tell": "red"}
CODE_WORDS = {
    "stop_plateau": "STOP: further cases add too little",
    "stop_stable": "STOP: the forecast is stable",
    "stop_budget": "STOP: nothing left to annotate or to spend",
    "stop_unreachable": "STOP: the target is out of reach",
    "train_pilots": "TRAIN MORE PILOTS",
    "cannot_tell": "CANNOT TELL",
}


def forecast_report(forecast: Forecast) -> RenderableType:
    """One curve: verdict, plot, sizes, parameters, gains and what to doubt."""
    return Group(*_forecast_parts(forecast))


def _forecast_parts(forecast: Forecast) -> Iterator[RenderableType]:
    verdict = forecast.verdict
    yield Rule(Text(forecast.curve.name, "bold"), align="left")
    style = VERDICT_STYLE[verdict.code]
    yield Text.assemble((verdict.code.replace("_", " "), f"bold {style}"), (": ", style), verdict.reason)
    yield Text("")
    if forecast.posterior is not None:
        yield curve_plot(forecast)
        yield Text("")
        yield _gains_table(forecast)
        yield from _at_tables(forecast)
    yield _sizes_table(forecast)
    if forecast.posterior is not None:
        yield _parameters_table(forecast)
        yield _families_table(forecast)
    if forecast.backtest:
        yield _backtest_table(forecast)
    for line in _notes(forecast):
        yield Text.assemble(("· ", "dim"), line)
    yield Text("")


def _sizes_table(forecast: Forecast) -> Table:
    curve = forecast.curve
    table = plain_table(
        "Observed", "cases", "draws", f"mean {curve.metric}", "SD over draws", "SD over test cases", "least squares"
    )
    rows = zip(curve.sizes, curve.draws, curve.observed, curve.draw_sd, curve.case_sd, strict=True)
    for size, draws, mean, draw_sd, over_cases in rows:
        fitted = score_words(float(forecast.fit.score(size))) if forecast.fit else "-"
        table.add_row(str(size), str(draws), score_words(mean), score_words(draw_sd), score_words(over_cases), fitted)
    return table


def _parameters_table(forecast: Forecast) -> Table:
    """The named model: least squares beside the posterior."""
    fit, posterior, plateau = forecast.fit, forecast.posterior, forecast.plateau
    assert fit is not None and posterior is not None and plateau is not None
    level, eps = forecast.question.level, forecast.question.eps
    table = plain_table(
        f"The named model, exponential plateau D(n) = {fit.family.formula}",
        "",
        "least squares ± SE",
        "posterior median",
        f"{level:.0%} interval",
    )
    meaning = {"DM": "ceiling DM", "D0": "score at no case D0", "k": "rate k per case"}
    values = zip(fit.parameters.items(), fit.stderr, posterior.parameters().values(), strict=True)
    for (name, value), error, draws in values:
        found = Interval.of(draws, level)
        show = score_words if name != "k" else _rate
        spread = f" ± {show(float(error))}" if math.isfinite(error) else " ± ?"
        table.add_row(
            meaning[name],
            show(value) + spread,
            show(found.median),
            f"[{show(found.lo)}, {show(found.hi)}]",
            end_section=name == "k",
        )
    size, score = fit.plateau(eps)
    table.add_row(f"plateau size n* (within {eps:g} of DM)", f"{size:.0f}", *_size_words(plateau.size))
    table.add_row(
        "score at n*",
        score_words(score),
        score_words(plateau.score.median),
        f"[{score_words(plateau.score.lo)}, {score_words(plateau.score.hi)}]",
    )
    return table


def _families_table(forecast: Forecast) -> Table:
    """Every family on its own beside the forecast: where they part, the data do not decide."""
    gain = forecast.reachable_gain
    assert gain is not None
    table = plain_table(
        "Families alone",
        "",
        "weight",
        f"score at {gain.n_to}",
        f"{forecast.question.level:.0%} interval",
        "gain there",
        "n*",
    )
    for view in forecast.families:
        table.add_row(
            Text(view.family.name, no_wrap=True),
            f"{view.weight:.2f}" if view.weight else "-",
            score_words(view.score.median),
            f"[{score_words(view.score.lo)}, {score_words(view.score.hi)}]",
            score_words(view.gain.interval.median),
            _size_words(view.plateau.size)[0],
        )
    return table


def _backtest_table(forecast: Forecast) -> Table:
    """Larger sizes forecast from smaller ones."""
    level = f"{forecast.question.level:.0%}"
    table = plain_table("Backtest", "from sizes up to", "at", "forecast", f"{level} interval", "observed", "interval")
    for test in forecast.backtest:
        found = test.predicted
        table.add_row(
            str(test.from_sizes[-1]),
            str(test.n),
            score_words(found.median),
            f"[{score_words(found.lo)}, {score_words(found.hi)}]",
            score_words(test.observed),
            "held" if test.held else "did NOT hold",
        )
    return table


def _gains_table(forecast: Forecast) -> Table:
    table = plain_table(
        "What more cases can still add",
        "",
        "median",
        f"{forecast.question.level:.0%} interval",
        f"P(gain <= {forecast.question.eps:g})",
    )
    for name, gain in (("reachable gain", forecast.reachable_gain), ("gain of doubling", forecast.gain_doubling)):
        assert isinstance(gain, Gain)
        found = gain.interval
        table.add_row(
            f"{name} {gain.n_from} -> {gain.n_to} cases",
            score_words(found.median),
            f"[{score_words(found.lo)}, {score_words(found.hi)}]",
            f"{gain.p_below_eps:.2f}",
        )
    return table


def _at_tables(forecast: Forecast) -> Iterator[Table]:
    level = f"{forecast.question.level:.0%}"
    if forecast.at:
        table = plain_table(
            "Expected score", "cases", "median", f"{level} interval", f"{level} interval of the next run", ""
        )
        for one in forecast.at:
            note = (
                ""
                if one.within_horizon
                else f"past the horizon of {forecast.horizon}: beyond what these pilots can tell"
            )
            expected, run = one.expected, one.next_run
            table.add_row(
                str(one.n),
                score_words(expected.median),
                f"[{score_words(expected.lo)}, {score_words(expected.hi)}]",
                f"[{score_words(run.lo)}, {score_words(run.hi)}]",
                note,
            )
        yield table
    found = forecast.n_for_target
    if found is not None:
        table = plain_table("Cases needed for a target", "target", "median", f"{level} interval", "P(unreachable)")
        table.add_row(score_words(found.target), *_size_words(found.size), f"{found.p_unreachable:.2f}")
        yield table


def _notes(forecast: Forecast) -> Iterator[str]:
    curve = forecast.curve
    if curve.n_test is not None:
        left_out = (
            f"; {curve.n_left_out} left out of every size (structure absent, or no score at some size)"
            if curve.n_left_out
            else ""
        )
        yield f"scored on {curve.n_test} test cases{left_out}."
    yield {
        "test-set": "intervals are for the mean on this test set; for all patients use --scope population.",
        "population": "intervals are for the mean over all patients: they include which patients the test set holds.",
    }[forecast.question.scope]
    if forecast.fit is not None and forecast.fit.status != "ok":
        yield f"least squares: {forecast.fit.status}."
    if forecast.posterior is not None:
        yield _sampling(forecast)
    yield from (f"WARNING {message}." for message in forecast.messages)
    if forecast.sensitivity is not None:
        vague, learned = forecast.sensitivity.vague.interval, forecast.sensitivity.learned.interval
        yield (
            f"sensitivity of the reachable gain to the prior: {_interval_words(vague)} with its vague half alone, "
            f"{_interval_words(learned)} with its learned half alone."
        )
    yield f"horizon {forecast.horizon} cases ({HORIZON} x the largest trained size)."
    if forecast.posterior is not None:
        if forecast.question.model != AVERAGE:
            yield f"expected scores and gains are those of the family {forecast.question.model} alone."
        yield from _named_notes(forecast)


def _named_notes(forecast: Forecast) -> Iterator[str]:
    view, gain = forecast.named_view, forecast.reachable_gain
    assert view is not None and gain is not None
    if view.weight < NOTABLE and forecast.question.model == AVERAGE:
        yield (
            f"these scores speak against the exponential plateau (weight {view.weight:.2f}): alone it expects "
            f"{score_words(view.score.median)} at {gain.n_to}; do not plan by its n*."
        )
    yield (
        "the exponential plateau tends to flatten too early on real curves: read its n* as optimistic, and decide "
        "by the gains."
    )


def _sampling(forecast: Forecast) -> str:
    assert forecast.posterior is not None and forecast.expected is not None
    d = forecast.posterior.diagnostics
    tau0, tau1, misfit = forecast.expected.noise_median
    smallest = forecast.curve.sizes[0]
    chains = "" if d.tau is None else f", tau {d.tau:.0f}, R-hat {d.rhat:.3f}, acceptance {d.acceptance:.2f}"
    return (
        f"named model by {'quadrature' if d.tau is None else 'MCMC'}: ESS {d.ess:.0f}{chains}. Noise SDs from "
        f"{forecast.expected.noise_source}: training {tau0:.4f}, subset at {smallest} cases "
        f"{tau1 / math.sqrt(smallest):.4f}, misfit {misfit:.4f}."
    )


def quick_report(entries: Sequence[Mapping[str, Any]], question: Question) -> RenderableType:
    """One line per curve, from the curves of a forecast document; at most `MOST_LINES`."""
    columns = ("curve", "cases", "reachable gain", f"{question.level:.0%} interval", "DM", "n*", "verdict")
    table = plain_table("Forecasts", *columns)
    note = "Everything by quadrature; for MCMC, backtest and families leave out --quick."
    for entry in entries[:MOST_LINES]:
        extra = [entry[key] for key, usual in (("test_set", "test"), ("stratum", "all")) if entry[key] != usual]
        name = " / ".join([entry["arm"], entry["structure"], entry["metric"], *extra])
        gain, plateau, posterior = entry["reachable_gain"], entry["plateau"], entry["posterior"]
        if gain is None or plateau is None or posterior is None:
            table.add_row(name, str(entry["n_annotated"]), "-", "-", "-", "-", entry["verdict"]["code"])
            continue
        size = plateau["n"]["median"]
        table.add_row(
            name,
            str(entry["n_annotated"]),
            score_words(gain["median"]),
            f"[{score_words(gain['lo'])}, {score_words(gain['hi'])}]",
            score_words(posterior["DM"]["median"]),
            "beyond" if size is None else f"{size:.0f}",
            entry["verdict"]["code"].replace("_", " "),
        )
    rest = len(entries) - MOST_LINES
    return Group(table, *([Text(f"... and {rest} more curves: see --json.")] if rest > 0 else []), Text(note, "dim"))


def others_table(entries: Sequence[Mapping[str, Any]], question: Question) -> RenderableType:
    """Curves that have no part in the decision."""
    level = f"{question.level:.0%}"
    columns = ("arm", "structure", "of", "test cases", "gain", f"{level} interval", "DM", "n*")
    table = plain_table(f"Strata, other test sets and metrics ({TAKES_NO_PART})", *columns)
    for entry in sorted(entries, key=_in_order):
        usual = ("metric", "dice"), ("test_set", "test"), ("stratum", "all")
        gain, plateau, posterior = entry["reachable_gain"], entry["plateau"], entry["posterior"]
        cells = [entry["arm"], entry["structure"], ", ".join(entry[k] for k, word in usual if entry[k] != word)]
        cells.append("-" if entry["n_test"] is None else str(entry["n_test"]))
        if gain is None or plateau is None or posterior is None:
            table.add_row(*cells, "-", "-", "-", entry["verdict"]["code"].replace("_", " "))
            continue
        size = plateau["n"]["median"]
        ends = f"[{score_words(gain['lo'])}, {score_words(gain['hi'])}]"
        dm = score_words(posterior["DM"]["median"])
        table.add_row(*cells, score_words(gain["median"]), ends, dm, "beyond" if size is None else f"{size:.0f}")
    return table


def _in_order(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """By arm, structure and what else it is; strata of numbers from low to high."""
    stratum = entry["stratum"]
    first = re.search(r"\d[\d.]*", stratum)
    low = (float(first[0]), "<=" not in stratum) if first else (0.0, False)
    by = re.split(r"<=|>", stratum)[0]
    return entry["arm"], entry["structure"], entry["metric"], entry["test_set"], by, *low, stratum


def stability_report(found: DropLargest, level: float) -> RenderableType:
    """Refits without the largest sizes."""
    table = plain_table(
        f"Without the largest sizes ({level:.0%} intervals)",
        "sizes",
        "DM least squares",
        "n* least squares",
        "DM posterior",
        "n* posterior",
    )
    for refit in found.refits:
        table.add_row(
            f"up to {refit.sizes[-1]}",
            score_words(refit.dm_least_squares),
            f"{refit.n_least_squares:.0f}",
            f"{score_words(refit.dm.median)} [{score_words(refit.dm.lo)}, {score_words(refit.dm.hi)}]",
            " ".join(_size_words(refit.plateau)),
        )
    verdict = ("stable", "bold green") if found.stable else ("not stable", "bold yellow")
    return Group(table, Text.assemble(verdict, ": ", found.reason), Text(""))


def comparison_report(found: Comparison) -> RenderableType:
    """Arms of one structure against each other, and sizes of each arm."""
    return Group(*_comparison_parts(found))


def _comparison_parts(found: Comparison) -> Iterator[RenderableType]:
    first = found.curves[0]
    name = " / ".join([first.structure, first.metric, *({first.test_set, first.stratum} - {"test", "all"})])
    yield Rule(Text(f"{name}: {' vs '.join(curve.arm for curve in found.curves)}", "bold"), align="left")
    words, style = (f"RUN {found.arm}", "green") if found.arm else ("CANNOT TELL", "yellow")
    if found.pairs:
        yield Text.assemble((words, f"bold {style}"), (": ", style), found.reason)
        yield Text("")
        table = plain_table("Probability of the highest expected score", "cases", *found.ranked)
        for n, row in zip(found.n, found.p_best, strict=True):
            table.add_row(str(n), *(f"{p:.2f}" for p in row))
        yield table
    else:
        yield Text(found.reason)
    for pair in found.pairs:
        yield _pair_table(pair)
        if pair.observed:
            title = (
                f"Observed, {pair.second.arm} minus {pair.first.arm}, same {pair.observed[0].difference.cases} cases"
            )
            yield _differences_table(title, "cases trained on", pair.observed)
        elif not pair.paired:
            yield Text("The arms were not scored on the same test cases: no paired comparison.", "yellow")
    for curve, sizes in zip(found.curves, found.sizes, strict=True):
        if sizes:
            title = f"{curve.arm}: {sizes[0].n_reference} cases against fewer, same {sizes[0].difference.cases} cases"
            yield _differences_table(title, "against", sizes)
    yield Text("")


def _pair_table(pair: ArmComparison) -> Table:
    level = f"{pair.ceiling.level:.0%}"
    now = pair.scores[0].n
    table = plain_table(f"{pair.second.arm} minus {pair.first.arm}", "", "median", f"{level} interval", "probability")
    for one in pair.scores:
        words = f"{one.p_second_better:.2f} that {pair.second.arm} is better"
        table.add_row(f"expected score at {one.n} cases", *_signed(one.interval), words)
    table.add_row("ceiling DM (exponential plateau)", *_signed(pair.ceiling), "")
    median, ends = f"{pair.plateau.median:+.0f}", f"[{pair.plateau.lo:+.0f}, {pair.plateau.hi:+.0f}]"
    note = "beyond a horizon in part; " if pair.plateau_censored else ""
    words = f"{note}{pair.p_second_smaller:.2f} that {pair.second.arm} needs fewer"
    table.add_row("plateau size n* (exponential plateau)", median, ends, words)
    words = f"{pair.p_never:.2f} that it never gets there"
    table.add_row(f"cases {pair.second.arm} needs for {pair.first.arm} at {now}", *_size_words(pair.equal), words)
    ratio = pair.efficiency
    median = f"> {ratio.horizon:.2f}" if ratio.median is None else f"{ratio.median:.2f}"
    ends = f"[{ratio.lo:.2f}, {'> ' if ratio.hi_censored else ''}{ratio.hi:.2f}]"
    table.add_row(f"the same as a multiple of {now}", median, ends, "")
    return table


def _differences_table(title: str, column: str, differences: Sequence[SizeDifference]) -> Table:
    level = f"{differences[0].difference.level:.0%}"
    table = plain_table(title, column, "mean difference", f"{level} interval (bootstrap)", "p (paired t)", "p (Holm)")
    for one in differences:
        found = one.difference
        p_values = ("-" if p is None else f"{p:.2g}" for p in (found.p, found.p_holm))
        table.add_row(str(one.n), f"{found.mean:+.3f}", f"[{found.lo:+.3f}, {found.hi:+.3f}]", *p_values)
    return table


def _signed(interval: Interval) -> tuple[str, str]:
    return f"{interval.median:+.3f}", f"[{interval.lo:+.3f}, {interval.hi:+.3f}]"


def simulation_report(found: Sequence[Summary], unit: str) -> RenderableType:
    """Campaigns on paper: chance of success, cases, rounds and cost of every policy under every budget."""
    first = found[0]
    truth, terms = first.played[0].truth, first.terms
    level = f"[{terms.level:.0%}]"
    budgets = {one.terms.budget for one in found} != {None}
    columns = ["policy", *(["budget"] if budgets else []), "success", "cases", level, "rounds", f"cost, {unit}", level]
    table = plain_table(f"{len(first.played)} campaigns on paper from {truth.start} of {truth.n_max} cases", *columns)
    for one in found:
        cases, rounds, cost = one.over("collected"), one.over("rounds"), one.over("cost")
        budget = ["none" if one.terms.budget is None else f"{one.terms.budget:g}"] if budgets else []
        success = "-" if one.success is None else f"{one.success:.0%}"
        ends = [f"[{found.lo:.0f}, {found.hi:.0f}]" for found in (cases, cost)]
        numbers = [f"{cases.median:.0f}", ends[0], f"{rounds.median:.0f}", f"{cost.median:.0f}", ends[1]]
        table.add_row(one.policy, *budget, success, *numbers)
    needed = needed_cases(first.played, terms)
    goal = f"to {terms.goal.words(truth.n_max)}"
    rules = "" if len({one.policy for one in found}) == 1 else RULES
    ours = (
        f"Goal: {goal}. It is out of reach on some of the curves."
        if needed is None
        else f"Goal: {goal}; that truly needs {needed.median:.0f} [{needed.lo:.0f}, {needed.hi:.0f}] cases in all."
    )
    share = " (5 % of annotating everything, as no cost of a round was given)" if terms.per_round is None else ""
    each = "1 a case" if unit == "cases" else f"{terms.per_case:g} {unit} a case"
    rest = f"Costs: {each}, {terms.of_round(truth):g} a round{share}; at most {terms.rounds} rounds."
    return Group(table, *(Text(line, "dim") for line in (ours, rest, rules) if line))


def history_table(history: Sequence[RoundSummary]) -> Table:
    """How the forecast moved from round to round, with its intervals."""
    level = f"[{history[-1].gain.level:.0%}]"
    columns = ("round", "annotated", "DM", level, "n*", level, "reachable gain", level)
    table = plain_table("Round by round", *columns)
    for one in history:
        ends = (f"[{score_words(found.lo)}, {score_words(found.hi)}]" for found in (one.dm, one.gain))
        median, size_ends = _size_words(one.plateau)
        dm = (score_words(one.dm.median), next(ends))
        gain = (score_words(one.gain.median), next(ends))
        table.add_row(str(one.round), str(one.n_annotated), *dm, median, size_ends, *gain)
    return table


def promises_table(curves: Sequence[str], outcomes: Sequence[Sequence[PromiseOutcome]]) -> RenderableType:
    """What was promised for the score after each batch, and what came of it: the campaign's own calibration."""
    every = [(name, one) for name, found in zip(curves, outcomes, strict=True) for one in found]
    level = every[0][1].promise.interval.level
    columns = ("curve", "annotated", "promised", f"[{level:.0%}]", "observed", "")
    table = plain_table("Promises and outcomes", *columns)
    for name, one in every:
        found = one.promise.interval
        table.add_row(
            name,
            f"{one.n_before} -> {one.promise.n}",
            score_words(found.median),
            f"[{score_words(found.lo)}, {score_words(found.hi)}]",
            score_words(one.observed),
            "held" if one.held else "MISSED",
        )
    held = sum(one.held for _, one in every)
    return Group(table, Text(f"{held} of {len(every)} promises held ({level:.0%} expected in the long run).", "dim"))


def schedule_table(checks: Sequence[ScheduleCheck], eps: float) -> RenderableType:
    """The schedule check: is the curve limited by cases or by training?"""
    table = plain_table(
        "Schedule check (twice the iterations)", "arm", "structure", "cases", "plain", "doubled", "rise", ""
    )
    for check in checks:
        note = "limited by training" if check.rise > eps else "ok"
        table.add_row(
            check.arm,
            check.structure,
            str(check.n),
            score_words(check.plain),
            score_words(check.doubled),
            f"{check.rise:+.3f}",
            note,
        )
    return table


def absent_table(found: Sequence[FalsePositives]) -> Table:
    """False positives where a structure is absent: those cases are not on its curve."""
    table = plain_table(
        "Test cases without the structure",
        "arm",
        "structure",
        "cases trained on",
        "test cases",
        "false-positive rate",
        "mean mL",
    )
    for one in found:
        table.add_row(one.arm, one.structure, str(one.n), str(one.cases), f"{one.rate:.2f}", score_words(one.volume_ml))
    return table


def _sentence(found: Recommendation) -> str:
    """The reason with a capital, unless it begins with the curve's name."""
    reason = found.reason
    return reason if reason.startswith(found.curve) else reason[:1].upper() + reason[1:]


def recommendation_panel(
    found: Recommendation, each: Sequence[Recommendation] = (), cases: Sequence[str] = ()
) -> RenderableType:
    """The decision and its reason, what the other curves say, and which cases to annotate."""
    style = CODE_STYLE.get(found.code, "green")
    lines: list[RenderableType] = [Text(_decision_words(found), f"bold {style}"), Text(_sentence(found))]
    if found.promise is not None:
        expected, draws = found.promise.interval, found.promise.draws
        lines.append(
            Text(
                f"Expect {score_words(expected.median)} [{score_words(expected.lo)}, {score_words(expected.hi)}] with "
                f"{found.promise.n} cases ({expected.level:.0%} interval of the mean of {draws} "
                f"draw{'' if draws == 1 else 's'}, {found.curve})."
            )
        )
    if found.cost is not None:
        lines.append(Text(f"Cost: {_cost_words(found.cost)}."))
    if len(each) > 1:
        for one in each:
            batch = f" {one.batch}" if one.code == "annotate" else ""
            goal = "" if one.goal == found.goal else f" ({_goal_words(one.goal)})"
            chance = "" if one.p_suffices is None else f", suffices with probability {one.p_suffices:.2f}"
            lines.append(Text(f"  {one.curve}: {one.code.replace('_', ' ')}{batch}{goal}{chance}", "dim"))
    if cases:
        rest = "" if len(cases) <= MOST_CASES else f" and {len(cases) - MOST_CASES} more (--json lists all)"
        lines.append(Text(f"Annotate next: {', '.join(cases[:MOST_CASES])}{rest}."))
    return Panel(Group(*lines), title="Recommendation", title_align="left", border_style=style)


def _decision_words(found: Recommendation) -> str:
    if found.code == "annotate":
        return f"ANNOTATE {found.batch} MORE"
    if found.code == "stop_plateau" and found.goal.kind == TARGET:
        return "STOP: the target is reached"
    if found.code == "stop_stable" and found.goal.kind == VALUE:
        return "STOP: no further batch is worth its cost"
    return CODE_WORDS[found.code]


def _goal_words(goal: Goal) -> str:
    words = {PLATEAU: f"plateau within {goal.amount:g}", TARGET: f"target {goal.amount:g}"}
    return words.get(goal.kind, f"{goal.amount:g} a score point")


def _cost_words(cost: Mapping[str, Any]) -> str:
    named = (("cases", "annotation"), ("round", "round"), ("compute", "computing"))
    parts = [f"{words} {cost[key]:g}" for key, words in named if cost[key]]
    return f"{cost['amount']:g} {cost['unit']}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")


def round_report(result: Round, protocol: str) -> RenderableType:
    """Everything a round says."""
    parts: list[RenderableType] = []
    for forecast, history in zip(result.forecasts, result.history, strict=True):
        parts.append(forecast_report(forecast))
        if len(history) > 1:
            parts += [history_table(history), Text("")]
    if any(result.outcomes):
        parts += [promises_table([f.curve.name for f in result.forecasts], result.outcomes), Text("")]
    question = result.forecasts[0].question
    if result.others:
        parts += [others_table([curve_document(forecast) for forecast in result.others], question), Text("")]
    parts += [*score_tables(result), Text("")]
    if result.absent:
        parts += [absent_table(result.absent), Text("")]
    if result.schedule:
        parts += [schedule_table(result.schedule, question.eps), Text("")]
    named = result.recommendation.code == "annotate" and result.study.waiting
    cases = result.study.next_cases(result.recommendation.batch) if named else []
    parts.append(recommendation_panel(result.recommendation, result.each, cases))
    parts.append(Text(f"The forecast holds for the pilots' protocol: {protocol}.", "dim"))
    return Group(*parts)


def round_line(result: Round) -> RenderableType:
    """A round in one paragraph, for the log of a run."""
    scores = ", ".join(f"{f.curve.arm} {f.curve.structure} {f.curve.observed[-1]:.3f}" for f in result.forecasts)
    found = result.recommendation
    words = f"annotate {found.batch}" if found.code == "annotate" else found.code.replace("_", " ")
    return Text.assemble(
        (f"Round {result.number}", "bold"),
        f": {result.study.pool_sizes[-1]} annotated; {scores} -> ",
        (words, f"bold {CODE_STYLE.get(found.code, 'green')}"),
    )


def as_text(report: RenderableType, width: int = 100) -> str:
    """A report as plain text."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(report)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def error_line(message: str) -> RenderableType:
    """An error as the user sees it."""
    return f"[bold red]error:[/] {escape(message)}"


def _interval_words(found: Interval) -> str:
    return f"{score_words(found.median)} [{score_words(found.lo)}, {score_words(found.hi)}]"


def _rate(value: float) -> str:
    return f"{value:.4g}"


def _size_words(size: SizeInterval) -> tuple[str, str]:
    median = f"> {size.horizon:.0f}" if size.median is None else f"{size.median:.0f}"
    return median, f"[{size.lo:.0f}, {'> ' if size.hi_censored else ''}{size.hi:.0f}]"
