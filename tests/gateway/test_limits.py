"""How much of anything a caller may have, over real sockets."""
# ruff: noqa: F811 - a parameter named like an imported fixture is that fixture

import socket

import pytest
from ingress_fixtures import CREATE, TOKEN, Start, open_gateway, start  # noqa: F401 - fixtures are used by name

from govpost.gateway.ingress.limits import RequestLimits
from govpost.gateway.settings import IngressSettings

MIB = 1024 * 1024
BEARER = f"authorization: Bearer {TOKEN}"


def head(*lines: str, method: str = "POST", path: str = CREATE) -> bytes:
    """Write the head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: gateway", *lines, "", ""]).encode()


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer: status, headers, body."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        lines = iter(lambda: stream.readline().decode().strip(), "")
        headers = dict(line.split(": ", 1) for line in lines)
        return status, headers, stream.read(int(headers["content-length"]))


# Bodies.


def test_an_announced_body_is_refused_unread(start: Start) -> None:
    """1 MiB + 1 is a 413 before the first byte of it was sent, in plain text."""
    with start().connect() as connection:
        connection.sendall(head(f"content-length: {MIB + 1}"))
        status, headers, _ = read_answer(connection)
    assert (status, headers["content-type"]) == (413, "text/plain; charset=utf-8")


def test_a_caller_that_asks_first_is_spared_the_body(start: Start) -> None:
    """`Expect: 100-continue` with too large a body gets the refusal in place of the go-ahead, and the end."""
    with start().connect() as connection:
        connection.sendall(head(f"content-length: {MIB + 1}", "expect: 100-continue"))
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_a_refused_body_that_comes_all_the_same_does_not_cut_the_connection(start: Start) -> None:
    """Who sends first and reads later still gets the 413, and may go on on the same connection."""
    with start().connect() as connection:
        connection.sendall(head(f"content-length: {2 * MIB}") + b"a" * 2 * MIB)
        refused = read_answer(connection)[0]
        connection.sendall(head(method="GET", path="/healthz"))
        assert (refused, read_answer(connection)[0]) == (413, 200)


def test_a_body_of_just_the_limit_is_read(start: Start) -> None:
    """1 MiB reaches the adapter, which says in its own words what it thinks of it."""
    served = start()
    reply = served.http.post(served.url(CREATE), data=b"a" * MIB, timeout=10)
    assert (reply.status_code, reply.json()["C-Response-Code"]) == (200, "YKB401001")


def test_a_chunked_body_is_refused_when_it_has_grown_too_large(start: Start) -> None:
    """Without an announced length the bytes are counted, and the rest is not waited for."""
    with start(max_body_bytes=1000).connect() as connection:
        connection.sendall(head("transfer-encoding: chunked") + b"3e9\r\n" + b"a" * 1001)
        assert read_answer(connection)[0] == 413


def test_a_body_without_end_is_cut_off(start: Start) -> None:
    """Bytes that are thrown away are counted too."""
    served = start(max_body_bytes=1000, max_event_body_bytes=1000)
    with served.connect() as connection:
        connection.sendall(head(f"content-length: {256 * MIB}"))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(b"a" * 256 * MIB)


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/orders/01HGGY4B5R0000000000000AB1/events"])
def test_events_may_be_larger(start: Start, path: str) -> None:
    """Events carry pictures: their own limit holds."""
    served = start(max_body_bytes=100, max_event_body_bytes=3000)
    sizes = (2000, 3001)
    assert [served.call("POST", path, data=b" " * size).status_code for size in sizes] == [400, 413]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_too_large_is_a_problem_at_the_api(start: Start, is_chunked: bool) -> None:
    """The API's 413 is problem details, however the size came out."""
    body = b" " * 3001
    reply = start(max_event_body_bytes=3000).call("POST", "/api/v1/events", data=iter([body]) if is_chunked else body)
    assert (reply.status_code, reply.headers["content-type"]) == (413, "application/problem+json")
    assert reply.json()["detail"] == "the body is larger than 3000 bytes"


def test_a_large_body_is_not_read_from_a_stranger(start: Start) -> None:
    """Without a token the answer comes before the body."""
    with start().connect() as connection:
        connection.sendall(head("content-length: 1000000", path="/api/v1/events"))
        assert read_answer(connection)[0] == 401


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/portals/court/batches", 16 * MIB),
        ("/portals/yukuaiban/orders/create", MIB),
        ("/api/v1/events", 8 * MIB),
        ("/api/v1/orders/1/events", 8 * MIB),
        ("/api/v1/orders/1/2/events", MIB),
        ("/", MIB),
    ],
)
def test_each_path_has_its_limit(path: str, most: int) -> None:
    """A portal's contract may allow other sizes than the settings' default."""
    limits = RequestLimits.from_settings(IngressSettings(), section_body_bytes={"court": 16 * MIB})
    assert limits.body_bytes({"path": path}) == most


# Heads.


def test_a_large_head_is_refused(start: Start) -> None:
    """More headers than the limit are a 431 in plain text."""
    with start(max_header_bytes=1000).connect() as connection:
        connection.sendall(head(f"x-long: {'a' * 1000}", method="GET", path="/healthz"))
        status, headers, _ = read_answer(connection)
    assert (status, headers["content-type"]) == (431, "text/plain; charset=utf-8")


def test_a_head_without_end_is_refused(start: Start) -> None:
    """A head is not collected beyond the limit in the hope of its end."""
    with start(max_header_bytes=1000).connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nx-long: " + b"a" * 1000)
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


def test_what_is_no_http_is_refused(start: Start) -> None:
    """Rubbish is a 400 and the end of the connection."""
    with start().connect() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00 rubbish\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


# Room.


def test_too_many_at_once_are_told_to_come_back(start: Start) -> None:
    """With the house full the next is a 503 with Retry-After; whether we live can still be asked."""
    served = start(max_requests=1)
    with served.connect() as connection:
        connection.sendall(head("content-length: 5", "expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        crowded = served.http.post(served.url(CREATE), data=b"{}", timeout=10)
        alive = served.http.get(served.url("/healthz"), timeout=10)
        connection.sendall(b"aaaaa")
        assert read_answer(connection)[0] == 200
    roomy = served.http.post(served.url(CREATE), data=b"{}", timeout=10)
    assert (crowded.status_code, crowded.headers["retry-after"]) == (503, "1")
    assert (alive.status_code, roomy.status_code) == (200, 200)


# Time.


def test_a_slow_head_runs_out_of_time(start: Start) -> None:
    """A head that does not end within the deadline is a 408 and the end of the connection."""
    with start(receive_timeout_s=0.2).connect() as connection:
        connection.sendall(b"POST /portals/yukuaiban/orders/create HTTP/1.1\r\nx-slow: ")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_slow_body_runs_out_of_time(start: Start) -> None:
    """So is a body; nothing of it was begun."""
    served = start(receive_timeout_s=0.2)
    with served.connect() as connection:
        connection.sendall(head("content-length: 10") + b"aaaaa")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"content-type: text/plain" in answer
    assert b"connection: close" in answer


def test_a_slow_event_runs_out_of_time(start: Start) -> None:
    """The API keeps the same deadline, and logs no fault for it."""
    with start(receive_timeout_s=0.2).connect() as connection:
        connection.sendall(head(BEARER, "content-length: 10", path="/api/v1/events") + b"[")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_silent_connection_is_closed(start: Start) -> None:
    """Who says nothing gets no answer, and no room."""
    with start(receive_timeout_s=0.2).connect() as connection:
        assert read_all(connection) == b""


def test_the_deadline_begins_anew_with_each_request(start: Start) -> None:
    """A good request does not buy time for the next one."""
    with start(receive_timeout_s=0.2).connect() as connection:
        connection.sendall(head(method="GET", path="/healthz"))
        assert read_answer(connection)[0] == 200
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_blank_lines_between_requests_do_not_keep_a_connection(start: Start) -> None:
    """Bytes that begin no request are no sign of life."""
    with start(receive_timeout_s=0.2).connect() as connection:
        connection.sendall(head(method="GET", path="/healthz"))
        assert read_answer(connection)[0] == 200
        connection.sendall(b"\r\n")
        assert read_all(connection)[:13] in (b"", b"HTTP/1.1 408 ")


def test_a_refused_body_that_never_comes_runs_out_of_time(start: Start) -> None:
    """After an early answer the rest of the message has the same deadline."""
    with start(receive_timeout_s=0.2).connect() as connection:
        connection.sendall(head(f"content-length: {MIB + 1}"))
        assert read_answer(connection)[0] == 413
        assert read_all(connection) == b""


def test_an_idle_connection_outlives_the_deadline_of_receiving(start: Start) -> None:
    """Between requests the deadline does not run: a second one, after another connection's ran out, is answered."""
    served = start(receive_timeout_s=0.2)
    with served.connect() as kept, served.connect() as silent:
        kept.sendall(head(method="GET", path="/healthz"))
        assert read_answer(kept)[0] == 200
        assert read_all(silent) == b""
        kept.sendall(head(method="GET", path="/readyz"))
        assert read_answer(kept)[0] == 200
