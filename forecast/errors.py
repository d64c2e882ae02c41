"""What can go wrong, as the user meets it.

DicecastError
├── InputError        the input or the usage is wrong; nothing was written (exit code 2)
│   └── StorageError  a folder is read-only or its disk is full; what was there is kept (exit code 2)
└── WorkError         the work itself failed; what was finished is kept (exit code 1)
"""

import re

LONGEST, LONGEST_WORD = 3000, 1000
"""Characters of a message, and of a word in it, that are shown whole."""


class DicecastError(Exception):
    """Root of every error dicecast raises on purpose; its message is meant for the user."""

    exit_code = 1

    def __str__(self) -> str:
        return readable(super().__str__())


class InputError(DicecastError):
    """Something given to dicecast is not what it must be.

    The message says what must hold, what was found, where, and what to do.
    """

    exit_code = 2


class StorageError(InputError):
    """A file could not be written where the user wants it."""


class WorkError(DicecastError):
    """A training or a prediction failed although the input was sound."""

    exit_code = 1


def readable(message: str) -> str:
    """A message without what nobody reads to its end: a cell of a thousand letters, hundreds of names."""
    short = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda found: f"{found[0][:200]}...{found[0][-50:]}", message)
    return short if len(short) <= LONGEST else f"{short[: LONGEST - 1000]} ... {short[-900:]}"


def install_words(extra: str) -> str:
    """How to get what an extra of dicecast's holds, always under the tested versions."""
    return f"in the folder of dicecast's source, with pip install -c constraints.txt -e '.[{extra}]'"
