"""Example data from the network: the hippocampus task of the Medical Segmentation Decathlon.

260 annotated hippocampi (anterior and posterior part) of T1-weighted MRI from Vanderbilt University Medical Center,
published by Simpson et al., "A large annotated medical image dataset for the development and evaluation of
segmentation algorithms", arXiv 1902.09063, under CC BY-SA 4.0. Nothing of it is part of this package.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...forecast.errors import InputError, WorkError, install_words
from ..files import REFUSED, check_new, storage_errors
from ..nnunet import require_nnunet
from ..nnunet.decathlon import convert_decathlon, nearest_folder

URL = "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar"
"""The Decathlon's public mirror on AWS; 27 MB."""
MD5 = "9d24dba78a72977dbd1d2e110310f31b"
"""Checksum of that file."""
NOTICE = (
    "Hippocampus data of the Medical Segmentation Decathlon (http://medicaldecathlon.com; Simpson et al., arXiv "
    "1902.09063), licence CC BY-SA 4.0: name the source, and share what you derive from it under the same licence."
)
"""To be shown to whoever fetches the data."""
CHUNK = 1 << 16
"""Bytes received at once."""


def fetch_hippocampus(
    folder: Path, *, archive: Path | None = None, url: str = URL, md5: str = MD5, progress: bool = True
) -> Path:
    """Download the hippocampus task of the Medical Segmentation Decathlon and convert it to nnU-Net layout.

    The data are under CC BY-SA 4.0 (arXiv 1902.09063); show `NOTICE` to the user. Nothing is left behind when this
    fails or is interrupted. The converter starts a process of its own, see `convert_decathlon`.

    Args:
        folder: The dataset folder to make: new or empty.
        archive: The file, when it was downloaded by other means; its checksum must be the same.
        url: Where the tar file is.
        md5: Checksum of the tar file.
        progress: Show a progress bar on stderr.

    Returns:
        `folder`.

    Raises:
        InputError: `folder` is not empty, a package is missing, or `archive` is not the file it must be.
        StorageError: `folder` cannot be written.
        WorkError: The download failed, or something else arrived.
    """
    folder = folder.expanduser().absolute()
    check_new(folder)
    require_nnunet()
    if archive is None:
        _require_pooch()
    else:
        archive = archive.expanduser()
        _check_archive(archive, url, md5)
    with storage_errors(nearest_folder(folder)), _private_folder(folder) as private:
        source = _download(url, md5, private, progress) if archive is None else archive
        return convert_decathlon(_unpack(source, private / "unpacked"), folder)


@contextmanager
def _private_folder(beside: Path) -> Iterator[Path]:
    """A folder of one's own on the same disk, removed in the end."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(dir=beside.parent, prefix=".fetching-"))
    try:
        yield private
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _require_pooch() -> None:
    try:
        import pooch  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"downloading needs pooch, which is not installed here. Install it {install_words('examples')}; or "
            "download the file yourself and give it as the archive."
        ) from error


def _check_archive(archive: Path, url: str, md5: str) -> None:
    try:
        with archive.open("rb") as stream:
            found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise InputError(f"{archive}: cannot be read: {error.strerror}. Check the path.") from error
    if found != md5.lower():
        raise InputError(
            f"{archive}: must be the file {url} with MD5 checksum {md5}, found {found}. Download it again."
        )


def _download(url: str, md5: str, private: Path, progress: bool) -> Path:
    """Fetch the tar file; pooch checks its checksum."""
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=CHUNK)
    instead = "Try again, or download that file by other means and give it as the archive."
    try:
        return Path(pooch.retrieve(url, f"md5:{md5}", "archive.tar", private, downloader=downloader))
    except ValueError as error:
        raise WorkError(
            f"{url}: the file that arrived has not the MD5 checksum {md5}; it is incomplete or another one. {instead}"
        ) from error
    except OSError as error:
        if error.errno in REFUSED:
            raise
        response = getattr(error, "response", None)
        if response is not None:
            response.close()  # pooch leaves the connection of a refused request open
        raise WorkError(f"{url}: the download failed ({_reason(error)}). {instead}") from error


def _reason(error: BaseException) -> str:
    """What went wrong in the first place, without the layers that passed it on."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error) or type(error).__name__).splitlines()[0]


def _unpack(archive: Path, target: Path) -> Path:
    """Unpack a tar file, nothing outside `target`; returns the folder that holds `dataset.json`."""
    if not hasattr(tarfile, "data_filter"):
        raise InputError(f"unpacking needs Python >= 3.11.4, found {sys.version.split()[0]}.")
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    except tarfile.TarError as error:
        raise WorkError(f"{archive.name}: cannot be unpacked safely: {_reason(error)}. Nothing was kept.") from error
    tasks = sorted(path.parent for path in target.glob("*/dataset.json"))
    if len(tasks) != 1:
        raise WorkError(f"{archive.name}: must hold one folder with a dataset.json, found {len(tasks)}.")
    return tasks[0]
