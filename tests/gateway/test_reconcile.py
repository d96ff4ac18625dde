"""Comparing books: what either side lacks, what differs, what is put right and what is left for a person."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from govpost.adapters.protocols.shanghai import SHANGHAI
from govpost.gateway.cli import main
from govpost.gateway.gateway import Gateway
from govpost.gateway.reconcile import DifferenceKind, Nightly
from govpost.gateway.transport import AsyncTransport, Timeouts
from govpost.mocks.ems import EmsMock
from govpost.mocks.faults import FaultKind
from govpost.mocks.quanyu_tongban import DEMO_PAASID, DEMO_TOKEN, QuanyuTongbanMock, sample_items
from govpost.mocks.server import MockServer
from govpost.schemas import Event, OutcomeKind, Source

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


def night(town: Town, at: datetime, *, when: str = "02:30") -> list[str]:
    """Let the daemon's nightly comparison look at the clock once; returns whom it asked."""
    town.now = at.astimezone(UTC)
    asked: list[str] = []
    destinations = town.gateway.destinations
    source = Source(now=lambda: town.now, token=lambda: "0" * 32)
    before = {name: len(mock.requests) for name, mock in (("portal", town.portal), ("post", town.post))}

    async def look() -> None:
        stop = asyncio.Event()
        nightly = Nightly(town.gateway.ledger, destinations, source, at=when, on_done=lambda: None)
        transport = AsyncTransport(Timeouts(1, 1), connections=1)
        running = asyncio.create_task(nightly.run(stop, transport))
        # One look at the clock; then it would sleep for a minute.
        await nightly.has_looked.wait()
        stop.set()
        await running
        await transport.close()

    asyncio.run(look())
    for name, mock in (("portal", town.portal), ("post", town.post)):
        asked += [name] * (len(mock.requests) > before[name])
    return asked


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
    """Books that could not be read are asked for again within the hour."""
    at = datetime(2023, 12, 3, 3, 0, tzinfo=SHANGHAI)
    town.portal.plan.next(FaultKind.ERROR)
    night(town, at)
    assert night(town, at + timedelta(minutes=61)) == ["portal"]


def test_what_was_not_pushed_is_found_at_night(town: Town) -> None:
    """An item that was silent for a day is asked after, and its portal hears of it."""
    ref, order_id = next(iter(town.order_ids().items()))
    town.now += timedelta(hours=1)
    town.post.play(order_id, "delivered")
    night(town, datetime(2023, 12, 3, 3, 0, tzinfo=SHANGHAI))
    town.settle()
    assert town.portal.items[ref].status == "06"
