"""`govpost reconcile`: compare a day with somebody's books (对账)."""

from datetime import datetime
from typing import Annotated

import typer

from govpost.gateway.cli.access import check_destination, opened
from govpost.gateway.cli.exits import Exit
from govpost.gateway.cli.failures import fail
from govpost.gateway.cli.options import Config, Json, new_app
from govpost.gateway.cli.output import Columns, print_json, print_table

__all__ = ["app"]

app = new_app()

_COLUMNS: Columns = {
    "DIFFERENCE": "kind",
    "PORTAL REF": "portal_ref",
    "ORDER": "order_id",
    "OURS": "ours",
    "THEIRS": "theirs",
    "HEALED": "is_healed",
    "NEXT": "next",
}


@app.command()
def reconcile(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="A portal's or a backend's name.")],
    day: Annotated[datetime, typer.Argument(metavar="DATE", formats=["%Y-%m-%d"], help="The day, in Shanghai.")],
    *,
    config: Config = None,
    json: Json = False,
) -> None:
    """Compare the orders of a day with a system's books; what is safe is put right, the rest is listed.

    Exit code 1 where something is left for a person, or the system did not say.
    """
    with opened(config) as gateway:
        check_destination(gateway.settings, system)
        try:
            found = gateway.reconcile(system, day.date())
        except TypeError as error:
            fail(f"{error}; see the table of systems in the README", code=Exit.NOT_DONE)
    if json:
        print_json({"reconciliation": found})
    elif found.failure is None:
        print_table(found.differences, _COLUMNS, empty="the books agree")
        typer.echo(f"{found.compared} compared, {len(found.differences)} differ, {len(found.unhealed)} for a person")
    if found.failure is not None:
        outcome = found.failure
        fail(f"{system} did not say ({outcome.kind.value} {outcome.code}); try again later", code=Exit.NOT_DONE)
    raise typer.Exit(Exit.NOT_DONE if found.unhealed else Exit.DONE)
