"""A backend to which each leg of a round trip is an order of its own: news of one proves nothing of the other."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from ingress_fixtures import EMS_SECTIONS

from govpost.gateway.gateway import Gateway
from govpost.mocks.ems import EmsMock
from govpost.mocks.faults import FaultKind
from govpost.mocks.server import MockServer
from govpost.schemas import OrderContent, Placed, Status

SAMPLE = Path(__file__).parents[2] / "schemas" / "wire" / "ems" / "samples" / "round_trip.order.json"


def test_a_push_of_leg_1_does_not_stop_leg_2_from_being_placed(tmp_path: Path, ems_server: MockServer[EmsMock]) -> None:
    """EMS took the way there and failed at the way back; then a courier collects: the way back is still placed."""
    ems, now = ems_server.mock, [datetime(2023, 12, 1, 1, 0, tzinfo=UTC)]
    ems.now = lambda: now[0]
    requests = count(1)
    ems.plan.next(FaultKind.ERROR, when=lambda _request: next(requests) == 2)
    sample = json.loads(SAMPLE.read_text("utf-8"))
    content = OrderContent.model_validate({name: sample[name] for name in OrderContent.model_fields if name in sample})
    path = tmp_path / "govpost.toml"
    path.write_text(EMS_SECTIONS % ems.open_url, encoding="utf-8")
    with Gateway.from_toml(path, clock=lambda: now[0]) as gateway:
        gateway.ledger.pause_destination("yukuaiban", reason="nobody is there")
        placed = gateway.place("yukuaiban", content)
        assert isinstance(placed, Placed)
        order_id = placed.order_id
        gateway.relay(until_idle=True)
        assert sorted(ems.items) == [f"{order_id}-1"]
        assert ems.is_taken(gateway.receive("post", ems.tell(order_id, "203")))
        assert gateway.ledger.read_order(order_id).row.status is Status.COLLECTED
        now[0] += timedelta(hours=1)
        gateway.relay(until_idle=True)
    assert sorted(ems.items) == [f"{order_id}-1", f"{order_id}-2"]
    assert ems.placed() == {order_id: 1}
