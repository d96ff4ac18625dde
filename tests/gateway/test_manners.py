"""What the engine promises every adapter, shown on one of the tests' own: where its steps run, how fast it is asked."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from govpost.gateway.gateway import Gateway
from govpost.mocks.faults import FaultKind
from govpost.mocks.quanyu_tongban import DEMO_PAASID, DEMO_TOKEN, QuanyuTongbanMock
from govpost.mocks.server import MockServer
from govpost.schemas import WireRequest

Bench = Any
Open = Callable[..., Gateway]

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DEADLINE_S = 10
SETTINGS = """
[portals.hamlet]
backend = "post"
{options}
[backends.post]
adapter = "hamlet"
{options}
"""


@pytest.fixture
def open_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Install the hamlet as a distribution, and give a function that opens a gateway on two; keywords are settings."""
    info = tmp_path / "hamlet-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hamlet\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[govpost.adapters]\nhamlet = hamlet.adapter:Hamlet\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with ExitStack() as opened:

        def open_one(**options: Any) -> Gateway:
            path = tmp_path / "govpost.toml"
            lines = "\n".join(f"{name} = {value}" for name, value in options.items())
            path.write_text(SETTINGS.format(options=lines), encoding="utf-8")
            return opened.enter_context(Gateway.from_toml(path, clock=lambda: NOW))

        yield open_one


def relay_until(gateway: Gateway, *events: threading.Event) -> int:
    """Relay as the daemon does until all of these were set, while the clock stands; returns the loop's thread."""

    async def relay() -> int:
        stop = asyncio.Event()
        relaying = asyncio.create_task(gateway.arelay(stop))
        for event in events:
            assert await asyncio.to_thread(event.wait, DEADLINE_S)
        stop.set()
        await relaying
        return threading.get_ident()

    return asyncio.run(relay())


# Off the event loop.


@pytest.mark.parametrize("is_heavy", [True, False])
def test_heavy_steps_leave_the_event_loop_to_others(open_gateway: Open, bench: Bench, *, is_heavy: bool) -> None:
    """Whatever the manifest calls heavy runs in another thread, every step of it; all else stays on the loop."""
    gateway = open_gateway(cpu_heavy='["poll", "send"]' if is_heavy else "[]")
    portal, post = gateway.portals["hamlet"].adapter, gateway.backends["post"].adapter
    gateway.place("hamlet", bench.content())
    loop = relay_until(gateway, portal.ended["poll"], post.ended["send"])
    assert (loop not in portal.threads["poll"]) is is_heavy
    assert (loop not in post.threads["send"]) is is_heavy


@pytest.mark.parametrize(
    ("heavy", "body", "on_loop"),
    [
        ('["read", "answer"]', b"", []),
        ('["read"]', b"", ["answer"]),
        ('["answer"]', b"", ["read"]),
        ("[]", b"", ["answer", "read"]),
        ("[]", b"x" * 100_000, ["answer"]),
    ],
)
def test_heavy_doors_leave_the_event_loop_to_others(
    open_gateway: Open, heavy: str, body: bytes, on_loop: list[str]
) -> None:
    """So do reading and answering what comes in, and reading what is long."""
    gateway = open_gateway(cpu_heavy=heavy)

    async def receive() -> int:
        await gateway.areceive("hamlet", WireRequest("POST", "/portals/hamlet/x", {}, body))
        return threading.get_ident()

    loop = asyncio.run(receive())
    threads = gateway.portals["hamlet"].adapter.threads
    assert sorted(threads) == ["answer", "read"]
    assert sorted(method for method, found in threads.items() if loop in found) == on_loop


# Rates.


@pytest.mark.parametrize(("given", "rate_per_s"), [({}, 10), ({"rate_per_s": 4}, 4), ({"rate_per_s": 40}, 10)])
def test_settings_only_lower_a_rate(open_gateway: Open, given: dict[str, int], rate_per_s: float) -> None:
    """What the adapter says is the most that its system takes."""
    gateway = open_gateway(**given)
    assert {each.name: each.rate_per_s for each in gateway.destinations} == {"hamlet": rate_per_s, "post": rate_per_s}


def poll_as_library(gateway: Gateway) -> None:
    """Poll in the caller's thread."""
    gateway.poll()


def poll_as_daemon(gateway: Gateway) -> None:
    """Poll on an event loop."""
    relay_until(gateway, gateway.portals["hamlet"].adapter.ended["poll"])


@pytest.mark.parametrize("poll", [poll_as_library, poll_as_daemon])
def test_a_poll_takes_its_turn(open_gateway: Open, poll: Callable[[Gateway], None]) -> None:
    """Asking for orders counts like everything that is sent there: the next request waits for its time."""
    gateway = open_gateway(rate_per_s=1)
    poll(gateway)
    assert gateway.portals["hamlet"].adapter.ended["poll"].is_set()
    assert gateway.ledger.take_turn("hamlet", rate_per_s=1).result() >= NOW + timedelta(seconds=1)


def test_a_daemon_that_stops_gives_its_poll_up(open_gateway: Open) -> None:
    """The next one need not wait until the poll that was cut off would have timed out."""
    gateway = open_gateway(rate_per_s=0.01)
    # The poll's own turn comes in minutes.
    gateway.ledger.take_turn("hamlet", rate_per_s=0.01).result()
    adapter = gateway.portals["hamlet"].adapter
    relay_until(gateway, adapter.began["poll"])
    assert not adapter.ended["poll"].is_set()
    assert gateway.ledger.begin_poll("hamlet", lease_s=1).result() is not None


@pytest.mark.parametrize(("told_s", "waits_s"), [(30, 30), (1, 5)])
def test_a_poll_that_is_told_to_wait_waits(
    tmp_path: Path, quanyu_tongban_server: MockServer[QuanyuTongbanMock], told_s: int, waits_s: int
) -> None:
    """As long as the portal said, and no shorter than its usual pace."""
    mock, now = quanyu_tongban_server.mock, [NOW]
    mock.now = lambda: now[0]
    mock.plan.next(FaultKind.BUSY, seconds=told_s)
    path = tmp_path / "govpost.toml"
    path.write_text(
        f'[portals.quanyu_tongban]\nbase_url = "{mock.url}"\npaasid = "{DEMO_PAASID}"\ntoken = "{DEMO_TOKEN}"\n'
        'poll_every_s = 5\nbackend = "post"\n[backends.post]\nadapter = "webhook"\n'
        'url = "http://127.0.0.1:1/orders"\nsecret = "s"\n',
        encoding="utf-8",
    )
    asked = []
    with Gateway.from_toml(path, clock=lambda: now[0]) as gateway:
        for seconds in (0, waits_s - 1, 2):
            now[0] += timedelta(seconds=seconds)
            gateway.poll()
            asked.append(mock.received)
    assert asked == [1, 1, 2]
