"""Fetching an example: from a server of this test's own, whatever goes wrong with it."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from dicecast.adapters.examples.download import MD5, NOTICE, URL, fetch_hippocampus
from dicecast.adapters.nnunet.dataset import read_dataset
from dicecast.forecast.errors import InputError, StorageError, WorkError

pytestmark = pytest.mark.usefixtures("nnunet")
Unchanged = Callable[[Path], Any]


class Handler(BaseHTTPRequestHandler):
    """Serves `content` at /task.tar, cut short at /cut.tar, and nothing else."""

    content: ClassVar[bytes]

    def do_GET(self) -> None:
        if self.path not in ("/task.tar", "/cut.tar"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // (1 if self.path == "/task.tar" else 2)])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], str]]:
    """serve(content): the address of a server that has it."""
    monkeypatch.setenv("NO_PROXY", "*")
    servers = []

    def start(content: bytes) -> str:
        handler = type("Serving", (Handler,), {"content": content})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def task(tmp_path_factory: pytest.TempPathFactory, write_image: Callable[..., None]) -> bytes:
    """A tar file as the Decathlon's: one task folder, and what macOS puts beside it."""
    folder = tmp_path_factory.mktemp("task") / "Task04_Hippocampus"
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True)
    for number in range(2):
        pixels = np.random.default_rng(number).normal(size=(4, 6, 8)).astype(np.float32)
        write_image(folder / "imagesTr" / f"hippocampus_{number:03d}.nii.gz", pixels)
        write_image(folder / "labelsTr" / f"hippocampus_{number:03d}.nii.gz", (pixels > 1).astype(np.uint8))
    (folder / "imagesTr" / "._hippocampus_000.nii.gz").write_bytes(b"not an image")
    declared = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "Anterior"}, "training": [], "test": []}
    (folder / "dataset.json").write_text(json.dumps(declared), encoding="utf-8")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        extra = tarfile.TarInfo("._Task04_Hippocampus")
        extra.size = 4
        tar.addfile(extra, io.BytesIO(b"\0\5\x16\7"))
        tar.add(folder, folder.name)
    return packed.getvalue()


def test_a_task_is_downloaded_checked_and_converted(
    tmp_path: Path, serve: Callable[[bytes], str], task: bytes, nnunet: None, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "hippocampus"
    url = serve(task) + "/task.tar"
    assert fetch_hippocampus(folder, url=url, md5=md5(task)) == folder
    dataset = read_dataset(folder)
    assert list(dataset.cases) == ["hippocampus_000", "hippocampus_001"]
    assert dict(dataset.structures) == {"Anterior": 1}
    assert os.listdir(folder.parent) == ["hippocampus"]
    said = capfd.readouterr()
    assert said.out == "" and "100%" in said.err and str(tmp_path) not in said.err


def test_an_archive_at_hand_needs_neither_network_nor_pooch(
    tmp_path: Path, task: bytes, nnunet: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    archive = tmp_path / "my.tar"
    archive.write_bytes(task)
    folder = fetch_hippocampus(tmp_path / "hippocampus", archive=archive, md5=md5(task).upper())
    assert len(read_dataset(folder).cases) == 2
    assert archive.read_bytes() == task
    assert sorted(os.listdir(tmp_path)) == ["hippocampus", "my.tar"]
    assert capfd.readouterr() == ("", "")


def test_an_archive_with_another_checksum_is_refused_naming_both(
    tmp_path: Path, task: bytes, unchanged: Unchanged
) -> None:
    archive = tmp_path / "my.tar"
    archive.write_bytes(task)
    with unchanged(tmp_path):
        with pytest.raises(InputError) as caught:
            fetch_hippocampus(tmp_path / "hippocampus", archive=archive)
        with pytest.raises(InputError, match=r"gone\.tar: cannot be read: No such file"):
            fetch_hippocampus(tmp_path / "hippocampus", archive=tmp_path / "gone.tar")
    assert all(word in str(caught.value) for word in (str(archive), URL, MD5, md5(task)))


@pytest.mark.parametrize(
    ("path", "checksum", "words"),
    [
        ("/nowhere.tar", None, ["the download failed", "404"]),
        ("/cut.tar", None, ["the download failed"]),
        ("/task.tar", "0" * 32, ["has not the MD5 checksum " + "0" * 32]),
    ],
)
def test_a_failed_download_is_explained_and_leaves_nothing_behind(
    tmp_path: Path,
    serve: Callable[[bytes], str],
    task: bytes,
    unchanged: Unchanged,
    path: str,
    checksum: str | None,
    words: list[str],
) -> None:
    url = serve(task) + path
    with unchanged(tmp_path), pytest.raises(WorkError) as caught:
        fetch_hippocampus(tmp_path / "hippocampus", url=url, md5=checksum or md5(task), progress=False)
    message = str(caught.value)
    assert message.startswith(url) and "give it as the archive" in message, message
    assert not [word for word in words if word not in message], message


def test_without_network_the_address_is_named(
    tmp_path: Path, unchanged: Unchanged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/task.tar"  # nobody listens there once it is closed
    with unchanged(tmp_path), pytest.raises(WorkError, match="the download failed") as caught:
        fetch_hippocampus(tmp_path / "hippocampus", url=url, progress=False)
    assert url in str(caught.value)


def test_a_full_disk_is_a_matter_of_storage(
    tmp_path: Path, unchanged: Unchanged, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch

    def fail(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with unchanged(tmp_path), pytest.raises(StorageError, match="the disk is full"):
        fetch_hippocampus(tmp_path / "hippocampus", url="http://127.0.0.1/task.tar", progress=False)


def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, unchanged: Unchanged, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch

    def interrupt(_: object, __: object, name: str, folder: Path, **___: object) -> str:
        (folder / name).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch, "retrieve", interrupt)
    with unchanged(tmp_path), pytest.raises(KeyboardInterrupt):
        fetch_hippocampus(tmp_path / "hippocampus", url="http://127.0.0.1/task.tar", progress=False)


def test_without_pooch_the_extra_is_named(
    tmp_path: Path, unchanged: Unchanged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with unchanged(tmp_path), pytest.raises(InputError, match=r"pip install -c constraints.txt -e '.\[examples\]'"):
        fetch_hippocampus(tmp_path / "hippocampus")


def test_a_folder_in_use_is_refused_before_anything_is_asked_of_the_network(
    tmp_path: Path, unchanged: Unchanged
) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with unchanged(tmp_path), pytest.raises(InputError, match="must be a new or empty folder"):
        fetch_hippocampus(tmp_path, url="http://127.0.0.1:9/task.tar")


def packed(*names: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed("../escaped.txt"), "cannot be unpacked safely"),
        (b"no tar file", "cannot be unpacked safely"),
        (packed("readme.txt"), "must hold one folder with a dataset.json, found 0"),
        (packed("a/dataset.json", "b/dataset.json"), "found 2"),
    ],
)
def test_an_archive_of_another_kind_is_refused_and_nothing_unpacked(
    tmp_path: Path, unchanged: Unchanged, content: bytes, message: str
) -> None:
    archive = tmp_path / "my.tar"
    archive.write_bytes(content)
    with unchanged(tmp_path), pytest.raises(WorkError, match=message):
        fetch_hippocampus(tmp_path / "hippocampus", archive=archive, md5=md5(content))


def test_source_and_licence_are_stated() -> None:
    assert "CC BY-SA 4.0" in NOTICE and "1902.09063" in NOTICE
    assert "CC BY-SA 4.0" in str(fetch_hippocampus.__doc__) and "1902.09063" in str(fetch_hippocampus.__doc__)
