"""What a failed run says of itself."""

from __future__ import annotations

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
"""Words of torch and of the operating system, in small letters."""
REMEDY = "memory ran out: let fewer runs train at once (--jobs), or set a smaller batch or patch for the arm"


def failure_words(error: BaseException) -> str:
    """What went wrong, in a line without a full stop; where memory ran out, what to do."""
    first = next(iter(str(error).splitlines()), "").strip()
    words = f"{type(error).__name__}: {first}".rstrip(": .")
    return f"{words} ({REMEDY})" if ran_out_of_memory(error) else words


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether it is for want of memory, of the host or of the device."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)
