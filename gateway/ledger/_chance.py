"""Random bytes in bulk.

Each call of the system's generator gives up the interpreter lock; beside a busy writer thread that costs 100 µs and
more an order (measured). So it is asked for a block at a time. A forked child starts with an empty block: the same
bytes twice would be the same AES-GCM nonce twice.
"""

import os
import threading
from datetime import datetime

from ulid import ULID

__all__ = ["new_id", "take_random"]

_BLOCK = 4096
_ULID_RANDOM = 10
_ULID_TIME = 6

_lock = threading.Lock()
_block = bytearray()


def take_random(count: int) -> bytes:
    """Take `count` random bytes (at most 4096) from the system's generator; never the same ones again."""
    with _lock:
        if len(_block) < count:
            _block[:] = os.urandom(_BLOCK)
        taken = bytes(_block[-count:])
        del _block[-count:]
        return taken


def new_id(now: datetime) -> str:
    """Make a ULID of this moment."""
    milliseconds = int(now.timestamp() * 1000)
    return str(ULID.from_bytes(milliseconds.to_bytes(_ULID_TIME) + take_random(_ULID_RANDOM)))


def _forget() -> None:
    global _lock  # noqa: PLW0603 - the parent may have held it while it forked
    _lock = threading.Lock()
    _block.clear()


os.register_at_fork(after_in_child=_forget)
