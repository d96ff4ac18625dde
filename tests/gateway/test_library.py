"""The library: a gateway from a settings file, used from plain views, threads and cron jobs."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import responses

from govpost.adapters.protocols import sm
from govpost.gateway.gateway import Gateway
from govpost.schemas import Cancelled, Denied, Event, Placed, Problem, Status, WireRequest
from govpost.schemas.errors import ConfigurationError, UnknownOrderError

DATA = Path(__file__).parents[1] / "data"
SAMPLES = json.loads((DATA / "yukuaiban_orders.json").read_text("utf-8"))
EXAMPLES = json.loads((DATA / "examples.json").read_text("utf-8"))
KEYS = EXAMPLES["keys"]["yukuaiban"]
APP_KEY = base64.b64decode(KEYS["app_key"])

Bench = Any

BACKEND = "https://post.example/orders"
PORTAL = "https://ykb.example"
SETTINGS = f"""
[ledger]
url = "sqlite:///govpost.db"
key_file = "govpost.key"
[relay]
cancel_wait_s = 0
[portals.yukuaiban]
base_url = "{PORTAL}"
app_id = "{KEYS["app_id"]}"
app_secret = "{KEYS["app_secret"]}"
app_key = "{KEYS["app_key"]}"
backend = "post"
[backends.post]
adapter = "webhook"
url = "{BACKEND}"
secret = "whsec_c3ludGhldGljLXNlY3JldC1mb3ItdGVzdHM="
"""

Wsgi = Callable[[dict[str, Any], Callable[[str, list[tuple[str, str]]], Any]], list[bytes]]


class Clock:
    """A time that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def pass_time(self, **duration: float) -> None:
        """Move on."""
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Write a settings file."""
    path = tmp_path / "govpost.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def gateway(settings_file: Path, clock: Clock) -> Iterator[Gateway]:
    """Open a gateway on that file."""
    with Gateway.from_toml(settings_file, clock=clock) as opened:
        yield opened


@pytest.fixture
def far() -> Iterator[responses.RequestsMock]:
    """Stand in for everything outside."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


_nonces = count(1)


def signed(call: str, body: dict[str, Any], at: datetime) -> WireRequest:
    """Sign a request as the portal does (contract: yukuaiban), with code of the test's own."""
    path = f"/portals/yukuaiban/orders/{call}"
    envelope = {"txnCommCom": {"txnIttChnlId": "CQZWFW"}, "txnBodyCom": body}
    raw = json.dumps(envelope, ensure_ascii=False).encode()
    timestamp, nonce = str(int(at.timestamp() * 1000)), f"{next(_nonces):032x}"
    text = "\n".join((KEYS["app_id"], timestamp, nonce, "POST", path, sm.sm3(raw).hex()))
    names = ("X-App-Id", "X-Timestamp", "X-Nonce", "X-Sign")
    sign = sm.hmac_sm3(KEYS["app_secret"].encode(), text.encode()).hex()
    return WireRequest("POST", path, dict(zip(names, (KEYS["app_id"], timestamp, nonce, sign), strict=True)), raw)


def order_body(sample: dict[str, Any]) -> dict[str, Any]:
    """Seal a sample order as the portal sends it."""
    iv = bytes(16)
    opened = json.dumps(sample["secret_opens_to"], ensure_ascii=False).encode()
    sealed = iv + sm.sm4_cbc_encrypt(APP_KEY, opened, iv=iv)
    return {**sample["order"], "secret": base64.b64encode(sealed).decode()}


def take(gateway: Gateway, clock: Clock, index: int = 0) -> dict[str, Any]:
    """Receive a sample order at the portal's door; return the answer."""
    reply = gateway.receive("yukuaiban", signed("create", order_body(SAMPLES[index]), clock()))
    answer: dict[str, Any] = json.loads(reply.body)
    assert reply.status == 200
    return answer


def order_of(gateway: Gateway, index: int = 0) -> str:
    """Find a sample order's number."""
    return gateway.ledger.resolve(f"yukuaiban/{SAMPLES[index]['order']['orderNo']}")


def say_yes(far: responses.RequestsMock, **answer: Any) -> None:
    """Let backend and portal take whatever comes."""
    far.post(BACKEND, json=answer, status=200)
    far.post(f"{PORTAL}/gwlp/logistic/pushlogisticode", json=success())
    far.post(f"{PORTAL}/gwlp/logistic/pushtrace", json=success())


def success() -> dict[str, Any]:
    """Say yes in the portal's words."""
    return {"result_code": "200"}


def test_an_order_goes_all_the_way(gateway: Gateway, clock: Clock, far: responses.RequestsMock) -> None:
    """Received at the portal's door, placed at the backend, its number and traces told to the portal."""
    say_yes(far, waybill_no="EA000000014CN")
    take(gateway, clock)
    order_id = order_of(gateway)
    report = gateway.relay(until_idle=True)
    assert (report.attempts, report.taken, report.retried, report.dead) == (2, 2, 0, 0)
    event = Event(event_id="E1", status=Status.COLLECTED, occurred_at=clock())
    assert gateway.record(order_id, event).moved
    assert gateway.relay(until_idle=True).taken == 1
    assert [call.request.url for call in far.calls] == [
        BACKEND,
        f"{PORTAL}/gwlp/logistic/pushlogisticode",
        f"{PORTAL}/gwlp/logistic/pushtrace",
    ]
    assert gateway.relay(until_idle=True).attempts == 0


def test_the_same_order_again_is_relayed_once(gateway: Gateway, clock: Clock, far: responses.RequestsMock) -> None:
    """The portal gets the same answer, the backend one order."""
    say_yes(far)
    assert take(gateway, clock) == take(gateway, clock)
    gateway.relay(until_idle=True)
    assert len(far.calls) == 1


def test_a_byte_identical_request_is_a_replay(gateway: Gateway, clock: Clock) -> None:
    """A request that is signed once is taken once, also by a gateway opened anew."""
    request = signed("create", order_body(SAMPLES[0]), clock())
    first, second = (json.loads(gateway.receive("yukuaiban", request).body) for _ in range(2))
    assert first != second
    assert len(gateway.ledger.find_orders().rows) == 1


def test_one_round_leaves_the_rest_for_the_next(gateway: Gateway, clock: Clock, far: responses.RequestsMock) -> None:
    """Without `until_idle` each system is tried once: enough for a cron job that comes often."""
    say_yes(far)
    for index in range(3):
        take(gateway, clock, index)
    assert gateway.relay().attempts == 1
    assert gateway.relay(until_idle=True).attempts == 2


def test_what_breaks_is_tried_again_later(gateway: Gateway, clock: Clock, far: responses.RequestsMock) -> None:
    """A backend that is down leaves the order owed; `until_idle` does not wait for the schedule."""
    far.post(BACKEND, status=503)
    take(gateway, clock)
    report = gateway.relay(until_idle=True)
    assert (report.attempts, report.retried) == (1, 1)
    far.replace(responses.POST, BACKEND, json={}, status=200)
    clock.pass_time(hours=1)
    assert gateway.relay(until_idle=True).taken == 1
    bodies = [call.request.body for call in far.calls]
    assert bodies[0] == bodies[1]
    assert far.calls[0].request.headers["Idempotency-Key"] == far.calls[1].request.headers["Idempotency-Key"]


def test_explain_says_where_an_order_is(gateway: Gateway, clock: Clock, far: responses.RequestsMock) -> None:
    """In plain lines: status, what is owed to whom, why it waits; never a person's data."""
    take(gateway, clock)
    order_id = order_of(gateway)
    assert gateway.explain(order_id).lines()[-1] == "owed to post: place — goes out now"
    far.post(BACKEND, status=503)
    gateway.relay(until_idle=True)
    waiting = gateway.explain(order_id)
    assert "unknown (HTTP 503)" in waiting.owed[0].why
    assert waiting.owed[0].next_at > clock()
    far.replace(responses.POST, BACKEND, json={"waybill_no": "EA000000014CN"}, status=200)
    far.post(f"{PORTAL}/gwlp/logistic/pushlogisticode", json=success())
    clock.pass_time(hours=1)
    gateway.relay(until_idle=True)
    lines = gateway.explain(order_id).lines()
    assert "waybill EA000000014CN" in lines
    assert "nothing is owed to anybody" in lines
    people = SAMPLES[0]["secret_opens_to"].values()
    assert [person["name"] for person in people if person["name"] in "\n".join(lines)] == []


def test_an_unknown_order_is_not_explained(gateway: Gateway) -> None:
    """The error says what is missing."""
    with pytest.raises(UnknownOrderError):
        gateway.explain("01HGGY4B5R0000000000000AB1")


def test_an_event_in_the_future_is_refused(gateway: Gateway, clock: Clock) -> None:
    """Over ten minutes ahead is 422, and nothing is kept."""
    take(gateway, clock)
    event = Event(event_id="E1", status=Status.COLLECTED, occurred_at=clock() + timedelta(minutes=11))
    assert gateway.record(order_of(gateway), event).status == 422
    assert gateway.ledger.read_events(order_of(gateway)) == ()


def test_an_order_is_placed_in_our_own_words(gateway: Gateway, bench: Bench) -> None:
    """Without a wire: placed once, a repeat known, other content a conflict, a cancel settled."""
    placed = gateway.place("yukuaiban", bench.content())
    assert isinstance(placed, Placed)
    assert gateway.place("yukuaiban", bench.content()) == Placed("R1", placed.order_id, is_repeat=True)
    conflict = gateway.place("yukuaiban", bench.content(remark="other"))
    assert isinstance(conflict, Denied)
    assert conflict.problem is Problem.CONFLICT
    assert gateway.cancel(placed.order_id) == Cancelled("R1", placed.order_id)


def test_a_cancel_that_the_backend_has_not_answered_says_try_again(
    gateway: Gateway, bench: Bench, clock: Clock, far: responses.RequestsMock
) -> None:
    """The wait is bounded; the repeat gets the same command's result."""
    far.post(BACKEND, status=503)
    placed = gateway.place("yukuaiban", bench.content())
    assert isinstance(placed, Placed)
    gateway.relay(until_idle=True)
    waiting = gateway.cancel(placed.order_id)
    assert isinstance(waiting, Denied)
    assert waiting.problem is Problem.TRY_AGAIN
    far.replace(responses.POST, BACKEND, json={}, status=200)
    clock.pass_time(hours=1)
    gateway.relay(until_idle=True)
    assert gateway.cancel(placed.order_id) == Cancelled("R1", placed.order_id)
    kinds = [json.loads(call.request.body)["type"].rpartition(".")[2] for call in far.calls]
    assert kinds == ["placed", "placed", "cancelled"]


def test_threads_share_a_gateway(gateway: Gateway, clock: Clock, far: responses.RequestsMock) -> None:
    """Views in many threads and a relay in another: every order is taken once and placed once."""
    say_yes(far)
    requests = [signed("create", order_body(SAMPLES[index % 20]), clock()) for index in range(40)]
    with ThreadPoolExecutor(8) as threads:
        relayed = threads.submit(gateway.relay, until_idle=True)
        replies = list(threads.map(lambda request: gateway.receive("yukuaiban", request).status, requests))
        relayed.result()
    gateway.relay(until_idle=True)
    assert set(replies) == {200}
    placed = [json.loads(call.request.body)["subject"] for call in far.calls]
    assert len(placed) == len(set(placed)) == 20


def wsgi_view(gateway: Gateway) -> Wsgi:
    """Mount a portal's door in any WSGI application, as README shows it."""

    def view(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> list[bytes]:
        headers = {
            name.removeprefix("HTTP_").replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        reply = gateway.receive(
            "yukuaiban", WireRequest(environ["REQUEST_METHOD"], environ["PATH_INFO"], headers, body)
        )
        start_response(f"{reply.status} ", list(reply.headers.items()))
        return [reply.body]

    return view


def test_a_plain_wsgi_view_is_a_door(gateway: Gateway, clock: Clock) -> None:
    """Whatever framework calls it: request in, reply out."""
    request = signed("create", order_body(SAMPLES[0]), clock())
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": request.url,
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.input": io.BytesIO(request.body),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()},
    }
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(wsgi_view(gateway)(environ, lambda status, headers: started.append((status, headers))))
    assert started[0][0] == "200 "
    assert json.loads(body)
    assert gateway.ledger.read_order(order_of(gateway)).row.status is Status.ACCEPTED


def test_there_is_no_door_for_an_unknown_portal(gateway: Gateway) -> None:
    """A name that is no portal's is a plain 404."""
    assert gateway.receive("nobody", WireRequest("POST", "/portals/nobody/orders/create")).status == 404


def test_a_bad_signature_leaves_no_trace(gateway: Gateway, clock: Clock) -> None:
    """An unproven caller stores nothing, not even a nonce."""
    request = signed("create", order_body(SAMPLES[0]), clock())
    forged = WireRequest(request.method, request.url, {**request.headers, "X-Sign": "0" * 64}, request.body)
    assert json.loads(gateway.receive("yukuaiban", forged).body)["C-API-Status"] == "99"
    assert gateway.ledger.find_orders().rows == ()
    assert json.loads(gateway.receive("yukuaiban", request).body)["C-API-Status"] == "00"


def test_a_bad_settings_file_is_refused(settings_file: Path) -> None:
    """A gateway is not opened on settings that do not fit."""
    settings_file.write_text(SETTINGS.replace('backend = "post"', 'backend = "posst"'), encoding="utf-8")
    with pytest.raises(ConfigurationError):
        Gateway.from_toml(settings_file)


def test_a_gateway_is_opened_again_where_it_was_left(
    settings_file: Path, clock: Clock, far: responses.RequestsMock
) -> None:
    """A cron job opens the same file and relays what a view took."""
    say_yes(far)
    with Gateway.from_toml(settings_file, clock=clock) as view:
        take(view, clock)
    with Gateway.from_toml(settings_file, clock=clock) as job:
        assert job.relay(until_idle=True).taken == 1
