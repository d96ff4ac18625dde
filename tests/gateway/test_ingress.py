"""The doors over real sockets: portals, health, the admin port, faults, starting and stopping."""
# ruff: noqa: F811 - a parameter named like an imported fixture is that fixture

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests
from ingress_fixtures import CREATE, EXAMPLE, TOKEN, Served, Start, open_gateway, start  # noqa: F401 - fixtures are used by name

from govpost.gateway.ingress import serve
from govpost.gateway.ingress.faults import Faults
from govpost.schemas.errors import ConfigurationError

BODY = EXAMPLE["body"].encode()
HEADERS: dict[str, str] = EXAMPLE["headers"]


def request_bytes(*extra: str, path: str = CREATE, headers: dict[str, str] = HEADERS, body: bytes = BODY) -> bytes:
    """Write a request as it goes over the wire; `extra` are more header lines."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = [f"POST {path} HTTP/1.1", "host: gateway", "connection: close", *lines, *extra]
    return "\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body


def exchange(served: Served, request: bytes) -> bytes:
    """Send a request and read to the end of the connection."""
    with served.connect() as connection:
        connection.sendall(request)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def code_of(answer: bytes) -> str:
    """Tell the portal's code in an answer."""
    code: str = json.loads(answer.partition(b"\r\n\r\n")[2])["C-Response-Code"]
    return code


# The portals' door.


def test_a_signed_order_is_durable_when_it_is_answered(start: Start) -> None:
    """An order sent as the portal sends it is in the ledger under the number that the answer names."""
    served = start()
    order_id = served.place()
    assert served.gateway.ledger.read_order(order_id).order.portal_ref == "YKB20231201000123"


def test_a_query_string_is_no_part_of_the_signed_path(start: Start) -> None:
    """The signature covers the path as on the request line, without what follows the question mark."""
    assert code_of(exchange(start(), request_bytes(path=f"{CREATE}?trace=1"))) == "000000000000"


def test_a_path_is_taken_as_it_stands_on_the_request_line(start: Start) -> None:
    """An encoded path is not the path that was signed, though it decodes to it."""
    answer = exchange(start(), request_bytes(path=CREATE.replace("create", "%63reate")))
    assert code_of(answer) == "YKB401001"


@pytest.mark.parametrize("name", ["X-Sign", "x-nonce", "Content-Type", "X-Anything"])
def test_a_header_that_stands_twice_is_refused(start: Start, name: str) -> None:
    """Nobody gets to choose which of two values counts, even where both are the same."""
    value = HEADERS.get(name, "a")
    answer = exchange(start(), request_bytes(f"{name}: {value}", f"{name}: {value}"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: text/plain" in answer


def test_list_headers_of_proxies_may_stand_twice(start: Start) -> None:
    """What proxies add on the way does not spoil an order."""
    answer = exchange(
        start(), request_bytes("X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2", "Via: a", "Via: b")
    )
    assert code_of(answer) == "000000000000"


def test_a_chunked_body_is_put_together(start: Start) -> None:
    """An order that comes in chunks is the same order."""
    served = start()
    chunks = (BODY[:10], BODY[10:700], BODY[700:])
    reply = served.http.post(served.url(CREATE), data=iter(chunks), headers=HEADERS, timeout=10)
    assert reply.json()["C-Response-Desc"] == "success"


def test_trailers_are_not_headers(start: Start) -> None:
    """A signature behind the body is no signature."""
    unsigned = {name: value for name, value in HEADERS.items() if name != "X-Sign"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in unsigned.items())
    head = f"POST {CREATE} HTTP/1.1\r\nconnection: close\r\n{lines}transfer-encoding: chunked\r\n\r\n"
    chunk = f"{len(BODY):x}\r\n".encode() + BODY
    end = f"\r\n0\r\nX-Sign: {HEADERS['X-Sign']}\r\n\r\n"
    assert code_of(exchange(start(), head.encode() + chunk + end.encode())) == "YKB401001"


@pytest.mark.parametrize(
    "path", ["/portals/nobody/orders/create", "/portals/", "/portals//", "/elsewhere", "/portalsx"]
)
def test_an_unknown_door_is_404_in_plain_text(start: Start, path: str) -> None:
    """A path that no portal of the settings stands behind is not found, without an envelope."""
    served = start()
    reply = served.http.post(served.url(path), data=b"{}", timeout=10)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "text/plain; charset=utf-8")


def test_an_unwritable_ledger_says_try_again_in_the_portals_words(start: Start) -> None:
    """While the ledger takes nothing, the portal is told to come back, and nothing is acknowledged."""
    served = start()
    with served.full_disk():
        assert code_of(exchange(served, request_bytes())) == "YKB500000"
    assert code_of(exchange(served, request_bytes())) == "000000000000"


def test_requests_behind_one_another_on_a_connection_are_answered_in_order(start: Start) -> None:
    """Pipelined requests get their own answers; the second is the replay that it is."""
    first = request_bytes().replace(b"connection: close\r\n", b"")
    answer = exchange(start(), first + request_bytes())
    assert answer.index(b"000000000000") < answer.index(b"YKB401003")


# Health, metrics and the admin port.


def test_a_serving_process_is_alive_and_ready(start: Start) -> None:
    """Both probes say yes while orders can be taken."""
    served = start()
    statuses = [served.http.get(served.url(path), timeout=10).status_code for path in ("/healthz", "/readyz")]
    assert statuses == [200, 200]


def test_an_unwritable_ledger_is_alive_but_not_ready(start: Start) -> None:
    """Restarting would not help a full disk; sending orders elsewhere would."""
    served = start()
    with served.full_disk():
        alive, ready = (served.http.get(served.url(path), timeout=10) for path in ("/healthz", "/readyz"))
    assert (alive.status_code, ready.status_code, ready.headers["retry-after"]) == (200, 503, "1")


def test_metrics_count_what_came(start: Start) -> None:
    """An accepted order shows in the counters and in the ledger's figures."""
    served = start()
    served.place()
    figures = served.http.get(served.url("/metrics"), timeout=10).text
    assert 'govpost_orders_accepted_total{portal="yukuaiban"} 1.0' in figures
    assert 'govpost_orders{portal="yukuaiban",status="accepted"} 1.0' in figures
    assert 'govpost_request_seconds_count{door="portals"} 1.0' in figures


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/docs", "/api/v1/openapi.json"])
def test_the_admin_port_takes_metrics_and_the_page_off_the_public_one(start: Start, path: str) -> None:
    """With an admin port these are 404 on the public port."""
    served = start(admin_port=0)
    admin = f"http://127.0.0.1:{served.bound.admin_port}{path}"
    statuses = [served.http.get(url, timeout=10).status_code for url in (served.url(path), admin)]
    assert statuses == [404, 200]


@pytest.mark.parametrize("path", [CREATE, "/api/v1/orders", "/api/v1/events"])
def test_the_admin_port_leads_nowhere_else(start: Start, path: str) -> None:
    """Orders are neither taken nor shown on the admin port."""
    served = start(admin_port=0)
    admin = f"http://127.0.0.1:{served.bound.admin_port}{path}"
    assert served.http.get(admin, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10).status_code == 404


def test_both_ports_say_whether_they_live(start: Start) -> None:
    """The probes are on either port."""
    served = start(admin_port=0)
    admin = f"http://127.0.0.1:{served.bound.admin_port}"
    urls = [f"{base}/{name}" for base in (served.url(""), admin) for name in ("healthz", "readyz")]
    assert [served.http.get(url, timeout=10).status_code for url in urls] == [200] * 4


# Faults.


def test_a_fault_shows_its_number_only(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """An order that does not open is a 500 whose number, and nothing else of the fault, is told; the log has it."""
    served = start()
    order_id = served.place()
    served.tamper(order_id)
    reply = served.call("GET", f"/api/v1/orders/{order_id}")
    problem = reply.json()
    assert (reply.status_code, reply.headers["content-type"]) == (500, "application/problem+json")
    assert problem == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": f"internal error {problem['fault_id']}",
        "fault_id": problem["fault_id"],
    }
    assert problem["fault_id"] in caplog.text


def test_a_fault_at_a_portals_door_is_plain_text(caplog: pytest.LogCaptureFixture) -> None:
    """Outside the API the number is told in plain text, and the exception's own words are nowhere."""
    caplog.set_level(logging.ERROR)

    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ValueError("13800138000")

    sent = call_app(Faults(broken), path="/portals/yukuaiban/orders/create")
    body = sent[1]["body"].decode()
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"content-type"]) == (500, b"text/plain; charset=utf-8")
    assert body.removeprefix("internal error ").strip() in caplog.text
    assert "13800138000" not in body + caplog.text


def test_a_fault_behind_the_answers_beginning_is_logged_only(caplog: pytest.LogCaptureFixture) -> None:
    """What has begun is not answered a second time."""

    async def broken(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    assert [message["type"] for message in call_app(Faults(broken), path="/")] == ["http.response.start"]
    assert "request.failed" in caplog.text


def call_app(app: Any, *, path: str) -> list[dict[str, Any]]:
    """Call an ASGI application once and return what it sent."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "POST", "path": path}, None, send))
    return sent


# Starting and stopping.


def test_a_port_that_is_taken_is_a_configuration_error(open_gateway: Callable[..., Any]) -> None:
    """The settings' key is named, and nothing is left open."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        gateway, metrics = open_gateway(admin_port=other.getsockname()[1])
        with pytest.raises(ConfigurationError, match=r"\[ingress\] admin_port: cannot listen on 127\.0\.0\.1"):
            asyncio.run(serve(gateway, metrics=metrics))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_cleanly(open_gateway: Callable[..., Any], number: int) -> None:
    """Serving returns on SIGTERM and SIGINT, the port closed."""
    gateway, metrics = open_gateway()
    ports = []

    def ready(bound: Any) -> None:
        ports.append(bound.port)
        os.kill(os.getpid(), number)

    asyncio.run(serve(gateway, metrics=metrics, ready=ready))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]))


def test_stopping_turns_away_what_has_not_come_whole(start: Start) -> None:
    """A request half sent when the daemon stops is told to come back, and was not begun."""
    served = start()
    with served.connect() as connection:
        connection.sendall(request_bytes("expect: 100-continue")[: -len(BODY)])
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        served.stop()
        answer = read_all(connection)
    served.thread.join(10)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in answer
    assert served.gateway.ledger.find_orders().rows == ()


def test_stopping_closes_idle_connections(start: Start) -> None:
    """A kept-alive connection does not hold the daemon up."""
    served = start()
    with requests.Session() as session:
        session.get(served.url("/healthz"), timeout=10)
        served.stop()
        served.thread.join(5)
    assert not served.thread.is_alive()
