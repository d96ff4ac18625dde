"""`govpost orders`: what the ledger holds."""

import sys
from datetime import datetime
from typing import Annotated

import typer

from govpost.gateway.cli.access import opened
from govpost.gateway.cli.options import Config, Cursor, Json, Limit, OrderRef, new_app
from govpost.gateway.cli.output import Columns, masked, print_facts, print_json, print_table, to_json
from govpost.schemas import Status

__all__ = ["app"]

app = new_app()

_COLUMNS: Columns = {
    "ORDER": "order_id",
    "PORTAL": "portal",
    "PORTAL_REF": "portal_ref",
    "STATUS": "status",
    "WAYBILLS": "waybill_nos",
    "ACCEPTED": "accepted_at",
    "UPDATED": "updated_at",
}


@app.command("list")
def list_orders(
    *,
    portal: Annotated[str | None, typer.Option("--portal", help="Only of this portal.")] = None,
    status: Annotated[Status | None, typer.Option("--status", help="Only with this status.")] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Only accepted since then (local time).")] = None,
    phone: Annotated[
        str | None, typer.Option("--phone", help="Only of this person; - reads it from stdin, past the history.")
    ] = None,
    id_no: Annotated[str | None, typer.Option("--id-no", help="The same by ID number.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List orders, newest first."""
    person = _person(phone, id_no)
    if person is not None and (portal or status or since or cursor):
        raise typer.BadParameter("--phone and --id-no find all orders of a person; leave the other filters out")
    with opened(config) as gateway:
        if person is not None:
            rows, following = gateway.ledger.find_by_person(person), None
        else:
            page = gateway.ledger.find_orders(
                portal=portal,
                status=status,
                since=since.astimezone() if since else None,
                cursor=cursor,
                limit=limit,
            )
            rows, following = page.rows, page.cursor
    if json:
        print_json({"orders": rows, "cursor": following})
        return
    print_table(rows, _COLUMNS, empty="no orders")
    if following:
        typer.echo(f"more: --cursor {following}", err=True)


@app.command()
def show(
    order: OrderRef,
    *,
    unmasked: Annotated[bool, typer.Option("--unmasked", help="Show personal data in full.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show an order and its events; personal data masked."""
    with opened(config) as gateway:
        order_id = gateway.ledger.resolve(order)
        record = gateway.ledger.read_order(order_id)
        events = gateway.ledger.read_events(order_id)
    document = {
        "row": to_json(record.row),
        "order": to_json(record.order),
        "events": [to_json(event) for event in events],
    }
    shown = document if unmasked else masked(document)
    if json:
        print_json(shown)
    else:
        print_facts({**shown["row"], **shown["order"], "events": shown["events"]})


def _person(phone: str | None, id_no: str | None) -> str | None:
    if phone is not None and id_no is not None:
        raise typer.BadParameter("give --phone or --id-no, not both")
    value = id_no if phone is None else phone
    return sys.stdin.readline().strip() if value == "-" else value
