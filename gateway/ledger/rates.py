"""Share a destination's rate among all workers of a ledger: one row says when the next request may leave."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, bindparam, case
from sqlalchemy.dialects.sqlite import insert

from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.tables import rates

__all__ = ["take_turn"]

#: Turns lie this much further apart than the rate has it: the way to the destination is now longer, now shorter, and
#: must not push one request into its neighbour's second.
_SLACK = 1.05

_NEXT_AT = rates.c.next_at
_NOW = bindparam("now", type_=_NEXT_AT.type)
_SPACING_US = bindparam("spacing_us", type_=BigInteger())
_UPSERT = insert(rates)
_TAKE = Prepared(
    _UPSERT.on_conflict_do_update(
        index_elements=["destination"],
        set_={"next_at": case((_NEXT_AT > _NOW, _NEXT_AT), else_=_NOW).op("+")(_SPACING_US)},
    ).returning(_NEXT_AT)
)


def take_turn(connection: Connection, destination: str, *, rate_per_s: float, now: datetime) -> datetime:
    """Take the next turn; returns when it is, now at the earliest."""
    spacing = timedelta(seconds=_SLACK / rate_per_s)
    facts = {"destination": destination, "next_at": now + spacing, "now": now, "spacing_us": spacing // _MICROSECOND}
    after: datetime = _TAKE.on(connection, facts).scalar_one()
    return after - spacing


_MICROSECOND = timedelta(microseconds=1)
