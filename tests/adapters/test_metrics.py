from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import ndimage

from dicecast.adapters.metric_table import DEFAULT_METRICS, METRICS
from dicecast.adapters.metrics import Score, case_scores, check_metrics, pooled
from dicecast.forecast.errors import InputError
from dicecast.forecast.scores import DICE_LIKE
from dicecast.forecast.types import BoolArray

ALL = tuple(METRICS)
RATIOS = ("dice", "f1", "jaccard", "recall", "precision", "specificity", "accuracy")
AGAINST_REFERENCE = ("dice", "f1", "jaccard", "recall", "precision", "nsd", "nsd_area", "lesion_sensitivity")
DISTANCES = ("msd_mm", "hd95_mm")
NEED_SIZE = ("volume_ml", "reference_ml", "volume_difference_ml", *DISTANCES, "nsd", "nsd_area")
SPACINGS = ((0.8, 0.8, 3.0), (1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (1.1, 2.3, 0.6))


@pytest.fixture(scope="module")
def monai() -> Any:
    """MONAI's metrics, without what it warns of on import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("monai.metrics")


def blob(rng: np.random.Generator, shape: tuple[int, ...]) -> BoolArray:
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.7, 1.6), mode="nearest")
    return np.asarray(smooth > np.quantile(smooth, rng.uniform(0.5, 0.97)))


def box(rng: np.random.Generator, shape: tuple[int, ...]) -> BoolArray:
    """A box that may touch every edge of the image, or be one voxel."""
    mask = np.zeros(shape, dtype=bool)
    ends = [sorted(rng.integers(0, size + 1, size=2)) for size in shape]
    mask[tuple(slice(min(lo, size - 1), max(hi, lo + 1)) for (lo, hi), size in zip(ends, shape, strict=True))] = True
    return mask


def voxel(rng: np.random.Generator, shape: tuple[int, ...]) -> BoolArray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(rng.integers(shape))] = True
    return mask


def random_pairs(count: int) -> Iterator[tuple[BoolArray, BoolArray, tuple[float, ...]]]:
    """References, predictions and spacings; no mask is empty."""
    kinds = (blob, box, voxel, lambda rng, shape: rng.random(shape) < rng.uniform(0.05, 0.95))
    for number in range(count):
        rng = np.random.default_rng((7, number))
        axes = 2 if number % 4 == 3 else 3
        shape = tuple(int(size) for size in rng.integers(3, 14, size=axes))
        reference = kinds[rng.integers(4)](rng, shape)
        if number % 20 == 0:
            predicted = reference.copy()
        elif number % 3 == 0:
            predicted = np.roll(reference, rng.integers(-2, 3, size=axes), axis=tuple(range(axes)))
        else:
            predicted = kinds[rng.integers(4)](rng, shape)
        for mask in (reference, predicted):
            mask[tuple(rng.integers(shape))] = True
        yield reference, predicted, SPACINGS[number % len(SPACINGS)][-axes:]


def scored(
    reference: Any, predicted: Any, *, spacing: tuple[float, ...] | None = (1.0, 1.0, 1.0), tolerance: float = 1.0
) -> dict[str, Score]:
    reference, predicted = np.asarray(reference, dtype=bool), np.asarray(predicted, dtype=bool)
    foreground = reference | predicted
    return case_scores(reference, predicted, wanted=ALL, spacing=spacing, tolerance=tolerance, foreground=foreground)


def number(scores: dict[str, Score], name: str) -> float:
    score = scores[name]
    assert score is not None
    return float(score)


def row(*voxels: int) -> BoolArray:
    """A line of voxels in an image of three axes, room around it: 1 inside, 0 outside."""
    mask = np.zeros((3, 3, len(voxels)), dtype=bool)
    mask[1, 1] = np.array(voxels, dtype=bool)
    return mask


# against MONAI, whose own internals use an argument it deprecates

IN_USE = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")


def test_overlap_equals_monai(monai: Any) -> None:
    import torch

    names = {"recall": "sensitivity", "precision": "precision", "specificity": "specificity", "accuracy": "accuracy"}
    for reference, predicted, spacing in random_pairs(200):
        ours = case_scores(reference, predicted, wanted=(*RATIOS, "tp", "fp", "fn", "tn"), spacing=spacing, tolerance=1)
        theirs = (torch.from_numpy(predicted)[None, None].float(), torch.from_numpy(reference)[None, None].float())
        matrix = monai.get_confusion_matrix(*theirs)
        assert [ours[name] for name in ("tp", "fp", "tn", "fn")] == matrix.flatten().int().tolist()
        for name, their_name in {**names, "f1": "f1 score", "jaccard": "threat score"}.items():
            found = monai.compute_confusion_matrix_metric(their_name, matrix).item()
            assert ours[name] == (None if np.isnan(found) else pytest.approx(found, abs=1e-6))
        assert ours["dice"] == pytest.approx(monai.DiceMetric()(*theirs).item(), abs=1e-6)
        assert ours["jaccard"] == pytest.approx(monai.MeanIoU()(*theirs).item(), abs=1e-6)


@IN_USE
def test_surface_scores_equal_monai(monai: Any) -> None:
    import torch

    between = 0
    for tolerance, (reference, predicted, spacing) in zip(
        [0.0, 0.9, 1.37, 2.05, 3.3] * 40, random_pairs(200), strict=True
    ):
        ours = case_scores(
            reference, predicted, wanted=("msd_mm", "hd95_mm", "nsd", "nsd_area"), spacing=spacing, tolerance=tolerance
        )
        theirs = (torch.from_numpy(predicted)[None, None], torch.from_numpy(reference)[None, None])
        given_size = {"include_background": True, "spacing": list(spacing)}
        msd = monai.compute_average_surface_distance(*theirs, symmetric=True, **given_size).item()
        hd95 = monai.compute_hausdorff_distance(*theirs, percentile=95, **given_size).item()
        nsd = monai.compute_surface_dice(*theirs, [tolerance], **given_size).item()
        area = monai.compute_surface_dice(*theirs, [tolerance], use_subvoxels=True, **given_size).item()
        assert ours["msd_mm"] == pytest.approx(msd, abs=1e-3)
        assert ours["hd95_mm"] == pytest.approx(hd95, abs=1e-3)
        assert ours["nsd"] == pytest.approx(nsd, abs=1e-6)
        assert ours["nsd_area"] == pytest.approx(area, abs=1e-4)
        between += 0 < area < 1 and abs(area - nsd) > 0.01
    assert between > 50, "too few pairs tell the two surface Dice apart"


@IN_USE
def test_every_corner_pattern_of_a_cell_has_the_area_monai_gives_it(monai: Any) -> None:
    import torch

    spacing = (1.0, 2.0, 3.0)
    predicted = np.zeros((5, 4, 4), dtype=bool)
    predicted[4, 1, 1] = True
    for pattern in range(1, 256):
        reference = np.zeros_like(predicted)
        reference[1:3, 1:3, 1:3] = np.array([pattern >> bit & 1 for bit in range(8)]).reshape(2, 2, 2)
        theirs = (torch.from_numpy(predicted)[None, None], torch.from_numpy(reference)[None, None])
        found = monai.compute_surface_dice(
            *theirs, [2.05], include_background=True, spacing=list(spacing), use_subvoxels=True
        ).item()
        ours = case_scores(reference, predicted, wanted=["nsd_area"], spacing=spacing, tolerance=2.05)
        assert ours["nsd_area"] == pytest.approx(found, abs=1e-4), f"pattern {pattern:08b}"


# by hand


def test_overlap_of_three_and_two_voxels_by_hand() -> None:
    scores = scored(row(1, 1, 1, 0, 0, 0), row(0, 0, 1, 1, 0, 0))
    assert {name: scores[name] for name in ("tp", "fp", "fn", "tn")} == {"tp": 1, "fp": 1, "fn": 2, "tn": 50}
    expected = {
        "dice": 2 / 5,
        "f1": 2 / 5,
        "jaccard": 1 / 4,
        "recall": 1 / 3,
        "precision": 1 / 2,
        "specificity": 50 / 51,
        "accuracy": 51 / 54,
        "accuracy_foreground": 1 / 4,
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_foreground_of_other_structures_counts_as_right_where_this_one_is_absent() -> None:
    reference, predicted, other = row(1, 1, 0, 0), row(1, 0, 0, 0), row(0, 0, 1, 1)
    scores = case_scores(
        reference,
        predicted,
        wanted=["accuracy_foreground"],
        spacing=None,
        tolerance=1,
        foreground=reference | predicted | other,
    )
    assert scores == {"accuracy_foreground": 3 / 4, "missed": 0}


def test_volumes_by_hand() -> None:
    scores = scored(row(1, 1, 1, 1, 0), row(1, 1, 1, 0, 0), spacing=(10.0, 5.0, 2.0))
    assert scores["reference_ml"] == pytest.approx(0.4)
    assert scores["volume_ml"] == pytest.approx(0.3)
    assert scores["volume_difference_ml"] == pytest.approx(-0.1)
    assert scores["volume_difference_percent"] == pytest.approx(-25)


def test_distances_of_two_voxels_apart_are_the_distance_of_their_centres() -> None:
    scores = scored(row(1, 0, 0, 0), row(0, 0, 1, 0), spacing=(1.0, 1.0, 1.5))
    assert scores["msd_mm"] == scores["hd95_mm"] == 3.0


def test_mean_distance_is_over_the_voxels_of_both_borders() -> None:
    # 0, 1, 2 mm from the reference's voxels; 0 mm from the predicted one
    scores = scored(row(1, 1, 1), row(1, 0, 0))
    assert scores["msd_mm"] == pytest.approx((0 + 1 + 2 + 0) / 4)


def test_hd95_is_the_larger_directed_percentile_not_that_of_both_borders_together() -> None:
    # from the reference 0, 1, 2 mm, whose 95th percentile is 1.9; from the prediction 0 mm
    assert scored(row(1, 1, 1), row(1, 0, 0))["hd95_mm"] == pytest.approx(1.9)
    assert scored(row(1, 0, 0), row(1, 1, 1))["hd95_mm"] == pytest.approx(1.9)


def test_inner_voxels_are_no_surface() -> None:
    full = np.ones((5, 5, 5), dtype=bool)
    hollow = full.copy()
    hollow[2, 2, 2] = False
    # 125 - 27 voxels of both outer borders; the hole's border is six more, 1 mm below the outer one
    scores = scored(full, hollow, tolerance=0.5)
    assert scores["nsd"] == pytest.approx((98 + 98) / (98 + 98 + 6))
    assert scores["msd_mm"] == pytest.approx(6 * 1 / (98 + 98 + 6))


def test_surface_dice_counts_what_lies_exactly_at_the_tolerance() -> None:
    reference, predicted = row(1, 0, 0, 0, 0), row(0, 0, 0, 1, 0)
    spacing = (1.0, 1.0, 0.8)
    assert 3 * 0.8 > 2.4, "the sum that rounding makes too large"
    assert scored(reference, predicted, spacing=spacing, tolerance=2.4)["nsd"] == 1
    assert scored(reference, predicted, spacing=spacing, tolerance=2.399)["nsd"] == 0


def test_surface_dice_by_area_of_two_voxels_apart() -> None:
    # the surface of a voxel lies in the cells half a voxel before and behind its centre
    reference, predicted = row(1, 0, 0, 0), row(0, 0, 1, 0)
    found = [scored(reference, predicted, spacing=(1, 1, 1.5), tolerance=t)["nsd_area"] for t in (1.4, 1.5, 2.9, 3)]
    assert found == pytest.approx([0, 0.5, 0.5, 1])


def test_surface_dice_by_area_of_a_contour_weighs_by_length() -> None:
    # reference: a bar of 1 x 3 pixels, its contour 4 corners of half a diagonal and 4 sides of a pixel's length;
    # predicted: its first pixel, 4 corners. Further than 0 apart: the bar's last 2 corners and 4 sides ...
    reference, predicted = np.zeros((3, 5), dtype=bool), np.zeros((3, 5), dtype=bool)
    reference[1, 1:4] = predicted[1, 1] = True
    corner = np.sqrt(0.5)
    # ... but for the two sides in the cells that the pixel's own corners share
    expected = (4 * corner + 2 * corner + 2 * 1) / (4 * corner + 4 * corner + 4 * 1)
    assert scored(reference, predicted, spacing=(1.0, 1.0), tolerance=0)["nsd_area"] == pytest.approx(expected)


def test_lesions_by_hand() -> None:
    # reference: one voxel, two in a column, two that meet at a corner; the first is not found
    reference = [[1, 0, 1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0]]
    predicted = [[0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0, 0, 0]]
    scores = scored(reference, predicted, spacing=None)
    assert scores["lesion_sensitivity"] == pytest.approx(2 / 3)
    assert scores["false_positive_lesions"] == 1


def test_voxels_that_meet_at_a_corner_in_space_are_one_lesion() -> None:
    reference, predicted = np.zeros((4, 4, 4), dtype=bool), np.zeros((4, 4, 4), dtype=bool)
    reference[1, 1, 1] = reference[2, 2, 2] = predicted[2, 2, 2] = True
    assert scored(reference, predicted)["lesion_sensitivity"] == 1
    assert scored(predicted, reference)["false_positive_lesions"] == 0


def test_one_prediction_over_two_lesions_finds_both() -> None:
    scores = scored(row(1, 0, 1, 0, 1), row(1, 1, 1, 0, 0))
    assert scores["lesion_sensitivity"] == pytest.approx(2 / 3)
    assert scores["false_positive_lesions"] == 0


# absent structures and images without a size


def test_where_the_reference_has_none_scores_are_undefined_and_what_was_found_is_given() -> None:
    scores = scored(row(0, 0, 0, 0), row(1, 1, 0, 1), spacing=(10.0, 10.0, 10.0))
    for name in (*AGAINST_REFERENCE, *DISTANCES, "volume_difference_percent"):
        assert scores[name] is None, name
    assert scores["false_positive"] == 1
    assert scores["false_positive_ml"] == pytest.approx(3)
    assert "missed" not in scores
    assert scores["specificity"] is scores["accuracy"] is None
    assert [scores[name] for name in ("tp", "fp", "fn", "tn")] == [0, 3, 0, 33]
    assert scores["volume_ml"] == scores["volume_difference_ml"] == pytest.approx(3)
    assert scores["reference_ml"] == 0
    assert scores["false_positive_lesions"] == 2


def test_where_neither_has_any_nothing_was_found() -> None:
    scores = scored(row(0, 0), row(0, 0))
    assert scores["dice"] is None
    assert scores["nsd_area"] is None
    assert scores["accuracy_foreground"] is None
    assert scores["false_positive"] == scores["false_positive_ml"] == scores["false_positive_lesions"] == 0
    assert scores["specificity"] is scores["accuracy"] is None


def test_a_missed_structure_scores_zero_and_has_no_distance() -> None:
    scores = scored(row(1, 1, 0), row(0, 0, 0))
    assert [scores[name] for name in AGAINST_REFERENCE] == [0] * len(AGAINST_REFERENCE)
    assert [scores[name] for name in DISTANCES] == [None, None]
    assert scores["missed"] == 1
    assert not {"false_positive", "false_positive_ml"} & set(scores)
    assert scores["specificity"] == 1
    assert scores["volume_difference_percent"] == -100
    assert scores["false_positive_lesions"] == 0


def test_without_a_size_only_what_needs_one_is_undefined() -> None:
    scores = scored(row(1, 1, 0), row(0, 1, 1), spacing=None)
    assert {name for name, score in scores.items() if score is None} == set(NEED_SIZE)
    assert scores["missed"] == 0
    missed = scored(row(1, 1, 0), row(0, 0, 0), spacing=None)
    assert missed["nsd"] is missed["nsd_area"] is None
    assert set(scored(row(0, 0), row(0, 1), spacing=None)) - set(missed) == {"false_positive"}


def test_an_image_of_two_axes_has_distances_but_no_volume() -> None:
    scores = scored([[1, 1, 0, 0]], [[0, 0, 1, 0]], spacing=(2.0, 3.0))
    assert scores["msd_mm"] == pytest.approx((6 + 3 + 3) / 3)
    assert scores["volume_ml"] is scores["volume_difference_ml"] is None


def test_a_single_slice_is_measured_as_an_image() -> None:
    for reference, predicted, spacing in random_pairs(12):
        if reference.ndim == 2:
            flat = scored(reference, predicted, spacing=spacing)
            slab = scored(reference[None], predicted[None], spacing=(999.0, *spacing))
            assert {n: s for n, s in slab.items() if not n.endswith("ml")} == {
                n: s for n, s in flat.items() if not n.endswith("ml")
            }


# what is asked for


def test_only_what_is_wanted_is_given_in_that_order_and_presence_always() -> None:
    mask = row(1, 0)
    scores = case_scores(mask, mask, wanted=["nsd", "dice"], spacing=(1, 1, 1), tolerance=1)
    assert list(scores.items()) == [("nsd", 1.0), ("dice", 1.0), ("missed", 0)]
    assert case_scores(mask, mask, wanted=[], spacing=None, tolerance=1) == {"missed": 0}
    assert case_scores(mask, mask, wanted=["false_positive", "missed"], spacing=None, tolerance=1) == {"missed": 0}
    assert list(case_scores(mask, mask, spacing=None, tolerance=1)) == [*DEFAULT_METRICS, "missed"]


def test_scores_are_plain_numbers() -> None:
    for scores in (scored(row(1, 1, 0), row(0, 1, 1)), scored(row(0, 0), row(1, 0))):
        assert {type(score) for score in scores.values()} <= {int, float, type(None)}


def test_voxels_that_do_not_count_are_in_no_count() -> None:
    reference, predicted, counted = row(1, 1, 0, 0), row(0, 1, 1, 0), ~row(1, 0, 0, 1)
    scores = case_scores(
        reference,
        predicted,
        wanted=["tp", "fp", "fn", "tn", "accuracy_foreground"],
        spacing=None,
        tolerance=1,
        counted=counted,
        foreground=np.ones_like(counted),
    )
    assert scores == {"tp": 1, "fp": 1, "fn": 0, "tn": 32, "accuracy_foreground": 33 / 34, "missed": 0}


def test_masks_of_zeros_and_ones_are_masks() -> None:
    reference, predicted = row(1, 1, 1, 0, 0), row(0, 0, 1, 1, 0)
    assert case_scores(
        reference.astype(np.uint8),
        predicted.astype(np.int64),
        counted=np.ones(reference.shape, dtype=np.uint8),
        spacing=(1, 1, 1),
        tolerance=1,
    ) == case_scores(reference, predicted, spacing=(1, 1, 1), tolerance=1)


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"hd95_mm.*found 'hausdorff'"):
        check_metrics(["dice", "hausdorff"])
    with pytest.raises(InputError, match="found 'Dice'"):
        case_scores(row(1), row(1), wanted=["Dice"], spacing=None, tolerance=1)
    check_metrics(METRICS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"predicted": np.ones((3, 3, 4), dtype=bool)}, "one shape"),
        ({"counted": np.ones((3, 3), dtype=bool)}, "one shape"),
        ({"spacing": (1.0, 1.0)}, "3 axes"),
        ({"spacing": (1.0, 0.0, 1.0)}, "> 0 mm"),
        ({"tolerance": -1.0}, ">= 0 mm"),
        ({"tolerance": float("nan")}, ">= 0 mm"),
        ({"wanted": ["accuracy_foreground"]}, "foreground"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"reference": row(1, 0), "predicted": row(1, 0), "spacing": (1.0, 1.0, 1.0)}
    with pytest.raises(ValueError, match=words):
        case_scores(**{**given, "tolerance": 1.0, **changes})


def test_the_table_of_metrics_is_complete() -> None:
    assert all(name == metric.name and metric.definition.endswith(".") for name, metric in METRICS.items())
    assert set(DEFAULT_METRICS) <= set(METRICS)
    unit_interval = {n for n, m in METRICS.items() if (m.low, m.high, m.higher_is_better) == (0, 1, True)}
    assert DICE_LIKE & set(METRICS) == unit_interval


# laws


@st.composite
def pairs(draw: st.DrawFn, *, present: bool = True) -> tuple[BoolArray, BoolArray]:
    shape = draw(st.sampled_from([(4, 5), (1, 4, 4), (3, 4, 3), (2, 2, 5)]))
    masks = [draw(arrays.arrays(bool, shape)) for _ in range(2)]
    if present:
        assume(all(mask.any() for mask in masks))
    return masks[0], masks[1]


def spacing_of(mask: BoolArray, scale: float = 1.0) -> tuple[float, ...]:
    return tuple(scale * size for size in (3.0, 0.8, 1.3)[: mask.ndim])


@given(pairs(present=False))
def test_scores_lie_in_their_range(masks: tuple[BoolArray, BoolArray]) -> None:
    for name, score in scored(*masks, spacing=spacing_of(masks[0])).items():
        assert score is None or METRICS[name].low <= score <= METRICS[name].high, name


@given(pairs())
def test_dice_is_f1_and_gives_jaccard(masks: tuple[BoolArray, BoolArray]) -> None:
    scores = scored(*masks, spacing=None)
    assert scores["dice"] == scores["f1"]
    assert scores["jaccard"] == pytest.approx(number(scores, "dice") / (2 - number(scores, "dice")))


@given(pairs())
def test_swapping_the_masks_swaps_precision_and_recall_and_keeps_surfaces(masks: tuple[BoolArray, BoolArray]) -> None:
    one, other = (scored(*pair, spacing=spacing_of(masks[0])) for pair in (masks, masks[::-1]))
    assert (one["precision"], one["recall"]) == (other["recall"], other["precision"])
    for name in ("dice", "accuracy", "accuracy_foreground", *DISTANCES, "nsd", "nsd_area"):
        assert one[name] == pytest.approx(other[name]), name


@given(pairs())
def test_a_mask_against_itself_is_perfect(masks: tuple[BoolArray, BoolArray]) -> None:
    scores = scored(masks[0], masks[0], spacing=spacing_of(masks[0]), tolerance=0)
    assert [scores[name] for name in AGAINST_REFERENCE] == [1] * len(AGAINST_REFERENCE)
    assert [scores[name] for name in (*DISTANCES, "false_positive_lesions")] == [0, 0, 0]


@given(pairs(), st.floats(0, 20), st.floats(0, 20))
def test_surface_dice_grows_with_the_tolerance_to_one(
    masks: tuple[BoolArray, BoolArray], first: float, second: float
) -> None:
    found = [scored(*masks, spacing=spacing_of(masks[0]), tolerance=t) for t in (*sorted((first, second)), 40)]
    for name in ("nsd", "nsd_area"):
        low, high, most = (number(scores, name) for scores in found)
        assert low <= high + 1e-12
        assert most == pytest.approx(1)


@given(pairs(), st.floats(0.1, 10))
def test_scaling_the_voxels_scales_distances_and_volumes(masks: tuple[BoolArray, BoolArray], scale: float) -> None:
    plain, scaled = (scored(*masks, spacing=spacing_of(masks[0], s), tolerance=1.1 * s) for s in (1.0, scale))
    for name in DISTANCES:
        assert number(scaled, name) == pytest.approx(scale * number(plain, name))
    for name in ("nsd", "nsd_area"):
        assert scaled[name] == pytest.approx(plain[name])
    if masks[0].ndim == 3:
        assert number(scaled, "volume_ml") == pytest.approx(scale**3 * number(plain, "volume_ml"))


@given(pairs(), st.integers(1, 3))
def test_more_image_around_changes_only_what_counts_the_background(
    masks: tuple[BoolArray, BoolArray], margin: int
) -> None:
    around = [(0, 0) if size == 1 else (margin, 0) for size in masks[0].shape]
    spacing = spacing_of(masks[0])
    small, large = scored(*masks, spacing=spacing), scored(*(np.pad(m, around) for m in masks), spacing=spacing)
    for name in set(small) - {"tn", "specificity", "accuracy"}:
        assert large[name] == pytest.approx(small[name]), name


@given(pairs())
def test_the_order_of_the_axes_is_irrelevant(masks: tuple[BoolArray, BoolArray]) -> None:
    assume(1 not in masks[0].shape)
    turned = [mask.transpose()[::-1] for mask in masks]
    spacing = spacing_of(masks[0])
    one, other = scored(*masks, spacing=spacing), scored(*turned, spacing=spacing[::-1])
    assert {name: other[name] for name in one} == pytest.approx(one)


@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4), min_size=1, max_size=4))
@example([(0, 0, 0, 0)])
@example([(0, 3, 0, 5)])
@example([(0, 0, 3, 5)])
def test_pooling_counts_equals_scoring_the_cases_laid_side_by_side(cases: list[tuple[int, int, int, int]]) -> None:
    names = ("tp", "fp", "fn", "tn")
    voxels = [np.repeat([[1, 1], [0, 1], [1, 0], [0, 0]], counts, axis=0).astype(bool) for counts in cases]
    together = np.concatenate([*voxels])[:, None]
    whole = case_scores(together[..., 0], together[..., 1], wanted=RATIOS, spacing=None, tolerance=1)
    total = dict(zip(names, np.sum(cases, axis=0), strict=True))
    assert pooled(total) == {name: whole[name] for name in RATIOS}
