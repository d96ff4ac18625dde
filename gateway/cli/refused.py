"""`govpost refused`: what polled portals handed over and could not be taken."""

from typing import Annotated

import typer

from govpost.gateway.cli.access import check_destination, opened
from govpost.gateway.cli.failures import NotFoundError
from govpost.gateway.cli.options import Config, Json, Limit, new_app
from govpost.gateway.cli.output import Columns, print_facts, print_json, print_table

__all__ = ["app"]

app = new_app()

_COLUMNS: Columns = {
    "PORTAL": "portal",
    "PORTAL REF": "portal_ref",
    "REASON": "reason",
    "REFUSED": "refused_at",
    "TAKEN AFTER ALL": "taken_at",
}


@app.command("list")
def list_refused(
    *,
    portal: Annotated[str | None, typer.Option("--portal", help="Only of this one.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that were mended and taken since.")] = False,
    limit: Limit = 50,
    config: Config = None,
    json: Json = False,
) -> None:
    """List what was refused, newest first."""
    with opened(config) as gateway:
        if portal is not None:
            check_destination(gateway.settings, portal)
        rows = gateway.ledger.refused(portal=portal, is_open=not every, limit=limit)
    if json:
        print_json({"refused": rows})
    else:
        print_table(rows, _COLUMNS, empty="nothing was refused")


@app.command()
def show(
    reference: Annotated[str, typer.Argument(metavar="PORTAL/PORTAL_REF", help="As `govpost refused list` has it.")],
    *,
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Show what was handed over too; it holds personal data.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show one refusal: why, and with --unmasked what was handed over."""
    portal, _, portal_ref = reference.partition("/")
    with opened(config) as gateway:
        found = gateway.ledger.read_refused(portal, portal_ref)
    if found is None:
        raise NotFoundError("nothing was refused under this number; see: govpost refused list --all")
    row, content = found
    document = {
        "portal": row.portal,
        "portal_ref": row.portal_ref,
        "field": row.field,
        "reason": row.reason,
        "refused_at": row.refused_at,
        "taken_at": row.taken_at,
        **({"content": content} if unmasked else {}),
    }
    if json:
        print_json(document)
    else:
        print_facts(document)
