"""Keep count of a destination's health: pauses by a person, the breaker with its half-open trial."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.tables import State, deliveries, destinations, is_state

__all__ = ["Allowance", "Health", "allowance", "answered", "broke", "pause", "resume"]


class Health(StrEnum):
    """Whether deliveries go out to a destination."""

    OPEN = "open"
    #: By a person, until a person says otherwise.
    PAUSED = "paused"
    #: By its own answers; half-opens when its time is up.
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many deliveries may be claimed for a destination now, and when to ask again where it is none."""

    most: int
    again_at: datetime | None = None
    #: It is the one that tries whether a broken destination answers.
    is_trial: bool = False


_ROW = Prepared(
    select(destinations.c.state, destinations.c.breakages, destinations.c.pause_s, destinations.c.until_at).where(
        destinations.c.destination == bindparam("name")
    )
)
_UNDER_WAY = Prepared(
    select(deliveries.c.delivery_id)
    .where(deliveries.c.destination == bindparam("name"), is_state(State.LEASED))
    .limit(1)
)
_UPSERT = insert(destinations)
_SET = Prepared(
    _UPSERT.on_conflict_do_update(
        index_elements=["destination"],
        set_={
            name: _UPSERT.excluded[name] for name in ("state", "reason", "breakages", "pause_s", "until_at", "since")
        },
    )
)
_FORGET = Prepared(
    delete(destinations)
    .where(destinations.c.destination == bindparam("name"), destinations.c.state != "paused")
    .returning(destinations.c.state)
)


def allowance(connection: Connection, destination: str, wanted: int, *, now: datetime) -> Allowance:
    """Tell how many deliveries may go out: all, none, or the one that tries whether a broken destination answers."""
    row = _ROW.on(connection, {"name": destination}).one_or_none()
    if row is None or row.state == Health.OPEN:
        return Allowance(wanted)
    if row.state == Health.PAUSED:
        return Allowance(0)
    if row.until_at > now:
        return Allowance(0, again_at=row.until_at)
    is_trying = _UNDER_WAY.on(connection, {"name": destination}).first() is not None
    return Allowance(0) if is_trying else Allowance(min(wanted, 1), is_trial=True)


def answered(connection: Connection, destination: str) -> bool:
    """Note that a destination answered: it opens, unless a person paused it; tells whether it was broken."""
    return any(row.state == Health.BROKEN for row in _FORGET.on(connection, {"name": destination}))


def broke(
    connection: Connection, destination: str, *, reason: str, to_pause: int, base_s: float, cap_s: float, now: datetime
) -> datetime | None:
    """Count a breakage; at `to_pause` in a row the destination pauses, twice as long each time.

    Returns until when, where it pauses by this one.
    """
    row = _ROW.on(connection, {"name": destination}).one_or_none()
    if row is not None and row.state == Health.PAUSED:
        return None
    breakages = (row.breakages if row else 0) + 1
    pause_s, until_at, state = (row.pause_s, row.until_at, row.state) if row else (0.0, None, Health.OPEN)
    is_pausing = state == Health.BROKEN or breakages >= to_pause
    begins = None
    # Those that were under way when it broke tell nothing new; only the trial doubles the pause.
    if is_pausing and (until_at is None or until_at <= now):
        pause_s = min(cap_s, max(base_s, pause_s * 2))
        until_at, state = now + timedelta(seconds=pause_s), Health.BROKEN
        begins = until_at
    _set(
        connection, destination, state, reason=reason, breakages=breakages, pause_s=pause_s, until_at=until_at, now=now
    )
    return begins


def pause(connection: Connection, destination: str, *, reason: str, now: datetime) -> None:
    """Stop all deliveries to a destination until `resume`."""
    _set(connection, destination, Health.PAUSED, reason=reason, breakages=0, pause_s=0.0, until_at=None, now=now)


def resume(connection: Connection, destination: str) -> None:
    """Let deliveries go out again, whoever stopped them."""
    connection.execute(delete(destinations).where(destinations.c.destination == destination))


def _set(
    connection: Connection,
    destination: str,
    state: str,
    *,
    reason: str,
    breakages: int,
    pause_s: float,
    until_at: datetime | None,
    now: datetime,
) -> None:
    _SET.on(
        connection,
        {
            "destination": destination,
            "state": state,
            "reason": reason,
            "breakages": breakages,
            "pause_s": pause_s,
            "until_at": until_at,
            "since": now,
        },
    )
