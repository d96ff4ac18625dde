"""The webhook backend in its batched form, end to end: fewer requests, an answer for each, nothing placed twice."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from govpost.gateway.gateway import Gateway
from govpost.gateway.ledger import DeadReason
from govpost.gateway.metrics import Metrics
from govpost.gateway.settings import load_settings
from govpost.gateway.worker import utc_now
from govpost.mocks.faults import FaultKind
from govpost.mocks.postal import DEMO_SECRET, PostalMock

Bench = Any
Relay = Callable[[Gateway, "CountDown"], None]

SETTINGS = """
[relay]
retry_base_s = 0.01
retry_cap_s = 0.02
[portals.yukuaiban]
base_url = "http://127.0.0.1:1"
app_id = "3f0c2a9e-5b1d-4e7a-9c44-0a1b2c3d4e5f"
app_secret = "secret"
app_key = "AAECAwQFBgcICQoLDA0ODw=="
backend = "post"
[backends.post]
adapter = "webhook"
url = "%s"
secret = "%s"
batch_size = 10
"""


class CountDown(Metrics):
    """Figures that tell when so many deliveries were taken."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.is_over = asyncio.Event()
        self.left = number

    def delivered(self, destination: str, portal: str, *, count: int) -> None:
        """Count them off."""
        super().delivered(destination, portal, count=count)
        self.left -= count
        if self.left <= 0:
            self.is_over.set()


def relay_as_library(gateway: Gateway, _meter: CountDown) -> None:
    """Relay in the caller's thread."""
    gateway.relay(until_idle=True)


def relay_as_daemon(gateway: Gateway, meter: CountDown) -> None:
    """Relay on an event loop, until everything was taken."""
    asyncio.run(gateway.arelay(meter.is_over))


@pytest.fixture
def settings(tmp_path: Path, postal_mock: PostalMock) -> Path:
    """Write the settings of a gateway whose post takes ten orders in a request."""
    path = tmp_path / "govpost.toml"
    path.write_text(SETTINGS % (postal_mock.orders_url, DEMO_SECRET), encoding="utf-8")
    return path


def place(gateway: Gateway, bench: Bench, count: int) -> list[str]:
    """Place orders, for a portal that is told nothing for now; returns their numbers."""
    gateway.ledger.pause_destination("yukuaiban", reason="nobody is there")
    orders = (bench.content(f"YKB-{number:08}") for number in range(count))
    return [gateway.place("yukuaiban", order).order_id for order in orders]


def change_store(gateway: Gateway, statement: str) -> None:
    """Do something to the ledger's file behind its back."""
    with closing(sqlite3.connect(gateway.ledger.path)) as store:
        store.execute(statement)


def records(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """Read what was logged of one kind."""
    logged = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [facts for facts in logged if facts["event"] == event]


def test_orders_travel_together(settings: Path, bench: Bench, postal_mock: PostalMock) -> None:
    """Twenty-five orders in three requests, the lost answer of one of them included: each is placed once."""
    postal_mock.plan.next(FaultKind.ERROR_AFTER)
    with Gateway.from_toml(settings) as gateway:
        place(gateway, bench, 25)
        for _ in range(3):
            gateway.relay(until_idle=True)
        numbers = [row.waybill_nos for row in gateway.ledger.find_orders(limit=100).rows]
    assert [(rejection.where, rejection.reason) for rejection in postal_mock.rejected] == []
    assert set(postal_mock.placements.values()) == {1}
    assert (len(postal_mock.placements), len(numbers), all(numbers)) == (25, 25, True)
    assert postal_mock.received == 4


def test_a_request_is_one_record_that_names_all_it_carried(
    settings: Path, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever looks for an order's number finds what became of it; one that travelled alone has no lists."""
    caplog.set_level(logging.INFO, logger="govpost")
    with Gateway.from_toml(settings) as gateway:
        orders = place(gateway, bench, 11)
        gateway.relay(until_idle=True)
        together, alone = records(caplog, "delivery.taken")
    assert (together["deliveries"], together["order_ids"]) == (10, orders[:10])
    assert len(set(together["delivery_ids"])) == 10
    assert (alone["order_id"], "deliveries" in alone, "order_ids" in alone) == (orders[10], False, False)


@pytest.mark.parametrize("relay", [relay_as_library, relay_as_daemon])
def test_one_that_cannot_be_stored_takes_nothing_from_the_others(
    settings: Path, bench: Bench, postal_mock: PostalMock, caplog: pytest.LogCaptureFixture, relay: Relay
) -> None:
    """A fault of the store at one of ten: the others have their numbers, a person is told, nothing is sent twice."""
    meter = CountDown(10)
    with Gateway(load_settings(settings), meter=meter) as gateway:
        orders = place(gateway, bench, 10)
        change_store(
            gateway,
            "CREATE TRIGGER fault BEFORE UPDATE ON deliveries "
            f"WHEN NEW.order_id = '{orders[3]}' AND NEW.state = 'settled' "
            "BEGIN SELECT RAISE(ABORT, 'a fault'); END",
        )
        relay(gateway, meter)
        unnumbered = [row.order_id for row in gateway.ledger.find_orders(limit=100).rows if not row.waybill_nos]
        assert unnumbered == [orders[3]]
        assert [facts["order_id"] for facts in records(caplog, "delivery.not_settled")] == [orders[3]]
        (letter,) = gateway.ledger.dead_letters()
        assert (letter.order_id, letter.reason) == (orders[3], DeadReason.NOT_STORED)
        change_store(gateway, "DROP TRIGGER fault")
        gateway.ledger.replay(letter.delivery_id)
        gateway.relay(until_idle=True)
        assert all(row.waybill_nos for row in gateway.ledger.find_orders(limit=100).rows)
    assert set(postal_mock.placements.values()) == {1}
    assert len(postal_mock.placements) == 10


def test_one_that_cannot_be_buried_either_stays_leased(
    settings: Path, bench: Bench, postal_mock: PostalMock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked after, or sent again, once its worker has left the ledger."""
    ahead = [timedelta()]
    with Gateway(load_settings(settings), clock=lambda: utc_now() + ahead[0]) as gateway:
        (order_id,) = place(gateway, bench, 1)
        change_store(
            gateway,
            "CREATE TRIGGER fault BEFORE UPDATE ON deliveries WHEN NEW.state IN ('settled', 'dead') "
            "BEGIN SELECT RAISE(ABORT, 'a fault'); END",
        )
        gateway.relay(until_idle=True)
        assert [facts["order_id"] for facts in records(caplog, "delivery.not_settled")] == [order_id] * 2
        change_store(gateway, "DROP TRIGGER fault")
        # What a worker leaves behind unsettled may be on its way for one request's time-out.
        ahead[0] = timedelta(minutes=1)
        gateway.relay(until_idle=True)
        assert gateway.ledger.read_order(order_id).row.waybill_nos
    assert set(postal_mock.placements.values()) == {1}
