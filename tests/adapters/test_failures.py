"""What a failed run says of itself."""

from __future__ import annotations

import pytest

from dicecast.adapters.nnunet.failures import REMEDY, failure_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), f"MemoryError ({REMEDY})"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."), "Tried to allocate 20.00 MiB ("),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), REMEDY),
        (OSError(12, "Cannot allocate memory"), REMEDY),
    ],
)
def test_want_of_memory_is_told_with_its_remedy(error: BaseException, words: str) -> None:
    assert words in failure_words(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError(), "KeyError"),
        (ValueError("one line.\nand another"), "ValueError: one line"),
        (RuntimeError("\n"), "RuntimeError"),
    ],
)
def test_a_failure_is_one_line_without_a_full_stop(error: BaseException, words: str) -> None:
    assert failure_words(error) == words
