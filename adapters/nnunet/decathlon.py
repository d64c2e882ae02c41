"""Medical Segmentation Decathlon tasks in nnU-Net layout, by nnU-Net's own converter."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError
from ..files import check_new, read_json, storage_errors, write_json
from . import require_nnunet
from .environment import environment, output_to

FOLDERS = ("imagesTr", "labelsTr")
TASK = "Task001_Decathlon"
"""What the converter gets to see the task as; it reads a number and a name from the folder's name."""
CHUNK = 1 << 24
"""Bytes read at once."""


def convert_decathlon(source: Path, target: Path) -> Path:
    """Convert a task of the Medical Segmentation Decathlon, whatever its folder is called.

    Images of several channels (4D files) become one file per channel; macOS's "._" files are skipped. Everything is
    made in a private folder beside `target` and then renamed; the source and the user's own nnU-Net folders are not
    touched. The converter starts a process of its own: a script that calls this needs the guard
    `if __name__ == "__main__":`.

    Args:
        source: Task folder with `imagesTr`, `labelsTr` and `dataset.json`; `imagesTs` may be missing.
        target: The dataset folder to make: new or empty.

    Returns:
        `target`.

    Raises:
        InputError: nnU-Net is not installed, `source` is no task folder, an image cannot be read, or something is
            in `target` already.
        StorageError: `target` cannot be written.
    """
    require_nnunet()
    source, target = source.expanduser().resolve(), target.expanduser().absolute()
    declared = _read_task(source)
    check_new(target)
    with storage_errors(nearest_folder(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        private = Path(tempfile.mkdtemp(dir=target.parent, prefix=".converting-"))
        try:
            task = _stage(source, declared, private)
            made = _convert(task, private, source)
            if target.exists():
                target.rmdir()
            os.replace(made, target)
        finally:
            shutil.rmtree(private, ignore_errors=True)
    return target


def nearest_folder(path: Path) -> Path:
    """The lowest folder above a path that exists.

    Raises:
        InputError: There is a file where a folder is needed.
    """
    above = next(place for place in path.parents if place.exists())
    if not above.is_dir():
        raise InputError(f"{path}: cannot be made, because {above} is a file. Choose another name.")
    return above


def _read_task(source: Path) -> dict[str, Any]:
    """The `dataset.json` of a task folder, checked."""
    if not source.is_dir():
        raise InputError(f"{source}: must be the folder of a Decathlon task, found no such folder. Check the path.")
    path = source / "dataset.json"
    if not path.is_file():
        raise InputError(f"{source}: must hold the dataset.json of a Decathlon task, found none. Check the path.")
    declared: dict[str, Any] = read_json(path)
    if isinstance(declared, dict) and "channel_names" in declared:
        raise InputError(f"{source}: is an nnU-Net v2 dataset already and needs no conversion. Use it as it is.")
    for key in ("modality", "labels"):
        if not isinstance(declared, dict) or not isinstance(declared.get(key), dict) or not declared[key]:
            raise InputError(f"{path}: {key!r} must map numbers to names, as in a Decathlon task, found none.")
        wrong = [name for name in declared[key] if not name.isdecimal()]
        if wrong:
            raise InputError(f"{path}: {key!r} must map numbers to names, as in a Decathlon task, found {wrong[0]!r}.")
    names = list(declared["labels"].values())
    again = [name for i, name in enumerate(names) if name in names[:i]]
    if again:
        raise InputError(f"{path}: every label must have its own name, found {again[0]!r} twice. Rename one.")
    _check_files(source)
    return declared


def _check_files(source: Path) -> None:
    """Every case must have an image and a label, and every file must be whole."""
    images, labels = ({path.name for path in (source / name).glob("[!._]*.nii.gz")} for name in FOLDERS)
    if not images:
        raise InputError(f"{source / FOLDERS[0]}: must hold the .nii.gz images of a Decathlon task, found none.")
    alone = sorted(images ^ labels)
    if alone:
        lacking = FOLDERS[1] if alone[0] in images else FOLDERS[0]
        raise InputError(
            f"{source}: every case must have an image and a label, found no {lacking}/{alone[0]} "
            f"({len(alone)} missing in all). Add it, or remove its partner."
        )
    for path in sorted(source.glob("*/[!._]*.nii.gz")):
        _check_whole(path)


def _check_whole(path: Path) -> None:
    """ITK takes what a truncated file lacks for 0 without a word; the end of a gzip stream tells."""
    try:
        with gzip.open(path) as stream:
            while stream.read(CHUNK):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: must be a whole .nii.gz file, found: {error}. Restore the file.") from error


def _stage(source: Path, declared: dict[str, Any], private: Path) -> Path:
    """A task folder that the converter accepts: well named, with `imagesTs` and all the keys that it removes."""
    task = private / TASK
    task.mkdir()
    for name in (*FOLDERS, "imagesTs"):
        if (source / name).is_dir():
            _link(task / name, source / name)
        else:
            (task / name).mkdir()
    write_json(task / "dataset.json", {"training": [], "test": [], **declared})
    return task


def _link(link: Path, folder: Path) -> None:
    try:
        link.symlink_to(folder, target_is_directory=True)
    except OSError:  # Windows lets few users make links
        shutil.copytree(folder, link)


def _convert(task: Path, private: Path, source: Path) -> Path:
    """Run nnU-Net's converter with its folders inside `private`; returns the dataset."""
    wanted = {f"nnUNet_{name}": str(private / name) for name in ("raw", "preprocessed", "results")}
    with environment(wanted), output_to(private / "log.txt"):
        from nnunetv2.dataset_conversion.convert_MSD_dataset import convert_msd_dataset

        try:
            convert_msd_dataset(str(task), num_processes=1)
        except RuntimeError as error:  # ITK on a file that it cannot read, nnU-Net on one that is neither 3D nor 4D
            reason = " ".join(str(error).split()).replace(str(task), str(source))
            raise InputError(f"{source}: cannot be converted: {reason}. Restore the file named.") from error
    (made,) = (private / "raw").iterdir()
    return made
