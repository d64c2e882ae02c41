"""Entry point of the console script and of `python -m dicecast`: it listens to Ctrl-C before anything takes time."""

import os
import sys

from .adapters.interrupts import Stopped, listen, stopped_words


def main() -> None:
    """Begin; where a shell has closed a stream, what is said there goes nowhere."""
    listen()
    try:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        from .cli import main as command

        command()
    except (KeyboardInterrupt, Stopped) as error:  # before the command has begun
        words, code = stopped_words(error)
        sys.stderr.write(f"error: {words}\n")
        sys.exit(code)


if __name__ == "__main__":
    main()
