"""Where things are: paths as given, or names in the folders that nnU-Net's environment variables name."""

from __future__ import annotations

import os
import re
from pathlib import Path


def located(text: str, base: Path, variable: str) -> Path:
    """Find a file or folder; where there is none, the path it was looked for at first.

    Args:
        text: A path, or a name or dataset number below a folder of nnU-Net's.
        base: What relative paths are relative to.
        variable: `nnUNet_raw` or `nnUNet_results`; looked into when the path does not exist.
    """
    path = Path(text).expanduser()
    path = path if path.is_absolute() else base / path
    root = os.environ.get(variable)
    if path.exists() or not root:
        return path
    if re.fullmatch(r"\d{1,3}", text):
        found = sorted(Path(root).glob(f"Dataset{int(text):03d}_*"))
        return found[0] if found else path
    below = Path(root) / text
    return below if below.exists() else path
