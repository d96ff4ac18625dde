"""全渝通办 is asked for orders, and is told in batches what becomes of them (contract: quanyu_tongban)."""

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import repeat
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic_core import from_json

from govpost.adapters.base import AdapterSettings, Document, Owed, OwedRefusal, Page, Secret, Standing
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols import x_tif
from govpost.adapters.protocols.http_status import ask_seconds, status_outcome
from govpost.adapters.protocols.shanghai import COMPACT
from govpost.adapters.quanyu_tongban.codes import ERRORS, NONCE_REUSED, REASONS, RESULTS, STATES
from govpost.adapters.quanyu_tongban.items import is_serial_no, read_item
from govpost.adapters.sentences import describe_update
from govpost.schemas import (
    Conversation,
    Direction,
    Outcome,
    OutcomeKind,
    Presence,
    Reason,
    Source,
    Status,
    Update,
    WireReply,
    WireRequest,
)
from govpost.schemas.documents import JsonObject, dump_json
from govpost.schemas.errors import BreakageError, UnsupportedFeatureError
from govpost.schemas.order import Text

__all__ = ["PAGE_SIZE", "QuanyuTongban", "QuanyuTongbanSettings"]

#: How many items a poll asks for.
PAGE_SIZE = 200

#: What JJYY, and a code of theirs, may hold, characters.
_LONGEST_REASON = _LONGEST_CODE = 100

_UNREADABLE = Outcome(OutcomeKind.UNKNOWN, code="unreadable answer")
_UNANSWERED = Outcome(OutcomeKind.UNKNOWN, code="not in the answer")
#: As the portal's own 9: an earlier item of the order was not taken.
_HELD_BACK = Outcome(OutcomeKind.BUSY, code="held back")


class QuanyuTongbanSettings(AdapterSettings):
    """What `[portals.quanyu_tongban]` holds beside the gateway's own keys."""

    base_url: str
    paasid: Text
    token: Secret
    #: Between two polls once there is nothing more, seconds.
    poll_every_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5


class QuanyuTongban:
    """The portal 全渝通办: polled, informed."""

    Settings: ClassVar[type[AdapterSettings]] = QuanyuTongbanSettings

    def __init__(self, settings: QuanyuTongbanSettings, manifest: Manifest) -> None:
        self.manifest = manifest
        self.poll_every_s = settings.poll_every_s
        self._calls_url = f"{settings.base_url.rstrip('/')}/ebus/logistics/"
        self._paasid = settings.paasid
        self._token = settings.token.get_secret_value()

    # --- What it hands over ---

    def poll(self, cursor: str, source: Source) -> Conversation[Page | Outcome]:
        """Fetch a page; a cursor that the portal cannot read is lost, and reading begins anew."""
        outcome, data = yield from self._ask("pending", dump_json({"cursor": cursor, "size": PAGE_SIZE}), source)
        if outcome.kind is OutcomeKind.TAKEN:
            return _page(data, cursor)
        if outcome.kind is OutcomeKind.REFUSED and cursor:
            return (yield from self.poll("", source))
        return outcome

    def refuse(self, owed: OwedRefusal) -> Document:
        """Make the ack that gives an item back.

        Raises UnsupportedFeatureError for an item that came without an SBLSH to answer to.
        """
        if not is_serial_no(owed.portal_ref):
            raise UnsupportedFeatureError("portal_ref", "the item has no SBLSH that could be answered")
        ack = {"SBLSH": owed.portal_ref, "JSBZ": "0", "JJYY": owed.reason[:_LONGEST_REASON]}
        return Document("ack", dump_json(ack), owed.delivery_id)

    def reconcile(self, day: date, source: Source) -> Conversation[tuple[Standing, ...] | Outcome]:
        """Fetch what the portal believes we hold of a day; half a book is none."""
        outcome, data = yield from self._ask("reconcile", dump_json({"date": f"{day:%Y%m%d}"}), source)
        if outcome.kind is not OutcomeKind.TAKEN:
            return outcome
        rows = data.get("items")
        if not isinstance(rows, list) or not all(map(_is_standing, rows)):
            return _UNREADABLE
        return tuple(_standing(row) for row in rows)

    # --- What it is told ---

    def render(self, owed: Owed) -> Document:
        """Make one item of `ack` for an order that is taken and of `traces` for all else."""
        update = owed.update
        if update is None:
            raise UnsupportedFeatureError("kind", "this portal is told updates only")
        if update.status not in STATES.theirs:
            raise UnsupportedFeatureError("status", "this portal has no ZT for it")
        if update.status is Status.ACCEPTED and update.corrects is None:
            ack = {"SBLSH": owed.order.portal_ref, "WLDH": owed.order.order_id, "JSBZ": "1"}
            return Document("ack", dump_json(ack), owed.delivery_id)
        return Document("traces", dump_json(_trace(owed, update)), owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Carry items across in one call; a call that is refused as a whole is halved to find the item at fault."""
        body = b'{"items":[%b]}' % b",".join(document.body for document in documents)
        outcome, data = yield from self._ask(documents[0].call, body, source)
        if outcome.kind is OutcomeKind.TAKEN:
            return _results(documents, data)
        if outcome.kind is OutcomeKind.REFUSED and len(documents) > 1:
            return (yield from self._send_halves(documents, source))
        return [outcome] * len(documents)

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:  # noqa: ARG002 - the role's signature
        """Ask nothing: this wire has no such question (the manifest says so), and needs none."""
        yield from ()
        return Presence.CANNOT_TELL

    def _send_halves(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Send the first half, then what of the second follows nothing that failed."""
        middle = len(documents) // 2
        first = yield from self.send(documents[:middle], source)
        failed = {
            _serial_no(document)
            for document, outcome in zip(documents, first, strict=False)
            if outcome.kind is not OutcomeKind.TAKEN
        }
        rest = [document for document in documents[middle:] if _serial_no(document) not in failed]
        # A breakage here must not become the outcome of the first half, which has been answered.
        try:
            sent: Iterator[Outcome] = iter((yield from self.send(rest, source)) if rest else ())
        except BreakageError as error:
            sent = repeat(error.outcome)
        second = (_HELD_BACK if _serial_no(document) in failed else next(sent) for document in documents[middle:])
        return [*first, *second]

    def _ask(self, call: str, body: bytes, source: Source) -> Conversation[tuple[Outcome, JsonObject]]:
        """Make a call; `taken` with its data where it was answered, and once more where the nonce was used before."""
        for _ in range(2):
            reply = yield self._request(call, body, source)
            outcome, data = _read(reply, source.now())
            if outcome.code != NONCE_REUSED:
                break
        return outcome, data

    def _request(self, call: str, body: bytes, source: Source) -> WireRequest:
        signed = x_tif.signed_headers(self._paasid, token=self._token, nonce=source.token(), at=source.now())
        headers = {**signed, "Content-Type": "application/json; charset=utf-8"}
        return WireRequest("POST", self._calls_url + call, headers, body)


# --- Answers ---


def _read(reply: WireReply, at: datetime) -> tuple[Outcome, JsonObject]:
    """Judge an answer by its errcode where it has one we know, else by HTTP's status."""
    answer = _answer_of(reply)
    code = str(answer.get("errcode", ""))
    kind = ERRORS.get(code)
    if kind is None:
        return _unworded(reply, code, at), {}
    wait_s = ask_seconds(reply.headers.get(x_tif.RETRY_AFTER)) if kind is OutcomeKind.BUSY else None
    data = answer.get("data")
    # What cannot be read is nothing that the order's next news would have to wait for.
    outcome = Outcome(kind, code=code, text=_text(answer.get("errmsg")), wait_s=wait_s, parks_lane=False)
    return outcome, data if isinstance(data, dict) else {}


def _answer_of(reply: WireReply) -> JsonObject:
    """Read an answer; empty for 5xx and for what is no JSON object.

    Not as strictly as we read what is signed: one item with a number beyond I-JSON would hold its whole page up.
    """
    if reply.status >= 500:
        return {}
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _unworded(reply: WireReply, code: str, at: datetime) -> Outcome:
    """Judge an answer without a known errcode; a good status alone promises nothing."""
    if reply.status // 100 != 2 and reply.status != 409:
        return status_outcome(reply, at)
    return _unknown(code)


def _unknown(code: str) -> Outcome:
    return Outcome(OutcomeKind.UNKNOWN, code=code) if _is_code(code) else _UNREADABLE


def _is_code(code: str) -> bool:
    return code.isascii() and code.isalnum() and len(code) <= 12


def _text(value: Any) -> str:
    """Take a text as it can be stored: without halves of surrogate pairs."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _results(documents: Sequence[Document], data: JsonObject) -> list[Outcome]:
    """Give each document the row that names it; of several that name the same, the first one left."""
    rows: dict[tuple[str, str], list[str]] = {}
    results = data.get("results")
    for row in results if isinstance(results, list) else ():
        if isinstance(row, dict):
            rows.setdefault(_identity(row), []).append(str(row.get("code", "")))
    named = (rows.get(_identity(from_json(document.body))) for document in documents)
    return [_result(codes.pop(0)) if codes else _UNANSWERED for codes in named]


def _identity(row: JsonObject) -> tuple[str, str]:
    """Name an item: a trace by QQID and SBLSH, an ack by SBLSH alone."""
    return str(row.get("SBLSH") or ""), str(row.get("QQID") or "")


def _serial_no(document: Document) -> str:
    return _identity(from_json(document.body))[0]


def _result(code: str) -> Outcome:
    kind = RESULTS.get(code)
    return _unknown(code) if kind is None else Outcome(kind, code=code)


# --- Pages and standings ---


def _page(data: JsonObject, asked: str) -> Page | Outcome:
    """Read a page. A cursor that stands still ends the reading, or it would never end."""
    items, cursor, has_more = data.get("items"), data.get("cursor"), data.get("more")
    if not isinstance(items, list) or not isinstance(cursor, str) or not isinstance(has_more, bool):
        return _UNREADABLE
    if not cursor.isprintable():  # it could neither be kept nor sent back
        return _UNREADABLE
    return Page(tuple(read_item(item) for item in items), cursor, has_more and cursor != asked)


def _is_standing(row: Any) -> bool:
    return isinstance(row, dict) and is_serial_no(row.get("SBLSH"))


def _standing(row: JsonObject) -> Standing:
    code = row.get("ZT")
    raw = str(code) if isinstance(code, int) else _text(code)
    return Standing(row["SBLSH"], STATES.get(code) or Status.UNKNOWN, raw[:_LONGEST_CODE])


# --- Traces ---


def _trace(owed: Owed, update: Update) -> JsonObject:
    """Say an update as a trace: a correction has the state the order went back to, and nobody signed for it."""
    event = update.event
    trace: JsonObject = {
        "QQID": owed.delivery_id,
        "SBLSH": owed.order.portal_ref,
        "YJHM": update.waybill_no or "",
        "ZT": STATES.encode(update.status),
        "ZTSJ": COMPACT.encode(event.occurred_at),
        "ZTMS": describe_update(update),
    }
    if update.status is Status.UNDELIVERED:
        trace["YYDM"] = REASONS.encode(event.reason or Reason.OTHER)
    if update.status is Status.DELIVERED and event.signer and update.corrects is None:
        trace["QSR"] = event.signer.name
    if owed.order.direction is Direction.ROUND_TRIP:
        trace["LEG"] = update.leg
    return trace
