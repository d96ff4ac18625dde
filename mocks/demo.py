"""Carry every system's sample orders from the portals to the doorstep and back, here and now, with faults on.

The gateway is the real daemon in a process of its own; the portals and the backends are mocks in this one, all that are
installed (entry points) and have sample orders (`PortalMock.samples`) or stories (`CarrierMock.stories`). A portal
that pushes sends everything twice, signed anew; one that is polled offers it. Some orders of each portal go to
another backend than the rest. There a story is played for each order: delivered, returned, lost, a delivery revoked
and made again, … And all mocks answer late, twice, wrongly or not at all now and then, each in its own ways (seeded).

At the end every order stands where its story ends, was placed exactly once, and its portal has heard each thing once,
in order and in its own words; no mock refused anything, and nothing is left over. Exit 0 only then.
"""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import requests
import typer
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from govpost.mocks._demo_daemon import API_TOKEN, Daemon, DaemonError, write_settings
from govpost.mocks._demo_show import Row, Rows, Show, Summary
from govpost.mocks.base import CarrierMock, Mock, PortalMock
from govpost.mocks.faults import OWN, FaultKind, FaultPlan
from govpost.mocks.registry import find_mocks, load_mock
from govpost.mocks.server import MockServer

__all__ = ["app"]

app = typer.Typer(name="demo", help="Carry the sample orders of all portals to their end on this machine, with faults.")

#: Of what the gateway sends to any mock.
_FAULTS: dict[str, float] = {
    FaultKind.ERROR_AFTER: 0.04,
    FaultKind.RESET: 0.04,
    FaultKind.ERROR: 0.02,
    FaultKind.BUSY: 0.02,
    FaultKind.LATENCY: 0.05,
}
#: Of what a backend tells the gateway, and what only one or another mock knows how to do.
_OTHER_FAULTS: dict[str, float] = {FaultKind.DUPLICATE: 0.1, **dict.fromkeys(OWN, 0.02)}
_FAULT_SECONDS: dict[str, float] = {FaultKind.LATENCY: 0.2, FaultKind.BUSY: 1.0}


@app.command()
def demo(
    *,
    seed: Annotated[int, typer.Option(help="Seed of the faults.")] = 1,
    folder: Annotated[
        Path | None, typer.Option(help="Keep settings, ledger and log in this new folder.", show_default="thrown away")
    ] = None,
    kills: Annotated[int, typer.Option(min=0, help="Kill the gateway so often on the way, and start it again.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Carry all portals' sample orders to the doorstep and back; exit 0 if every one ended well, exactly once."""
    # So that the daemon is stopped however this ends.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with _new_folder(folder) as place:
        try:
            summary = _run(place, seed=seed, kills=kills, console=Console(stderr=True))
        except (DaemonError, requests.RequestException) as error:
            typer.echo(f"the gateway failed: {error}", err=True)
            raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(asdict(summary), ensure_ascii=False, indent=2))
    else:
        _print_summary(summary)
    raise typer.Exit(1 if summary.problems else 0)


@contextmanager
def _new_folder(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with TemporaryDirectory(prefix="govpost-demo-") as name:
            yield Path(name)
        return
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise typer.BadParameter(f"cannot be made: {error.strerror}", param_hint="--folder") from None
    yield folder.resolve()


def _run(folder: Path, *, seed: int, kills: int, console: Console) -> Summary:
    begun = time.monotonic()
    mocks = [load_mock(key)(plan=_plan(seed + turn)) for turn, key in enumerate(find_mocks())]
    portals = [mock for mock in mocks if isinstance(mock, PortalMock) and mock.samples()]
    carriers = [mock for mock in mocks if isinstance(mock, CarrierMock) and mock.stories]
    with ExitStack() as stack:
        for mock in (*portals, *carriers):
            stack.enter_context(MockServer[Mock](mock))
        daemon = stack.enter_context(Daemon(write_settings(folder, portals, carriers)))
        for carrier in carriers:
            carrier.gateway_url, carrier.api_token = daemon.url, API_TOKEN
        show = Show(daemon, portals, carriers, begun=begun, kills=kills)
        with _watching(show, console) as look:
            show.run(look)
        return show.summary()


def _plan(seed: int) -> FaultPlan:
    """Let every kind of fault that the mock knows happen at least once, and then by chance."""
    rates = {**_FAULTS, **_OTHER_FAULTS}
    plan = FaultPlan(seed, rates, seconds=_FAULT_SECONDS)
    for kind in rates:
        plan.next(kind)
    return plan


class _LiveLook:
    """A table that changes."""

    def __init__(self, show: Show, live: Live) -> None:
        self._show, self._live = show, live

    def __call__(self) -> None:
        self._live.update(_system_table(self._show.portals(), self._show.backends(), self._show.seconds), refresh=True)


class _PlainLook:
    """A line now and then, where something has changed."""

    def __init__(self, show: Show) -> None:
        self._show, self._line, self._due = show, "", 0.0

    def __call__(self) -> None:
        line = ", ".join(f"{key} {row.ended} of {row.orders}" for key, row in self._show.portals().items())
        if line != self._line and self._show.seconds >= self._due:
            typer.echo(f"{self._show.seconds:5.1f} s  ended: {line}", err=True)
            self._line, self._due = line, self._show.seconds + 1


@contextmanager
def _watching(show: Show, console: Console) -> Iterator[Callable[[], None]]:
    if not console.is_terminal:
        yield _PlainLook(show)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _LiveLook(show, live)


def _system_table(portals: Rows, backends: Rows, seconds: float) -> Table:
    """Draw a row for each system, and their sums; of faults only how many."""
    names = [each.name for each in fields(Row)][:-1]
    table = _table("system", *names, "faults", caption=f"{seconds:.1f} s")
    for kind, rows in (("portals", portals), ("backends", backends)):
        for key, row in {**rows, f"all {kind}": sum(rows.values(), Row())}.items():
            figures = (*(getattr(row, name) for name in names), sum(row.faults.values()))
            table.add_row(key, *map(str, figures), end_section=key not in rows)
    return table


def _story_table(stories: Mapping[str, Mapping[str, int]]) -> Table:
    """Draw a row for each story: how many orders it ended for at each backend."""
    table = _table("what became of them", *stories)
    for title in dict.fromkeys(title for ended in stories.values() for title in ended):
        table.add_row(title, *(str(ended.get(title, "")) for ended in stories.values()))
    return table


def _table(first: str, *others: str, caption: str = "") -> Table:
    table = Table(box=box.SIMPLE, caption=caption, pad_edge=False, collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _print_summary(summary: Summary) -> None:
    console = Console()
    console.print(_system_table(summary.portals, summary.backends, summary.seconds))
    console.print(_story_table(summary.stories))
    faults = sum(summary.totals.values(), Row()).faults
    console.print(f"faults: {', '.join(f'{kind} {times}' for kind, times in sorted(faults.items()))}")
    console.print(f"problems: {'' if summary.problems else 'none'}")
    for problem in summary.problems:
        typer.echo(f"  {problem}")
