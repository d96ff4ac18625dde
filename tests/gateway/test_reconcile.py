"""Comparing books: what either side lacks, what differs, what is put right and what is left for a person."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from govpost.adapters.base import Standing
from govpost.adapters.protocols.shanghai import SHANGHAI
from govpost.gateway.cli import main
from govpost.gateway.gateway import Gateway
from govpost.gateway.reconcile import DifferenceKind, Nightly
from govpost.gateway.relay import Destination
from govpost.gateway.transport import AsyncTransport, Timeouts
from govpost.mocks.ems import EmsMock
from govpost.mocks.faults import FaultKind
from govpost.mocks.quanyu_tongban import DEMO_PAASID, DEMO_TOKEN, QuanyuTongbanMock, sample_items
from govpost.mocks.server import MockServer
from govpost.schemas import Conversation, Event, Outcome, OutcomeKind, Source

#: The samples are of this day.
DAY = date(2023, 12, 1)
SETTINGS = """
[relay]
retry_base_s = 0.01
retry_cap_s = 0.02
[portals.quanyu_tongban]
base_url = "{portal}"
paasid = "{paasid}"
token = "{token}"
poll_every_s = 1
backend = "post"
[backends.post]
adapter = "ems"
url = "{post}"
sender_no = "1100000000000"
authorization = "demo-authorization"
sign_key = "TvaBgrhE46sft3nZlfe7xw=="
"""


class Town:
    """A gateway between a portal that keeps books and a backend that can be asked, at a time that tests move."""

    def __init__(self, folder: Path, portal: QuanyuTongbanMock, post: EmsMock) -> None:
        self.now = datetime(2023, 12, 1, 4, 0, tzinfo=UTC)
        self.portal, self.post = portal, post
        portal.now = post.now = lambda: self.now
        path = folder / "govpost.toml"
        text = SETTINGS.format(portal=portal.url, paasid=DEMO_PAASID, token=DEMO_TOKEN, post=post.open_url)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        self.settings = path
        self.gateway = Gateway.from_toml(path, clock=lambda: self.now)

    def settle(self) -> None:
        """Poll and deliver until nothing is due, retries included."""
        for _ in range(3):
            self.now += timedelta(seconds=2)
            self.gateway.relay(until_idle=True)

    def order_ids(self) -> dict[str, str]:
        """Name the orders by the portal's numbers."""
        return {row.portal_ref: row.order_id for row in self.gateway.ledger.find_orders(limit=100).rows}

    def record(self, order_id: str, *statuses: str) -> None:
        """Let things happen to an item."""
        for status in statuses:
            self.now += timedelta(minutes=1)
            event = Event.model_validate({"event_id": f"{order_id}{status}", "status": status, "occurred_at": self.now})
            self.gateway.record(order_id, event)

    def compare(self) -> list[tuple[DifferenceKind, str, bool]]:
        """Compare with the portal's books; returns kind, portal_ref, healed."""
        found = self.gateway.reconcile("quanyu_tongban", DAY)
        assert found.failure is None
        return [(row.kind, row.portal_ref, row.is_healed) for row in found.differences]


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[tuple[str, dict[str, Any]]]:
    """Read the level and the facts of what was logged of one kind."""
    records = [record for record in caplog.records if isinstance(record.msg, dict)]
    return [(record.levelname, record.msg) for record in records if record.msg["event"] == event]


@pytest.fixture
def town(
    tmp_path: Path, quanyu_tongban_server: MockServer[QuanyuTongbanMock], ems_server: MockServer[EmsMock]
) -> Iterator[Town]:
    """Give a gateway with three orders that everybody knows."""
    made = Town(tmp_path, quanyu_tongban_server.mock, ems_server.mock)
    for item in _items(3):
        made.portal.hand_over(item)
    made.settle()
    yield made
    made.gateway.close()


def _items(count: int) -> list[dict[str, Any]]:
    """Take sample items of one day that go one way."""
    found = [item for item in sample_items() if item["LXDM"] == "S"]
    return [{**item, "TJSJ": "20231201090000"} for item in found[:count]]


def test_books_that_agree_have_no_rows(town: Town) -> None:
    """Everything was told, so nothing differs."""
    town.record(next(iter(town.order_ids().values())), "collected")
    town.settle()
    assert town.compare() == []
    assert town.gateway.reconcile("quanyu_tongban", DAY).compared == 3


def test_what_the_portal_lost_is_told_again(town: Town) -> None:
    """A state it forgot is sent once more, as a new update, and then the books agree."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.record(order_id, "collected", "in_transit")
    town.settle()
    town.portal.items[ref].courses[1].pop()
    assert town.compare() == [(DifferenceKind.STATUS_DIFFERS, ref, True)]
    town.settle()
    assert town.compare() == []


def test_an_order_the_portal_does_not_know_is_acked_again(town: Town) -> None:
    """It hears that the order was taken, and how it stands."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.record(order_id, "collected")
    town.settle()
    town.portal.forget(ref)
    assert town.compare() == [(DifferenceKind.THEY_LACK, ref, True)]
    town.settle()
    assert town.compare() == []


def test_an_order_that_we_lack_is_for_a_person(town: Town) -> None:
    """The portal believes that we have it: nobody but it can hand it over again."""
    stranger = _items(4)[3]
    town.portal.hand_over(stranger)
    town.portal.items[stranger["SBLSH"]].jsbz = "1"
    assert town.compare() == [(DifferenceKind.WE_LACK, stranger["SBLSH"], False)]


def test_what_the_portal_cannot_take_back_is_for_a_person(town: Town) -> None:
    """It believes an item delivered that is not: no update of ours leads from there to here."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.record(order_id, "collected")
    town.settle()
    town.portal.items[ref].courses[1].append("06")
    assert town.compare() == [(DifferenceKind.STATUS_DIFFERS, ref, False)]


def test_what_is_owed_heals_by_itself(town: Town) -> None:
    """An update on its way is no reason to send another one."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.gateway.ledger.pause_destination("quanyu_tongban", reason="test")
    town.record(order_id, "collected")
    found = town.gateway.reconcile("quanyu_tongban", DAY).differences
    assert [(row.portal_ref, row.is_healed, row.next) for row in found] == [
        (ref, True, "it is owed and goes out by itself")
    ]
    deliveries = town.gateway.ledger.read_deliveries(order_id)
    assert len([row for row in deliveries if row.told_status == "collected"]) == 1


def test_what_was_given_up_is_for_a_person(town: Town) -> None:
    """An update that the portal refused is not sent again behind the back of whoever looks after it."""
    ref, order_id = next(iter(town.order_ids().items()))
    del town.portal.items[ref]
    town.record(order_id, "collected")
    town.settle()
    before = town.gateway.ledger.read_deliveries(order_id)
    assert town.compare() == [(DifferenceKind.THEY_LACK, ref, False)]
    assert town.gateway.ledger.read_deliveries(order_id) == before


def test_a_cancelled_order_need_not_be_known(town: Town) -> None:
    """A portal may well forget what comes no more."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.record(order_id, "cancelled")
    town.settle()
    town.portal.forget(ref)
    assert town.compare() == []


@pytest.mark.parametrize(("minute", "day"), [(59, DAY), (60, DAY + timedelta(days=1))])
def test_a_day_is_one_of_shanghai(town: Town, minute: int, day: date) -> None:
    """Midnight there is 16:00 UTC: what was accepted before it is of the day, what came after it of the next."""
    town.now = datetime(2023, 12, 1, 15, 0, tzinfo=UTC) + timedelta(minutes=minute)
    town.portal.hand_over(_items(4)[3])
    town.settle()
    compared = {each: town.gateway.reconcile("post", each).compared for each in (DAY, DAY + timedelta(days=1))}
    assert compared == {DAY: 3, DAY + timedelta(days=1): 0} | {day: 4 if day == DAY else 1}


def test_what_is_left_for_a_person_is_an_error_in_the_log(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    """What heals is counted only."""
    (ref, order_id), (lost, other_id), _ = town.order_ids().items()
    town.record(order_id, "collected")
    town.record(other_id, "collected")
    town.settle()
    town.portal.items[ref].courses[1].append("06")
    town.portal.items[lost].courses[1].pop()
    caplog.set_level(logging.INFO, logger="govpost")
    town.compare()
    ((level, facts),) = logged(caplog, "reconcile.difference")
    assert (level, facts["portal_ref"], facts["ours"], facts["theirs"]) == ("ERROR", ref, "collected", "06")
    ((_, done),) = logged(caplog, "reconcile.done")
    assert (done["differences"], done["unhealed"]) == (2, 1)


def test_comparing_waits_for_its_turn(town: Town) -> None:
    """The portal takes 20 requests a second, whoever sends them: the next turn is behind the comparison's."""
    town.now += timedelta(minutes=1)
    town.compare()
    turn_at = town.gateway.ledger.take_turn("quanyu_tongban", rate_per_s=20).result()
    assert turn_at > town.now


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (FaultKind.ERROR, OutcomeKind.UNKNOWN),
        (FaultKind.GARBAGE, OutcomeKind.UNKNOWN),
        (FaultKind.BUSY, OutcomeKind.BUSY),
    ],
)
def test_books_that_cannot_be_read_are_no_difference(town: Town, kind: FaultKind, outcome: OutcomeKind) -> None:
    """What the portal does wrong is said as what it is."""
    town.portal.plan.next(kind)
    found = town.gateway.reconcile("quanyu_tongban", DAY)
    assert (found.failure and found.failure.kind, found.differences) == (outcome, ())


def test_a_backend_s_books_bring_what_was_not_pushed(town: Town) -> None:
    """Its traces are asked for by waybill number; what is missing is recorded and told."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.now += timedelta(hours=1)
    town.post.play(order_id, "delivered")
    found = town.gateway.reconcile("post", DAY)
    kinds = {(row.kind, row.portal_ref, row.is_healed) for row in found.differences}
    assert kinds == {(DifferenceKind.EVENT_MISSING, ref, True)}
    assert found.compared == 3
    town.settle()
    assert town.portal.items[ref].status == "06"
    assert town.gateway.reconcile("post", DAY).differences == ()


def test_an_item_that_a_backend_will_not_speak_of_is_for_a_person(town: Town) -> None:
    """What it refuses to say of older items keeps nobody from asking after the newer ones."""
    strangers = town.order_ids()
    town.post.reset()
    item = _items(4)[3]
    town.portal.hand_over(item)
    town.settle()
    town.now += timedelta(hours=1)
    town.post.play(town.order_ids()[item["SBLSH"]], "delivered")
    found = town.gateway.reconcile("post", DAY)
    assert (found.failure, found.compared) == (None, 4)
    assert {(row.kind, row.portal_ref, row.theirs) for row in found.unhealed} == {
        (DifferenceKind.UNANSWERED, ref, "B00001") for ref in strangers
    }
    assert {row.portal_ref for row in found.differences if row.is_healed} == {item["SBLSH"]}


@pytest.mark.parametrize(
    ("kind", "outcome"), [(FaultKind.ERROR, OutcomeKind.UNKNOWN), (FaultKind.BUSY, OutcomeKind.BUSY)]
)
def test_a_backend_that_is_not_well_is_asked_no_further(town: Town, kind: FaultKind, outcome: OutcomeKind) -> None:
    """What speaks of the backend itself ends the comparison."""
    town.post.plan.next(kind)
    found = town.gateway.reconcile("post", DAY)
    assert (found.failure and found.failure.kind, found.compared) == (outcome, 1)


def test_who_has_no_books_is_said(town: Town) -> None:
    """A system that keeps none, and one that does not exist."""
    with pytest.raises(KeyError):
        town.gateway.reconcile("nobody", DAY)


def test_a_round_of_the_command_line(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """`govpost reconcile` prints rows, and its exit code says whether a person is needed."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.record(order_id, "collected")
    town.settle()
    town.portal.items[ref].courses[1].append("06")
    town.portal.now = lambda: datetime.now(UTC)
    with pytest.raises(SystemExit) as ended:
        main(["reconcile", "quanyu_tongban", "2023-12-01", "--json", "--config", str(town.settings)])
    assert ended.value.code == 1
    (row,) = json.loads(capsys.readouterr().out)["reconciliation"]["differences"]
    assert (row["kind"], row["portal_ref"], row["ours"], row["theirs"]) == ("status_differs", ref, "collected", "06")


# Every night.


def night(
    town: Town, at: datetime, *, when: str = "02:30", destinations: Sequence[Destination] | None = None
) -> list[str]:
    """Let the daemon's nightly comparison look at the clock once; returns whom it asked."""
    town.now = at.astimezone(UTC)
    mocks = {"portal": town.portal, "post": town.post}
    before = {name: len(mock.requests) for name, mock in mocks.items()}

    async def look() -> None:
        stop = asyncio.Event()
        nightly = _nightly(town, town.gateway.destinations if destinations is None else destinations, when=when)
        transport = AsyncTransport(Timeouts(1, 1), connections=1)
        running = asyncio.create_task(nightly.run(stop, transport))
        looking = asyncio.create_task(nightly.has_looked.wait())
        # One look at the clock; then it would sleep for a minute.
        await asyncio.wait({running, looking}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        looking.cancel()
        await transport.close()
        await running

    asyncio.run(look())
    return [name for name, mock in mocks.items() if len(mock.requests) > before[name]]


def _nightly(town: Town, destinations: Sequence[Destination], *, when: str = "02:30") -> Nightly:
    source = Source(now=lambda: town.now, token=lambda: "0" * 32)
    return Nightly(town.gateway.ledger, destinations, source, at=when, on_done=lambda: None)


@pytest.mark.parametrize(
    ("hour", "when", "asked"),
    [((2, 29), "02:30", []), ((2, 30), "02:30", ["portal", "post"]), ((3, 0), "", [])],
)
def test_yesterday_is_compared_at_the_hour(town: Town, hour: tuple[int, int], when: str, asked: list[str]) -> None:
    """Not before it in Shanghai, and not at all where nobody wants it; a backend is asked after silent items."""
    at = datetime(2023, 12, 3, *hour, tzinfo=SHANGHAI)
    assert night(town, at, when=when) == asked


def test_a_night_is_compared_once(town: Town) -> None:
    """By whichever daemon comes first; the next night is another one."""
    at = datetime(2023, 12, 3, 3, 0, tzinfo=SHANGHAI)
    assert night(town, at) == ["portal", "post"]
    assert night(town, at + timedelta(hours=1)) == []
    assert night(town, at + timedelta(days=1)) == ["portal", "post"]


def test_a_night_that_failed_is_tried_again(town: Town) -> None:
    """Books that could not be read are asked for again after an hour: until then somebody may still be at them."""
    at = datetime(2023, 12, 3, 3, 0, tzinfo=SHANGHAI)
    town.portal.plan.next(FaultKind.ERROR)
    night(town, at)
    assert night(town, at + timedelta(minutes=59)) == []
    assert night(town, at + timedelta(minutes=61)) == ["portal"]


def test_what_was_not_pushed_is_found_at_night(town: Town) -> None:
    """An item that was silent for a day is asked after, and its portal hears of it."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.now += timedelta(hours=1)
    town.post.play(order_id, "delivered")
    night(town, datetime(2023, 12, 3, 3, 0, tzinfo=SHANGHAI))
    town.settle()
    assert town.portal.items[ref].status == "06"


def test_who_was_heard_of_is_not_asked_after(town: Town) -> None:
    """A backend is asked after what was silent for 24 hours; 15 hours are none."""
    assert night(town, datetime(2023, 12, 2, 3, 0, tzinfo=SHANGHAI)) == ["portal"]


def test_the_last_to_fall_silent_are_asked_after_first(town: Town) -> None:
    """Those that stay silent for ever hide nobody who fell silent since."""
    silent, _, newest = town.order_ids().values()
    town.record(silent, "collected")
    town.record(newest, "collected")
    found = town.gateway.ledger.silent_orders("post", town.now + timedelta(hours=24), most=2)
    assert [entry.order_id for entry in found] == [newest, silent]


class Broken:
    """An adapter with a fault of its own."""

    def reconcile(self, day: date, source: Source) -> Conversation[tuple[Standing, ...] | Outcome]:
        """Stumble over what it did not expect."""
        yield from ()
        raise KeyError(day, source)


def test_an_adapter_that_breaks_stops_nobody_else(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    """The others are compared with, a person sees what broke, and it is tried again like any night that failed."""
    destinations = [Destination("broken", Broken(), None), *town.gateway.destinations]  # type: ignore[arg-type]
    at = datetime(2023, 12, 3, 3, 0, tzinfo=SHANGHAI)
    assert night(town, at, destinations=destinations) == ["portal", "post"]
    assert night(town, at + timedelta(minutes=61), destinations=destinations) == []
    broke = logged(caplog, "reconcile.adapter_failed")
    assert [(level, facts["system"], facts["error"]) for level, facts in broke] == [("ERROR", "broken", "KeyError")] * 2
    assert all("KeyError" in facts["exception"][0] for _, facts in broke)


class Endless:
    """An adapter that never has enough of somebody's books."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.has_asked = threading.Event()

    def reconcile(self, day: date, source: Source) -> Conversation[tuple[Standing, ...] | Outcome]:
        """Ask again and again."""
        while True:
            yield from self.real.reconcile(day, source)
            self.has_asked.set()


def test_stop_breaks_a_comparison_off(town: Town) -> None:
    """A round of thousands of calls does not hold up the end of the daemon, and the next one takes the night on."""
    adapter = Endless(town.gateway.portals["quanyu_tongban"].adapter)
    town.now = datetime(2023, 12, 3, 3, 0, tzinfo=SHANGHAI).astimezone(UTC)

    async def run() -> None:
        stop = asyncio.Event()
        nightly = _nightly(town, [Destination("endless", adapter, None)])  # type: ignore[arg-type]
        transport = AsyncTransport(Timeouts(1, 1), connections=1)
        running = asyncio.create_task(nightly.run(stop, transport))
        assert await asyncio.to_thread(adapter.has_asked.wait, 5)
        stop.set()
        await asyncio.wait_for(running, 5)
        await transport.close()

    asyncio.run(run())
    assert town.gateway.ledger.begin_reconciliation("endless", date(2023, 12, 2)).result()


class Told(logging.Handler):
    """Wait for a record of the log."""

    def __init__(self, event: str) -> None:
        super().__init__()
        self.event = event
        self.systems: list[str] = []
        self.is_full = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Note whom it is about."""
        if isinstance(record.msg, dict) and record.msg["event"] == self.event:
            self.systems.append(record.msg["system"])
            if len(self.systems) == 2:
                self.is_full.set()


def test_the_daemon_compares_at_night(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    """It does so beside its relay, without being asked to."""
    caplog.set_level(logging.INFO, logger="govpost")
    town.now = datetime(2023, 12, 3, 3, 0, tzinfo=SHANGHAI).astimezone(UTC)
    told = Told("reconcile.done")
    logging.getLogger("govpost").addHandler(told)
    try:
        asyncio.run(asyncio.wait_for(town.gateway.arelay(told.is_full), 10))
    finally:
        logging.getLogger("govpost").removeHandler(told)
    assert told.systems == ["quanyu_tongban", "post"]
