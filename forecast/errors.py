"""What can go wrong, as the user meets it.

DicecastError
├── InputError        the input or the usage is wrong; nothing was written (exit code 2)
│   └── StorageError  a folder is read-only or its disk is full; what was there is kept (exit code 2)
└── WorkError         the work itself failed; what was finished is kept (exit code 1)
"""


class DicecastError(Exception):
    """Root of every error dicecast raises on purpose; its message is meant for the user."""

    exit_code = 1


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
