import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from dicecast.adapters.figures.agreement import agreement_figures_of, write_agreement_figures, write_size_boxes
from dicecast.adapters.figures.canvas import new_figure, save_figure
from dicecast.adapters.figures.distribution import plot_histogram, plot_size_boxes
from dicecast.adapters.figures.volumes import plot_bland_altman, plot_dice_by_volume, plot_regression
from dicecast.forecast.agreement import bland_altman, volume_regression
from dicecast.forecast.errors import InputError, StorageError
from dicecast.forecast.run_agreement import RunAgreement, run_agreement, scores_by_size
from dicecast.forecast.scores import validate_scores

ARMS = ("2d", "3d_fullres", "3d_fullres+synthetic and more")


def table_of(cases: int = 20, volumes: tuple[float, float] = (2.0, 400.0)) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    reference = np.geomspace(*volumes, cases)
    rows = []
    for arm, n, i in itertools.product(ARMS, (10, 20, 40), range(cases)):
        if (arm, n) == ("2d", 10):
            continue
        scores = {
            "dice": float(np.clip(0.9 - 1 / reference[i] - 1 / n + rng.normal(0, 0.02), 0, 1)),
            "volume_ml": reference[i] * rng.normal(1, 0.1),
            "reference_ml": reference[i],
            "msd_mm": None if i == 0 else rng.gamma(2, 0.5),
        }
        key = {"arm": arm, "structure": "kidney+tumour", "n_cases": n, "case": f"c{i}"}
        rows += [{**key, "metric": metric, "score": score} for metric, score in scores.items()]
    return validate_scores(pd.DataFrame(rows))


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return table_of()


@pytest.fixture
def run(scores: pd.DataFrame) -> RunAgreement:
    return run_agreement(scores, "3d_fullres", 40, "kidney+tumour")


def words(written: list[Path]) -> str:
    """The text of a figure, which matplotlib leaves in the SVG as comments."""
    vector, picture, page = written
    assert (vector.suffix, picture.suffix, page.suffix) == (".svg", ".png", ".pdf")
    pixels = imread(picture)[..., :3]
    assert pixels.shape[1] == pytest.approx(6.4 * 150, abs=1)
    border = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    assert all(np.all(line == 1) for line in border), "something is cut off at the edge"
    assert pixels.std() > 0.02
    return " ".join(re.findall(r"<!-- (.*?) -->", vector.read_text(encoding="utf-8"), flags=re.DOTALL))


def drawn(path: Path, plot: Callable[..., Any], *values: Any, **options: Any) -> str:
    """The text of what a function draws."""
    figure = new_figure(5.6)
    axes = figure.subplots()
    assert plot(*values, axes, **options) is axes
    return words(save_figure(figure, path))


def test_bland_altman_says_bias_limits_and_units(tmp_path: Path) -> None:
    large = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    found = bland_altman(mini, large, relative=False, unit="l/min")
    said = drawn(tmp_path / "flow", plot_bland_altman, found)
    for part in ("−2.12 l/min", "73.9 l/min", "−78.1 l/min", "predicted minus reference, l/min", "17 test cases"):
        assert part in said
    assert "mean of reference and predicted, l/min" in said and "95% confidence intervals" in said


def test_bland_altman_in_percent_names_what_is_100_percent(tmp_path: Path) -> None:
    found = bland_altman([0, 10, 20, 400], [1, 11, 20, 380], relative=True, relative_to="mean")
    said = drawn(tmp_path / "percent", plot_bland_altman, found)
    assert "% of the mean of both" in said
    assert "1 with reference 0 left out" in said


def test_regression_shows_the_line_and_r2(tmp_path: Path, run: RunAgreement) -> None:
    found = run.regression
    assert found and found.r2 and found.concordance
    said = drawn(tmp_path / "volumes", plot_regression, found)
    assert f"R² of the line {found.r2:.3f}" in said and f"concordance {found.concordance:.3f}" in said
    assert "reference volume, mL" in said and "predicted volume, mL" in said and "identity" in said


def test_boxes_stand_arm_beside_arm_and_count_what_is_left_out(tmp_path: Path, scores: pd.DataFrame) -> None:
    tables = {arm: scores_by_size(scores, arm, "kidney+tumour", "msd_mm") for arm in ARMS}
    said = drawn(tmp_path / "boxes", plot_size_boxes, tables, "msd_mm")
    for arm in ARMS:
        assert f"{arm}: 19 test cases (1 left out)" in said
    assert "mean surface distance, mm" in said and "annotated cases (training + validation)" in said


def test_boxes_of_different_cases_say_how_many(tmp_path: Path) -> None:
    table = pd.DataFrame({10: [0.5, 0.6, np.nan], 20: [0.6, 0.7, 0.8]}, index=["a", "b", "c"])
    assert "2d: 2 test cases (1 left out)" in drawn(tmp_path / "same", plot_size_boxes, {"2d": table}, "dice")
    own = drawn(tmp_path / "own", plot_size_boxes, {"2d": table}, "dice", same_cases=False)
    assert "2d: 2 to 3 test cases" in own and "left out" not in own


@pytest.mark.parametrize(("metric", "label"), [("dice", "Dice"), ("msd_mm", "mean surface distance, mm")])
def test_a_histogram_shows_mean_and_median(tmp_path: Path, run: RunAgreement, metric: str, label: str) -> None:
    summary = next(one for one in run.metrics if one.metric == metric)
    said = drawn(tmp_path / metric, plot_histogram, run, metric)
    assert label in said and "test cases" in said
    assert f"mean {summary.mean:#.3g}" in said and f"median {summary.median:#.3g}" in said


def test_dice_by_volume_shows_the_rank_tests(tmp_path: Path, run: RunAgreement) -> None:
    assert run.dice_by_volume and run.small_and_large
    said = drawn(tmp_path / "ranks", plot_dice_by_volume, run)
    assert f"Spearman r = {run.dice_by_volume.r:#.3g}" in said
    assert f"Mann-Whitney U = {run.small_and_large.u:g}" in said
    assert f"above {run.median_ml:#.3g} mL" in said and "reference volume, mL" in said


def test_a_run_is_drawn_with_all_it_has(tmp_path: Path, scores: pd.DataFrame, run: RunAgreement) -> None:
    written = write_agreement_figures(run, tmp_path / "new" / "folder")
    assert len(written) == 15 and all(path.is_file() for path in written)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(p.name for p in written)
    assert {path.name.split("-n40-")[0] for path in written} == {"3d_fullres-kidney-tumour"}
    for pair in zip(*[iter(written)] * 3, strict=True):
        assert "3d_fullres / kidney+tumour, 40 annotated cases" in words(list(pair))
    only_dice = run_agreement(scores[scores["metric"] == "dice"], "2d", 20, "kidney+tumour")
    assert [path.name for path in write_agreement_figures(only_dice, tmp_path)] == [
        f"2d-kidney-tumour-n20-dice.{ending}" for ending in ("svg", "png", "pdf")
    ]


def test_one_case_or_constant_values_can_be_drawn(tmp_path: Path) -> None:
    found = run_agreement(table_of(1, (5.0, 5.0)), "2d", 20, "kidney+tumour")
    written = write_agreement_figures(found, tmp_path / "one")
    assert len(written) >= 3
    assert all(
        "1 test case" in words(written[i : i + 3]) or "median" in words(written[i : i + 3])
        for i in range(0, len(written), 3)
    )
    same = bland_altman([1, 2, 3], [2, 3, 4], relative=False)
    said = drawn(tmp_path / "same", plot_bland_altman, same)
    assert "1.00 mL" in said and "1.96 SD" not in said
    nothing = volume_regression([0, 0, 0], [0, 0, 0])
    assert "all references are the same" in drawn(tmp_path / "nothing", plot_regression, nothing)


@pytest.mark.parametrize(
    "draw",
    [
        lambda path, run: plot_bland_altman(bland_altman([0], [1], relative=True)),
        lambda path, run: plot_regression(volume_regression([], [])),
        lambda path, run: write_size_boxes({"2d": pd.DataFrame({10: [np.nan]})}, "dice", path, ""),
        lambda path, run: write_size_boxes({}, "dice", path, ""),
        lambda path, run: plot_histogram(run, "hd95_mm"),
        lambda path, run: plot_dice_by_volume(run),
    ],
)
def test_nothing_to_draw_is_refused_and_writes_nothing(
    tmp_path: Path, scores: pd.DataFrame, draw: Callable[[Path, RunAgreement], object]
) -> None:
    run = run_agreement(scores[scores["metric"] == "dice"], "2d", 20, "kidney+tumour")
    with pytest.raises(InputError, match="needs at least one test case"):
        draw(tmp_path / "figure", run)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, run: RunAgreement) -> None:
    (tmp_path / "dice.svg").mkdir()
    (tmp_path / "dice.svg" / "kept").touch()
    with pytest.raises(StorageError):
        save_figure(dict(agreement_figures_of(run))["dice"], tmp_path / "dice")
    assert [path.name for path in tmp_path.iterdir()] == ["dice.svg"]
