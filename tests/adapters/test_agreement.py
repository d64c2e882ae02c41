"""The agreement of a source: numbers worked out by hand, what is refused, and the report at 80 columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from dicecast.adapters.agreement import agreement
from dicecast.adapters.metric_table import METRICS
from dicecast.adapters.nnunet.scoring import annotated_by
from dicecast.adapters.sources import Wishes
from dicecast.adapters.tables import write_csv
from dicecast.adapters.terminal.screen import as_text
from dicecast.forecast.errors import InputError

KIDNEY = Path(__file__).parent / "data" / "nnunet" / "results" / "Dataset011_Kidney"
REFERENCE = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
APART = [1.0, -1.0, 3.0, 1.0, -1.0, 3.0]
"""Predicted minus reference volume, mL: bias 1, SD sqrt(16 / 5)."""
DICE = [0.60, 0.70, 0.80, 0.84, 0.88, 0.92]
BEHIND = {10: [0.10, 0.12, 0.14, 0.16, 0.18, 0.20], 20: [0.01, 0.02, -0.03, 0.04, 0.05, 0.06], 40: [0.0] * 6}
"""How far Dice is behind that of 40 cases."""


def rows_of(n: int, *, arm: str = "3d", draw: int = 0, shift: float = 0.0, **more: object) -> list[dict[str, Any]]:
    """A run scored on six cases that contain the tumour and one that does not."""
    key = {"arm": arm, "structure": "tumour", "n_cases": n, "draw": draw, **more}
    found: list[dict[str, Any]] = []
    for i, reference in enumerate(REFERENCE):
        dice = DICE[i] - BEHIND[n][i] + shift
        scores = {"dice": dice, "reference_ml": reference, "volume_ml": reference + APART[i], "missed": int(i == 0)}
        found += [{**key, "case": f"c{i}", "metric": metric, "score": score} for metric, score in scores.items()]
    absent = {"dice": None, "reference_ml": 0.0, "volume_ml": 0.5, "false_positive": 1, "false_positive_ml": 0.5}
    return found + [{**key, "case": "c6", "metric": metric, "score": score} for metric, score in absent.items()]


def only_dice(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["metric"] == "dice"]


EVERY = [row for n in BEHIND for row in rows_of(n)]
Ask = Callable[..., tuple[str, Any]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """ask(rows, n=20, arm="3d", ...): the report at 80 columns and the document, of rows or of a path."""

    def answer(
        source: list[dict[str, Any]] | Path,
        n: int | None = None,
        draw: int | None = None,
        figures: Path | None = None,
        **wishes: Any,
    ) -> tuple[str, Any]:
        if not isinstance(source, Path):
            write_csv(pd.DataFrame(source), tmp_path / "scores.csv")
            source = tmp_path / "scores.csv"
        report, document = agreement(source, Wishes(**wishes), n, draw, figures)
        return as_text(report, width=80), json.loads(json.dumps(document, allow_nan=False))

    return answer


def test_the_document_holds_the_numbers_worked_out_by_hand(ask: Ask) -> None:
    _, document = ask(EVERY)
    (run,) = document["runs"]
    assert (run["arm"], run["structure"], run["n"], run["draws"], run["absent"]) == ("3d", "tumour", 40, [0], 1)
    assert run["missed"] == {"predictions": 6, "missed": 1, "cases": 1}
    dice = next(one for one in run["metrics"] if one["metric"] == "dice")
    assert (dice["n"], dice["undefined"]) == (6, 0)
    assert (dice["mean"], dice["median"], dice["sd"]) == pytest.approx((0.79, 0.82, np.std(DICE, ddof=1)))
    limits, sd = run["bland_altman"], np.sqrt(16 / 5)
    assert (limits["bias"], limits["sd"]) == pytest.approx((1, sd))
    assert (limits["lower"], limits["upper"]) == pytest.approx((1 - 1.96 * sd, 1 + 1.96 * sd))
    assert limits["bias_ci"]["hi"] - 1 == pytest.approx(stats.t.ppf(0.975, 5) * sd / np.sqrt(6))
    percent = run["bland_altman_percent"]
    assert percent["bias"] == pytest.approx(np.mean([10, -5, 10, 2.5, -2, 5]))
    assert run["regression"]["slope"] == pytest.approx(stats.linregress(REFERENCE, np.add(REFERENCE, APART)).slope)
    assert (run["dice_by_volume"]["r"], run["dice_by_volume"]["p"]) == pytest.approx((1, 2 / 720))
    groups = run["small_and_large"]
    assert (groups["median_a"], groups["median_b"], groups["u"], run["median_ml"]) == pytest.approx((0.7, 0.88, 0, 35))
    assert groups["p"] == pytest.approx(2 / 20)
    assert (run["annotators"], run["ceiling"]) == ([], None)
    assert (document["level"], document["metric"], document["draw"], document["notes"]) == (0.95, "dice", None, [])


def test_every_smaller_size_is_tested_against_the_largest(ask: Ask) -> None:
    _, document = ask(EVERY, n=20)
    (run,) = document["runs"]
    assert run["n"] == 20  # the tests of sizes stay what they are
    first, second = run["sizes"]["tests"]
    assert [(one["n"], one["n_reference"]) for one in (first, second)] == [(10, 40), (20, 40)]
    assert [one["paired"]["mean"] for one in (first, second)] == pytest.approx([0.15, 0.025])
    assert first["paired"]["p_wilcoxon"] == pytest.approx(2 / 64)
    oracle = stats.wilcoxon(BEHIND[20], method="exact").pvalue
    assert second["paired"]["p_wilcoxon"] == pytest.approx(oracle)
    assert [one["p_wilcoxon_holm"] for one in (first, second)] == pytest.approx([4 / 64, oracle])
    tests = [stats.ttest_1samp(BEHIND[n], 0).pvalue for n in (10, 20)]
    assert [one["paired"]["p_t"] for one in (first, second)] == pytest.approx(tests)
    assert first["difference"]["p_holm"] == pytest.approx(2 * tests[0])
    assert run["sizes"]["left_out"] == 1


def test_the_report_reads_well_at_80_columns(ask: Ask) -> None:
    report, _ = ask(EVERY)
    lines = report.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("3d / tumour at 40 cases ──")
    assert lines[1:3] == [
        "6 test cases, draw 0; missed in 1 of 6 predictions (1 case); 1 more without the",
        "structure, some of it found in 100% of predictions (0.500 mL on average).",
    ]
    t = re.sub(" +", " ", report).splitlines()
    assert "metric mean ± SD median [quartiles] undefined" in t
    assert "dice 0.790 ± 0.120 0.820 [0.725, 0.870] 0" in t
    assert "reference, mL 35.0 ± 18.7 35.0 [22.5, 47.5] 0" in t
    assert "Volumes, predicted minus reference [95% CI (t)]" in t
    assert "Bland-Altman mL % of the reference" in t
    assert "bias 1.00 [-0.88, 2.88] 3.4 [-3.1, 9.9]" in t
    assert "lower limit of agreement -2.51 [-5.92, 0.91] -8.7 [-20.4, 3.1]" in t
    assert "Predicted on reference ± SE: slope 1.02 ± 0.05, intercept 0.20 ± 1.81 mL." in t
    assert "up to 35.0 mL (the median) 3 0.700" in t
    assert "Spearman r = 1.00, p = 0.0028; Mann-Whitney U = 0, p = 0.1." in t
    assert "Dice: 40 cases minus fewer, same 6 test cases, 1 left out" in t
    assert any(line.startswith("10 +0.150 [+0.111, +0.189]") and line.endswith("0.031 0.062") for line in t)


def test_no_cell_is_folded_whatever_is_scored(ask: Ask) -> None:
    rng = np.random.default_rng(1)
    rows = [
        {"arm": "3d_fullres", "n_cases": n, "case": f"c{i}", "metric": name, "score": score}
        for n in (100, 1000)
        for i in range(30)
        for name, metric in METRICS.items()
        for score in [rng.uniform(0, 1) if metric.high == 1 else rng.lognormal(6, 2)]
        if not name.startswith("false_positive_ml") and name not in ("false_positive", "missed")
    ]
    report, _ = ask(rows)
    lines = report.splitlines()
    assert max(map(len, lines)) <= 80
    start = next(i for i, line in enumerate(lines) if line.startswith("metric"))
    table = lines[start + 1 : lines.index("", start)]
    assert len(table) == 18  # without counts of voxels and what is about cases without the structure
    assert all(re.fullmatch(r".*\S ± \S+ +\S+ \[\S+, \S+\] +0", line) for line in table)
    limits = [line for line in lines if "limit of agreement" in line]
    assert len(limits) == 2 and all(line.count("[") == line.count("]") == 2 for line in limits)


@pytest.mark.parametrize(
    ("wished", "words"),
    [
        ({"arm": "2d"}, "scores.csv: unknown arm '2d': there is only '3d'."),
        ({"structure": "cyst"}, "unknown structure 'cyst': there is only 'tumour'."),
        ({"n": 30}, "unknown size 30: there is 10, 20, 40."),
        ({"draw": 2}, "unknown draw 2: there is only 0."),
        ({"test_set": "far"}, "unknown test set 'far': there is only 'test'."),
        ({"stratum": "small"}, "unknown stratum 'small': there is only 'all'."),
        ({"metric": "nsd"}, "unknown metric 'nsd': there is 'dice', 'false_positive'"),
        ({"level": 1.5}, "level must lie between 0 and 1"),
    ],
)
def test_what_is_not_there_is_refused_naming_what_is(ask: Ask, wished: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        ask(EVERY, **wished)


def test_averages_are_refused_and_beside_scores_per_case_left_out_aloud(ask: Ask) -> None:
    averages = [{"arm": "2d", "structure": "tumour", "n_cases": n, "metric": "dice", "score": 0.5} for n in (10, 20)]
    with pytest.raises(InputError, match=r"scores\.csv: .*per test case, found only averages.*Fill in the column"):
        ask(averages)
    report, document = ask([*EVERY, *averages])
    assert [run["arm"] for run in document["runs"]] == ["3d"]
    assert "2d / tumour: scores already averaged over the test set are left out." in report


def test_a_reference_that_moves_is_refused_naming_the_file(ask: Ask) -> None:
    rows = [*rows_of(40), *rows_of(40, draw=1)]
    rows[-4]["score"] = 7.0
    with pytest.raises(InputError, match=r"scores\.csv: 3d/tumour at 40 cases: the reference volume.*'c6'"):
        ask(rows)


def test_without_volumes_it_says_so(ask: Ask) -> None:
    report, document = ask([row for row in EVERY if not row["metric"].endswith("_ml")])
    (run,) = document["runs"]
    assert run["bland_altman"] is None and run["small_and_large"] is None and len(run["sizes"]["tests"]) == 2
    assert "Bland-Altman" not in report
    assert "· volumes: no scores volume_ml and reference_ml, so volumes are not compared." in report


def test_draws_are_averaged_or_looked_at_one_by_one(ask: Ask) -> None:
    rows = [*EVERY, *rows_of(40, draw=1, shift=0.02)]
    report, document = ask(rows)
    assert "6 test cases, mean of 2 draws; missed in 2 of 12 predictions (1 case)" in report
    assert document["runs"][0]["metrics"][0]["mean"] == pytest.approx(0.80)
    report, document = ask(rows, draw=1)
    (run,) = document["runs"]
    assert (document["draw"], run["draws"], run["n"]) == (1, [1], 40)
    assert run["metrics"][0]["mean"] == pytest.approx(0.81)
    assert run["sizes"]["tests"] == [] and "1 size(s): nothing to test" in report  # 40 is the only size with a draw 1


def test_an_arm_without_the_size_is_named(ask: Ask) -> None:
    report, document = ask([*EVERY, *rows_of(10, arm="2d")], n=40)
    assert [run["arm"] for run in document["runs"]] == ["3d"]
    assert document["notes"] == ["2d / tumour: no scores at 40 cases, only at 10"]
    assert "2d / tumour: no scores at 40 cases, only at 10." in report
    _, document = ask([*EVERY, *rows_of(10, arm="2d")])
    assert [(run["arm"], run["n"]) for run in document["runs"]] == [("3d", 40), ("2d", 10)]


def test_a_stratum_takes_its_volumes_from_the_whole_test_set(ask: Ask) -> None:
    small = [{**row, "stratum": "small"} for row in only_dice(EVERY) if row["case"] in ("c0", "c1", "c2")]
    report, document = ask([*EVERY, *small], stratum="small")
    (run,) = document["runs"]
    assert run["stratum"] == "small" and len(run["cases"]) == 3
    assert run["bland_altman"]["bias"] == pytest.approx(1) and run["median_ml"] == 20
    assert report.startswith("3d / tumour / small at 40 cases")
    _, whole = ask([*EVERY, *small])
    assert [(one["stratum"], len(one["cases"])) for one in whole["runs"]] == [("all", 7)]


def test_one_of_several_unusual_test_sets_must_be_chosen(ask: Ask) -> None:
    near, far = rows_of(40, test_set="near"), rows_of(40, test_set="far")
    assert ask(near)[1]["runs"][0]["test_set"] == "near"
    with pytest.raises(InputError, match="choose it with --test-set: far, near"):
        ask([*near, *far])
    assert ask([*near, *far], test_set="far")[0].startswith("3d / tumour / far at 40 cases")


def test_the_metric_of_the_sizes_may_be_another(ask: Ask) -> None:
    report, document = ask(EVERY, metric="volume_ml")
    assert document["metric"] == document["runs"][0]["sizes"]["metric"] == "volume_ml"
    assert "Volume, mL: 40 cases minus fewer, same 7 test cases" in report
    surface = [{**row, "metric": "nsd"} for row in only_dice(EVERY)]
    assert ask(surface)[1]["metric"] == "nsd"  # there is no other
    report, document = ask([*surface, *(row for row in EVERY if row["metric"] == "missed")])
    assert "· sizes: not compared, no scores dice per test case." in report


def test_cross_validation_compares_no_sizes(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    report, document = ask(KIDNEY, structure="kidney")
    (run,) = document["runs"]
    assert run["test_set"] == "cross-validation" and run["sizes"]["tests"] == []
    assert "every size is scored on its own" in report
    assert ".." not in report and "cross-validation." in report  # notes of the reader end in one full stop


def test_figures_are_written_per_run_and_per_structure(ask: Ask, tmp_path: Path) -> None:
    report, _ = ask([*EVERY, *only_dice(rows_of(10, arm="2d"))], figures=tmp_path / "new")
    names = {path.stem for path in (tmp_path / "new").iterdir()}
    kinds = ("bland-altman-ml", "bland-altman-percent", "volumes", "dice", "dice-by-volume")
    assert names == {*(f"3d-tumour-n40-{kind}" for kind in kinds), "2d-tumour-n10-dice", "tumour-dice-by-size"}
    assert f"Figures: 21 files in {tmp_path / 'new'}" in " ".join(report.split())
    boxes = (tmp_path / "new" / "tumour-dice-by-size.svg").read_text(encoding="utf-8")
    assert "3d: 6 test cases (1 left out)" in boxes and "2d: 6 test cases (1 left out)" in boxes


def test_strata_stand_side_by_side_where_there_are_several(ask: Ask, tmp_path: Path) -> None:
    parts = {"small": ("c0", "c1", "c2"), "large": ("c3", "c4", "c5")}
    strata = [{**row, "stratum": name} for name, own in parts.items() for row in only_dice(EVERY) if row["case"] in own]
    ask([*EVERY, *strata], figures=tmp_path / "figures")
    boxes = (tmp_path / "figures" / "3d-tumour-dice-by-stratum.svg").read_text(encoding="utf-8")
    assert "small: " in boxes and "large: " in boxes and "3d / tumour, by stratum" in boxes
    ask([*EVERY, *strata], stratum="small", figures=tmp_path / "small")
    assert not list((tmp_path / "small").glob("*by-stratum*"))


def test_protocols_are_told_apart(ask: Ask, tmp_path: Path) -> None:
    both = only_dice([*rows_of(40), *rows_of(40, protocol="mirroring", shift=0.01)])
    report, document = ask(both, figures=tmp_path / "figures")
    assert [run["protocol"] for run in document["runs"]] == ["", "mirroring"]
    assert "3d (protocol mirroring) / tumour at 40 cases" in report
    folders = [path.name for path in (tmp_path / "figures").iterdir() if path.is_dir()]
    assert sorted(folders) == ["mirroring", "unnamed"]


def test_progress_of_figures_is_shown_where_asked(tmp_path: Path) -> None:
    write_csv(pd.DataFrame(only_dice(rows_of(40))), tmp_path / "scores.csv")
    with (tmp_path / "screen").open("w", encoding="utf-8") as stream:
        console = Console(file=stream, force_terminal=True, width=80)
        agreement(tmp_path / "scores.csv", Wishes(), None, None, tmp_path / "figures", console)
    assert "drawing" in (tmp_path / "screen").read_text(encoding="utf-8")


STUDY = """
[study]
name = "st"
dataset = "/nowhere"

[test]
cases = 7

[pilots]
sizes = [10, 20, 40]

[[test.annotator]]
name = "ann"
labels = "/nowhere"

[[test.annotator]]
name = "bob"
labels = "/nowhere"

[[arm]]
name = "3d"
configuration = "3d_fullres"
"""


@pytest.fixture
def study(tmp_path: Path, keep_run: Callable[..., Path]) -> Path:
    """Two finished runs, scored against the majority vote and against two annotators, each a little less."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    roles = [(f"p{i}", "pool", 0) for i in range(40)] + [(f"c{i}", "test", "") for i in range(7)]
    cases = [{"case": case, "patient": case, "role": role, "round": number} for case, role, number in roles]
    write_csv(pd.DataFrame(cases), folder / "cases.csv")
    for n in (20, 40):
        ann, bob = (rows_of(n, test_set=annotated_by(name), shift=s) for name, s in (("ann", -0.01), ("bob", -0.03)))
        keep_run(folder, pd.DataFrame([*rows_of(n), *ann, *bob]), arm="3d", n=n)
    between = {("ann", "bob"): 0.8, ("majority", "ann"): 0.9, ("majority", "bob"): 0.86}
    pairs = [
        {"case": f"c{i}", "structure": "tumour", "a": a, "b": b, "dice": None if i == 5 else dice + i / 100}
        for i in range(6)
        for (a, b), dice in between.items()
    ]
    write_csv(pd.DataFrame(pairs), folder / "test_sets" / "annotators.csv")
    return folder


def test_annotators_stand_beside_the_majority_and_set_the_ceiling(ask: Ask, study: Path) -> None:
    report, document = ask(study)
    (run,) = document["runs"]
    assert run["test_set"] == "test" and len(run["protocol"]) == 12
    found = {one["annotator"]: one for one in run["annotators"]}
    assert [one["mean"] for one in found.values()] == pytest.approx([0.78, 0.76, 0.77])
    assert all(one["mean_majority"] == pytest.approx(0.79) and one["cases"] == 6 for one in found.values())
    assert found["ann"]["rank"]["r"] == pytest.approx(1)
    ceiling = run["ceiling"]
    assert (ceiling["between"]["mean"], ceiling["with_majority"]["mean"]) == pytest.approx((0.82, 0.90))
    assert (ceiling["between"]["cases"], ceiling["undefined"]) == (5, 3)
    t = re.sub(" +", " ", report).splitlines()
    assert "Dice against each annotator, and against their majority on the same cases" in t
    assert "ann 6 0.780 0.790 1.000 0.0028" in t and "their mean 6 0.770 0.790 1.000 0.0028" in t
    assert "annotators against mean Dice [95% CI (bootstrap)] cases" in t
    assert any(line.startswith("each other 0.820 [") for line in t)
    assert max(map(len, report.splitlines())) <= 80


def test_annotators_have_their_own_test_sets_and_no_part_in_others(ask: Ask, study: Path) -> None:
    report, document = ask(study, test_set=annotated_by("bob"), n=20)
    (run,) = document["runs"]
    assert (run["test_set"], run["n"], run["annotators"], run["ceiling"]) == ("test by bob", 20, [], None)
    assert report.startswith("3d / tumour / test by bob at 20 cases")


def test_without_annotators_there_is_no_ceiling(ask: Ask, study: Path, keep_run: Callable[..., Path]) -> None:
    settings = study / "study.toml"
    settings.write_text(settings.read_text().split("[[test.annotator]]")[0] + STUDY[STUDY.index("[[arm]]") :])
    for n in (20, 40):
        keep_run(study, pd.DataFrame(rows_of(n)), arm="3d", n=n)
    assert ask(study)[1]["runs"][0]["ceiling"] is None
