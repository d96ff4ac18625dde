"""`govpost label`."""

import os
from pathlib import Path
from tempfile import mkstemp
from typing import Annotated, cast

import typer

from govpost.adapters.label import build_label, check_leg
from govpost.gateway.cli.access import opened
from govpost.gateway.cli.exits import Exit
from govpost.gateway.cli.failures import fail
from govpost.gateway.cli.options import Config, Json, OrderRef, new_app
from govpost.gateway.cli.output import print_json
from govpost.gateway.gateway import Gateway
from govpost.schemas import Leg, Outcome
from govpost.schemas.errors import UnsupportedFeatureError
from govpost.schemas.identifiers import WaybillNo

__all__ = ["app"]

app = new_app()

_STDOUT = Path("-")


@app.command()
def label(
    order: OrderRef,
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where the PDF goes; - writes it to stdout.")
    ],
    leg: Annotated[int, typer.Option("--leg", min=1, max=2, help="2: the way back of a round trip.")] = 1,
    route_code: Annotated[
        str | None, typer.Option("--route-code", help="The post's sorting code; else the destination is written large.")
    ] = None,
    from_backend: Annotated[
        bool, typer.Option("--from-backend", help="Fetch the label that the backend makes, if it does: not masked.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make an order's e-waybill to print, 100 × 150 mm; personal data masked."""
    if json and output == _STDOUT:
        raise typer.BadParameter("--json and -o - both write to stdout")
    if from_backend and route_code:
        raise typer.BadParameter("--route-code goes onto our own label; the backend knows its own code")
    which = cast("Leg", leg)
    with opened(config) as gateway:
        record = gateway.ledger.read_order(gateway.ledger.resolve(order))
        check_leg(record.order, which)
        number = record.row.waybill_nos.get(which)
        if number is None:
            hint = f"`govpost explain {order}` says what it waits for"
            fail(f"the post has given leg {which} no waybill number yet; {hint}", code=Exit.NOT_DONE)
        pdf = (
            _fetch(gateway, record.row.backend, number)
            if from_backend
            else build_label(record.order, number, leg=which, route_code=route_code)
        )
    if output == _STDOUT:
        typer.get_binary_stream("stdout").write(pdf)
        return
    _save(output, pdf, replace=force)
    if json:
        print_json({"order_id": record.order.order_id, "leg": which, "waybill_no": number, "path": output})
    else:
        typer.echo(f"{output} is the label of {number}")


def _fetch(gateway: Gateway, backend: str, waybill_no: WaybillNo) -> bytes:
    without = "leave --from-backend out for a label of our own"
    try:
        label = gateway.fetch_label(backend, waybill_no)
    except UnsupportedFeatureError:
        fail(f"backend {backend} makes no labels; {without}", code=Exit.NOT_DONE)
    if isinstance(label, Outcome):
        said = f"{label.kind.value} {label.code}".strip()
        fail(f"backend {backend} gave no label ({said}); try again, or {without}", code=Exit.NOT_DONE)
    return label


def _save(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    try:
        if path.exists() and not (replace and path.is_file()):
            hint = "--force replaces it" if path.is_file() else "it is no file"
            fail(f"{path} is there already; {hint}", code=Exit.NOT_DONE)
        _replace(path, data)
    except OSError as error:
        fail(f"{path} cannot be written ({error.strerror})", code=Exit.NOT_DONE)


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        Path(name).unlink()
        raise
