"""Fill a ledger with orders that wait for the post, as if they had been taken: one real order, copied row by row."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from govpost.gateway.gateway import Gateway
from govpost.gateway.ledger._chance import new_id
from govpost.gateway.ledger.keyfile import KeyFile
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.worker import utc_now
from govpost.mocks.yukuaiban import YukuaibanMock, new_order

__all__ = ["fill"]

_BATCH = 10_000
_STEP = timedelta(milliseconds=1)


def fill(settings: Path, number: int) -> None:
    """Make the ledger of a settings file, with `number` placements due to the post."""
    with Gateway.from_toml(settings) as gateway:
        gateway.receive("yukuaiban", YukuaibanMock().build_create(*new_order(0)))
        path = gateway.ledger.path
        sealer = Sealer(KeyFile.load(gateway.settings.ledger.key_file))
    ledger = sqlite3.connect(path, isolation_level=None)
    ledger.row_factory = sqlite3.Row
    ledger.execute("PRAGMA synchronous = OFF")
    order = dict(ledger.execute("SELECT * FROM orders").fetchone())
    delivery = dict(ledger.execute("SELECT * FROM deliveries").fetchone())
    plain = sealer.open(order["sealed"], row=f"orders|{order['order_id']}").decode()
    copies = _copies(sealer, order, delivery, plain, number - 1)
    for _ in range(0, number - 1, _BATCH):
        pairs = [pair for pair, _ in zip(copies, range(_BATCH), strict=False)]
        ledger.execute("BEGIN IMMEDIATE")
        ledger.executemany(_insert("orders", order), [one for one, _ in pairs])
        ledger.executemany(_insert("deliveries", delivery), [one for _, one in pairs])
        ledger.execute("COMMIT")
    ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.close()


def _copies(
    sealer: Sealer, order: dict[str, Any], delivery: dict[str, Any], plain: str, number: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    begins_at = utc_now() - number * _STEP
    old_id, old_ref = str(order["order_id"]), str(order["portal_ref"])
    for index in range(number):
        at = begins_at + index * _STEP
        order_id, portal_ref = new_id(at), f"COPY-{index:012d}"
        content = plain.replace(old_id, order_id).replace(old_ref, portal_ref)
        sealed = sealer.seal(content.encode(), row=f"orders|{order_id}")
        due_at = int(at.timestamp() * 1_000_000)
        yield (
            {**order, "order_id": order_id, "portal_ref": portal_ref, "sealed": sealed},
            {**delivery, "delivery_no": None, "delivery_id": new_id(at), "order_id": order_id, "due_at": due_at},
        )


def _insert(table: str, row: dict[str, Any]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
