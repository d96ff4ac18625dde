"""`govpost check-config`."""

import typer

from govpost.gateway.check import check_settings
from govpost.gateway.cli.options import Config, Json, new_app
from govpost.gateway.cli.output import Columns, print_json, print_table
from govpost.gateway.routes import Routes
from govpost.gateway.settings import find_settings_file, load_settings
from govpost.schemas.errors import ConfigurationError

__all__ = ["app"]

app = new_app()

#: What is empty matches everything; the first row that fits an order holds.
_ROUTES: Columns = {
    "PORTAL": "portal",
    "DIRECTION": "direction",
    "PROJECT": "project",
    "DISTRICT": "district",
    "BACKEND": "backend",
}


@app.command()
def check_config(*, config: Config = None, json: Json = False) -> None:
    """Check the settings, every adapter's included; opens no ledger and no socket."""
    path = find_settings_file(config)
    try:
        settings = load_settings(path)
        warnings = check_settings(settings)
    except ConfigurationError as error:
        if json:
            print_json({"path": path, "is_valid": False, "errors": str(error).splitlines(), "warnings": []})
        raise
    routes = Routes(settings.routes, settings.portals).table
    if json:
        print_json({"path": path, "is_valid": True, "errors": [], "warnings": warnings, "routes": routes})
        return
    print_table(routes, _ROUTES, empty="no order is routed anywhere")
    for warning in warnings:
        typer.echo(f"warning: {warning}")
    typer.echo(f"{path} can be used")
