"""Sentences that never break inside an interval."""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.containers import Lines
from rich.text import Text

WHOLE = re.compile(r"\[[^][]{1,40}\]|[<>]=? [\d.]+%?")
"""An interval, or a number with its sign before it."""
BLANK = "\ue000"
"""Stands for a blank that no line may end at."""


class Prose(Text):
    """Text whose lines end before or after an interval, not in it."""

    def wrap(self, console: Console, width: int, *args: Any, **options: Any) -> Lines:
        """The lines at this width; see `rich.text.Text.wrap`."""
        joined = self.copy()
        joined.plain = WHOLE.sub(lambda found: found[0].replace(" ", BLANK), self.plain)
        lines = joined.wrap(console, width, *args, **options)
        for line in lines:
            line.plain = line.plain.replace(BLANK, " ")
        return lines
