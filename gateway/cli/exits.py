"""How a command ends, as a number for scripts."""

from enum import IntEnum
from typing import Self

__all__ = ["Exit", "exit_codes"]


class Exit(IntEnum):
    """Every exit code of `govpost`, and what it means."""

    meaning: str

    DONE = 0, "done"
    NOT_DONE = 1, "what was asked for was not done"
    USAGE = 2, "the command line was not understood"
    CONFIGURATION = 3, "the settings or the key file are wrong"
    UNAVAILABLE = 4, "the ledger cannot be used now; nothing was changed"
    NOT_FOUND = 5, "there is no such order or destination"

    def __new__(cls, code: int, meaning: str) -> Self:
        """Be an int that knows what it means."""
        self = int.__new__(cls, code)
        self._value_ = code
        self.meaning = meaning
        return self


def exit_codes() -> str:
    """Describe all of them, a line each."""
    return "\n".join(f"  {code.value}  {code.meaning}" for code in Exit)
