"""`govpost check-config`."""

import typer

from govpost.gateway.check import check_settings
from govpost.gateway.cli.options import Config, Json, new_app
from govpost.gateway.cli.output import print_json
from govpost.gateway.settings import find_settings_file, load_settings
from govpost.schemas.errors import ConfigurationError

__all__ = ["app"]

app = new_app()


@app.command()
def check_config(*, config: Config = None, json: Json = False) -> None:
    """Check the settings, every adapter's included; opens no ledger and no socket."""
    path = find_settings_file(config)
    try:
        warnings = check_settings(load_settings(path))
    except ConfigurationError as error:
        if json:
            print_json({"path": path, "is_valid": False, "errors": str(error).splitlines(), "warnings": []})
        raise
    if json:
        print_json({"path": path, "is_valid": True, "errors": [], "warnings": warnings})
        return
    for warning in warnings:
        typer.echo(f"warning: {warning}")
    typer.echo(f"{path} can be used")
