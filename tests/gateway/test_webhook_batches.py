"""The webhook backend in its batched form, end to end: fewer requests, an answer for each, nothing placed twice."""

from pathlib import Path
from typing import Any

from govpost.gateway.gateway import Gateway
from govpost.mocks.faults import FaultKind
from govpost.mocks.postal import DEMO_SECRET, PostalMock

Bench = Any

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


def test_orders_travel_together(tmp_path: Path, bench: Bench, postal_mock: PostalMock) -> None:
    """Twenty-five orders in three requests, the lost answer of one of them included: each is placed once."""
    path = tmp_path / "govpost.toml"
    path.write_text(SETTINGS % (postal_mock.orders_url, DEMO_SECRET), encoding="utf-8")
    postal_mock.plan.next(FaultKind.ERROR_AFTER)
    with Gateway.from_toml(path) as gateway:
        for number in range(25):
            gateway.place("yukuaiban", bench.content(f"YKB-{number:08}"))
        gateway.ledger.pause_destination("yukuaiban", reason="nobody is there")
        for _ in range(3):
            gateway.relay(until_idle=True)
        numbers = [row.waybill_nos for row in gateway.ledger.find_orders(limit=100).rows]
    assert [(rejection.where, rejection.reason) for rejection in postal_mock.rejected] == []
    assert set(postal_mock.placements.values()) == {1}
    assert (len(postal_mock.placements), len(numbers), all(numbers)) == (25, 25, True)
    assert postal_mock.received == 4
