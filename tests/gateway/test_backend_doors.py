"""The doors of backends: pushes over a real socket, what is kept, what is refused, and what nobody may tell."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from ingress_fixtures import EMS_SECTIONS, Served, served

from govpost.adapters.protocols import sm
from govpost.gateway.cli.exits import Exit
from govpost.gateway.gateway import Gateway
from govpost.gateway.metrics import Metrics
from govpost.gateway.settings import load_settings
from govpost.mocks.ems import DEMO_SENDER_NO, DEMO_SIGN_KEY, EmsMock
from govpost.mocks.faults import FaultKind
from govpost.mocks.server import MockServer
from govpost.schemas import OrderContent, Status
from govpost.schemas.errors import UnsupportedFeatureError

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
KEY = base64.b64decode(DEMO_SIGN_KEY)
PERSON = {"name": "陶雨芳", "phone": "17134182391"}
ADDRESS = {"province": "重庆市", "city": "重庆市", "county": "巴南区", "street": "解放西路710号23栋7-4"}
ORDER = OrderContent.model_validate(
    {
        "portal_ref": "YKB20231201000123",
        "direction": "to_applicant",
        "mode": "route",
        "payer": "government",
        "sender": {**PERSON, "address": ADDRESS},
        "recipient": {"name": "华杰建", "phone": "18333267866", "address": ADDRESS},
        "items": [{"name": "营业执照"}],
        "matter": {"name": "审批结果办理"},
    }
)
SETTINGS = f"""
[api]
tokens = ["token-of-the-backend-1"]
[ingress]
port = 0
[relay]
retry_base_s = 0.01
retry_cap_s = 0.05
idle_poll_s = 0.05
{EMS_SECTIONS}"""
COURIER = "邮递员李某某 13900000000"


class Post:
    """A served gateway and the post that pushes to it."""

    def __init__(self, gateway: Served, ems: EmsMock) -> None:
        self.served, self.ems = gateway, ems

    @property
    def ledger(self) -> Any:
        """The gateway's ledger."""
        return self.served.gateway.ledger

    def place(self) -> str:
        """Have an order placed, and wait for its number."""
        placed = self.served.gateway.place("yukuaiban", ORDER)
        order_id: str = placed.order_id  # type: ignore[union-attr]
        gateway = self.served.gateway
        for _ in range(10):
            gateway.relay(until_idle=True)
        assert self.ledger.read_order(order_id).row.waybill_nos
        return order_id

    def push(self, content: Any, *, path: str = "/backends/post/push", **form: str) -> requests.Response:
        """Push sealed content as EMS does, with code of the test's own."""
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        sealed = "|$4|" + base64.b64encode(sm.sm4_ecb_encrypt(KEY, (text + DEMO_SIGN_KEY).encode())).decode()
        fields = {
            "method": "040002",
            "senderNo": DEMO_SENDER_NO,
            "msgType": "0",
            "timeStamp": "2026-03-02 09:00:00",
            "version": "V1.0.0",
            "serialNo": "S1",
            "logitcsInterface": sealed,
            **form,
        }
        return self.served.http.post(self.served.url(path), data=fields, timeout=10)

    def trace(self, order_id: str, code: str, at: str = "2026-03-02 09:00:00", **facts: Any) -> dict[str, Any]:
        """Say a trace of an order's item."""
        number = self.ledger.read_order(order_id).row.waybill_nos[1]
        return {
            "waybillNo": number,
            "opTime": at,
            "opCode": code,
            "opName": "x",
            "opDesc": f"快件由{COURIER}处理",
            "opOrgCode": "40001300",
            "opOrgName": "重庆邮件处理中心",
            "operatorName": COURIER,
            "orderNo": order_id,
            **facts,
        }


@pytest.fixture
def post(tmp_path: Path, ems_server: MockServer[EmsMock]) -> Iterator[Post]:
    """Serve a gateway whose backend is EMS."""
    ems = ems_server.mock
    ems.now = lambda: NOW
    path = tmp_path / "govpost.toml"
    path.write_text(SETTINGS % ems.open_url, encoding="utf-8")
    with ExitStack() as stack:
        metrics = Metrics()
        gateway = stack.enter_context(closing(Gateway(load_settings(path), clock=lambda: NOW, meter=metrics)))
        yield Post(stack.enter_context(served(gateway, metrics)), ems)


def test_a_push_moves_the_order(post: Post) -> None:
    """It is answered in EMS's words, and nothing of a courier goes further."""
    order_id = post.place()
    reply = post.push([post.trace(order_id, "203")])
    assert reply.json()["code"] == "00000"
    assert (reply.json()["serialNo"], reply.json()["senderNo"]) == ("S1", DEMO_SENDER_NO)
    assert post.ledger.read_order(order_id).row.status is Status.COLLECTED
    adapter: Any = post.served.gateway.portals["yukuaiban"].adapter
    claims = post.ledger.claim(
        "yukuaiban", worker_id="w", most=9, render=lambda _name, owed: adapter.render(owed)
    ).result()
    bodies = b"".join(claim.document.body for claim in claims.claims).decode()
    assert "李某某" not in bodies
    assert "13900000000" not in bodies


def test_a_repeated_push_is_the_same(post: Post) -> None:
    """Whatever its serial number; other content under the same serial number counts as well."""
    order_id = post.place()
    for serial in ("S1", "S1", "S2"):
        assert post.push([post.trace(order_id, "203")], serialNo=serial).json()["code"] == "00000"
    assert post.push([post.trace(order_id, "305", "2026-03-02 09:00:01")], serialNo="S1").json()["code"] == "00000"
    statuses = [row.event.status for row in post.ledger.read_events(order_id) if row.source == "post"]
    assert statuses == [Status.COLLECTED, Status.IN_TRANSIT]


def test_an_unknown_item_is_kept_until_its_order_appears(post: Post) -> None:
    """It is answered with yes, since nothing may be lost."""
    stray = {"waybillNo": "EA000000014CN", "opTime": "2026-03-02 08:00:00", "opCode": "203", "opOrgCode": "4"}
    assert post.push([stray]).json()["code"] == "00000"
    (kept,) = post.ledger.strays()
    assert (kept.source, kept.waybill_no) == ("post", "EA000000014CN")


@pytest.mark.parametrize(
    ("at", "moves"),
    [("2025-03-02 09:00:00", True), ("2026-03-02 09:09:59", True), ("2026-03-02 09:10:01", False)],
)
def test_times_are_kept_as_told(post: Post, at: str, *, moves: bool) -> None:
    """The past year counts; more than ten minutes ahead is kept and moves nothing."""
    order_id = post.place()
    assert post.push([post.trace(order_id, "203", at)]).json()["code"] == "00000"
    assert post.ledger.read_events(order_id)[-1].moved is moves


def test_an_unknown_code_is_kept_and_moves_nothing(post: Post) -> None:
    """Raw, for a person."""
    order_id = post.place()
    assert post.push([post.trace(order_id, "599")]).json()["code"] == "00000"
    event = post.ledger.read_events(order_id)[-1]
    assert (event.event.status, event.event.raw_code, event.moved) == (Status.UNKNOWN, "599", False)


def test_a_thousand_at_once(post: Post) -> None:
    """In one push, each recorded."""
    order_id = post.place()
    traces = [
        post.trace(order_id, "305", f"2026-03-01 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}") for n in range(1000)
    ]
    assert post.push(traces).json()["code"] == "00000"
    assert len([row for row in post.ledger.read_events(order_id) if row.source == "post"]) == 1000


REFUSALS: dict[str, Callable[[Post], requests.Response]] = {
    "another sender": lambda post: post.push([], senderNo="1100000000001"),
    "not sealed": lambda post: post.push([], logitcsInterface="|$4|AAAA"),
    "no payload": lambda post: post.push([], logitcsInterface=""),
    "another key": lambda post: post.push(
        [], logitcsInterface="|$4|" + base64.b64encode(sm.sm4_ecb_encrypt(bytes(16), b"[]")).decode()
    ),
    "not JSON": lambda post: post.push("<html>"),
    "no list of objects": lambda post: post.push([7]),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_cannot_be_trusted_is_refused(post: Post, refusal: str) -> None:
    """In EMS's words, and nothing of it is kept."""
    reply = REFUSALS[refusal](post)
    assert (reply.status_code, reply.json()["code"]) == (200, "B00001")
    assert post.ledger.strays() == ()


@pytest.mark.parametrize(
    "path", ["/backends/nobody/push", "/backends/yukuaiban/push", "/portals/post/push", "/backends/", "/backends"]
)
def test_only_backends_have_such_doors(post: Post, path: str) -> None:
    """A portal's name is none of a backend, and nobody's is nobody's."""
    assert post.push([], path=path).status_code == 404


def test_a_full_disk_asks_to_push_again(post: Post) -> None:
    """What is not stored is not acknowledged."""
    order_id = post.place()
    with post.served.full_disk():
        assert post.push([post.trace(order_id, "203")]).json()["code"] == "B00001"
    assert post.push([post.trace(order_id, "203")]).json()["code"] == "00000"
    assert post.ledger.read_order(order_id).row.status is Status.COLLECTED


@pytest.mark.parametrize(("mebibytes", "status"), [(2, 200), (9, 413)])
def test_a_push_may_be_as_large_as_its_contract_says(post: Post, mebibytes: int, status: int) -> None:
    """More than a portal's request, and not without end."""
    assert post.push([], logitcsInterface="|$4|" + "A" * (mebibytes * 1024 * 1024)).status_code == status


# Labels.


def label(post: Post, folder: Path, number: str) -> subprocess.CompletedProcess[bytes]:
    """Run `govpost label --from-backend` beside the daemon."""
    words = ("label", number, "-o", "-", "--from-backend", "--config", str(folder / "govpost.toml"))
    return subprocess.run(
        [sys.executable, "-m", "govpost.gateway.cli", *words], capture_output=True, timeout=60, check=False, cwd=folder
    )


def test_the_backend_s_own_label_is_fetched(post: Post, tmp_path: Path) -> None:
    """As a PDF, through the command and in the library."""
    number = post.ledger.read_order(post.place()).row.waybill_nos[1]
    done = label(post, tmp_path, number)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"%PDF-")
    assert post.served.gateway.fetch_label("post", number) == done.stdout


def test_a_label_that_the_backend_does_not_give_is_said(post: Post, tmp_path: Path) -> None:
    """What it answered, and what to do; nothing is written."""
    number = post.ledger.read_order(post.place()).row.waybill_nos[1]
    post.ems.plan.next(FaultKind.ERROR)
    done = label(post, tmp_path, number)
    assert (done.returncode, done.stdout) == (Exit.NOT_DONE, b"")
    assert b"backend post gave no label (unknown" in done.stderr
    assert b"leave --from-backend out" in done.stderr
    with pytest.raises(UnsupportedFeatureError):
        post.served.gateway.fetch_label("nobody", number)
