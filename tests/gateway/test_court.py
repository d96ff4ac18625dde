"""A court's papers from batch to receipt, through a whole gateway: what is told, what is flagged, what is explained."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from lxml import etree

from govpost.adapters.protocols.sm2 import SigningKey, der_from_raw
from govpost.gateway.gateway import Gateway
from govpost.gateway.ingress.app import create_app, public_limits
from govpost.gateway.metrics import Metrics
from govpost.schemas import Event, OrderContent, Placed, Status

ROOT = Path(__file__).parents[2]
KEYS = json.loads((ROOT / "tests" / "data" / "examples.json").read_text("utf-8"))["keys"]["sm2"]
SAMPLE = ROOT / "schemas" / "wire" / "court_waybill" / "samples" / "person.order.json"
MORNING = datetime(2023, 12, 4, 1, tzinfo=UTC)
NS = "{urn:govpost:court-waybill:1}"
ID_NO = "500108196905244643"
SETTINGS = f"""
[ledger]
url = "sqlite:///govpost.db"
key_file = "govpost.key"
[portals.court_waybill]
base_url = "https://court.example"
certs = {{ CQFY = "{KEYS["court"]["public"]}" }}
sign_cert = "CQYZ"
sign_key = "{KEYS["gateway_court"]["private"]}"
backend = "post"
[backends.post]
adapter = "webhook"
url = "https://post.example/orders"
secret = "whsec_c3ludGhldGljLXNlY3JldC1mb3ItdGVzdHM="
"""


class Court:
    """A court that takes everything and remembers it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        #: What it was told, as (kind, attributes), in order.
        self.told: list[tuple[str, dict[str, str]]] = []
        self._qqids: list[str] = []

    def __call__(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        """Answer a HuiChuan."""
        assert isinstance(request.body, bytes)
        root = etree.fromstring(request.body)
        answer = etree.Element(f"{NS}YingDa", dm="0")
        if root[0].tag == f"{NS}ChaXun":
            for qqid in self._qqids:
                etree.SubElement(answer, f"{NS}Qqid").text = qqid
        else:
            self._qqids.append(root.get("qqid"))
            self.told.append((root[0].tag.removeprefix(NS), dict(root[0].attrib)))
        body = etree.tostring(answer, encoding="GB18030", xml_declaration=True)
        return 200, self._seal(body), body

    def _seal(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._now().timestamp() * 1000))
        signature = SigningKey(KEYS["court"]["private"]).sign(timestamp.encode() + b"\n" + body)
        encoded = b64encode(der_from_raw(signature)).decode()
        return {"X-Cert-Id": "CQFY", "X-Timestamp": timestamp, "X-Signature": encoded}


class Bench:
    """A gateway between a court and a backend, with one order placed and numbered."""

    def __init__(self, settings_file: Path, far: responses.RequestsMock) -> None:
        self.now = MORNING
        self.court = Court(lambda: self.now)
        far.post("https://post.example/orders", json={"waybill_no": "EA969294768CN"})
        far.add_callback(responses.POST, "https://court.example/hc", callback=self.court)
        self.gateway = Gateway.from_toml(settings_file, clock=lambda: self.now)
        placed = self.gateway.place("court_waybill", OrderContent.model_validate_json(SAMPLE.read_bytes()))
        assert isinstance(placed, Placed)
        self.order_id = placed.order_id
        self.gateway.relay(until_idle=True)

    def happen(self, status: Status | None, *, days: int = 0, **facts: Any) -> str:
        """Let something happen so many days on, tell everybody, and return its number."""
        self.now += timedelta(days=days, minutes=1)
        event = {"event_id": f"E{self.now.isoformat()}", "status": status, "occurred_at": self.now, **facts}
        assert self.gateway.record(self.order_id, Event.model_validate(event)).moved
        self.gateway.relay(until_idle=True)
        return str(event["event_id"])

    def lines(self) -> str:
        """Explain the order."""
        return "\n".join(self.gateway.explain(self.order_id).lines())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Open a gateway whose order has its number."""
    path = tmp_path / "govpost.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    path.chmod(0o600)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as far:
        made = Bench(path, far)
        yield made
        made.gateway.close()


def kinds(court: Court) -> list[str]:
    """Shorten what a court was told: kind, and its state or result."""
    return [f"{kind} {facts.get('zt') or facts.get('jg') or ''}".strip() for kind, facts in court.told]


def test_papers_are_served(bench: Bench) -> None:
    """Label, traces, receipt; the explanation says by which article, and names nobody."""
    bench.happen(Status.COLLECTED)
    bench.happen(Status.OUT_FOR_DELIVERY)
    bench.happen(Status.DELIVERED, received_by="other", signer={"name": "陶雨芳", "id_no": ID_NO})
    assert kinds(bench.court) == ["MianDan", "GuiJi 03", "GuiJi 05", "GuiJi 06", "HuiZhi YS"]
    assert bench.court.told[-1][1]["sdrq"] == "2023-12-04"
    lines = bench.lines()
    assert "已送达：由指定代收人签收，签收之日为送达之日；送达日期 2023-12-04" in lines
    assert "依据法释〔2004〕13号第九条第（五）项" in lines
    assert "nothing is owed to anybody" in lines
    assert [value for value in ("陶雨芳", ID_NO, "华杰建", "欧阳若䶮") if value in lines] == []


def test_a_receipt_is_taken_back(bench: Bench) -> None:
    """The delivery is revoked: CX, the trace put right, and the law says nothing is served; then it is refused."""
    bench.happen(Status.OUT_FOR_DELIVERY)
    delivered = bench.happen(Status.DELIVERED, received_by="self", signer={"name": "华杰建", "id_no": ID_NO})
    bench.happen(None, revokes=delivered)
    assert kinds(bench.court)[-4:] == ["GuiJi 06", "HuiZhi YS", "HuiZhi CX", "GuiJi 05"]
    assert "尚未送达：向确认的送达地址投递第1次" in bench.lines()
    bench.happen(Status.UNDELIVERED, days=1, reason="refused")
    bench.happen(Status.RETURNING)
    bench.happen(Status.RETURNED, days=1)
    assert kinds(bench.court)[-4:] == ["GuiJi 07", "GuiJi 08", "GuiJi 09", "HuiZhi JS"]
    assert bench.court.told[-1][1]["sdrq"] == "2023-12-06"
    assert "拒收视为送达" in bench.lines()


def test_no_service_is_flagged_for_a_person(bench: Bench) -> None:
    """The opposing party signed: the court hears 07, no receipt leaves, and the explanation says both."""
    bench.happen(Status.DELIVERED, received_by="family", signer={"name": "欧阳若䶮", "id_no": ID_NO})
    assert kinds(bench.court) == ["MianDan", "GuiJi 07"]
    explanation = bench.gateway.explain(bench.order_id)
    assert [notice.partition(",")[0] for notice in explanation.notices] == ["delivered in a way that is no service"]
    assert explanation.rules[:2] == (
        "未送达：由同案对方当事人签收，对方当事人不得代收，不是送达",
        "依据法释〔2004〕13号第七条：指定代收人、同住成年家属可以代收，同案对方当事人除外",
    )


def test_what_no_portal_explains_is_explained_without(bench: Bench) -> None:
    """An order whose portal has gone from the settings has no rules."""
    bench.gateway.portals = {}
    assert bench.gateway.explain(bench.order_id).rules == ()


# The door.


def call(gateway: Gateway, *, path: str, size: int) -> int:
    """Announce a body of a size at the public port's application, and send one that is not signed: the status."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-length", str(size).encode())],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(create_app(gateway, Metrics())(scope, receive, send))  # type: ignore[arg-type]
    status: int = sent[0]["status"]
    return status


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/portals/court_waybill/batches", 16 * MIB, 200),
        ("/portals/court_waybill/batches", 16 * MIB + 1, 413),
        ("/portals/another/batches", MIB + 1, 413),
        ("/api/v1/orders", MIB + 1, 413),
    ],
)
def test_a_portals_door_is_as_wide_as_its_manifest_says(bench: Bench, path: str, size: int, status: int) -> None:
    """And every other as wide as the settings say."""
    assert call(bench.gateway, path=path, size=size) == status


def test_the_wire_lets_as_much_through_as_the_widest_door(bench: Bench) -> None:
    """The protocol under the doors knows of them too."""
    assert public_limits(bench.gateway).section_body_bytes == {"court_waybill": 16 * MIB}
    assert public_limits(bench.gateway).max_message_bytes > 16 * MIB
