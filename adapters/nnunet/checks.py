"""Looking into every image and label of a dataset before anything is trained on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...forecast.errors import InputError
from .dataset import CaseFiles, NnunetDataset
from .image_files import check_nifti, read_file


@dataclass(frozen=True)
class CaseFacts:
    """What a look into one case found."""

    case: str
    digest: str
    """Hash of the voxel values of all channels: equal images have equal digests."""
    has_foreground: bool
    voxels: int
    """Voxels of one channel."""
    warnings: tuple[str, ...]


def check_cases(dataset: NnunetDataset, cases: Iterable[str]) -> Iterator[CaseFacts]:
    """Open the images and labels of cases, one after another.

    Raises:
        InputError: An unreadable file, NaN or a constant image, a label of another shape or with
            undeclared values.
    """
    reader = image_reader(dataset)
    for case in cases:
        yield _check_case(case, dataset.cases[case], dataset, reader)


def image_reader(dataset: NnunetDataset) -> Any:
    """nnU-Net's reader-writer for this dataset.

    Raises:
        InputError: nnU-Net has none for this file ending.
    """
    try:
        return reader_of(dataset.declared)
    except RuntimeError as error:
        raise InputError(
            f"{dataset.folder / 'dataset.json'}: nnU-Net reads no files ending in {dataset.declared['file_ending']!r}. "
            "Correct file_ending or overwrite_image_reader_writer."
        ) from error


def reader_of(declared: Mapping[str, Any]) -> Any:
    """nnU-Net's reader-writer for the file ending that a `dataset.json` declares."""
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    return determine_reader_writer_from_dataset_json(dict(declared), verbose=False)()


def _check_case(case: str, files: CaseFiles, dataset: NnunetDataset, reader: Any) -> CaseFacts:
    notes = [f"{path}: {words}." for path in (*files.images, files.label) for words in check_nifti(path)]
    images, about_image = read_file(lambda: reader.read_images([str(p) for p in files.images]), files.images[0])
    label, about_label = read_file(lambda: reader.read_seg(str(files.label)), files.label)
    for path, about in ((files.images[0], about_image), (files.label, about_label)):
        _check_spacing(about["spacing"], path)
    if len(images) != len(dataset.declared["channel_names"]):
        raise InputError(
            f"{files.images[0]}: must hold the channel(s) declared in dataset.json "
            f"({len(dataset.declared['channel_names'])}), found {len(images)}. Correct channel_names or the image."
        )
    for channel, image in enumerate(images):
        path = files.images[channel if len(files.images) == len(images) else 0]
        if not np.all(np.isfinite(image)):
            raise InputError(f"{path}: every voxel must be a number, found NaN or infinity. Repair or remove the case.")
        if image.min() == image.max():
            raise InputError(
                f"{path}: the image must vary, but channel {channel} is {image.min():g} everywhere. "
                "Repair or remove the case."
            )
    if images.shape[1:] != label.shape[1:]:
        raise InputError(
            f"{files.label}: image and label must have the same shape, found {images.shape[1:]} and "
            f"{label.shape[1:]} (axes as nnU-Net reads them). Resample the label."
        )
    if not np.all(np.isfinite(label)):
        raise InputError(f"{files.label}: every voxel must be a number, found NaN or infinity. Repair the label.")
    values = {int(v) for v in np.unique(label)}
    unknown = sorted(values - dataset.label_values)
    if unknown or np.any(label != np.round(label)):
        shown = unknown[0] if unknown else "fractions"
        raise InputError(
            f"{files.label}: label values must be those declared in dataset.json {sorted(dataset.label_values)}, "
            f"found {shown}. Correct the label or declare the value."
        )
    foreground = values - {0, dataset.ignore_label}
    digest = hashlib.sha256(np.ascontiguousarray(images).tobytes() + str(images.shape).encode()).hexdigest()[:16]
    return CaseFacts(
        case,
        digest,
        bool(foreground),
        int(label.size),
        (*notes, *_geometry_warnings(files, about_image, about_label)),
    )


def _check_spacing(spacing: Sequence[float], path: Path) -> None:
    if not all(0 < float(one) < np.inf for one in spacing):
        raise InputError(
            f"{path}: voxel sizes must be numbers > 0, found {tuple(map(float, spacing))}. Correct the header."
        )


def _geometry_warnings(files: CaseFiles, image: Mapping[str, Any], label: Mapping[str, Any]) -> Iterator[str]:
    if not np.allclose(image["spacing"], label["spacing"], rtol=1e-3):
        yield (
            f"{files.label}: spacing {tuple(np.round(label['spacing'], 4))} differs from the image's "
            f"{tuple(np.round(image['spacing'], 4))}; nnU-Net uses the image's."
        )
    for library in ("sitk_stuff", "nibabel_stuff"):
        for key, found in label.get(library, {}).items():
            expected = image.get(library, {}).get(key)
            comparable = key != "spacing" and expected is not None and np.shape(expected) == np.shape(found)
            if comparable and not np.allclose(np.asarray(expected, float), np.asarray(found, float), atol=1e-3):
                yield f"{files.label}: {key} differs from the image's; nnU-Net ignores the label's."


def shared_image(digest: Mapping[str, str], others: Mapping[str, str]) -> tuple[str, str] | None:
    """The first case that has the image of one of others, and that one; digests by case."""
    owner = {one: case for case, one in others.items()}
    return next(((case, owner[one]) for case, one in digest.items() if one in owner), None)


def refuse_shared(
    test: Iterable[str], pool: Iterable[str], patient: Mapping[str, str], digest: Mapping[str, str]
) -> None:
    """Refuse a test case that is also trained on.

    Args:
        test: Case ids of the test set.
        pool: Case ids that may be trained on.
        patient: Patient of every case.
        digest: Digest of every case that was looked into.

    Raises:
        InputError: The same id, the same patient or the same image on both sides.
    """
    test, pool = list(test), list(pool)
    both = sorted(set(test) & set(pool))
    if both:
        raise InputError(
            f"case {both[0]!r} is in the pool and in the test set: it must be in one of them. Remove it from one."
        )
    for what, keys, remedy in (
        ("patient", patient, "Put all cases of a patient on one side."),
        ("image", digest, "Remove the copy, or give both cases the same patient in the cases table (--cases)."),
    ):
        owner = {keys[case]: case for case in test if case in keys}
        for case in pool:
            if case in keys and keys[case] in owner:
                raise InputError(
                    f"case {case!r} in the pool and case {owner[keys[case]]!r} in the test set are the same {what} "
                    f"({keys[case]}): a test case must never be trained on. {remedy}"
                )
