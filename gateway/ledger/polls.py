"""Poll a portal: whose turn it is, and what it handed over together with the cursor that follows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.sqlite import insert

from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.tables import cursors

__all__ = ["Poll", "begin_poll", "end_poll", "next_poll_at"]


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll that was begun. Only the newest of a portal may store what it brings."""

    portal: str
    cursor: str
    poll_no: int


_NEW = insert(cursors).on_conflict_do_nothing()
_INSERT = Prepared(_NEW)
_BEGIN = Prepared(
    update(cursors)
    .where(cursors.c.portal == bindparam("name"), cursors.c.next_poll_at <= bindparam("now"))
    .values(poll_no=cursors.c.poll_no + 1, next_poll_at=bindparam("again"))
    .returning(cursors.c.cursor, cursors.c.poll_no)
)
_END = Prepared(
    update(cursors)
    .where(cursors.c.portal == bindparam("name"), cursors.c.poll_no == bindparam("no"))
    .values(cursor=bindparam("after"), next_poll_at=bindparam("again"), updated_at=bindparam("now"))
)
_NEXT = Prepared(select(cursors.c.next_poll_at).where(cursors.c.portal == bindparam("name")))


def begin_poll(connection: Connection, portal: str, *, lease_s: float, now: datetime) -> Poll | None:
    """Take the turn to poll a portal for `lease_s`; None when it is not time yet, or somebody else's turn."""
    first = {"portal": portal, "cursor": "", "updated_at": now, "poll_no": 0, "next_poll_at": now}
    _INSERT.on(connection, first)
    row = _BEGIN.on(connection, {"name": portal, "now": now, "again": now + timedelta(seconds=lease_s)}).first()
    return row and Poll(portal, row.cursor, row.poll_no)


def end_poll(connection: Connection, poll: Poll, *, cursor: str, again_s: float, now: datetime) -> bool:
    """Move the cursor on and say when the next poll may begin; False when a newer poll was begun meanwhile."""
    again = now + timedelta(seconds=again_s)
    ended = _END.on(connection, {"name": poll.portal, "no": poll.poll_no, "after": cursor, "again": again, "now": now})
    return ended.rowcount == 1


def next_poll_at(connection: Connection, portal: str) -> datetime | None:
    """Tell when a portal may be polled next; None before its first poll."""
    at: datetime | None = _NEXT.on(connection, {"name": portal}).scalar()
    return at
