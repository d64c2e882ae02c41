"""P5, renal masses: what precision, recall, F1 and accuracy say of each other.

python studies/papers/p5_renal_masses/pooled.py prints the tables.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from published import Fact, Row, fact, main, protocols_table, table

CLASSES = ("kidney", "solid", "cyst")
METRICS = ("accuracy", "precision", "recall", "F1")
HERE = "python studies/papers/p5_renal_masses/pooled.py"
POOLED = "dicecast forecast STUDY --pooled --metric"
REDUCED = {"kidney": "kidney", "solid": "tumour", "cyst": "cyst"}
"""The phantom's structures beside the paper's classes."""


def printed(name: str, metric: str) -> Fact:
    return fact("P5", name, metric)


def share(name: str, metric: str) -> float:
    return printed(name, metric).value / 100


def f1(precision: Any, recall: Any) -> Any:
    """2 P R / (P + R)."""
    return 2 * precision * recall / (precision + recall)


def f1_range(name: str) -> tuple[float, float]:
    """F1 within the rounding of precision and recall, in percent."""
    p, r = printed(name, "precision").ends, printed(name, "recall").ends
    return f1(p[0], r[0]), f1(p[1], r[1])


def spread(name: str, drop: float) -> float:
    """SD over folds, of precision and recall in opposite directions, that lowers the mean F1 by `drop`.

    To second order the mean of F1 lies `2 Var(R p - P r) / (P + R)^3` below the F1 of the means, p and r being the
    deviations; with p = -r the variance is (P + R)^2 SD^2.
    """
    both = share(name, "precision") + share(name, "recall")
    return float(np.sqrt(max(drop, 0) * both / 2))


def prevalence(name: str, accuracy: Any, precision: Any, recall: Any) -> Any:
    """Share of the counted voxels that the reference gives to the class.

    1 - accuracy = (FP + FN) / voxels = prevalence [(1 - R) + R (1 - P) / P].
    """
    return (1 - accuracy) / ((1 - recall) + recall * (1 - precision) / precision)


def drawn(name: str, metric: str) -> np.ndarray:
    """Within the rounding of what was printed, as shares."""
    seed = [CLASSES.index(name), METRICS.index(metric)]
    return printed(name, metric).draws(np.random.default_rng(seed)) / 100


def counted() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Prevalence, false positives and false negatives of every class as shares of the counted voxels."""
    found = {}
    for name in CLASSES:
        precision, recall = drawn(name, "precision"), drawn(name, "recall")
        part = prevalence(name, drawn(name, "accuracy"), precision, recall)
        found[name] = part, part * recall * (1 - precision) / precision, part * (1 - recall)
    return found


def f1_table() -> str:
    rows = []
    for name in CLASSES:
        lo, hi = f1_range(name)
        drop = (lo + hi) / 2 - printed(name, "F1").value
        most = (hi - printed(name, "F1").ends[0]) / 100
        rows.append(
            [
                name,
                *(printed(name, metric).text for metric in ("precision", "recall")),
                f"{lo:.2f} to {hi:.2f}",
                *(printed(name, "F1").text, f"{drop:.2f}", f"{100 * spread(name, most):.1f}"),
            ]
        )
    header = ["class", "precision", "recall", "their F1 (pooled voxels)", "printed F1", "difference"]
    return table([*header, "SD over folds that allows it, at most"], rows)


def average_table() -> str:
    rows = []
    for metric in METRICS:
        mean = np.mean([printed(name, metric).value for name in CLASSES])
        rows.append([metric, f"{mean:.2f}", printed("average", metric).text])
    both = f1(printed("average", "precision").value, printed("average", "recall").value)
    rows.append(["F1 of the average precision and recall", f"{both:.2f}", printed("average", "F1").text])
    return table(["metric", "mean of the three classes", "printed average"], rows)


def prevalence_table() -> str:
    found = counted()
    rows = [[name, *(_range(values) for values in parts)] for name, parts in found.items()]
    totals = [_range(sum(parts[i] for parts in found.values())) for i in range(3)]
    rows.append(["all three", *totals])
    rest = 1 - sum(parts[0] for parts in found.values())
    rows.append(["none of the three: background", _range(rest), "", ""])
    either = sum(parts[0] + parts[1] for parts in found.values())
    rows.append(["a class in reference or prediction, at most", _range(either), "", ""])
    return table(["class", "share of the counted voxels", "false positives", "false negatives"], rows)


def _range(values: Any) -> str:
    return f"{100 * values.min():.1f} to {100 * values.max():.1f} %"


def whole_image_table() -> str:
    """Accuracy if the class were a small part of a whole image."""
    rows = []
    for name in CLASSES:
        error = prevalence(name, 0.0, share(name, "precision"), share(name, "recall")) ** -1
        rows.append(
            [name, *(f"{100 * (1 - part * error):.2f}" for part in (0.01, 0.1)), printed(name, "accuracy").text]
        )
    header = ["class", "accuracy if it fills 1 % of the counted voxels", "if 10 %", "printed"]
    return table(header, rows)


def reduced_runs() -> dict[str, list[float]]:
    """F1, precision, recall, accuracy of the reduced run, each per case and pooled, from its table."""
    return {name: [float(cell) for cell in cells] for name, cells in protocols_table("| | F1 | pooled |").items()}


def reduced_table() -> str:
    rows = []
    for name, (case_f1, pooled_f1, case_p, pooled_p, case_r, pooled_r, *_) in reduced_runs().items():
        rows.append(
            [name, f"{f1(case_p, case_r):.3f}", f"{case_f1:.3f}", f"{f1(pooled_p, pooled_r):.3f}", f"{pooled_f1:.3f}"]
        )
    header = ["structure", "F1 of mean precision and recall", "mean F1 per case", "F1 of pooled precision and recall"]
    return table([*header, "pooled F1"], rows)


def report(_: dict[str, Any]) -> str:
    parts = {
        "F1 from precision and recall": f1_table(),
        "Averages": average_table(),
        "Which voxels were counted": prevalence_table(),
        "Whole images": whole_image_table(),
        "The reduced run": reduced_table(),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def rows(_: dict[str, Any]) -> list[Row]:
    made = [row for name in CLASSES for row in _class_rows(name)]
    for metric in METRICS:
        one, mean = printed("average", metric), np.mean([printed(name, metric).value for name in CLASSES])
        agrees = "yes" if abs(mean - one.value) <= 0.01 else "no"
        made.append(Row(f"average: {metric}, %", (one,), f"{mean:.2f}: mean of the three classes", agrees, (HERE,)))
    return made


def _class_rows(name: str) -> list[Row]:
    lo, hi = f1_range(name)
    one = printed(name, "F1")
    inside = lo - one.half <= one.value <= hi + one.half
    why = "yes: as of pooled voxels" if inside else "no: not of pooled voxels; a mean over folds or cases can be lower"
    part = counted()[name][0]
    kept = dict(zip(REDUCED, reduced_runs().values(), strict=True))[name]
    both = tuple(printed(name, metric) for metric in ("precision", "recall"))
    real = f"reduced run, pooled: {100 * kept[3]:.1f} / {100 * kept[5]:.1f}"
    words = f"{name} is {_range(part)} of the counted voxels"
    left_out = "cannot be checked: no masks; the background must have been left out (`accuracy_foreground`, per case)"
    return [
        Row(f"{name}: precision / recall, %", both, real, "cannot be checked: no masks", (f"{POOLED} precision",)),
        Row(f"{name}: F1, %", (one,), f"{lo:.2f} to {hi:.2f}", why, (HERE, f"{POOLED} f1")),
        Row(
            f"{name}: accuracy, %",
            (printed(name, "accuracy"),),
            words,
            left_out,
            (HERE, "dicecast agreement STUDY"),
        ),
    ]


if __name__ == "__main__":
    main(__file__, None, report, None)
