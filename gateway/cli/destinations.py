"""`govpost destinations`: portals and backends as what we deliver to."""

import typer

from govpost.gateway.cli.access import check_destination, opened
from govpost.gateway.cli.options import Config, Destination, Json, Reason, new_app
from govpost.gateway.cli.output import Columns, print_json, print_table

__all__ = ["app"]

app = new_app()

_COLUMNS: Columns = {
    "DESTINATION": "destination",
    "STATE": "state",
    "REASON": "reason",
    "UNTIL": "until_at",
    "DUE": "due",
    "IN HAND": "leased",
    "DEAD": "dead",
    "OLDEST DUE": "oldest_due_at",
}


@app.command("list")
def list_destinations(*, config: Config = None, json: Json = False) -> None:
    """List them with what is owed to each."""
    with opened(config) as gateway:
        rows = gateway.ledger.destinations((*gateway.settings.portals, *gateway.settings.backends))
    if json:
        print_json({"destinations": rows})
    else:
        print_table(rows, _COLUMNS, empty="the settings name no portal and no backend")


@app.command()
def pause(destination: Destination, *, reason: Reason, config: Config = None, json: Json = False) -> None:
    """Send nothing there until it is resumed; orders are taken all the same."""
    with opened(config) as gateway:
        check_destination(gateway.settings, destination)
        gateway.ledger.pause_destination(destination, reason=reason)
    _report(destination, state="paused", json=json)


@app.command()
def resume(destination: Destination, *, config: Config = None, json: Json = False) -> None:
    """Send again."""
    with opened(config) as gateway:
        check_destination(gateway.settings, destination)
        gateway.ledger.resume_destination(destination)
    _report(destination, state="resumed", json=json)


def _report(destination: str, *, state: str, json: bool) -> None:
    if json:
        print_json({"destination": destination, "state": state})
    else:
        typer.echo(f"{destination} is {state}")
