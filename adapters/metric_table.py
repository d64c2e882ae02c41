"""Every metric by name: what it is, in which unit, and which way is better. How it is computed is in `metrics`."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Metric:
    """What a score means."""

    name: str
    """Value of the `metric` column of the scores table."""
    group: str
    """Metrics that are computed together: overlap, volume, surface, surface area, lesions or presence."""
    unit: str
    """Empty for a ratio."""
    definition: str
    """One sentence; TP, FP, FN, TN count voxels of this structure in this case."""
    higher_is_better: bool | None
    """None when neither direction is."""
    low: float
    high: float
    """Ends of the range of values."""
    source: str = ""
    """Where the definition is from."""
    words: str = ""
    """How it is called in a sentence and on an axis, when not by its name."""


_NIKOLOV = "Nikolov et al. 2021, J Med Internet Res 23:e26151"


def _ratio(name: str, group: str, definition: str, source: str = "", *, words: str = "") -> Metric:
    return Metric(name, group, "", definition, True, 0, 1, source, words)


def _amount(
    name: str, group: str, unit: str, better: bool | None, definition: str, source: str = "", *, words: str = ""
) -> Metric:
    return Metric(name, group, unit, definition, better, 0, inf, source, words)


def _change(name: str, unit: str, low: float, definition: str) -> Metric:
    return Metric(name, "volume", unit, definition, None, low, inf, words="volume difference")


def _event(name: str, definition: str) -> Metric:
    return Metric(name, "presence", "", definition, False, 0, 1)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _ratio("dice", "overlap", "2 TP / (2 TP + FP + FN).", "Dice 1945", words="Dice"),
        _ratio("f1", "overlap", "The same number as dice, by its other name.", "van Rijsbergen 1979", words="F1"),
        _ratio("jaccard", "overlap", "TP / (TP + FP + FN), also IoU.", "Jaccard 1912", words="Jaccard"),
        _ratio("recall", "overlap", "TP / (TP + FN), also TPR or sensitivity."),
        _ratio("precision", "overlap", "TP / (TP + FP); 0 when the structure is missed."),
        _ratio("specificity", "overlap", "TN / (TN + FP), over the whole image."),
        _ratio("accuracy", "overlap", "(TP + TN) / (TP + FP + FN + TN), over the whole image."),
        _ratio(
            "accuracy_foreground",
            "overlap",
            "Share of voxels right about this structure, where reference or prediction holds any labelled structure.",
        ),
        _amount("tp", "overlap", "voxels", True, "Voxels of the structure in reference and prediction."),
        _amount("fp", "overlap", "voxels", False, "Voxels of the structure in the prediction only."),
        _amount("fn", "overlap", "voxels", False, "Voxels of the structure in the reference only."),
        _amount("tn", "overlap", "voxels", True, "Voxels of the image in neither."),
        _amount("volume_ml", "volume", "mL", None, "Predicted volume.", words="predicted volume"),
        _amount("reference_ml", "volume", "mL", None, "Volume in the reference.", words="reference volume"),
        _change("volume_difference_ml", "mL", -inf, "Predicted minus reference volume."),
        _change("volume_difference_percent", "%", -100, "Predicted minus reference volume, share of the reference."),
        _amount(
            *("msd_mm", "surface", "mm", False),
            "Mean surface distance (ASSD): mean over the border voxels of both masks of the distance to the other's.",
            "Heimann et al. 2009, IEEE Trans Med Imaging 28:1251",
            words="mean surface distance",
        ),
        _amount(
            *("hd95_mm", "surface", "mm", False),
            "Hausdorff distance, 95 %: the larger of the two directed 95th percentiles of border voxel distances.",
            "Huttenlocher et al. 1993, IEEE Trans Pattern Anal Mach Intell 15:850, with percentiles for maxima",
            words="95 % Hausdorff distance",
        ),
        _ratio(
            "nsd",
            "surface",
            "Surface Dice by count: share of the border voxels of both masks within the tolerance of the other's.",
            f"{_NIKOLOV}, border voxels for surface elements",
            words="surface Dice",
        ),
        _ratio(
            "nsd_area",
            "surface area",
            "Surface Dice by area: share of the marching-cubes surface of both within the tolerance of the other's.",
            _NIKOLOV,
            words="surface Dice by area",
        ),
        _ratio(
            "lesion_sensitivity",
            "lesions",
            "Share of the lesions (fully connected components) of the reference that the prediction touches.",
        ),
        _amount(
            *("false_positive_lesions", "lesions", "lesions", False),
            "Predicted lesions (fully connected components) that touch no voxel of the reference.",
        ),
        _event("missed", "1 when the reference contains the structure and nothing is predicted, else 0."),
        _event("false_positive", "1 when the structure is predicted but not in the reference, else 0."),
        _amount(
            *("false_positive_ml", "presence", "mL", False),
            "Predicted volume where the reference has none.",
            words="false positive volume",
        ),
    )
}
"""Every metric by name. Those of the group `presence` are always given, where they apply."""

DEFAULT_METRICS = (
    *("dice", "jaccard", "recall", "precision"),
    *("volume_ml", "reference_ml", "msd_mm", "hd95_mm", "nsd"),
)
"""What a study scores unless told otherwise."""


def metric_name(metric: str) -> str:
    """A metric as it is called in a sentence; any other name with spaces."""
    known = METRICS.get(metric)
    return (known.words if known else "") or metric.replace("_", " ")


def metric_words(metric: str) -> str:
    """A metric with its unit, as on an axis."""
    known = METRICS.get(metric)
    return f"{metric_name(metric)}, {known.unit}" if known and known.unit else metric_name(metric)
