"""How well predictions agree with the reference, case by case: what `dicecast agreement` says of a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.text import Text

from .. import __version__
from ..forecast.agreement import document_of
from ..forecast.annotators import AgainstAnnotator, AnnotatorCeiling, against_annotators
from ..forecast.errors import InputError
from ..forecast.forecast import Question
from ..forecast.run_agreement import RunAgreement, SizesCompared, run_agreement, scores_by_size, sizes_compared
from ..forecast.scores import CROSS_VALIDATION, KEY, TEST, TEXT_DEFAULTS
from .figures.agreement import write_agreement_figures, write_size_boxes
from .figures.canvas import file_name
from .nnunet.scoring import annotated_by
from .progress import progress_bars
from .run_scores import annotator_ceilings
from .sources import Wishes, first_of, only, source_scores
from .terminal.agreement_report import agreement_block

LEVEL = 0.95
"""Probability of the intervals, which limits of agreement and paired tests are published with."""
WHOLE = TEXT_DEFAULTS["stratum"]
"""Stratum of all test cases."""


@dataclass(frozen=True)
class Agreement:
    """What is known of one arm and structure."""

    run: RunAgreement
    """At one size."""
    protocol: str
    arm: str
    """With the protocol, where there are several."""
    sizes: SizesCompared
    """The largest size against smaller ones; its note says why there are none."""
    by_size: pd.DataFrame | None
    """Scores by test case and size; None where sizes were not scored on the same cases."""
    by_stratum: Mapping[str, pd.DataFrame]
    """The same of every stratum, where the whole test set is looked at and has several."""
    annotators: tuple[AgainstAnnotator, ...]
    ceiling: AnnotatorCeiling | None
    """How well annotators agree among themselves."""

    @property
    def extra(self) -> list[str]:
        """Test set and stratum, where they are not the usual ones."""
        named = (self.run.test_set, TEST), (self.run.stratum, WHOLE)
        return [value for value, usual in named if value != usual]

    @property
    def name(self) -> str:
        """How it is called in the report."""
        return " / ".join([self.arm, self.run.structure, *self.extra])

    def document(self) -> dict[str, Any]:
        """As strict JSON."""
        return {
            **self.run.document(),
            "protocol": self.protocol,
            "sizes": self.sizes.document(),
            "annotators": [document_of(one) for one in self.annotators],
            "ceiling": None if self.ceiling is None else self.ceiling.document(),
        }


@dataclass(frozen=True)
class Agreements:
    """What is known of every arm and structure."""

    found: list[Agreement]
    metric: str
    """That sizes and annotators are compared by."""
    question: Question
    notes: list[str]
    """What was left out, in words."""


def agreements(source: Path, wishes: Wishes, n: int | None = None, draw: int | None = None) -> Agreements:
    """Read a source case by case; arguments and errors as `agreement`."""
    scores, study, notes = source_scores(source)
    seed = 0 if study is None else study.settings.study.seed
    question = Question(seed=first_of(wishes.seed, seed), level=first_of(wishes.level, LEVEL))
    for column, wanted in (("arm", wishes.arm), ("structure", wishes.structure), ("draw", draw)):
        scores = only(scores, column, wanted, source)
    rows = _test_cases(scores, wishes, source)
    only(rows, "n_cases", n, source)
    only(rows, "metric", wishes.metric, source)
    single = rows["metric"].iloc[0] if rows["metric"].nunique() == 1 else "dice"
    metric = wishes.metric or str(single)
    ceilings = {} if study is None else annotator_ceilings(study, question.level, question.seed)
    try:
        found = list(_agreements(rows, scores, n, metric, question, ceilings))
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return Agreements(found, metric, question, [*notes, *_left_out(scores, rows, found, n)])


def agreement(
    source: Path,
    wishes: Wishes,
    n: int | None,
    draw: int | None,
    figures: Path | None,
    console: Console | None = None,
) -> tuple[RenderableType, Any]:
    """Say how well the predictions of every arm agree with the reference, structure by structure.

    Args:
        source: Study, scores CSV or nnU-Net results.
        wishes: Arm, structure, test set and stratum; `metric` is what sizes and annotators are compared by (Dice,
            unless there is one other only), and `level` is 0.95 unless given.
        n: Annotated cases used; by default the most of each arm and structure.
        draw: A single draw; by default the scores of a case are averaged over draws.
        figures: Folder for figures; None draws none.
        console: Where the progress of drawing is shown.

    Returns:
        Report and document.

    Raises:
        InputError: Nothing to read, no scores per test case, or nothing of what was wished for.
    """
    told = agreements(source, wishes, n, draw)
    found, metric, question = told.found, told.metric, told.question
    report = [agreement_block(one.name, one.run, one.sizes, one.annotators, one.ceiling) for one in found]
    if figures is not None:
        written = write_figures_of(found, metric, figures, console)
        report.append(Text(f"Figures: {len(written)} files in {figures}", "dim"))
    document = {
        "dicecast": __version__,
        "seed": question.seed,
        "level": question.level,
        "metric": metric,
        "draw": draw,
        "runs": [one.document() for one in found],
        "notes": told.notes,
    }
    return Group(*report, *(Text(f"{words.rstrip('.')}.", "dim") for words in told.notes)), document


def _test_cases(scores: pd.DataFrame, wishes: Wishes, source: Path) -> pd.DataFrame:
    """The scores per test case of one test set and stratum."""
    rows = _one(scores, "test_set", wishes.test_set, TEST, source)
    whole = rows[rows["stratum"] == WHOLE]
    rows = _one(rows, "stratum", wishes.stratum, WHOLE, source)
    rows, whole = (table[table["case"] != ""] for table in (rows, whole))
    if rows.empty:
        raise InputError(
            f"{source}: agreement needs scores per test case, found only averages over the test set. Fill in the "
            "column 'case'."
        )
    return rows if rows["stratum"].iloc[0] == WHOLE else _with_other_metrics(rows, whole)


def _one(scores: pd.DataFrame, column: str, wanted: str | None, usual: str, source: Path) -> pd.DataFrame:
    """The scores with the value wished for, else with the usual one, else with the only one there is."""
    known = sorted(scores[column].unique())
    if wanted is None and usual not in known and len(known) > 1:
        name = column.replace("_", "-")
        raise InputError(f"{source}: scores of one {name} are needed, choose it with --{name}: {', '.join(known)}.")
    return only(scores, column, wanted or (usual if usual in known else known[0]), source)


def _with_other_metrics(rows: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """The scores of a stratum and, for the same predictions, the metrics that only the whole test set lists."""
    stratum = rows["stratum"].iloc[0]
    predictions = [name for name in KEY if name not in ("metric", "stratum")]
    others = whole.merge(rows[predictions].drop_duplicates(), on=predictions).assign(stratum=stratum)
    return pd.concat([rows, others], ignore_index=True).drop_duplicates(KEY)


def _agreements(
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    n: int | None,
    metric: str,
    question: Question,
    ceilings: Mapping[str, AnnotatorCeiling],
) -> Iterator[Agreement]:
    """Every arm and structure (and protocol, where several are in one table) that has scores at the size."""
    groups = rows.groupby(["arm", "structure", "protocol"], sort=False)
    several = len(groups) > len(rows[["arm", "structure"]].drop_duplicates())
    for named, own in groups:
        arm, structure, protocol = map(str, named)
        size = int(own["n_cases"].max()) if n is None else n
        if size not in set(own["n_cases"]):
            continue
        test_set, stratum = own["test_set"].iloc[0], own["stratum"].iloc[0]
        run = run_agreement(own, arm, size, structure, test_set=test_set, stratum=stratum, level=question.level)
        whole = (test_set, stratum) == (TEST, WHOLE)
        same = scores[(scores[["arm", "structure", "protocol"]] == [arm, structure, protocol]).all(axis=1)]
        yield Agreement(
            run=run,
            protocol=protocol,
            arm=f"{arm} (protocol {protocol or 'unnamed'})" if several else arm,
            sizes=_sizes(own, run, metric, question),
            by_size=_by_size(own, run, metric),
            by_stratum=_by_stratum(same, run, metric) if whole else {},
            annotators=_annotators(same, run, metric) if whole else (),
            ceiling=ceilings.get(structure) if whole else None,
        )


def _comparable(rows: pd.DataFrame, run: RunAgreement, metric: str) -> str:
    """Why sizes cannot be compared; empty when they can."""
    if run.test_set == CROSS_VALIDATION:
        return "not compared, in cross-validation every size is scored on its own cases"
    return "" if metric in set(rows["metric"]) else f"not compared, no scores {metric} per test case"


def _sizes(rows: pd.DataFrame, run: RunAgreement, metric: str, question: Question) -> SizesCompared:
    note = _comparable(rows, run, metric)
    if note:
        return SizesCompared(run.arm, run.structure, metric, (), 0, (), note)
    return sizes_compared(
        rows,
        run.arm,
        run.structure,
        metric,
        test_set=run.test_set,
        stratum=run.stratum,
        level=question.level,
        seed=question.seed,
    )


def _by_size(rows: pd.DataFrame, run: RunAgreement, metric: str) -> pd.DataFrame | None:
    if _comparable(rows, run, metric):
        return None
    return scores_by_size(rows, run.arm, run.structure, metric, test_set=run.test_set, stratum=run.stratum)


def _by_stratum(scores: pd.DataFrame, run: RunAgreement, metric: str) -> dict[str, pd.DataFrame]:
    """Scores by test case and size of every stratum; nothing of fewer than two."""
    rows = scores[(scores["test_set"] == TEST) & (scores["metric"] == metric) & (scores["case"] != "")]
    strata = [str(name) for name in rows["stratum"].unique() if name != WHOLE]
    found = {name: scores_by_size(rows, run.arm, run.structure, metric, stratum=name) for name in strata}
    return found if len(found) > 1 else {}


def _annotators(scores: pd.DataFrame, run: RunAgreement, metric: str) -> tuple[AgainstAnnotator, ...]:
    """Scores against single annotators, where there are any at this size."""
    rows = scores[(scores["metric"] == metric) & (scores["n_cases"] == run.n) & (scores["case"] != "")]
    found = list(rows["test_set"].unique())
    references = {one.removeprefix(annotated_by("")): one for one in found if one.startswith(annotated_by(""))}
    if not references or TEST not in found:
        return ()
    return against_annotators(rows, run.arm, run.n, run.structure, references, metric)


def _left_out(scores: pd.DataFrame, rows: pd.DataFrame, found: Sequence[Agreement], n: int | None) -> Iterator[str]:
    """What is in the table and not in the report."""
    told = {(one.run.arm, one.run.structure, one.protocol) for one in found}
    for named, own in rows.groupby(["arm", "structure", "protocol"], sort=False):
        if named not in told:
            sizes = ", ".join(map(str, sorted(own["n_cases"].unique())))
            yield f"{named[0]} / {named[1]}: no scores at {n} cases, only at {sizes}"
    averages = scores[(scores["case"] == "") & (scores["test_set"] == rows["test_set"].iloc[0])]
    kinds = {
        "scores already averaged over the test set are left out": _names(averages),
        "no scores of this test set and stratum": _names(scores) - _names(rows) - _names(averages),
    }
    yield from (f"{', '.join(sorted(names))}: {words}" for words, names in kinds.items() if names)


def _names(scores: pd.DataFrame) -> set[str]:
    return set((scores["arm"] + " / " + scores["structure"]).unique())


def write_figures_of(
    found: Sequence[Agreement], metric: str, folder: Path, console: Console | None = None
) -> list[Path]:
    """Draw every arm and structure, and per structure the scores by size, arm beside arm.

    Args:
        found: What was found; of several protocols each gets a folder of its own.
        metric: Of the scores by size.
        folder: Made if it does not exist.
        console: Where the progress is shown.

    Returns:
        The files written.
    """
    structures = dict.fromkeys(one.run.structure for one in found)
    steps, total = _drawn(found, metric, folder), len(found) + len(structures)
    if console is None:
        return [path for step in steps for path in step]
    with progress_bars(console) as bars:
        return [path for step in bars.track(steps, total=total, description="drawing") for path in step]


def _drawn(found: Sequence[Agreement], metric: str, folder: Path) -> Iterator[list[Path]]:
    several = len({(one.run.arm, one.run.structure) for one in found}) < len(found)
    for one in found:
        own = folder / file_name(one.protocol or "unnamed") if several else folder
        written = write_agreement_figures(one.run, own)
        if any(len(table.dropna()) for table in one.by_stratum.values()):
            path = own / file_name("-".join([one.run.arm, one.run.structure, metric, "by-stratum"]))
            written += write_size_boxes(one.by_stratum, metric, path, f"{one.name}, by stratum")
        yield written
    for structure in dict.fromkeys(one.run.structure for one in found):
        shown = [one for one in found if one.run.structure == structure]
        tables = {one.arm: one.by_size for one in shown if one.by_size is not None}
        if any(len(table.dropna()) for table in tables.values()):
            parts = [structure, *shown[0].extra]
            path = folder / file_name("-".join([*parts, metric, "by-size"]))
            yield write_size_boxes(tables, metric, path, " / ".join(parts))
