"""An adapter and its mock in one process: requests are handed from one to the other, and a clock is common to both."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from secrets import token_hex
from threading import Thread
from typing import Any, TypeVar

from ulid import ULID

from benchmarks.systems import load_far_side
from govpost.adapters.registry import load_adapter
from govpost.gateway.worker import utc_now
from govpost.mocks.base import CarrierMock, Mock
from govpost.schemas import Conversation, Order, Source, WireReply, WireRequest

__all__ = ["FarSide", "converse", "listen_to", "order_of", "samples"]

T = TypeVar("T")

#: Nothing is ever sent there.
_ADDRESS = "http://127.0.0.1:9"


class FarSide:
    """What an adapter talks to."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._begins_at = utc_now()
        self._calls = 0
        self.mock: Mock = load_far_side(key)(now=self.now)
        self.mock.url = _ADDRESS
        #: Which of the roles it plays is for whoever asks to find out.
        self.adapter: Any = load_adapter(key).build(self.mock.settings(), section=key)
        self.source = Source(now=self.now, token=lambda: token_hex(16))

    def now(self) -> datetime:
        """Tell a time that moves on by a second with each call, so that no mock finds us too fast."""
        return self._begins_at + timedelta(seconds=self._calls)

    def answer(self, request: WireRequest) -> WireReply:
        """Have the mock answer a request of the adapter's."""
        self._calls += 1
        url = request.url.removeprefix(_ADDRESS)
        return self.mock.handle(WireRequest(request.method, url, request.headers, request.body))


def samples(key: str, kind: str) -> Iterator[Any]:
    """Read the samples beside a wire's contract: of kind `wire`, or the `order` that each of those means."""
    folder = files("govpost.schemas") / "wire" / key / "samples"
    for wire in sorted(folder.iterdir(), key=lambda file: file.name):
        order = folder / wire.name.replace(".wire.json", ".order.json")
        if wire.name.endswith(".wire.json") and order.is_file():
            yield json.loads((wire if kind == "wire" else order).read_text(encoding="utf-8"))


def order_of(key: str, content: Mapping[str, Any]) -> Order:
    """Make the order that a gateway makes of what a portal said."""
    return Order.model_validate({**content, "order_id": str(ULID()), "portal": key, "accepted_at": utc_now()})


def converse(conversation: Conversation[T], answer: Callable[[WireRequest], WireReply]) -> T:
    """Carry a conversation to its end."""
    try:
        request = next(conversation)
        while True:
            request = conversation.send(answer(request))
    except StopIteration as end:
        result: T = end.value
        return result


def listen_to(backend: CarrierMock, order_id: str, *, course: str) -> list[WireRequest]:
    """Have a backend play a course of an order and push what happened; gives its requests, none of them answered."""
    play = backend.actions().get("play")
    if play is None:
        return []
    with _listening() as (url, heard):
        # It is the mocks' own word for where they push to.
        backend.gateway_url = url
        play(order_id=order_id, course=course)
    return heard


@contextmanager
def _listening() -> Iterator[tuple[str, list[WireRequest]]]:
    """Listen on a port, and send everybody away."""
    heard: list[WireRequest] = []

    class _Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(WireRequest("POST", self.path, dict(self.headers), body))
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), _Ear) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", heard
        finally:
            server.shutdown()
            thread.join()
