"""The methods paragraph and what it cites, ready for a paper."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from ... import __version__
from ...forecast.forecast import HORIZON
from ...forecast.prior import AVERAGE
from ...forecast.words import level_words
from ..answer import Answer
from ..protocol import protocol_words
from ..run_folders import completed_runs
from ..study import Study

LIBRARIES = ("emcee", "lmfit", "numpy", "scipy")
"""Whose versions a forecast depends on."""
CITATIONS = {
    "nnU-Net": "Isensee F, et al. nnU-Net: a self-configuring method for deep learning-based biomedical image "
    "segmentation. Nat Methods 2021;18:203-211. doi:10.1038/s41592-020-01008-z",
    "exponential plateau": "Gottlich HC, et al. Effect of dataset size and medical image modality on convolutional "
    "neural network model performance for automated segmentation. J Digit Imaging 2023. "
    "doi:10.1007/s10278-023-00804-1",
    "learning curves": "Viering T, Loog M. The shape of learning curves: a review. IEEE Trans Pattern Anal Mach Intell "
    "2023. doi:10.1109/TPAMI.2022.3220744",
    "emcee": "Foreman-Mackey D, et al. emcee: the MCMC hammer. Publ Astron Soc Pac 2013;125:306-312. "
    "doi:10.1086/670067",
    "limits of agreement": "Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of "
    "clinical measurement. Lancet 1986;327:307-310. doi:10.1016/S0140-6736(86)90837-8",
}


def methods_words(answer: Answer) -> str:
    """How every number of the page came about: pilots, curves, posterior, decision, versions and seeds."""
    return " ".join([*_pilots(answer), *_curves(answer), *_versions(answer)])


def citations(answer: Answer) -> list[str]:
    """What the methods paragraph rests on."""
    wanted = ["exponential plateau", "learning curves", *["emcee"] * _sampled(answer)]
    wanted = ["nnU-Net", *wanted] if answer.round is not None else wanted
    return [CITATIONS[name] for name in [*wanted, *["limits of agreement"] * bool(answer.agreements)]]


def _sampled(answer: Answer) -> bool:
    """Whether the named model of the curve that decides was sampled by MCMC."""
    posterior = answer.deciding.posterior
    return posterior is not None and posterior.diagnostics.tau is not None


def _pilots(answer: Answer) -> Iterator[str]:
    study = answer.source.study
    if study is None:
        yield "Scores were read from finished results; how the networks were trained is not recorded in them."
        return
    runs, sizes = len(completed_runs(study)), sorted({int(n) for one in answer.forecasts for n in one.curve.sizes})
    yield (
        f"Networks were trained on nested random subsets of {', '.join(map(str, sizes))} annotated cases ({runs} pilot "
        f"trainings; {protocol_words(study)}) and scored on {len(study.test)} test cases that no training saw."
    )


def _curves(answer: Answer) -> Iterator[str]:
    forecast = answer.deciding
    question, level = answer.source.question, level_words(answer.source.question.level)
    metric = forecast.curve.metric
    sampled = "Markov chain Monte Carlo (emcee)" if _sampled(answer) else "quadrature"
    yield (
        f"Mean {metric} by number of annotated cases was modelled by the exponential plateau D(n) = DM - (DM - D0) "
        f"exp(-k n), fitted by least squares (lmfit) and by {sampled}."
    )
    if forecast.expected is not None and question.model == AVERAGE:
        names = ", ".join(family.name for family in forecast.expected.families)
        yield (
            f"Forecasts are averages of the families {names}, weighted by their marginal likelihood (by quadrature) "
            f"under the prior {forecast.expected.prior}; noise of training and of the choice of cases was estimated "
            f"from the {forecast.expected.noise_source}."
        )
    elif forecast.expected is not None:
        yield f"Forecasts are those of the family {question.model} alone."
    yield (
        f"Intervals are equal-tailed {level} posterior intervals"
        + {"test-set": " of the mean on this test set", "population": " of the mean over all patients"}[question.scope]
        + f"; the plateau size n* is the smallest n with DM - D(n) <= {question.eps:g}. The horizon of the pilots was "
        f"{forecast.horizon} cases ({HORIZON} times the largest subset)."
    )


def _versions(answer: Answer) -> Iterator[str]:
    here = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    yield f"Computed with dicecast {__version__} ({here}), seed {answer.source.question.seed}."
    study = answer.source.study
    if study is not None:
        made = _training_versions(study)
        if made:
            yield f"Trainings: {'; '.join(made)}; seed {study.settings.study.seed}."


def _training_versions(study: Study) -> list[str]:
    """Versions and device of the runs, each combination once."""
    found: dict[str, None] = {}
    for run in completed_runs(study):
        record: dict[str, Any] = run.record
        versions = record.get("versions", {})
        names = [f"{name} {versions[name]}" for name in ("nnunetv2", "torch") if name in versions]
        found[", ".join([*names, *([f"on {record['device']}"] if record.get("device") else [])])] = None
    return [words for words in found if words]
