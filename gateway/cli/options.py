"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = ["Config", "Cursor", "Destination", "Json", "Limit", "OrderRef", "Reason", "new_app"]

Config: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file; else $GOVPOST_CONFIG, else ./govpost.toml."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Write one JSON document.")]
OrderRef: TypeAlias = Annotated[
    str, typer.Argument(metavar="ORDER", help="An order id, PORTAL/PORTAL_REF, or a waybill number.")
]
Destination: TypeAlias = Annotated[str, typer.Argument(metavar="DESTINATION", help="A portal's or a backend's name.")]
Reason: TypeAlias = Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.")]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")]
Cursor: TypeAlias = Annotated[str | None, typer.Option("--cursor", help="Go on where the last list ended.")]


def new_app() -> typer.Typer:
    """Build an application for one command or a group of them."""
    return typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
