"""Orders a second over HTTP: signed, sealed, durable before the answer."""

import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.load import Load, drive, to_bytes
from benchmarks.processes import closed_port, module, serving, write_settings
from benchmarks.report import Figure, middle, percentile
from govpost.mocks.yukuaiban import YukuaibanMock, new_orders

__all__ = ["build_requests", "intake", "is_success"]

_CONNECTIONS = 32
#: What an order leaves in the ledger, in the order it is written.
_TABLES = ("nonces", "orders", "lookups", "deliveries")


def build_requests(number: int, *, url: str, seed: int = 0) -> list[bytes]:
    """Build signed and sealed placements of distinct orders. Good for five minutes, as signatures are."""
    portal = YukuaibanMock()
    host = urlsplit(url).netloc
    return [to_bytes(portal.build_create(*order), host=host) for order in new_orders(number, seed=seed)]


def is_success(answer: bytes) -> bool:
    """Tell whether the gateway took the order."""
    return b'"000000000000"' in answer


def intake(*, is_quick: bool) -> list[Figure]:
    """Measure intake, beside a bare endpoint of the same server and bare SQLite commits of the same rows."""
    number, rounds = (300, 1) if is_quick else (6_000, 3)
    ours, bare, replays, cpu = [], [], [], []
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as folder, module("benchmarks.bare_server") as bare_url:
            load, group, cpu_s = _ours(Path(folder), number, seed=seed)
            ours.append(load)
            cpu.append(cpu_s / number)
            bare.append(_send(bare_url, number, seed=seed))
            replays.append(number / _replay(Path(folder), group=group))
    rate, ceiling, commits = (
        middle([load.per_second for load in ours]),
        middle([load.per_second for load in bare]),
        middle(replays),
    )
    latencies = [latency for load in ours for latency in load.latencies]
    return [
        Figure("orders_per_s", rate, "orders taken a second, 32 connections", at_least=1_200),
        Figure("p50_ms", percentile(latencies, 0.5) * 1e3, "half are answered within, ms"),
        Figure("p99_ms", percentile(latencies, 0.99) * 1e3, "99 in 100 are answered within, ms"),
        Figure("cpu_per_order_ms", middle(cpu) * 1e3, "processor time of the daemon for an order, ms"),
        Figure("bare_uvicorn_per_s", ceiling, "bare uvicorn endpoint, requests a second"),
        Figure("of_bare_uvicorn", rate / ceiling, "ours, as a share of that"),
        Figure("bare_sqlite_per_s", commits, "bare SQLite group commit of the same rows, orders a second"),
        Figure("of_bare_sqlite", rate / commits, "ours, as a share of that"),
        Figure("orders", float(sum(len(load.latencies) for load in ours)), "orders sent in all"),
        Figure("unwanted", float(sum(len(load.unwanted) for load in ours)), "answers that were no success", at_most=0),
    ]


def _ours(folder: Path, number: int, *, seed: int) -> tuple[Load, int, float]:
    """Send to the daemon, with nobody to deliver to.

    Returns also how many orders a commit held, and processor seconds of the daemon.
    """
    with closed_port() as nobody, serving(write_settings(folder, yukuaiban=nobody, post_url=nobody)) as daemon:
        ready = build_requests(number, url=daemon.url, seed=seed)
        cpu_before = daemon.cpu_s()
        load = drive(daemon.url, ready, is_wanted=is_success, connections=_CONNECTIONS)
        cpu_s = daemon.cpu_s() - cpu_before
        units, commits = (daemon.figure(f"govpost_commit_units_{part}") for part in ("sum", "count"))
    return load, max(1, round(units / commits)), cpu_s


def _send(url: str, number: int, *, seed: int) -> Load:
    return drive(url, build_requests(number, url=url, seed=seed), is_wanted=is_success, connections=_CONNECTIONS)


def _replay(folder: Path, *, group: int) -> float:
    """Write the rows of a ledger into one with the same tables, `group` orders a commit; returns seconds."""
    with sqlite3.connect(folder / "govpost.db") as ledger:
        tables = [
            row[0]
            for row in ledger.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC"
            )
        ]
        rows = {table: ledger.execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES}
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA temp_store = MEMORY", *tables):
        bare.execute(statement)
    groups = -(-len(rows["orders"]) // group)
    begun = time.perf_counter()
    for index in range(groups):
        bare.execute("BEGIN IMMEDIATE")
        for table, all_rows in rows.items():
            _insert(bare, table, _share(all_rows, index, groups))
        bare.execute("COMMIT")
    seconds = time.perf_counter() - begun
    bare.close()
    return seconds


def _share(rows: list[Sequence[object]], index: int, groups: int) -> list[Sequence[object]]:
    return rows[index * len(rows) // groups : (index + 1) * len(rows) // groups]


def _insert(bare: sqlite3.Connection, table: str, rows: list[Sequence[object]]) -> None:
    if rows:
        bare.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
