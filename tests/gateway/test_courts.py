"""Courts over real sockets: batches in at the door, labels, traces and receipts out, and what never leaves."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import requests
import zxingcpp
from ingress_fixtures import Served, served

from govpost.gateway.cli import main
from govpost.gateway.gateway import Gateway
from govpost.gateway.metrics import Metrics
from govpost.gateway.settings import load_settings
from govpost.mocks._demo_daemon import API_TOKEN, write_settings
from govpost.mocks.base import Mock
from govpost.mocks.court_waybill import SPOILS, Answer, CourtWaybillMock, new_batch
from govpost.mocks.postal import PostalMock
from govpost.mocks.server import MockServer
from govpost.mocks.yukuaiban import YukuaibanMock, new_order
from govpost.schemas import WireReply, WireRequest

NOW = datetime(2023, 12, 1, 0, 30, 20, tzinfo=UTC)
SAMPLES = Path(__file__).parents[2] / "schemas" / "wire" / "court_waybill" / "samples"
#: Of a person who confirmed the address; the receipt is wanted.
TASK = json.loads((SAMPLES / "person.wire.json").read_text("utf-8"))
RWID = TASK["rwid"]
ENOUGH_TURNS = 400
TIMEOUT_S = 30
MIB = 1024 * 1024
#: What the post's own courses say of whoever signs.
SIGNER, SIGNER_ID = "钱某某", "500108196905244643"


@dataclass
class Town:
    """A served gateway between a court, another portal and the post."""

    served: Served
    court: CourtWaybillMock
    post: PostalMock
    citizens: YukuaibanMock
    settings: Path

    def send(self, request: WireRequest) -> requests.Response:
        """Carry a batch to the gateway's door."""
        return self.served.http.post(
            self.served.url(request.url), data=request.body, headers=dict(request.headers), timeout=TIMEOUT_S
        )

    def read(self, reply: requests.Response, request: WireRequest) -> Answer:
        """Let the court read the answer."""
        return self.court.parse_reply(WireReply(reply.status_code, reply.headers, reply.content), request=request)

    def ask(self, request: WireRequest) -> Answer:
        """Send a batch, and let the court read the answer."""
        return self.read(self.send(request), request)

    def place(self, task: dict[str, Any] = TASK) -> str:
        """Have a single task taken, numbered and its label told; returns the order's id."""
        (answer,) = self.ask(self.court.hand_over(task)).tasks
        self.wait(lambda: bool(self.told(task["rwid"])))
        return answer.order_id

    def happen(self, order_id: str, course: str, *, hears: str) -> None:
        """Play a course at the post: the court hears these codes on top of what it has heard, and nothing more."""
        expected = [*self.told(), *hears.split()]
        events = self.post.play(order_id, course)
        assert {status for _, status in self.post.post_events(events, as_list=True)} == {201}
        self.wait(lambda: len(self.told()) >= len(expected))
        self.served.gateway.relay(until_idle=True)
        assert self.told() == expected

    def wait(self, is_so: Callable[[], bool]) -> None:
        """Relay until something is so."""
        for _ in range(ENOUGH_TURNS):
            if is_so():
                return
            self.served.gateway.relay(until_idle=True)
        raise AssertionError(f"it did not come to that: {self.told()}, {[*self.court.rejected]}")

    def told(self, rwid: str = RWID) -> list[str]:
        """List the codes that the court heard of a task."""
        return [each.status for each in self.court.heard() if each.portal_ref == rwid]

    def orders(self) -> list[str]:
        """List what the gateway has taken."""
        reply = self.served.call("GET", "/api/v1/orders?limit=100", token=API_TOKEN)
        return [order["portal_ref"] for order in reply.json()["orders"]]

    def explain(self, order_id: str) -> str:
        """Run `govpost explain`."""
        out = StringIO()
        with redirect_stdout(out), pytest.raises(SystemExit) as ended:
            main(["explain", order_id, "--config", str(self.settings)])
        assert not ended.value.code
        return out.getvalue()


@contextmanager
def open_town(folder: Path) -> Iterator[Town]:
    """Serve a gateway and all around it, at a fixed moment."""
    mocks = CourtWaybillMock(now=clock), PostalMock(now=clock), YukuaibanMock(now=clock)
    court, post, citizens = mocks
    with ExitStack() as stack:
        for mock in mocks:
            stack.enter_context(MockServer[Mock](mock))
        path = write_settings(folder, [court, citizens], [post])
        metrics = Metrics()
        gateway = stack.enter_context(closing(Gateway(load_settings(path), clock=clock, meter=metrics)))
        town = Town(stack.enter_context(served(gateway, metrics)), court, post, citizens, path)
        post.gateway_url, post.api_token = town.served.url(""), API_TOKEN
        yield town


def clock() -> datetime:
    """Tell the time, which stands still."""
    return NOW


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Give a town of one's own."""
    with open_town(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Give a town to which only batches come."""
    with open_town(tmp_path_factory.mktemp("door")) as opened:
        yield opened


# What a court hears.


def barcodes(pdf: bytes) -> set[str]:
    """Read the barcodes of a label."""
    picture = pypdfium2.PdfDocument(pdf)[0].render(scale=4).to_pil()
    return {each.text for each in zxingcpp.read_barcodes(picture)}


def test_a_batch_comes_back_as_labels(town: Town) -> None:
    """Each task gets an order, a number, and a label whose barcode says the number; the post mails each once."""
    request = town.court.build_batch(new_batch(5, seed=3))
    answer = town.ask(request)
    assert answer.codes == ["0"] * 5
    town.wait(lambda: len(town.court.heard()) == 5)
    for task in town.court.tasks.values():
        assert barcodes(task.label) == {task.waybill_no}
    assert town.post.placed() == dict.fromkeys([task.order_id for task in answer.tasks], 1)
    assert list(town.court.rejected) == []


def test_a_signature_is_receipted(town: Town) -> None:
    """Signed by the family with a number, and proven: YS with date, name, number and the picture itself."""
    order_id = town.place()
    town.happen(order_id, "proven", hears="03 04 05 06 YS")
    (receipt,) = town.court.tasks[RWID].receipts
    facts = {name: receipt.get(name) for name in ("qsr", "gx", "zjhm", "sdrq")}
    assert facts == {"qsr": SIGNER, "gx": "配偶", "zjhm": SIGNER_ID, "sdrq": "2023-12-01"}
    (proof,) = town.post.orders[order_id].events[-1]["proof"]
    assert receipt.contents == (("image/png", base64.b64decode(proof["data"])),)
    lines = town.explain(order_id)
    assert "依据法释〔2004〕13号第九条第（六）项" in lines
    assert "proof: signature (image/png, " in lines
    assert [value for value in (SIGNER, SIGNER_ID, TASK["ShouSongDaRen"]["xm"]) if value in lines] == []


def test_an_organization_signs_through_its_mailroom(town: Town) -> None:
    """The same course at an organization: by its staff, under the article that says so."""
    task = json.loads((SAMPLES / "organization.wire.json").read_text("utf-8"))
    order_id = town.place(task)
    assert town.post.post_events(town.post.play(order_id, "proven"), as_list=True)
    town.wait(lambda: "YS" in town.told(task["rwid"]))
    assert town.court.tasks[task["rwid"]].receipts[0].get("gx") == "收发室"
    assert "依据法释〔2004〕13号第九条第（三）项" in town.explain(order_id)


def test_a_refusal_is_receipted_when_it_is_back(town: Town) -> None:
    """JS after the return, and not before; the day of return is the date of service (Art. 11)."""
    order_id = town.place()
    town.happen(order_id, "refused", hears="03 04 05 07 08 09 JS")
    (receipt,) = town.court.tasks[RWID].receipts
    assert (receipt.get("yydm"), receipt.get("sdrq")) == ("04", "2023-12-01")
    assert "依据法释〔2004〕13号第十一条" in town.explain(order_id)


def test_a_receipt_is_withdrawn_and_given_anew(town: Town) -> None:
    """The delivery is revoked: CX names the receipt, the trace goes back; the next signature has its own receipt."""
    order_id = town.place()
    town.happen(order_id, "proven", hears="03 04 05 06 YS")
    town.happen(order_id, "proof_revoked", hears="CX 05 07 05 06 YS")
    first, withdrawal, second = town.court.tasks[RWID].receipts
    assert withdrawal.get("cxqqid") == first.qqid
    assert town.court.tasks[RWID].standing == second


def test_a_pickup_point_is_no_service(town: Town) -> None:
    """The court hears 07, no receipt goes out, a person is told and by which article."""
    order_id = town.place()
    town.happen(order_id, "pickup_point", hears="03 04 05 07")
    assert town.court.tasks[RWID].receipts == []
    lines = town.explain(order_id)
    assert "attention: delivered in a way that is no service" in lines
    assert "依据法释〔2004〕13号第七条" in lines


def test_evidence_goes_to_nobody_else(town: Town) -> None:
    """Of the same delivery another portal hears that it happened: no picture, no ID number of who signed."""
    order, secret = new_order(1)
    request = town.citizens.build_create(order, secret)
    assert town.citizens.is_taken(_wire(town.send(request)))
    town.wait(lambda: bool(town.citizens.heard()))
    (order_id,) = town.post.orders
    events = town.post.play(order_id, "proven")
    assert {status for _, status in town.post.post_events(events, as_list=True)} == {201}
    town.wait(lambda: town.citizens.heard()[-1].status == "60")
    said = b"".join(request.body for request in town.citizens.requests)
    proof = events[-1]["proof"][0]["data"].encode()
    assert [value for value in (proof, proof[:40], SIGNER_ID.encode()) if value in said] == []


def _wire(reply: requests.Response) -> WireReply:
    return WireReply(reply.status_code, reply.headers, reply.content)


# What comes to the door.


def test_the_same_batch_gets_the_same_answer(door: Town) -> None:
    """Signed anew or not: the bytes are the same, only the seal is another; nothing is taken twice."""
    request = door.court.build_batch(new_batch(3, seed=11))
    first = door.send(request)
    known = door.orders()
    for again in (request, door.court.retry(request)):
        reply = door.send(again)
        assert (reply.status_code, reply.content) == (200, first.content)
        assert reply.headers["X-Signature"] != first.headers["X-Signature"]
    assert door.read(first, request).is_success
    assert door.orders() == known


def test_another_batch_under_the_same_number_is_a_conflict(door: Town) -> None:
    """Answered 5; what came first stays, and nothing else is stored."""
    assert door.ask(door.court.build_batch(new_batch(2, seed=12, batch_no="P-12"))).is_success
    known = door.orders()
    assert door.ask(door.court.build_batch(new_batch(2, seed=13, batch_no="P-12"))).code == "5"
    assert door.orders() == known


def test_a_task_under_another_number_is_the_same_order(door: Town) -> None:
    """The rwid names it: the same content has the same order, in whatever batch."""
    first = door.ask(door.court.build_batch(new_batch(2, seed=14, batch_no="P-14")))
    again = door.ask(door.court.build_batch(new_batch(2, seed=14, batch_no="P-15")))
    assert again.tasks == first.tasks


@pytest.mark.parametrize("name", [name for name, spoil in SPOILS.items() if spoil.answer == "4"])
def test_a_batch_that_is_none_is_refused_whole(door: Town, name: str) -> None:
    """Answered 4, and nothing of it is stored."""
    known = door.orders()
    answer = door.ask(door.court.build_spoilt(name))
    assert (answer.code, answer.tasks) == ("4", ())
    assert door.orders() == known


@pytest.mark.parametrize("name", [name for name, spoil in SPOILS.items() if spoil.answer == "1"])
def test_a_bad_task_sinks_nothing_else(door: Town, name: str) -> None:
    """It is answered 1 in its place; the others have their orders."""
    request = door.court.build_spoilt(name)
    answer = door.ask(request)
    assert (answer.code, answer.codes.count("1")) == ("0", 1)
    taken = {task.rwid for task in answer.tasks if task.code == "0"}
    assert taken <= set(door.orders())
    assert len(taken) == 2 + (name == "duplicate_rwid")


def test_a_batch_that_was_changed_behind_a_good_one_is_a_conflict(door: Town) -> None:
    """What the table holds for that: answered 5."""
    good = new_batch(3, seed=17)
    assert door.ask(door.court.build_batch(good)).is_success
    assert {spoil.answer for spoil in SPOILS.values()} == {"1", "4", "5"}
    assert door.ask(door.court.build_spoilt("reused_batch_no", good)).code == "5"


@pytest.mark.parametrize(("count", "code"), [(500, "0"), (501, "4")])
def test_a_batch_holds_500_tasks(door: Town, count: int, code: str) -> None:
    """One more, and none is taken."""
    known = len(door.orders())
    answer = door.ask(door.court.build_batch(new_batch(count, seed=18 + count)))
    assert (answer.code, len(answer.tasks)) == (code, count if code == "0" else 0)
    assert code == "0" or len(door.orders()) == known


def test_a_batch_is_signed_by_the_court(door: Town) -> None:
    """Another key under its name is answered 8, signed, and nothing is stored."""
    request = door.court.build_batch(new_batch(1, seed=19))
    known = door.orders()
    forged = WireRequest(request.method, request.url, request.headers, request.body + b"\n")
    assert door.ask(forged).code == "8"
    assert door.orders() == known


@pytest.mark.parametrize(("size", "status"), [(16 * MIB, b"200"), (16 * MIB + 1, b"413")])
def test_a_batch_is_at_most_16_mib(door: Town, size: int, status: bytes) -> None:
    """More is refused before it is read; it is not the court's XML then, but plain HTTP."""
    body = door.court.sign_request(b" " * size)
    head = "".join(f"{name}: {value}\r\n" for name, value in {**body.headers, "Content-Length": str(size)}.items())
    with door.served.connect() as connection:
        connection.sendall(f"POST {body.url} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
        if status == b"200":
            connection.sendall(body.body)
        assert connection.recv(4096).split(b" ", 2)[1] == status
