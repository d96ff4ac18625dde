"""Carry forty orders from a portal to the doorstep and back, here and now: mocks, gateway, faults and all.

The gateway is the real daemon in a process of its own; the portal and the post are mocks in this one. Every order is
sent twice, signed anew, and both sides answer late, twice or not at all now and then (seeded).
"""

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import requests
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from govpost.mocks._demo_daemon import API_TOKEN, Daemon, DaemonError, write_settings
from govpost.mocks._demo_stories import STORIES, Tale, load_tales
from govpost.mocks.faults import FaultKind, FaultPlan
from govpost.mocks.postal import Mail, PostalMock
from govpost.mocks.server import MockServer
from govpost.mocks.yukuaiban import YukuaibanMock

__all__ = ["Summary", "app"]

app = typer.Typer(name="demo", help="Carry forty sample orders to their end on this machine, with faults.")

#: Of what the gateway sends to either mock.
_FAULTS: dict[str, float] = {
    FaultKind.ERROR_AFTER: 0.04,
    FaultKind.RESET: 0.04,
    FaultKind.ERROR: 0.02,
    FaultKind.BUSY: 0.02,
    FaultKind.LATENCY: 0.05,
}
#: Of what the post tells the gateway.
_EVENTS_TWICE = {FaultKind.DUPLICATE: 0.1}
_FAULT_SECONDS: dict[str, float] = {FaultKind.LATENCY: 0.2, FaultKind.BUSY: 1.0}
_GIVE_UP_AFTER_S = 60.0
_LOOK_EVERY_S = 0.05
_SENDERS = 4


@dataclass(frozen=True, slots=True)
class Summary:
    """How it went."""

    orders: int
    #: Orders that ended where they should, each thing placed and told exactly once.
    ended: int
    duplicates_suppressed: int
    events: int
    events_repeated: int
    #: What arrived: placements at the post, waybills and traces at the portal.
    deliveries: int
    retries: int
    dead: int
    #: Kind of fault → how often.
    faults: dict[str, int]
    seconds: float
    #: What is not as it should be; empty when all is well.
    problems: list[str]


@app.command()
def demo(
    *,
    seed: Annotated[int, typer.Option(help="Seed of the faults.")] = 1,
    folder: Annotated[
        Path | None, typer.Option(help="Keep settings, ledger and log in this new folder.", show_default="thrown away")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Carry forty sample orders from portal to doorstep and back; exit 0 if every one ended well, exactly once."""
    # So that the daemon is stopped however this ends.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    console = Console(stderr=True)
    with _new_folder(folder) as place:
        try:
            summary = _run(place, seed=seed, console=console)
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


def _run(folder: Path, *, seed: int, console: Console) -> Summary:
    portal = YukuaibanMock(plan=_plan(seed))
    postal = PostalMock(api_token=API_TOKEN, seed=seed, plan=_plan(seed + 1, **_EVENTS_TWICE))
    begun = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(MockServer(portal))
        stack.enter_context(MockServer(postal))
        settings = write_settings(folder, portal_url=portal.url, orders_url=postal.orders_url)
        daemon = stack.enter_context(Daemon(settings))
        portal.gateway_url = postal.gateway_url = daemon.url
        show = _Show(load_tales(), portal, postal, begun)
        with _watching(show, console) as look:
            show.run(look)
            show.settle(daemon, look)
        return show.summary(daemon)


def _plan(seed: int, **rates: float) -> FaultPlan:
    """Let every kind of fault happen at least once, and then by chance."""
    plan = FaultPlan(seed, {**_FAULTS, **rates}, seconds=_FAULT_SECONDS)
    for kind in _FAULTS:
        plan.next(kind, seconds=_FAULT_SECONDS.get(kind))
    return plan


class _Show:
    """The forty orders and the two systems that they pass between."""

    def __init__(self, tales: list[Tale], portal: YukuaibanMock, postal: PostalMock, begun: float) -> None:
        self._tales = tales
        self._portal = portal
        self._postal = postal
        self._begun = begun
        #: HTTP status → how many events were answered so.
        self._events: Counter[int] = Counter()
        self._problems: list[str] = []

    @property
    def seconds(self) -> float:
        """How long it has been going."""
        return time.monotonic() - self._begun

    def run(self, look: "_Look") -> None:
        """Send all orders twice, and tell what happens to them, until all have ended or time is up."""
        with ThreadPoolExecutor(_SENDERS) as pool, requests.Session() as session:
            sending = [pool.submit(self._send_twice, tale) for tale in self._tales]
            while not self._is_over(sending) and self.seconds < _GIVE_UP_AFTER_S:
                self._go_on(session)
                look()
                time.sleep(_LOOK_EVERY_S)
        for sent in sending:
            error = sent.exception()
            self._note(error is None, f"an order could not be sent ({type(error).__name__})")
        look()

    def settle(self, daemon: Daemon, look: "_Look") -> None:
        """Wait until the gateway knows of everything that arrived: where an answer was lost, it asks."""
        while (left := daemon.figures()["govpost_queue_depth"]) and self.seconds < _GIVE_UP_AFTER_S:
            look()
            time.sleep(_LOOK_EVERY_S)
        self._note(not left, f"{left:.0f} deliveries are not settled")

    def summary(self, daemon: Daemon) -> Summary:
        """Count, and compare what either side knows with what it should."""
        figures = daemon.figures()
        repeats = round(figures["govpost_orders_repeated_total"])
        dead = round(figures["govpost_deliveries_dead_total"])
        self._note(repeats == len(self._tales), f"{repeats} of {len(self._tales)} repeated orders were recognized")
        self._note(dead == 0, f"{dead} deliveries are dead")
        self._check_ledger(daemon)
        self._check_mocks()
        return Summary(
            orders=round(figures["govpost_orders_accepted_total"]),
            ended=sum(self._count_ended().values()),
            duplicates_suppressed=repeats,
            events=self._events[201],
            events_repeated=self._events[200],
            deliveries=self._postal.placements.total() + len(self._portal.pushes),
            retries=round(figures["govpost_deliveries_retried_total"]),
            dead=dead,
            faults=dict(sorted((self._portal.plan.drawn + self._postal.plan.drawn).items())),
            seconds=round(self.seconds, 1),
            problems=self._problems,
        )

    def table(self) -> Table:
        """Draw how each story stands."""
        mails, ended = self._mails(), self._count_ended()
        faults = (self._portal.plan.drawn + self._postal.plan.drawn).total()
        caption = f"{self.seconds:.1f} s, {faults} faults, {self._events.total()} events"
        table = Table("what becomes of it", caption=caption)
        for title in ("orders", "accepted", "placed", "told", "ended"):
            table.add_column(title, justify="right")
        for title in STORIES:
            tales = [tale for tale in self._tales if tale.title == title]
            pushes = sum(len(order.pushes) for tale in tales if (order := self._portal.orders.get(tale.order_no)))
            accepted = sum(tale.is_accepted for tale in tales)
            placed = sum(tale.order_no in mails for tale in tales)
            table.add_row(title, *map(str, (len(tales), accepted, placed, pushes, ended[title])))
        return table

    def line(self) -> str:
        """Say the same in a line."""
        accepted = sum(tale.is_accepted for tale in self._tales)
        ended = sum(self._count_ended().values())
        return f"{accepted} accepted, {len(self._mails())} placed, {len(self._portal.pushes)} told, {ended} ended"

    def _is_over(self, sending: list[Future[None]]) -> bool:
        return all(sent.done() for sent in sending) and self._count_ended().total() == len(self._tales)

    def _send_twice(self, tale: Tale) -> None:
        for _ in range(2):
            answer = self._portal.send(self._portal.build_create(tale.order, tale.secret_opens_to))
            tale.is_accepted = answer.is_success
            self._note(answer.is_success, f"{tale.order_no} was answered {answer.code or answer.http_status}")

    def _go_on(self, session: requests.Session) -> None:
        """Let the next things happen, and tell the gateway one of each item's."""
        mails = self._mails()
        for tale in self._tales:
            tale.play(self._postal, self._portal, mails)
            if tale.untold:
                told = self._postal.post_events(tale.untold[:1], session=session)
                del tale.untold[0]
                self._events.update(status for _, status in told)

    def _mails(self) -> dict[str, Mail]:
        return {mail.portal_ref: mail for mail in tuple(self._postal.orders.values())}

    def _count_ended(self) -> Counter[str]:
        mails = self._mails()
        return Counter(tale.title for tale in self._tales if tale.has_ended(self._postal, self._portal, mails))

    def _check_ledger(self, daemon: Daemon) -> None:
        known = {order["portal_ref"]: order["status"] for order in daemon.orders()}
        due = {tale.order_no: tale.story.ends for tale in self._tales}
        wrong = sorted(number for number in due.keys() | known.keys() if due.get(number) != known.get(number))
        self._note(not wrong, f"the ledger is wrong about {', '.join(wrong)}")

    def _check_mocks(self) -> None:
        mails = self._mails()
        for tale in self._tales:
            has_ended = tale.has_ended(self._postal, self._portal, mails)
            self._note(has_ended, f"{tale.order_no} ({tale.title}) did not end as it should")
        odd = self._events.keys() - {200, 201}
        self._note(not odd, f"events were answered {', '.join(map(str, sorted(odd)))}")
        for mock in (self._portal, self._postal):
            for rejection in mock.rejected:
                self._note(False, f"{mock.key} refused: {rejection.where} {rejection.reason}")  # noqa: FBT003

    def _note(self, is_well: bool, problem: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not is_well:
            self._problems.append(problem)


class _Look:
    """Show how it stands: called again and again while it goes on."""

    def __call__(self) -> None:
        """Show it now."""


class _LiveLook(_Look):
    def __init__(self, show: _Show, live: Live) -> None:
        self._show, self._live = show, live

    def __call__(self) -> None:
        self._live.update(self._show.table(), refresh=True)


class _PlainLook(_Look):
    def __init__(self, show: _Show) -> None:
        self._show, self._line, self._due = show, "", 0.0

    def __call__(self) -> None:
        line = self._show.line()
        if line != self._line and self._show.seconds >= self._due:
            typer.echo(f"{self._show.seconds:5.1f} s  {line}", err=True)
            self._line, self._due = line, self._show.seconds + 1


@contextmanager
def _watching(show: _Show, console: Console) -> Iterator[_Look]:
    if not console.is_terminal:
        yield _PlainLook(show)
        return
    with Live(show.table(), console=console, auto_refresh=False) as live:
        yield _LiveLook(show, live)


def _print_summary(summary: Summary) -> None:
    facts = asdict(summary)
    facts["faults"] = ", ".join(f"{kind} {times}" for kind, times in summary.faults.items())
    facts["problems"] = "none" if not summary.problems else ""
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):22} {value}")
    for problem in summary.problems:
        typer.echo(f"  {problem}")
