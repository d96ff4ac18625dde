"""What one delivery costs while few, many and very many wait; how much memory the daemon takes; how it comes back."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.desk import Desk, at_desk
from benchmarks.filling import fill
from benchmarks.processes import closed_port, mock, mock_state, serving, start_daemon, wait_for, write_settings
from benchmarks.report import Figure, middle
from govpost.gateway.gateway import Gateway

__all__ = ["backlog", "restart"]

_AT_ONCE = 32
_ROUNDS = 5


def backlog(*, is_quick: bool) -> list[Figure]:
    """Claim and settle at three depths, interleaved; then start the daemon on the deepest with nobody to deliver to."""
    depths = (100, 300, 1_000) if is_quick else (1_000, 100_000, 1_000_000)
    per_round = 64 if is_quick else 640
    with tempfile.TemporaryDirectory() as name, closed_port() as nobody:
        settings = {depth: _filled(Path(name) / str(depth), depth, per_round, nobody) for depth in depths}
        costs = _costs(settings, per_round)
        resident, peak, metrics_s = _memory(settings[depths[-1]])
    return [
        *(
            Figure(f"cost_{depth}_us", costs[depth] * 1e6, f"claim and settle with {depth:,} waiting, µs a delivery")
            for depth in depths
        ),
        Figure("flatness", max(costs.values()) / min(costs.values()), "dearest against cheapest", at_most=1.3),
        Figure("resident_mib", resident, f"daemon's memory with {depths[-1]:,} waiting, MiB", at_most=250),
        Figure("peak_mib", peak, "the same at its highest, MiB"),
        Figure("metrics_s", metrics_s, "reading /metrics then, seconds"),
    ]


def _filled(folder: Path, depth: int, per_round: int, nobody: str) -> Path:
    """Make a ledger that is still `depth` deep after all rounds but the warm-up's remainder."""
    folder.mkdir()
    settings = write_settings(folder, yukuaiban=nobody, post_url=nobody)
    fill(settings, depth + (_ROUNDS + 1) * per_round)
    return settings


def _costs(settings: dict[int, Path], per_round: int) -> dict[int, float]:
    """Work through `per_round` deliveries of each ledger in turn; returns the median seconds of one delivery."""
    measured: dict[int, list[float]] = {depth: [] for depth in settings}
    with ExitStack() as stack:
        desks = {depth: stack.enter_context(_desk(path)) for depth, path in settings.items()}
        for desk in desks.values():
            _work(desk, per_round)
        for _ in range(_ROUNDS):
            for depth, desk in desks.items():
                measured[depth].append(_work(desk, per_round) / per_round)
    return {depth: middle(rounds) for depth, rounds in measured.items()}


@contextmanager
def _desk(settings: Path) -> Iterator[Desk]:
    with Gateway.from_toml(settings) as gateway:
        post = next(each for each in gateway.destinations if each.name == "post")
        with at_desk(gateway.ledger, post, gateway.settings.relay) as desk:
            yield desk


def _work(desk: Desk, number: int) -> float:
    begun = time.perf_counter()
    done = 0
    while done < number:
        done += desk.settle(desk.claim(_AT_ONCE))
    return time.perf_counter() - begun


def _memory(settings: Path) -> tuple[float, float, float]:
    """Start the daemon and let it try; returns resident and highest MiB, and the seconds of one look at /metrics."""
    with serving(settings) as daemon:
        # Until the breaker has paused both, every connection was refused many times.
        wait_for(
            lambda: "destination.paused" in _log(settings) or _log(settings).count("retry_scheduled") > _AT_ONCE,
            every_s=0.1,
        )
        begun = time.perf_counter()
        daemon.figure("govpost_ledger_readable")
        seconds = time.perf_counter() - begun
        return (*daemon.memory_mib(), seconds)


def _log(settings: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in settings.parent.glob("serve-*.log"))


def restart(*, is_quick: bool) -> list[Figure]:
    """Kill the daemon while it delivers, start it again, and wait until the post receives something."""
    depth, rounds = (300, 1) if is_quick else (100_000, 5)
    with tempfile.TemporaryDirectory() as name, mock("postal", Path(name)) as post_url, closed_port() as nobody:
        settings = write_settings(Path(name), yukuaiban=nobody, post_url=post_url)
        fill(settings, depth)
        ups, firsts = zip(*(_kill_and_return(settings, post_url) for _ in range(rounds)), strict=True)
        twice = mock_state(post_url)["placed_twice"]
    return [
        Figure("up_s", middle(ups), "from kill -9 to taking orders again, seconds"),
        Figure("first_delivery_s", middle(firsts), f"from kill -9 to the next delivery, {depth:,} waiting, seconds"),
        Figure("slowest_s", max(firsts), "the slowest of the rounds, seconds"),
        Figure("placed_twice", float(twice), "orders that the post was asked to mail twice", at_most=0),
    ]


def _kill_and_return(settings: Path, post_url: str) -> tuple[float, float]:
    """Return the seconds until it took orders again, and until the post received something."""
    before = _received(post_url)
    daemon = start_daemon(settings)
    wait_for(lambda: _received(post_url) > before, every_s=0.005)
    killed_at = time.perf_counter()
    daemon.kill()
    # Nothing more can come from the dead one: what it had sent is counted by now.
    before = _received(post_url)
    daemon = start_daemon(settings)
    up_s = time.perf_counter() - killed_at
    try:
        wait_for(lambda: _received(post_url) > before, every_s=0.005)
        return up_s, time.perf_counter() - killed_at
    finally:
        daemon.kill()


def _received(post_url: str) -> int:
    orders: int = mock_state(post_url)["received"]
    return orders
