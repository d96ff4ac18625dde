"""Keep what a polled portal handed over and nobody can take, and owe the portal the word of it.

A refusal has the number that its order would get, should the portal mend it: then what is said of the one and of the
other stands in one lane, and no order is given back after it was taken.
"""

import json
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.sqlite import insert

from govpost.adapters.base import DeliveryKind
from govpost.gateway.ledger._chance import new_id
from govpost.gateway.ledger._rows import FIRST_RANK, Lane, enqueue, withdraw_kind
from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import OPEN_STATES, State, deliveries, is_in, refusals
from govpost.schemas import Refuse
from govpost.schemas.documents import JsonObject, parse_json_object

__all__ = ["Refusals", "open_refused"]

_KNOWN = Prepared(
    select(refusals.c.refusal_id, refusals.c.fingerprint).where(
        refusals.c.portal == bindparam("portal_name"), refusals.c.portal_ref == bindparam("ref")
    )
)
_UPSERT = insert(refusals)
_STORE = Prepared(
    _UPSERT.on_conflict_do_update(
        index_elements=["refusal_id"],
        set_={
            name: _UPSERT.excluded[name]
            for name in ("fingerprint", "reason", "field", "refused_at", "taken_at", "sealed")
        },
    )
)
_TAKEN = Prepared(
    update(refusals)
    .where(refusals.c.refusal_id == bindparam("rid"), refusals.c.taken_at.is_(None))
    .values(taken_at=bindparam("now"))
)
_PENDING = Prepared(
    select(deliveries.c.delivery_id)
    .where(
        deliveries.c.order_id == bindparam("rid"),
        deliveries.c.kind == DeliveryKind.REFUSE,
        is_in(*OPEN_STATES, State.DEAD),
    )
    .limit(1)
)


class Refusals:
    """The refusals of one ledger; every method is part of a unit of the writer."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def refuse(self, connection: Connection, portal: str, command: Refuse, *, now: datetime) -> bool:
        """Keep what was handed over and owe the portal the refusal; tells whether there is news in it.

        The same again after the refusal was settled owes another one, and none while one is pending.
        """
        content = json.dumps(command.content, ensure_ascii=False, sort_keys=True).encode()
        fingerprint = self._sealer.digest(content + command.reason.encode(), domain="refusal")
        known = _KNOWN.on(connection, {"portal_name": portal, "ref": command.portal_ref}).one_or_none()
        refusal_id = known.refusal_id if known else new_id(now)
        is_news = known is None or known.fingerprint != fingerprint
        if is_news:
            facts = {
                "refusal_id": refusal_id,
                "fingerprint": fingerprint,
                "reason": command.reason,
                "field": command.field,
                "refused_at": now,
                "taken_at": None,
                "sealed": self._sealer.seal(content, row=_row(refusal_id)),
            }
            _STORE.on(connection, {"portal": portal, "portal_ref": command.portal_ref, **facts})
            # What was never said need not be said in its old words.
            withdraw_kind(connection, Lane(refusal_id, portal), DeliveryKind.REFUSE, now=now)
        if _PENDING.on(connection, {"rid": refusal_id}).first() is None:
            enqueue(connection, Lane(refusal_id, portal), DeliveryKind.REFUSE, now=now, rank=FIRST_RANK)
        return is_news

    @staticmethod
    def find(connection: Connection, portal: str, portal_ref: str) -> str | None:
        """Find the number under which an order was refused before."""
        row = _KNOWN.on(connection, {"portal_name": portal, "ref": portal_ref}).one_or_none()
        return row and str(row.refusal_id)

    @staticmethod
    def mend(connection: Connection, portal: str, order_id: str, *, now: datetime) -> None:
        """Note that an order which was refused before is taken, and say nothing of the refusal any more."""
        if _TAKEN.on(connection, {"rid": order_id, "now": now}).rowcount:
            withdraw_kind(connection, Lane(order_id, portal), DeliveryKind.REFUSE, now=now)


def open_refused(sealer: Sealer, refusal_id: str, sealed: bytes) -> JsonObject:
    """Open what was handed over."""
    return parse_json_object(sealer.open(sealed, row=_row(refusal_id)))


def _row(refusal_id: str) -> str:
    return f"refusals|{refusal_id}"
