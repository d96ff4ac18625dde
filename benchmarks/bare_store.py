"""The store and nothing around it: the same rows, tables and pragmas, in the same commits, by plain `sqlite3`."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["replay"]

#: What an order leaves in the ledger, in the order it is written.
_TABLES = ("nonces", "orders", "lookups", "deliveries", "batches")


def replay(folder: Path, *, group: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Write the rows of the ledger in `folder` into one with the same tables, `group` orders a commit.

    Returns seconds by `clock`.
    """
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
    begun = clock()
    for index in range(groups):
        bare.execute("BEGIN IMMEDIATE")
        for table, all_rows in rows.items():
            _insert(bare, table, _share(all_rows, index, groups))
        bare.execute("COMMIT")
    seconds = clock() - begun
    bare.close()
    return seconds


def _share(rows: list[Sequence[object]], index: int, groups: int) -> list[Sequence[object]]:
    return rows[index * len(rows) // groups : (index + 1) * len(rows) // groups]


def _insert(bare: sqlite3.Connection, table: str, rows: list[Sequence[object]]) -> None:
    if rows:
        bare.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
