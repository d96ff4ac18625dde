"""`govpost dead`: deliveries that wait for a person."""

from typing import Annotated

import typer

from govpost.gateway.cli.access import check_destination, opened
from govpost.gateway.cli.options import Config, Cursor, Json, Limit, Reason, new_app
from govpost.gateway.cli.output import Columns, masked, print_json, print_table, to_json

__all__ = ["app"]

app = new_app()

_COLUMNS: Columns = {
    "DELIVERY": "delivery_id",
    "ORDER": "order_id",
    "DESTINATION": "destination",
    "KIND": "kind",
    "REASON": "reason",
    "CODE": "code",
    "ATTEMPTS": "attempts",
    "DEAD SINCE": "dead_at",
}

_DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="The id that `govpost dead list` shows.")]


@app.command("list")
def list_dead(
    *,
    destination: Annotated[str | None, typer.Option("--destination", help="Only owed to this one.")] = None,
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Show the far side's own text too; it may hold personal data.")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List dead deliveries."""
    with opened(config) as gateway:
        if destination is not None:
            check_destination(gateway.settings, destination)
        letters = gateway.ledger.dead_letters(destination=destination, cursor=cursor, limit=limit)
    following = letters[-1].delivery_id if len(letters) == limit else None
    if json:
        rows = [to_json(letter) for letter in letters]
        print_json({"dead": rows if unmasked else masked(rows), "cursor": following})
        return
    print_table(letters, {**_COLUMNS, **({"TEXT": "text"} if unmasked else {})}, empty="nothing is dead")
    if following:
        typer.echo(f"more: --cursor {following}", err=True)


@app.command()
def replay(delivery: _DeliveryId, *, config: Config = None, json: Json = False) -> None:
    """Try a dead delivery again, once its cause is gone."""
    with opened(config) as gateway:
        gateway.ledger.replay(delivery)
    _report(delivery, done="replayed", json=json)


@app.command()
def drop(
    delivery: _DeliveryId,
    *,
    reason: Reason,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel its order too, and tell the portal.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Give a dead delivery up, for good."""
    with opened(config) as gateway:
        gateway.ledger.drop(delivery, reason=reason, cancel=cancel)
    _report(delivery, done="dropped", json=json)


def _report(delivery: str, *, done: str, json: bool) -> None:
    if json:
        print_json({"delivery_id": delivery, "state": done})
    else:
        typer.echo(f"{delivery} is {done}")
