"""`govpost keys`: the file that seals the ledger."""

from pathlib import Path

import typer

from govpost.gateway.cli.options import Config, Json, new_app
from govpost.gateway.cli.output import print_json
from govpost.gateway.ledger.keyfile import KeyFile
from govpost.gateway.settings import load_settings
from govpost.schemas.errors import KeyFileError

__all__ = ["app"]

app = new_app()


@app.command()
def new(*, config: Config = None, json: Json = False) -> None:
    """Make the key file of a ledger that is still to be made."""
    settings = load_settings(config)
    ledger, path = settings.ledger.file, settings.ledger.key_file
    if ledger is not None and ledger.exists() and not path.exists():
        raise KeyFileError(f"{ledger} was sealed with other keys; restore {path} from the backup instead")
    _report(KeyFile.create(path).current_id, path=path, json=json, said="made; back it up apart from the ledger")


@app.command()
def rotate(*, config: Config = None, json: Json = False) -> None:
    """Add a sealing key; what was sealed before still opens."""
    settings = load_settings(config)
    ledger, path = settings.ledger.file, settings.ledger.key_file
    if not path.exists() and ledger is not None and not ledger.exists():
        raise KeyFileError(f"{path} is not made yet, and no ledger either: govpost serve makes both")
    key_id = KeyFile.load(path).rotate().current_id
    _report(key_id, path=path, json=json, said=f"now seals with key {key_id}; back it up and restart the daemon")


def _report(key_id: int, *, path: Path, json: bool, said: str) -> None:
    if json:
        print_json({"path": path, "key_id": key_id})
    else:
        typer.echo(f"{path} {said}")
