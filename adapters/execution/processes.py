"""Processes that end with the one that started them, and take along everything they started."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal a process gets when its parent dies; a fork does not inherit it."""
LOOK = 0.5
"""Seconds between looks at the parent where the kernel does not tell."""


def die_with_parent(parent: int) -> None:
    """In a new process: be killed when its parent ends, and so will be every process forked from here.

    nnU-Net's augmentation workers otherwise outlive a training that was killed.

    Args:
        parent: Process id of the parent; when it is gone already, this process ends at once.
    """
    if sys.platform == "linux":
        _kill_with_parent()
        os.register_at_fork(after_in_child=_follow)
    else:
        threading.Thread(target=_look_after, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def kill_group(leader: int) -> None:
    """Kill a process that leads its group, and the group."""
    for kill in (os.killpg, os.kill):
        try:
            kill(leader, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS refuses where only zombies are left
            continue


def _kill_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _follow() -> None:
    """In a forked child, which must also end when asked to: its parent may leave SIGTERM unanswered."""
    _kill_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _look_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)
