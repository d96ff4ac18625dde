"""What a command says when it fails: a line that names what to do next, and never a traceback."""

import sys
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NoReturn

import typer
from typer.main import get_command

from govpost.gateway.cli.exits import Exit
from govpost.schemas.errors import (
    ConfigurationError,
    GovpostError,
    LedgerUnavailableError,
    UnknownOrderError,
)

__all__ = ["NotFoundError", "fail", "run"]


class NotFoundError(GovpostError):
    """Say that a name on the command line means nothing here."""


#: The first that fits holds: how to exit, and what to do where the message does not say so itself.
_ENDINGS: Mapping[type[Exception], tuple[Exit, str]] = {
    ConfigurationError: (Exit.CONFIGURATION, ""),
    LedgerUnavailableError: (Exit.UNAVAILABLE, "; nothing was changed"),
    UnknownOrderError: (Exit.NOT_FOUND, "; look for it with `govpost orders list`"),
    NotFoundError: (Exit.NOT_FOUND, ""),
    GovpostError: (Exit.NOT_DONE, ""),
}


def run(app: typer.Typer, words: Sequence[str]) -> None:
    """Run a command line; our own errors become a line on stderr and an exit code."""
    sys.excepthook = _report_fault
    try:
        # Calling `app` itself would put typer's own hook in the place of ours.
        get_command(app)(words, prog_name="govpost")
    except tuple(_ENDINGS) as error:
        code, hint = next(ending for kind, ending in _ENDINGS.items() if isinstance(error, kind))
        fail(f"{error}{hint}", code=code)


def _report_fault(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    """Say in one line where govpost itself is at fault; the error's own text may hold anything, so it is left out."""
    frames = (f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(traceback.extract_tb(trace)))
    places = " < ".join(frames)
    typer.echo(f"govpost: a fault of govpost itself, please report it: {kind.__name__} at {places}", err=True)


def fail(message: str, *, code: Exit) -> NoReturn:
    """Say what is wrong and leave."""
    for line in message.splitlines():
        typer.echo(f"govpost: {line}", err=True)
    sys.exit(code)
