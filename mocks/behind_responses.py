"""Put a mock behind the `responses` library: no socket, no waiting, the same faults.

A hang raises ReadTimeout, a reset and a refusal the ConnectionError that requests raises for them. Latency takes no
time: longer than the request's own time-out it is a ReadTimeout, else nothing.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
import responses
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from govpost.mocks.base import Mock
from govpost.mocks.control import PREFIX, control
from govpost.mocks.faults import Fault, FaultKind
from govpost.mocks.registry import load_mock
from govpost.schemas import WireReply, WireRequest

__all__ = ["Registrar", "register", "registering"]

M = TypeVar("M", bound=Mock)

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: (mock or key, url) → the mock.
Registrar = Callable[[Mock | str, str], Mock]

_Answer = tuple[int, dict[str, str], bytes]


def register(patch: responses.RequestsMock, mock: M, url: str) -> M:
    """Answer every request under `url` with the mock, and return the mock, its `url` set."""
    mock.url = url.rstrip("/")
    under = re.compile(rf"{re.escape(mock.url)}(?:[/?].*)?$")
    for method in _METHODS:
        patch.add_callback(method, under, callback=_answering(mock), content_type=None)
    return mock


@contextmanager
def registering() -> Iterator[Registrar]:
    """Give a function that puts a mock, or a new one of a key, behind `responses` at an address."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as patch:
        yield lambda mock, url: register(patch, load_mock(mock)() if isinstance(mock, str) else mock, url)


def _answering(mock: Mock) -> Callable[[Any], _Answer]:
    def answer(prepared: Any) -> _Answer:
        request = WireRequest(prepared.method, prepared.path_url, prepared.headers, _body_of(prepared))
        if request.url.startswith(PREFIX):
            return _say(control(mock, request))
        exchange = mock.exchange(request)
        if exchange.first is not None:
            exchange.first()
        if exchange.fault is not None:
            _act_out(exchange.fault, prepared)
        return _say(exchange.reply or WireReply(500))

    return answer


def _say(reply: WireReply) -> _Answer:
    return reply.status, dict(reply.headers), reply.body


def _body_of(prepared: requests.PreparedRequest) -> bytes:
    body = prepared.body or b""
    return body.encode() if isinstance(body, str) else body


def _act_out(fault: Fault, prepared: Any) -> None:
    match fault.kind:
        case FaultKind.HANG | FaultKind.HANG_AFTER:
            raise requests.ReadTimeout("read timed out", request=prepared)
        case FaultKind.LATENCY if fault.seconds > _read_timeout(prepared):
            raise requests.ReadTimeout("read timed out", request=prepared)
        case FaultKind.RESET:
            lost = ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
            raise requests.ConnectionError(lost, request=prepared)
        case FaultKind.REFUSE:
            refused = NewConnectionError(HTTPConnection("mock"), "Connection refused")
            pool = HTTPConnectionPool("mock")
            raise requests.ConnectionError(MaxRetryError(pool, prepared.url, refused), request=prepared)
        case _:
            pass


def _read_timeout(prepared: Any) -> float:
    timeout = prepared.req_kwargs.get("timeout")
    read = timeout[1] if isinstance(timeout, tuple) else timeout
    return float("inf") if read is None else float(read)
