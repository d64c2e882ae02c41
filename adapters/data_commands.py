"""The commands that bring data in: example datasets, Decathlon tasks, finished nnU-Net results."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from ..forecast.errors import InputError, StorageError, install_words
from .files import check_new
from .nnunet import require_nnunet
from .sources import known_words, whole_numbers
from .tables import write_csv

EXAMPLES = ("phantom", "healthy", "hippocampus")


def example(name: str, folder: Path, cases: int, seed: int, archive: Path | None) -> RenderableType:
    """Write or fetch an example dataset.

    Raises:
        InputError: An unknown example, a folder that holds something, or a missing package.
        StorageError: The folder cannot be written.
        WorkError: The download failed.
    """
    if name not in EXAMPLES:
        raise InputError(f"unknown example {name!r}: {known_words(name, EXAMPLES)}")
    if archive is not None and name != "hippocampus":
        raise InputError("--archive goes with hippocampus only.")
    if name == "hippocampus":
        from .examples.download import NOTICE, fetch_hippocampus

        require_nnunet()
        made = fetch_hippocampus(folder, archive=archive)
        return Group(Text(NOTICE, "dim"), _next_step(f"The hippocampus dataset is in {made}", made))
    if seed < 0:
        raise InputError(f"the seed must be a whole number >= 0, found {seed}.")
    if importlib.util.find_spec("SimpleITK") is None:
        raise InputError(f"writing images needs SimpleITK. Install it {install_words('nnunet')}.")
    check_new(folder)
    from .examples.phantom import write_phantom

    try:
        write_phantom(folder, cases, seed, healthy=name == "healthy")
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written: {error.strerror}. Check free space and permissions."
        ) from error
    if name == "healthy":
        words = 'extra_cases = { ratio = 3, lesions = "FOLDER", organ = "kidney", lesion = "tumour" }'
        return Text(f"Wrote {cases} healthy cases to {folder}. Blend lesions into them with, in an [[arm]]: {words}")
    return _next_step(f"Wrote {cases} cases to {folder}", folder)


def convert(source: Path, target: Path) -> RenderableType:
    """Convert a Medical Segmentation Decathlon task to nnU-Net v2 raw layout by nnU-Net's own tool."""
    from .nnunet.decathlon import convert_decathlon

    require_nnunet()
    made = convert_decathlon(source, target)
    return _next_step(f"Converted {source} to {made}", made)


def import_results(
    folders: list[Path], output: Path, sizes: str | None, arms: str | None, dataset_json: Path | None, *, force: bool
) -> RenderableType:
    """Gather the scores of finished nnU-Net results in a scores CSV."""
    from .nnunet.results import read_results

    if output.is_file() and not force:
        raise InputError(f"{output}: must be a new file, found one there. Choose another name, or give --force.")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: must be a folder to write {output.name} into, found none. Make it first.")
    numbers = whole_numbers(sizes, "n") if sizes else None
    names = [name.strip() for name in arms.split(",") if name.strip()] if arms else None
    found = read_results(folders, numbers, names, dataset_json)
    write_csv(found.scores, output)
    runs = found.scores[["arm", "test_set", "n_cases", "draw"]].drop_duplicates()
    lines = [Text(f"note: {note}", "dim") for note in found.notes]
    return Group(*lines, Text(f"Wrote {len(runs)} runs to {output}. Forecast them with: dicecast forecast {output}"))


def _next_step(done: str, dataset: Path) -> RenderableType:
    return Text(f"{done}. Start a study with: dicecast init STUDY --dataset {dataset}")
