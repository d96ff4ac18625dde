"""What a portal is told in batches, against the same told one by one."""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import requests

from benchmarks.bare_client import carry
from benchmarks.desk import at_desk
from benchmarks.processes import closed_port, mock_state, module, module_output, write_settings
from benchmarks.relay_alone import IN_BATCHES, ONE_BY_ONE, Portal, build_portal, open_ledger
from benchmarks.report import Figure, middle
from govpost.adapters.base import Document
from govpost.gateway.gateway import Gateway
from govpost.gateway.settings import load_settings
from govpost.gateway.worker import system_source, utc_now
from govpost.mocks._synthetic import s10_number
from govpost.schemas import Event, Status

__all__ = ["batches"]

_PORTAL = "quanyu_tongban"
#: What happens to every order; the number is told with the first.
_LIFE = (Status.COLLECTED, Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.DELIVERED)
_STEP = timedelta(seconds=1)
#: More requests than are ever due at once.
_MOST = 10_000


def batches(*, is_quick: bool) -> list[Figure]:
    """Measure updates a processor second of the relay, both ways, and of a bare client with the same bodies."""
    number, rounds = (20, 1) if is_quick else (1000, 5)
    with tempfile.TemporaryDirectory() as name, closed_port() as nobody, module("benchmarks.portal_server") as url:
        settings = write_settings(Path(name), post_url=nobody, quanyu_tongban=url)
        owed = _owe(settings, url, number)
        ways = {how: _Way(how, settings, url, number, owed) for how in (IN_BATCHES, ONE_BY_ONE)}
        for _ in range(rounds):
            for way in ways.values():
                way.measure()
    together, alone = ways[IN_BATCHES], ways[ONE_BY_ONE]
    return [
        *(figure for way in ways.values() for figure in way.figures()),
        Figure(
            "gain",
            together.per_cpu_s / alone.per_cpu_s,
            "in batches against one by one",
            at_least=5,
            bare=together.bare_per_cpu_s / alone.bare_per_cpu_s,
        ),
        Figure("updates", float(owed), "updates in each round, each way"),
        Figure("told_amiss", float(together.amiss + alone.amiss), "updates told not once, or not taken", at_most=0),
    ]


def _owe(settings: Path, url: str, number: int) -> int:
    """Take orders from the portal and record all that happens to them; returns how many updates it is owed."""
    _offer(url, number)
    with Gateway.from_toml(settings) as gateway:
        gateway.poll()
        taken = gateway.ledger.find_orders(limit=number).rows
        recorded = [
            gateway.ledger.record(order.order_id, event)
            for serial, order in enumerate(taken)
            for event in _events(serial)
        ]
        if {each.result().status for each in recorded} != {201}:
            raise RuntimeError("an event was not recorded")
        path = gateway.ledger.path
    with closing(sqlite3.connect(path)) as ledger:
        owed: int = ledger.execute("SELECT count(*) FROM deliveries WHERE destination = ?", [_PORTAL]).fetchone()[0]
    return owed


def _events(serial: int) -> Iterator[Event]:
    begins_at = utc_now() - len(_LIFE) * _STEP
    for place, status in enumerate(_LIFE):
        facts = {"event_id": f"{serial}-{place}", "status": status, "occurred_at": begins_at + place * _STEP}
        yield Event.model_validate({**facts, "waybill_no": s10_number("EA", serial)})


def _offer(url: str, number: int) -> None:
    """Have the portal forget everything and offer the orders anew: the same ones each time."""
    requests.post(f"{url}/__mock__/reset", timeout=60).raise_for_status()
    requests.post(f"{url}/__mock__/do/offer", json={"count": number}, timeout=60).raise_for_status()


@dataclass(slots=True)
class _Way:
    """One way to tell the same, and what it has cost so far."""

    how: str
    settings: Path
    url: str
    number: int
    owed: int
    #: Processor seconds of each round.
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    books: list[float] = field(default_factory=list)
    calls: int = 0
    amiss: int = 0

    @property
    def per_cpu_s(self) -> float:
        """Updates a processor second of the relay."""
        return self.owed / middle(self.ours)

    @property
    def bare_per_cpu_s(self) -> float:
        """Updates a processor second of the bare client."""
        return self.owed / middle(self.bare)

    def figures(self) -> Iterator[Figure]:
        """Say what it costs."""
        words = self.how.replace("_", " ")
        yield Figure(
            f"{self.how}_per_cpu_s",
            self.per_cpu_s,
            f"updates a processor second of the relay, {words}",
            bare=self.bare_per_cpu_s,
        )
        yield Figure(
            f"{self.how}_books_per_cpu_s",
            self.owed / middle(self.books),
            "the same claimed, rendered and settled only: no request",
        )
        yield Figure(f"{self.how}_calls", float(self.calls), "requests that it took")

    def measure(self) -> None:
        """Have the relay tell everything; then work its books alone, and send its bodies alone."""
        with _copied(self.settings) as settings:
            _offer(self.url, self.number)
            arguments = (settings, _PORTAL, self.owed, self.how)
            self.ours.append(float(module_output("benchmarks.relay_alone", *arguments, folder=settings.parent)))
            self.amiss += self._count_amiss()
        with _copied(self.settings) as settings:
            portal = build_portal(load_settings(settings).portals[_PORTAL], self.how)
            begun = time.process_time()
            waves = list(_waves(settings, portal))
            self.books.append(time.process_time() - begun)
        self.bare.append(self._send_bare(portal, waves))

    def _count_amiss(self) -> int:
        state = mock_state(self.url)
        self.calls = state["received"]
        wrong: int = sum(state[fault] for fault in ("rejected", "repeats", "told_twice", "too_fast"))
        return wrong + abs(int(state["taken"] + state["traces"]) - self.owed)

    def _send_bare(self, portal: Portal, waves: Sequence[Sequence[Sequence[Document]]]) -> float:
        """Send the same bodies, signed beforehand; returns processor seconds."""
        _offer(self.url, self.number)
        source = system_source(utc_now)
        ready = [[[next(portal.to.adapter.send(batch, source)) for batch in wave]] for wave in waves]
        begun = time.process_time()
        carry(*ready)
        return time.process_time() - begun


@contextmanager
def _copied(settings: Path) -> Iterator[Path]:
    """Give settings with a ledger of their own that holds the same."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(shutil.copytree(settings.parent, Path(name) / "copy")) / settings.name


def _waves(settings: Path, portal: Portal) -> Iterator[list[list[Document]]]:
    """Work the books of a ledger alone, and give what the relay would send: what is due at once, then what follows."""
    loaded = load_settings(settings)
    ledger = open_ledger(loaded, portal)
    try:
        with at_desk(ledger, portal.to, loaded.relay) as desk:
            while claimed := desk.claim(_MOST):
                yield [[claim.document for claim in batch if claim.document is not None] for batch in claimed]
                desk.settle(claimed)
    finally:
        ledger.close()
