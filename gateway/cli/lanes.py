"""`govpost lanes`: the deliveries of one order to one destination, which go strictly in order."""

import typer

from govpost.gateway.cli.access import check_destination, opened
from govpost.gateway.cli.options import Config, Destination, Json, OrderRef, Reason, new_app
from govpost.gateway.cli.output import Columns, print_json, print_table

__all__ = ["app"]

app = new_app()

_COLUMNS: Columns = {
    "ORDER": "order_id",
    "DESTINATION": "destination",
    "STATE": "state",
    "REASON": "reason",
    "SINCE": "since",
    "WAITING": "waiting",
}


@app.command("list")
def list_lanes(*, config: Config = None, json: Json = False) -> None:
    """List the lanes that are parked or paused."""
    with opened(config) as gateway:
        rows = gateway.ledger.lanes()
    if json:
        print_json({"lanes": rows})
    else:
        print_table(rows, _COLUMNS, empty="no lane waits")


@app.command()
def pause(
    order: OrderRef, destination: Destination, *, reason: Reason, config: Config = None, json: Json = False
) -> None:
    """Hold back what this order owes to one destination."""
    with opened(config) as gateway:
        check_destination(gateway.settings, destination)
        order_id = gateway.ledger.resolve(order)
        gateway.ledger.pause_lane(order_id, destination, reason=reason)
    _report(order_id, destination=destination, state="paused", json=json)


@app.command()
def resume(order: OrderRef, destination: Destination, *, config: Config = None, json: Json = False) -> None:
    """Let it go on."""
    with opened(config) as gateway:
        check_destination(gateway.settings, destination)
        order_id = gateway.ledger.resolve(order)
        gateway.ledger.resume_lane(order_id, destination)
    _report(order_id, destination=destination, state="resumed", json=json)


def _report(order_id: str, *, destination: str, state: str, json: bool) -> None:
    if json:
        print_json({"order_id": order_id, "destination": destination, "state": state})
    else:
        typer.echo(f"the lane of {order_id} to {destination} is {state}")
