"""Finding a trainer class by name or path without importing every trainer there is.

nnU-Net's own search imports all of its trainers, and with them optional packages that need not be healthy.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

from ...forecast.errors import InputError

EXTERNAL = "nnUNet_extTrainer"
"""Environment variable of nnU-Net: folders with trainers of the user's own."""


def find_trainer(name: str) -> tuple[Path, str]:
    """The file that defines a trainer, and the name of its class. Imports nothing.

    Args:
        name: A class of nnU-Net or of a folder in `nnUNet_extTrainer`, or `file.py:Class`.

    Raises:
        InputError: There is none.
    """
    file, colon, wanted = name.rpartition(":")
    if colon:
        path = Path(file).expanduser()
        if not wanted.isidentifier() or not path.is_file() or not _defines(path, wanted):
            raise InputError(f"trainer {name!r}: must be a file that defines class {wanted}, found none. Check both.")
        return path.resolve(), wanted
    for folder in _folders() if name.isidentifier() else []:
        for path in sorted(folder.rglob("*.py")):
            if _defines(path, name):
                return path, name
    raise InputError(
        f"trainer {name!r}: must be a class of nnU-Net or of a folder in {EXTERNAL}, or file.py:Class, found no such "
        "class. Check the name."
    )


def _folders() -> list[Path]:
    spec = importlib.util.find_spec("nnunetv2")
    own = (
        [Path(place) / "training" / "nnUNetTrainer" for place in (spec.submodule_search_locations or [])]
        if spec
        else []
    )
    return own + [Path(place) for place in os.environ.get(EXTERNAL, "").split(os.pathsep) if place]


def _defines(path: Path, name: str) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return re.search(rf"^class {re.escape(name)}\b", text, re.MULTILINE) is not None


def trainer_class(name: str) -> Any:
    """Import a trainer class.

    Raises:
        InputError: There is none, or it is not an nnUNetTrainer.
    """
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    path, wanted = find_trainer(name)
    parts = path.with_suffix("").parts
    if "nnunetv2" in parts and "nnUNetTrainer" in parts and ":" not in name:
        module = importlib.import_module(".".join(parts[len(parts) - 1 - parts[::-1].index("nnunetv2") :]))
    else:
        module = _module_of(path)
    found = getattr(module, wanted)
    if not (isinstance(found, type) and issubclass(found, nnUNetTrainer)):
        raise InputError(f"trainer {name!r}: must be a subclass of nnUNetTrainer, found {found!r}.")
    return found


def _module_of(path: Path) -> Any:
    """A file imported under a name of its own, so that it hides nothing."""
    name = f"dicecast_trainer_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.parent))  # it may import what lies beside it
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
        finally:
            sys.path.remove(str(path.parent))
    return sys.modules[name]
