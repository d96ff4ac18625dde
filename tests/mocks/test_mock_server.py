"""Each fault as a client sees it over a real socket, and what the mock has done by then."""

import socket
from collections.abc import Iterator

import pytest
import requests

from govpost.mocks.faults import FaultKind
from govpost.mocks.server import MockServer
from govpost.mocks.yukuaiban import Answer, YukuaibanMock

Served = MockServer[YukuaibanMock]
ORDER_NO = "YKB20231201000123"
PATH = "/gwlp/logistic/pushlogisticode"
SHORT_S = 0.3
LONG_S = 10.0


@pytest.fixture
def server() -> Iterator[Served]:
    """Serve a portal that knows one order."""
    with MockServer(YukuaibanMock()) as server:
        server.mock.expect(ORDER_NO)
        yield server


def _push(server: Served, session: requests.Session, *, timeout_s: float = LONG_S) -> requests.Response:
    """Push the one waybill, signed anew."""
    body = f'{{"requestId":"{"1" * 32}","order_id":"{ORDER_NO}","logistic_code":"EA969294768CN","shipper_code":"EMS"}}'
    request = server.mock.sign_request(PATH, body.encode())
    return session.post(server.url + PATH, data=request.body, headers=dict(request.headers), timeout=timeout_s)


def _pushes(server: Served) -> int:
    return len(server.mock.pushes)


def test_without_faults(server: Served, session: requests.Session) -> None:
    """A push is answered 200 in the portal's words and has taken effect."""
    assert _push(server, session).json()["result_code"] == "200"
    assert _pushes(server) == 1
    assert not server.mock.rejected


@pytest.mark.parametrize(("kind", "pushes"), [(FaultKind.HANG, 0), (FaultKind.HANG_AFTER, 1)])
def test_hang(server: Served, session: requests.Session, kind: FaultKind, pushes: int) -> None:
    """A hang is a read time-out; nothing was done, or all of it, and the server goes on."""
    server.mock.plan.next(kind)
    with pytest.raises(requests.ReadTimeout):
        _push(server, session, timeout_s=SHORT_S)
    assert _pushes(server) == pushes
    assert _push(server, session).json()["result_code"] == ("409" if pushes else "200")


def test_latency(server: Served, session: requests.Session) -> None:
    """A late answer is an answer for whoever waits, a time-out for whoever does not, and done in both cases."""
    server.mock.plan.next("latency", seconds=0.05)
    assert _push(server, session).json()["result_code"] == "200"
    server.mock.plan.next("latency", seconds=LONG_S)
    with pytest.raises(requests.ReadTimeout):
        _push(server, session, timeout_s=SHORT_S)
    assert server.mock.repeats.total() == 1


def test_reset_after_the_body_was_taken(server: Served, session: requests.Session) -> None:
    """A reset loses the reply and not the effect: the repeat is told that the portal has it already."""
    server.mock.plan.next("reset")
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        _push(server, session)
    assert _pushes(server) == 1
    assert _push(server, session).json()["result_code"] == "409"
    assert _pushes(server) == 1


def test_refused_connection(server: Served, session: requests.Session) -> None:
    """While the server refuses, connections are refused, pooled ones too; then it accepts on the same port."""
    _push(server, session)
    address = server.url
    server.refuse()
    with pytest.raises(requests.ConnectionError, match="refused"):
        _push(server, session)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=LONG_S)
    server.accept()
    assert _push(server, session).json()["result_code"] == "409"
    assert server.url == address
    assert server.mock.received == 2


def test_refusal_by_plan(server: Served, session: requests.Session) -> None:
    """A planned refusal cuts the request that met it, undone, and then shuts the door."""
    server.mock.plan.next("refuse", seconds=LONG_S)
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        _push(server, session)
    with pytest.raises(requests.ConnectionError, match="refused"):
        _push(server, session)
    assert _pushes(server) == 0
    server.accept()
    assert _push(server, session).json()["result_code"] == "200"


def test_planned_refusal_ends_by_itself(server: Served, session: requests.Session) -> None:
    """The door opens again after the seconds of the fault."""
    server.mock.plan.next("refuse", seconds=0.0)
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        _push(server, session)
    for _ in range(10_000):
        try:
            assert _push(server, session).json()["result_code"] == "200"
        except requests.ConnectionError:
            continue
        break
    assert _pushes(server) == 1


@pytest.mark.parametrize(("kind", "pushes"), [(FaultKind.ERROR, 0), (FaultKind.ERROR_AFTER, 1)])
def test_server_error(server: Served, session: requests.Session, kind: FaultKind, pushes: int) -> None:
    """A 5xx comes before or after the effect, with the status that was asked for."""
    server.mock.plan.next(kind, status=503)
    assert _push(server, session).status_code == 503
    assert _pushes(server) == pushes


def test_busy_in_the_portals_words(server: Served, session: requests.Session) -> None:
    """A busy portal says 429 and how many seconds to wait, and has done nothing."""
    server.mock.plan.next("busy", seconds=7)
    reply = _push(server, session)
    assert (reply.status_code, reply.json()["result_code"], reply.json()["retry"]) == (200, "429", 7)
    assert _pushes(server) == 0


def test_busy_over_http(postal_server: MockServer[YukuaibanMock], session: requests.Session) -> None:
    """A busy backend says HTTP 429 with Retry-After."""
    postal_server.mock.plan.next("busy", seconds=3)
    reply = session.post(f"{postal_server.url}/orders", data=b"{}", timeout=LONG_S)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "3")


def test_garbage(server: Served, session: requests.Session) -> None:
    """Garbage is a 200 that says JSON and is none; the push was taken."""
    server.mock.plan.next("garbage", body=b"\xff{")
    reply = _push(server, session)
    assert (reply.status_code, reply.content) == (200, b"\xff{")
    assert reply.headers["Content-Type"] == "application/json"
    assert _pushes(server) == 1


def test_wrong_content_type(server: Served, session: requests.Session) -> None:
    """The true answer under a wrong content type; the push was taken."""
    server.mock.plan.next("wrong_type")
    reply = _push(server, session)
    assert (reply.headers["Content-Type"], reply.json()["result_code"]) == ("text/html", "200")
    assert _pushes(server) == 1


def test_stop_does_not_wait_for_the_hanging(session: requests.Session) -> None:
    """A server stops while a request hangs, twice if it must, and frees its port."""
    server = MockServer(YukuaibanMock()).start()
    server.mock.plan.next("hang")
    with socket.create_connection((server.host, server.port), timeout=LONG_S) as client:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: mock\r\n\r\n")
        session.get(f"{server.url}/__mock__/state", timeout=LONG_S)
        server.stop()
        server.stop()
        assert client.recv(100) == b""
    with MockServer(YukuaibanMock(), port=server.port) as successor:
        assert successor.port == server.port


def test_taken_port_is_an_os_error(server: Served) -> None:
    """Two servers cannot have one port."""
    with pytest.raises(OSError, match="in use"):
        MockServer(YukuaibanMock(), port=server.port).start()


def test_large_body_is_taken(server: Served, session: requests.Session) -> None:
    """A body of 8 MiB reaches the mock whole."""
    session.post(f"{server.url}/x", data=b"x" * (8 << 20), timeout=LONG_S)
    assert len(server.mock.requests[-1].body) == 8 << 20


def test_request_line_arrives_as_sent(server: Served, session: requests.Session) -> None:
    """The mock sees path and query as on the request line, percent-encoding kept."""
    session.get(f"{server.url}/a%2Fb?c=%E6%B8%9D", timeout=LONG_S)
    assert server.mock.requests[-1].url == "/a%2Fb?c=%E6%B8%9D"


class TestControlDoor:
    """What a test can do to a mock in another process."""

    def test_state_and_orders(self, server: Served, session: requests.Session) -> None:
        """The door tells counts, and each order without personal data."""
        _push(server, session)
        state = session.get(f"{server.url}/__mock__/state", timeout=LONG_S).json()
        assert (state["key"], state["received"], state["waybills"]) == ("yukuaiban", 1, 1)
        orders = session.get(f"{server.url}/__mock__/orders", timeout=LONG_S).json()
        assert orders == {ORDER_NO: {"waybills": {"1": "EA969294768CN"}, "states": [], "request_ids": ["1" * 32]}}

    def test_faults(self, server: Served, session: requests.Session) -> None:
        """Faults are set and taken away over the door, which they never hit themselves."""
        faults = {"rates": {"error": 1.0}, "next": [{"kind": "error", "status": 504}]}
        url = f"{server.url}/__mock__/faults"
        assert session.post(url, json=faults, timeout=LONG_S).json() == {"rates": {"error": 1.0}}
        assert _push(server, session).status_code == 504
        assert _push(server, session).status_code >= 500
        session.delete(url, timeout=LONG_S)
        assert _push(server, session).status_code == 200

    def test_bad_faults_are_explained(self, server: Served, session: requests.Session) -> None:
        """An unknown kind of fault is a 400 that names it."""
        reply = session.post(f"{server.url}/__mock__/faults", json={"rates": {"rest": 0.5}}, timeout=LONG_S)
        assert reply.status_code == 400
        assert "rest" in reply.json()["reason"]

    def test_rejected(self, server: Served, session: requests.Session) -> None:
        """The door lists what did not fit, and why."""
        session.post(server.url + PATH, data=b"{}", timeout=LONG_S)
        rejected = session.get(f"{server.url}/__mock__/rejected", timeout=LONG_S).json()
        assert rejected == [{"path": PATH, "where": "header X-App-Id", "reason": "is missing"}]

    def test_reset(self, server: Served, session: requests.Session) -> None:
        """Reset forgets orders, requests and faults."""
        _push(server, session)
        server.mock.plan.next("reset")
        session.post(f"{server.url}/__mock__/reset", timeout=LONG_S)
        state = session.get(f"{server.url}/__mock__/state", timeout=LONG_S).json()
        assert (state["received"], state["orders"], state["waybills"]) == (0, 0, 0)

    def test_unknown_door(self, server: Served, session: requests.Session) -> None:
        """A wrong path under the door is a 404 that lists the right ones."""
        reply = session.get(f"{server.url}/__mock__/stat", timeout=LONG_S)
        assert reply.status_code == 404
        assert "GET /__mock__/state" in reply.json()["reason"]


def test_answer_shows_no_body() -> None:
    """The repr of an opened answer holds no content."""
    assert "赵" not in repr(Answer("000000000000", {"name": "赵某"}))
