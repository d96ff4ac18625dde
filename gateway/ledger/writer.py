"""One writer a process: whatever is waiting is committed in one transaction.

An answer leaves only after the commit that holds its unit. Each unit runs inside a SAVEPOINT, so one that fails
fails alone; a COMMIT that fails answers all of its units "try again". A waiter that leaves does not cancel its unit.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from govpost.schemas.errors import LedgerUnavailableError

__all__ = ["Unit", "Writer"]

T = TypeVar("T")
Unit = Callable[[Connection], T]


@dataclass(frozen=True, slots=True)
class _Waiting:
    unit: Unit[Any]
    future: Future[Any]


class Writer:
    """Run units of work in groups on the one writing connection, in a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        *,
        group_size: int = 256,
        group_wait_s: float = 0.005,
        on_commit: Callable[[int, float], None] = lambda _size, _seconds: None,
    ) -> None:
        self._engine = engine
        driver: Any = engine.dialect.loaded_dbapi
        #: What the driver raises where the store fails; statements are run on it directly (`_sql`).
        self._failures: type[Exception] = driver.Error
        #: Of these, what is a unit's own fault: a rule it broke, a value that the store cannot hold.
        self._faults = (driver.IntegrityError, driver.ProgrammingError, driver.InterfaceError, driver.DataError)
        self._group_size = group_size
        self._group_wait_s = group_wait_s
        self._on_commit = on_commit
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="govpost-ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, unit: Unit[T]) -> Future[T]:
        """Queue a unit; the future resolves after the commit that holds it, or raises what the unit raised."""
        future: Future[T] = Future()
        # Running from the start: a waiter that goes away (a closed connection) must not cancel the unit.
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise LedgerUnavailableError("the ledger is closed")
            self._queue.put(_Waiting(unit, future))
        return future

    def close(self) -> None:
        """Commit what is waiting, then stop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_crowded = False
        while (first := self._queue.get()) is not None:
            group, is_last = self._gather(first, linger=is_crowded)
            is_crowded = len(group) > 1
            self._commit(group)
            if is_last:
                return

    def _gather(self, first: _Waiting, *, linger: bool) -> tuple[list[_Waiting], bool]:
        """Collect a group. A lone caller is not made to wait: only after a crowded group is it worth lingering."""
        group = [first]
        if linger and self._queue.qsize() < self._group_size:
            # Asleep, not waiting at the queue: waking for each unit costs two switches between threads (measured).
            time.sleep(self._group_wait_s)
        while len(group) < self._group_size:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting is None:
                return group, True
            group.append(waiting)
        return group, False

    def _commit(self, group: list[_Waiting]) -> None:
        started = time.perf_counter()
        try:
            with self._engine.connect() as connection, connection.begin():
                cursor = connection.connection.cursor()
                results = [self._attempt(connection, cursor, waiting.unit) for waiting in group]
        except (DBAPIError, self._failures) as error:
            cause = getattr(error, "orig", error)
            unavailable = LedgerUnavailableError(f"the ledger cannot be written now ({cause}); try again")
            for waiting in group:
                waiting.future.set_exception(unavailable)
            return
        self._on_commit(len(group), time.perf_counter() - started)
        for waiting, (result, failure) in zip(group, results, strict=True):
            if failure is None:
                waiting.future.set_result(result)
            else:
                waiting.future.set_exception(failure)

    def _attempt(self, connection: Connection, cursor: Any, unit: Unit[Any]) -> tuple[Any, Exception | None]:
        cursor.execute("SAVEPOINT unit")
        try:
            result = unit(connection)
        except Exception as error:  # whatever a unit raises is its waiter's; the group goes on
            cause = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(cause, self._failures) and not isinstance(cause, self._faults):
                # The store itself failed (disk full, I/O): the whole group is in doubt, so nothing of it is kept.
                raise
            cursor.execute("ROLLBACK TO unit")
            cursor.execute("RELEASE unit")
            return None, error
        cursor.execute("RELEASE unit")
        return result, None
