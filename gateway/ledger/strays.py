"""Keep what a backend tells of items that no order is known for, until a waybill number says whose they are."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import strays
from govpost.schemas import Event, Telling
from govpost.schemas.errors import KeyFileError

__all__ = ["Strays", "open_stray"]

_KEEP = Prepared(insert(strays).on_conflict_do_nothing().returning(strays.c.stray_no))
_OF_NUMBER = Prepared(
    select(strays.c.stray_no, strays.c.event_id, strays.c.sealed).where(
        strays.c.source == bindparam("src"), strays.c.waybill_no == bindparam("number")
    )
)
_FORGET = Prepared(delete(strays).where(strays.c.stray_no == bindparam("no")))


class Strays:
    """The events of one ledger that no order fits yet; every method is part of a unit of the writer."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def keep(self, connection: Connection, source: str, telling: Telling, *, now: datetime) -> bool:
        """Keep an event; False where it is kept already."""
        event = telling.event
        kept = _KEEP.on(
            connection,
            {
                "source": source,
                "event_id": event.event_id,
                "waybill_no": telling.waybill_no,
                "told_at": now,
                "sealed": self._sealer.seal(
                    event.model_dump_json(exclude_none=True).encode(), row=_row(source, event.event_id)
                ),
            },
        )
        return kept.first() is not None

    def take(self, connection: Connection, source: str, waybill_no: str) -> list[Event]:
        """Give out what was told of an item, in the order in which it happened, and forget it here."""
        found = []
        for row in _OF_NUMBER.on(connection, {"src": source, "number": waybill_no}):
            try:
                found.append((open_stray(self._sealer, source, row.event_id, row.sealed), row.stray_no))
            except KeyFileError:  # it stays where it is, for a person, and holds nothing up
                continue
        if found:
            _FORGET.on(connection, [{"no": stray_no} for _, stray_no in found])
        return [event for event, _ in sorted(found, key=lambda each: (each[0].occurred_at, each[1]))]


def open_stray(sealer: Sealer, source: str, event_id: str, sealed: bytes) -> Event:
    """Open an event as it was kept."""
    return Event.model_validate_json(sealer.open(sealed, row=_row(source, event_id)))


def _row(source: str, event_id: str) -> str:
    return f"strays|{source}|{event_id}"
