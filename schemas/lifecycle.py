"""How an order lives: which status may follow which (contracts: "How an order lives")."""

from datetime import timedelta

from govpost.schemas.event import Status

__all__ = ["CANCELLABLE", "FUTURE_TOLERANCE", "MOVES", "SETTLE_PERIOD", "may_move"]

#: An event that says it happens later than this from now is kept, but moves nothing.
FUTURE_TOLERANCE = timedelta(minutes=10)

#: How long a finished order stays open for a revoke. Reports are never delayed for it.
SETTLE_PERIOD = timedelta(hours=72)

_COURSE = tuple(status for status in Status if status is not Status.UNKNOWN)
_UNDER_WAY = frozenset({Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.UNDELIVERED})
_FROM_UNDER_WAY = _UNDER_WAY | {Status.DELIVERED, Status.RETURNING, Status.RETURNED, Status.LOST}


def _later_than(status: Status) -> frozenset[Status]:
    return frozenset(_COURSE[_COURSE.index(status) + 1 :])


#: From each status, where an event may move it; what stands at nothing moves only by a revoke.
MOVES: dict[Status, frozenset[Status]] = {
    Status.ACCEPTED: _later_than(Status.ACCEPTED),
    Status.NUMBERED: _later_than(Status.NUMBERED),
    Status.COLLECTED: _later_than(Status.COLLECTED),
    Status.IN_TRANSIT: _FROM_UNDER_WAY,
    Status.OUT_FOR_DELIVERY: _FROM_UNDER_WAY,
    Status.UNDELIVERED: _FROM_UNDER_WAY,
    Status.RETURNING: frozenset({Status.RETURNING, Status.RETURNED, Status.LOST}),
    Status.DELIVERED: frozenset(),
    Status.RETURNED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.LOST: frozenset(),
}

#: While an order stands here, a portal may still take it back.
CANCELLABLE = frozenset({Status.ACCEPTED, Status.NUMBERED})


def may_move(current: Status, to: Status) -> bool:
    """Tell whether an event may move an item from `current` to `to`; a status may follow itself where MOVES says so."""
    return to in MOVES[current]
