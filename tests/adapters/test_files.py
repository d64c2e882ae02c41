"""Where files are written: through links, into devices, never half."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dicecast.adapters.files import read_bytes, write_text
from dicecast.forecast.errors import InputError, StorageError

WRITE = "import sys; from pathlib import Path; from dicecast.adapters.files import write_text; "


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "page.html", tmp_path / "page.html"
    target.parent.mkdir()
    target.write_text("old", encoding="utf-8")
    link.symlink_to(Path("elsewhere") / "page.html")
    write_text(link, "new")
    assert link.is_symlink() and target.read_text(encoding="utf-8") == "new"
    assert [path.name for path in target.parent.iterdir()] == ["page.html"]


def test_the_target_of_a_link_is_made_where_there_is_none(tmp_path: Path) -> None:
    link = tmp_path / "page.html"
    link.symlink_to(tmp_path / "later.html")
    write_text(link, "new")
    assert link.is_symlink() and (tmp_path / "later.html").read_text(encoding="utf-8") == "new"


def test_a_device_is_written_to_and_stays() -> None:
    write_text(Path("/dev/null"), "lost")
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such names")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_in_a_file_is_written_in_turn(tmp_path: Path, name: str) -> None:
    code = f"{WRITE}print('before'); write_text(Path({name!r}), 'text\\n'); print('after')"
    with (tmp_path / "said.txt").open("w", encoding="utf-8") as said:
        subprocess.run([sys.executable, "-c", code], stdout=said, check=True)
    assert (tmp_path / "said.txt").read_text(encoding="utf-8") == "before\ntext\nafter\n"
    assert [path.name for path in tmp_path.iterdir()] == ["said.txt"]


def test_a_pipe_that_nobody_reads_any_more_is_named() -> None:
    code = f"{WRITE}sys.stdin.readline(); write_text(Path('/dev/stdout'), 'x' * 100000)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None and process.stderr is not None
        process.stdout.close()
        process.stdin.write("\n")
        process.stdin.flush()
        assert "StorageError: /dev/stdout: cannot be written" in process.stderr.read().replace("dicecast.forecast.", "")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder: cannot be written"):
        write_text(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(sys.platform == "win32", reason="rights of Unix")
def test_rights_are_those_of_the_file_or_as_the_umask_has_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_text(tmp_path / "new.txt", "one")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o600
    (tmp_path / "new.txt").chmod(0o640)
    write_text(tmp_path / "new.txt", "two")
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o640


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="has no such device")
def test_a_device_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="/dev/zero: must be a file or a pipe, found a device"):
        read_bytes(Path("/dev/zero"))
