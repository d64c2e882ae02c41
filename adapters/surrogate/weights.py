"""The trained networks as a file: numbers only, with the version of its format, checked when it is read."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...forecast.errors import InputError
from .quantiles import PROBABILITIES
from .sequences import TOKEN

FILE = "weights.npz"
"""The shipped networks, package data."""
FORMAT = 1
"""Version of the file; another one is refused."""
Parameters = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Weights:
    """Networks of one shape whose quantiles are averaged."""

    hidden: int
    """Size of the LSTM's state."""
    configuration: int
    """Numbers of the configuration in every token."""
    networks: tuple[Parameters, ...]
    """Parameters of each network by name."""
    learned_from: str
    """What they were trained on, in words."""

    @property
    def hash(self) -> str:
        """Hash of every number, 16 hexadecimal digits."""
        found = hashlib.sha256(repr((FORMAT, self.hidden, self.configuration)).encode())
        for one in self.networks:
            for name in sorted(one):
                found.update(name.encode() + np.ascontiguousarray(one[name], dtype="<f4").tobytes())
        return found.hexdigest()[:16]


def shapes(hidden: int, configuration: int) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter of a network by its name."""
    token, gates = TOKEN + configuration, 4 * hidden
    return {
        "lstm.weight_ih_l0": (gates, token),
        "lstm.weight_hh_l0": (gates, hidden),
        "lstm.bias_ih_l0": (gates,),
        "lstm.bias_hh_l0": (gates,),
        "head.0.weight": (hidden, hidden + 2),
        "head.0.bias": (hidden,),
        "head.2.weight": (len(PROBABILITIES), hidden),
        "head.2.bias": (len(PROBABILITIES),),
    }


def write_weights(weights: Weights, path: Path) -> None:
    """Write networks as a NumPy archive without pickles; the same numbers give the same bytes."""
    arrays: dict[str, Any] = {
        "format": np.array(FORMAT),
        "hidden": np.array(weights.hidden),
        "configuration": np.array(weights.configuration),
        "probabilities": np.array(PROBABILITIES),
        "learned_from": np.array(weights.learned_from),
        "networks": np.array(len(weights.networks)),
    }
    for i, one in enumerate(weights.networks):
        arrays |= {f"{i}.{name}": np.asarray(one[name], dtype=np.float32) for name in sorted(one)}
    with path.open("wb") as stream:
        np.savez(stream, **arrays)


@cache
def shipped_weights() -> Weights:
    """The networks that come with the package.

    Raises:
        InputError: Their file is absent or damaged.
    """
    with resources.as_file(resources.files(__package__).joinpath(FILE)) as path:
        return read_weights(path)


def read_weights(path: Path) -> Weights:
    """Read networks.

    Raises:
        InputError: No such file, not such a file, another version of its format, or numbers that cannot be.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return _checked({name: archive[name] for name in archive.files}, path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: the LSTM needs its weights, found no such file. {_REMEDY}") from error
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: must hold the LSTM's weights, found a damaged file ({error}). {_REMEDY}") from error


_REMEDY = "Install dicecast again, or train them anew with studies/07_surrogate/train.py."


def _checked(arrays: Mapping[str, NDArray[Any]], path: Path) -> Weights:
    """The weights in a file's arrays; a KeyError or ValueError says what is missing or wrong."""
    version = int(arrays["format"])
    if version != FORMAT:
        raise InputError(f"{path}: the LSTM's weights must be of format {FORMAT}, found format {version}. {_REMEDY}")
    if not np.array_equal(arrays["probabilities"], PROBABILITIES):
        raise ValueError("quantiles at other probabilities than this version's")
    hidden, configuration, count = (int(arrays[name]) for name in ("hidden", "configuration", "networks"))
    expected = shapes(hidden, configuration)
    networks = [{name: arrays[f"{i}.{name}"] for name in expected} for i in range(count)]
    for i, one in enumerate(networks):
        _check_network(one, expected, i)
    if not networks:
        raise ValueError("no network")
    return Weights(hidden, configuration, tuple(networks), str(arrays["learned_from"]))


def _check_network(one: Parameters, expected: Mapping[str, Sequence[int]], index: int) -> None:
    for name, shape in expected.items():
        if one[name].shape != tuple(shape) or one[name].dtype != np.float32:
            found = f"{one[name].dtype} {one[name].shape}"
            raise ValueError(f"{index}.{name} must be float32 of shape {tuple(shape)}, found {found}")
        if not np.all(np.isfinite(one[name])):
            raise ValueError(f"{index}.{name} holds numbers that are not finite")
