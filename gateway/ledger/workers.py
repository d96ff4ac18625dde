"""Who is at work on a ledger: rows renewed every few seconds, and the instance lock of an embedded file.

A lease belongs to a worker and is dead when that worker's row has not been renewed for `dead_after_s`. A daemon that
holds the file's instance lock knows at once that earlier holders are gone.
"""

import fcntl
import os
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.tables import workers

__all__ = ["InstanceLock", "bury_dead", "register", "renew", "retire"]


class InstanceLock:
    """The advisory lock beside an embedded ledger; the kernel drops it when its process ends, however that ends."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> bool:
        """Try to take the lock; False when another process holds it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let the lock go."""
        os.close(self._descriptor)


_DEAD = Prepared(
    select(workers.c.worker_id).where(
        workers.c.worker_id != bindparam("me"),
        or_(workers.c.renewed_at < bindparam("before"), workers.c.holds_lock & bindparam("we_hold_lock")),
    )
)


def register(connection: Connection, worker_id: str, *, holds_lock: bool, now: datetime) -> None:
    """Enter a worker."""
    connection.execute(insert(workers), {"worker_id": worker_id, "renewed_at": now, "holds_lock": holds_lock})


def renew(connection: Connection, worker_id: str, *, now: datetime) -> bool:
    """Show that a worker lives; False when it was taken for dead: then none of its leases is its own any more."""
    renewed = connection.execute(update(workers).where(workers.c.worker_id == worker_id).values(renewed_at=now))
    return renewed.rowcount == 1


def bury_dead(
    connection: Connection, worker_id: str, *, holds_lock: bool, dead_after_s: float, now: datetime
) -> frozenset[str]:
    """Remove the rows of workers that are dead, and name them: their leases are to be reclaimed in the same unit."""
    before = now - timedelta(seconds=dead_after_s)
    found = _DEAD.on(connection, {"me": worker_id, "before": before, "we_hold_lock": holds_lock})
    dead = frozenset(row.worker_id for row in found)
    if dead:
        connection.execute(delete(workers).where(workers.c.worker_id.in_(dead)))
    return dead


def retire(connection: Connection, worker_id: str) -> None:
    """Remove a worker that stops cleanly."""
    connection.execute(delete(workers).where(workers.c.worker_id == worker_id))
