"""Ctrl-C and requests to end, wherever they find the program."""

from __future__ import annotations

import signal
import sys
import threading
from typing import NoReturn

AGAIN = 0.01
"""Seconds until a stop is asked for once more."""


class Stopped(BaseException):
    """Ctrl-C, or a request to end (SIGTERM); unlike `KeyboardInterrupt`, no library answers it in its own way."""

    def __init__(self, number: int) -> None:
        self.number = number


def listen() -> None:
    """Raise `Stopped` at either signal, in the main thread."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is for what a shell runs in the background
            signal.signal(number, _stop)
    sys.unraisablehook = _once_more


def stopped_words(error: BaseException) -> tuple[str, int]:
    """What to say to who interrupted or ended a command, and its exit code."""
    asked = isinstance(error, Stopped) and error.number == signal.SIGTERM
    words, code = ("ended from outside (SIGTERM)", 143) if asked else ("interrupted", 130)
    return f"{words}. Nothing finished is lost: run the same command again.", code


def _stop(number: int, frame: object) -> NoReturn:
    raise Stopped(number)


def _once_more(lost: sys.UnraisableHookArgs) -> None:
    """Where Python lets no exception out, as of the callback of a weak reference, a stop would be lost."""
    if isinstance(lost.exc_value, Stopped):
        again = threading.Timer(AGAIN, _send, [lost.exc_value.number])
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(lost)


def _send(number: int) -> None:
    """To the main thread, which may be asleep in the operating system."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
