"""Ask, before each request leaves, whether it may: it waits for its turn, and a worker taken for dead sends nothing."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime

from govpost.gateway.ledger import Ledger
from govpost.gateway.relay import Destination
from govpost.schemas.errors import LedgerUnavailableError

__all__ = ["AsyncGate", "SyncGate"]


class _Gate:
    """The way out to one destination, for one conversation; remembers whether something left."""

    __slots__ = ("_clock", "_destination", "_is_alive", "_ledger", "has_opened")

    def __init__(
        self,
        ledger: Ledger,
        destination: Destination,
        *,
        clock: Callable[[], datetime],
        is_alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ledger = ledger
        self._destination = destination
        self._clock = clock
        self._is_alive = is_alive
        self.has_opened = False

    def _turn(self) -> Future[datetime] | None:
        rate_per_s = self._destination.rate_per_s
        return None if rate_per_s is None else self._ledger.take_turn(self._destination.name, rate_per_s=rate_per_s)

    def _until(self, turn_at: datetime) -> float:
        return max(0.0, (turn_at - self._clock()).total_seconds())

    def _open(self) -> bool:
        opens = self._is_alive()
        self.has_opened = self.has_opened or opens
        return opens


class AsyncGate(_Gate):
    """For the daemon's event loop."""

    async def __call__(self) -> bool:
        """Wait for the turn; False where the request must not leave."""
        try:
            if (turn := self._turn()) is not None:
                await asyncio.sleep(self._until(await asyncio.wrap_future(turn)))
        except LedgerUnavailableError:
            return False
        return self._open()


class SyncGate(_Gate):
    """For the caller's thread."""

    def __call__(self) -> bool:
        """Wait for the turn; False where the request must not leave."""
        try:
            if (turn := self._turn()) is not None:
                time.sleep(self._until(turn.result()))
        except LedgerUnavailableError:
            return False
        return self._open()
