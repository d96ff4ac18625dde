"""`govpost mock <key>`: run a mock as a server until SIGTERM."""

import json
import os
import signal
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from govpost.mocks.faults import FaultKind, FaultPlan
from govpost.mocks.registry import find_mocks, load_mock
from govpost.mocks.server import MockServer

__all__ = ["app"]

app = typer.Typer(
    name="mock",
    help="Run a stand-in of one of the systems as a server, until SIGTERM. Its URL is the first line it prints.",
    no_args_is_help=True,
)

_KINDS = ", ".join(FaultKind)


@app.callback()
def _group() -> None:
    # Keeps `mock <key>` two words, however many mocks are installed.
    pass


def _command(key: str) -> Callable[..., None]:
    def run(
        *,
        port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.")] = 0,
        host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
        config: Annotated[
            Path | None,
            typer.Option(help="The gateway's settings, to share its keys. Default: GOVPOST_CONFIG, ./govpost.toml."),
        ] = None,
        seed: Annotated[int, typer.Option(help="Seed of the faults.")] = 0,
        fault: Annotated[
            list[str] | None,
            typer.Option(help=f"kind=rate or kind=rate:seconds, may be repeated. Kinds: {_KINDS}."),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the first line as JSON.")] = False,
    ) -> None:
        document = _load_settings(config)
        plan = _build_plan(fault or [], seed)
        stop = Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        server = MockServer(load_mock(key).from_settings(document, plan=plan), host=host, port=port)
        try:
            server.start()
        except OSError as error:
            typer.echo(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}", err=True)
            raise typer.Exit(1) from None
        with server:
            typer.echo(json.dumps({"key": key, "url": server.url}) if as_json else server.url)
            stop.wait()

    run.__doc__ = (
        f"Run the stand-in of {key}. It is controlled under /__mock__/ (state, orders, rejected, faults, reset)."
    )
    return run


for _key in find_mocks():
    app.command(name=_key)(_command(_key))


def _load_settings(config: Path | None) -> dict[str, Any]:
    """Read the gateway's settings file; without one, the mocks use the keys of the worked examples."""
    named = config or (Path(os.environ["GOVPOST_CONFIG"]) if os.environ.get("GOVPOST_CONFIG") else None)
    path = named or Path("govpost.toml")
    if named is None and not path.exists():
        return {}
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise typer.BadParameter(f"cannot be read: {error}", param_hint="--config") from None
    return _with_secrets(document, path.parent)


def _with_secrets(section: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Give every `<name>_file` of a portal's or backend's section as `<name>`, as the gateway does."""
    opened = dict(section)
    for group in ("portals", "backends"):
        opened[group] = {
            name: values | dict(_read_secrets(values, folder, title=f"{group}.{name}"))
            for name, values in section.get(group, {}).items()
        }
    return opened


def _read_secrets(values: dict[str, Any], folder: Path, *, title: str) -> Iterator[tuple[str, str]]:
    for name, path in values.items():
        if not name.endswith("_file") or not isinstance(path, str):
            continue
        try:
            text = (folder / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            place = f"[{title}] {name}"
            raise typer.BadParameter(f"{place}: the file cannot be read as text", param_hint="--config") from None
        yield name.removesuffix("_file"), text.rstrip("\r\n")


def _build_plan(faults: list[str], seed: int) -> FaultPlan:
    rates: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for fault in faults:
        kind, _, numbers = fault.partition("=")
        rate, _, wait = numbers.partition(":")
        try:
            rates[FaultKind(kind)] = float(rate)
            if wait:
                seconds[FaultKind(kind)] = float(wait)
        except ValueError:
            raise typer.BadParameter(
                f"{fault!r} is not kind=rate or kind=rate:seconds with a kind of {_KINDS}", param_hint="--fault"
            ) from None
    try:
        return FaultPlan(seed, rates, seconds=seconds)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None
