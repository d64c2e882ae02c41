"""The file of trained networks: small, the same bytes for the same numbers, refused when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dicecast.adapters.surrogate import weights
from dicecast.adapters.surrogate.weights import FILE, Weights, read_weights, shapes, shipped_weights, write_weights
from dicecast.forecast.errors import InputError

SHIPPED = Path(weights.__file__).parent / FILE


@pytest.fixture
def made() -> Weights:
    rng = np.random.default_rng(0)
    network = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes(4, 0).items()}
    return Weights(4, 0, (network, network), "nothing")


@pytest.fixture
def path(tmp_path: Path, made: Weights) -> Path:
    write_weights(made, tmp_path / FILE)
    return tmp_path / FILE


def test_what_is_written_is_read(path: Path, made: Weights) -> None:
    again = read_weights(path)
    assert again.hash == made.hash
    assert (again.hidden, again.configuration, len(again.networks), again.learned_from) == (4, 0, 2, "nothing")


def test_the_same_numbers_give_the_same_bytes(path: Path, made: Weights, tmp_path: Path) -> None:
    write_weights(made, tmp_path / "again.npz")
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_the_hash_sees_every_number(made: Weights) -> None:
    before = made.hash
    made.networks[1]["head.2.bias"][0] += 1e-3
    assert made.hash != before


def test_shipped_weights_are_small_and_whole() -> None:
    assert SHIPPED.stat().st_size < 2**20
    assert shipped_weights().configuration == 0


def test_absent_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no such file"):
        read_weights(tmp_path / "none.npz")


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_cut_files_are_refused(path: Path, keep: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(InputError, match="damaged"):
        read_weights(path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("format", np.array(99), "format 99"),
        ("probabilities", np.array([0.1, 0.5, 0.9]), "other probabilities"),
        ("hidden", np.array(5), "shape"),
        ("networks", np.array(3), "damaged"),
        ("networks", np.array(0), "no network"),
        ("0.head.2.bias", np.full(11, np.nan, dtype=np.float32), "not finite"),
        ("0.head.2.bias", np.zeros(11), "float32"),
        ("0.head.2.bias", np.array([None] * 11, dtype=object), "damaged"),
    ],
)
def test_what_cannot_be_is_refused(path: Path, name: str, value: np.ndarray, words: str) -> None:
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    np.savez(path, **arrays | {name: value})
    with pytest.raises(InputError, match=words):
        read_weights(path)
