"""`govpost explain`."""

import typer

from govpost.gateway.cli.access import opened
from govpost.gateway.cli.options import Config, Json, OrderRef, new_app
from govpost.gateway.cli.output import as_text, print_json

__all__ = ["app"]

app = new_app()


@app.command()
def explain(order: OrderRef, *, config: Config = None, json: Json = False) -> None:
    """Say where an order is, what is owed to whom, why it waits, and what happens next and when."""
    with opened(config) as gateway:
        explanation = gateway.explain(gateway.ledger.resolve(order))
    if json:
        print_json(explanation)
        return
    for line in explanation.lines():
        typer.echo(as_text(line))
