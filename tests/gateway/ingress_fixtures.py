"""A real gateway on SQLite in a temporary folder, served over real sockets, at a fixed moment."""

import asyncio
import json
import resource
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from govpost.gateway.gateway import Gateway
from govpost.gateway.ingress import Bound, serve
from govpost.gateway.metrics import Metrics
from govpost.gateway.settings import load_settings
from govpost.mocks.ems import DEMO_AUTHORIZATION, DEMO_SENDER_NO, DEMO_SIGN_KEY

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_text("utf-8"))
EXAMPLE = EXAMPLES["yukuaiban"]
KEYS = EXAMPLES["keys"]["yukuaiban"]
#: What no answer and no log may show.
PERSONAL = [
    person[name]
    for person in EXAMPLE["secret_opens_to"].values()
    for name in ("name", "mobile", "address", "idNo")
    if name in person
]
#: When the example was signed: 08:12:30 in Chongqing.
NOW = datetime.fromtimestamp(1701389550, UTC)
#: The call that the example signs.
CREATE = "/portals/yukuaiban/orders/create"
TOKEN = "token-of-the-backend-1"
_TIMEOUT_S = 10

# Nobody listens on port 1: what is owed to the backend stays owed.
_CONFIG = """
[api]
tokens = {tokens}
[ingress]
port = 0
{ingress}
[portals.yukuaiban]
base_url = "http://127.0.0.1:1"
app_id = "{app_id}"
app_secret = "{app_secret}"
app_key = "{app_key}"
backend = "post"
[backends.post]
adapter = "webhook"
url = "http://127.0.0.1:1/orders"
secret = "s3cret-of-backend-0123456789abcdef"
"""

#: A portal that nobody answers for, and EMS as its backend, at the address that is put in.
EMS_SECTIONS = f"""[portals.yukuaiban]
base_url = "http://127.0.0.1:1"
app_id = "3f0c2a9e-5b1d-4e7a-9c44-0a1b2c3d4e5f"
app_secret = "secret"
app_key = "AAECAwQFBgcICQoLDA0ODw=="
backend = "post"
[backends.post]
adapter = "ems"
url = "%s"
sender_no = "{DEMO_SENDER_NO}"
authorization = "{DEMO_AUTHORIZATION}"
sign_key = "{DEMO_SIGN_KEY}"
"""


@dataclass
class Served:
    """A gateway that is being served."""

    gateway: Gateway
    metrics: Metrics
    bound: Bound
    #: Makes `serve` return.
    stop: Callable[[], None]
    thread: threading.Thread
    http: requests.Session = field(default_factory=requests.Session)

    def url(self, path: str) -> str:
        """Address of a path on the public port."""
        return f"http://127.0.0.1:{self.bound.port}{path}"

    def connect(self) -> socket.socket:
        """Open a bare connection to the public port."""
        return socket.create_connection(("127.0.0.1", self.bound.port), timeout=_TIMEOUT_S)

    def call(self, method: str, path: str, *, token: str | None = TOKEN, **kwargs: Any) -> requests.Response:
        """Call the API."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.request(method, self.url(path), headers=headers, timeout=_TIMEOUT_S, **kwargs)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let the ledger's log grow no further, as on a full disk."""
        size = self.gateway.ledger.path.with_name(f"{self.gateway.ledger.path.name}-wal").stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def tamper(self, order_id: str) -> None:
        """Change the sealed content of an order behind the gateway's back."""
        with closing(sqlite3.connect(self.gateway.ledger.path)) as connection, connection:
            connection.execute(
                "UPDATE orders SET sealed = CAST(sealed || x'00' AS BLOB) WHERE order_id = ?", (order_id,)
            )

    def place(self) -> str:
        """Have the example order taken, signed as the portal signs it; returns its order_id."""
        body, headers = EXAMPLE["body"].encode(), EXAMPLE["headers"]
        reply = self.http.post(self.url(CREATE), data=body, headers=headers, timeout=_TIMEOUT_S).json()
        order_id: str = json.loads(reply["C-Response-Body"])["logisticsNo"]
        return order_id


Start = Callable[..., Served]


@pytest.fixture
def open_gateway(tmp_path: Path) -> Iterator[Callable[..., tuple[Gateway, Metrics]]]:
    """Open gateways from settings; keyword arguments are keys of `[ingress]`."""
    with ExitStack() as opened:

        def open_one(*, tokens: tuple[str, ...] = (TOKEN,), **ingress: float) -> tuple[Gateway, Metrics]:
            config = tmp_path / "govpost.toml"
            lines = "\n".join(f"{name} = {value}" for name, value in ingress.items())
            config.write_text(_CONFIG.format(tokens=json.dumps(tokens), ingress=lines, **KEYS), encoding="utf-8")
            metrics = Metrics()
            gateway = Gateway(load_settings(config), clock=lambda: NOW, meter=metrics)
            opened.enter_context(closing(gateway))
            return gateway, metrics

        yield open_one


@pytest.fixture
def start(open_gateway: Callable[..., tuple[Gateway, Metrics]]) -> Iterator[Start]:
    """Serve gateways on free ports; keyword arguments are keys of `[ingress]`, and `tokens`."""
    with ExitStack() as started:
        yield lambda **settings: started.enter_context(served(*open_gateway(**settings)))


@contextmanager
def served(gateway: Gateway, metrics: Metrics) -> Iterator[Served]:
    """Serve a gateway from a thread of its own while the context lasts."""
    stops: list[Callable[[], None]] = []
    bounds: list[Bound] = []
    is_ready = threading.Event()

    def ready(bound: Bound) -> None:
        bounds.append(bound)
        is_ready.set()

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        await serve(gateway, metrics=metrics, ready=ready, stop=stop)

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="govpost-served")
    thread.start()
    assert is_ready.wait(_TIMEOUT_S)
    gateway.ledger.check_writable()  # behind the relay's own first entry
    served = Served(gateway, metrics, bounds[0], stops[0], thread)
    try:
        with served.http:
            yield served
    finally:
        if thread.is_alive():
            served.stop()
        thread.join(_TIMEOUT_S)
