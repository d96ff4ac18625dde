"""`govpost strays`: events that backends told of items no order is known for."""

from govpost.gateway.cli.access import opened
from govpost.gateway.cli.options import Config, Json, Limit, new_app
from govpost.gateway.cli.output import Columns, print_json, print_table

__all__ = ["app"]

app = new_app()

_COLUMNS: Columns = {"BACKEND": "source", "WAYBILL": "waybill_no", "EVENT": "event_id", "TOLD": "told_at"}


@app.command()
def strays(*, limit: Limit = 50, config: Config = None, json: Json = False) -> None:
    """List them, newest first; each is recorded by itself as soon as an order has its waybill number."""
    with opened(config) as gateway:
        rows = gateway.ledger.strays(limit=limit)
    if json:
        print_json({"strays": rows})
    else:
        print_table(rows, _COLUMNS, empty="no event is without an order")
