"""The courier: takes orders and cancellations, pushes events, and can be asked for an item's traces."""

import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from courier.fields import FIELDS, UNSAID
from govpost.adapters.base import AdapterSettings, DeliveryKind, Document, Inbound, Owed, Secret
from govpost.adapters.fields import CodeTable, order_to_wire
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols.http_status import status_outcome
from govpost.adapters.protocols.shanghai import DASHED
from govpost.schemas import (
    Conversation,
    Denied,
    Event,
    Outcome,
    OutcomeKind,
    Presence,
    Problem,
    Reason,
    ReceivedBy,
    Record,
    Result,
    Source,
    Status,
    Telling,
    WireReply,
    WireRequest,
)
from govpost.schemas.documents import JsonObject, parse_json_object
from govpost.schemas.errors import UnreadableError, UnsupportedFeatureError

__all__ = ["Courier", "CourierSettings"]

EVENTS = CodeTable({"10": Status.COLLECTED, "20": Status.IN_TRANSIT, "30": Status.DELIVERED, "40": Status.UNDELIVERED})
#: Code of an event, and how or why → what that means.
DETAILS = {"30": ("received_by", {"desk": ReceivedBy.MAILROOM}), "40": ("reason", {"away": Reason.UNREACHABLE})}
_OTHER = {"received_by": ReceivedBy.OTHER, "reason": Reason.OTHER}
#: Takes back a delivery.
_REVOKE, _REVOKED = "39", "30"
_CALLS = {DeliveryKind.PLACE: "/order", DeliveryKind.CANCEL: "/cancel"}
_RESULTS = {"ok": OutcomeKind.TAKEN, "known": OutcomeKind.TAKEN, "no": OutcomeKind.REFUSED}
_TOLERANCE_S = 300


class CourierSettings(AdapterSettings):
    """What `[backends.courier]` holds."""

    base_url: str
    key: Secret


class Courier:
    """The courier's adapter."""

    Settings: ClassVar[type[AdapterSettings]] = CourierSettings

    def __init__(self, settings: CourierSettings, manifest: Manifest) -> None:
        self.manifest = manifest
        self._base_url = settings.base_url
        self._key = settings.key.get_secret_value().encode()

    def render(self, owed: Owed) -> Document:
        """Make the body of an order or of a cancellation."""
        if owed.kind not in _CALLS:
            raise UnsupportedFeatureError("kind", "the courier takes orders and cancellations")
        head = {"id": owed.identity, "order": owed.order.order_id}
        order = order_to_wire(FIELDS, owed.order, unsaid=UNSAID) if owed.kind is DeliveryKind.PLACE else {}
        return Document(_CALLS[owed.kind], dump({**head, **order}))

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Send one after the other."""
        outcomes = []
        for document in documents:
            reply = yield self.request(document.call, document.body, source)
            outcomes.append(outcome_of(reply, source.now()))
        return outcomes

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Ask nothing: the courier does a thing once for each id."""
        yield from ()
        return Presence.CANNOT_TELL

    def trace(self, waybill_no: str, source: Source) -> Conversation[tuple[Telling, ...] | Outcome]:
        """Ask for an item's events."""
        reply = yield self.request("/traces", dump({"mail": waybill_no}), source)
        outcome, answer = outcome_of(reply, source.now()), answer_of(reply)
        if outcome.kind is not OutcomeKind.TAKEN or not isinstance(answer.get("events"), list):
            return Outcome(OutcomeKind.UNKNOWN, code=outcome.code)
        return tuple(map(read_event, answer["events"]))

    def request(self, call: str, body: bytes, source: Source) -> WireRequest:
        """Sign a request anew."""
        stamp = f"{int(source.now().timestamp())}.{source.token()}"
        return WireRequest("POST", self._base_url + call, {"X-Stamp": stamp, "X-Sign": self.sign(stamp, body)}, body)

    def sign(self, stamp: str, body: bytes) -> str:
        """Sign a body."""
        return hmac.digest(self._key, f"{stamp}.".encode("utf-8", "surrogatepass") + body, "sha256").hex()

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Verify a push and read it."""
        stamp, sign = request.headers.get("X-Stamp", ""), request.headers.get("X-Sign", "")
        second, _, once = stamp.partition(".")
        if not once or not hmac.compare_digest(
            sign.encode("utf-8", "surrogatepass"), self.sign(stamp, request.body).encode()
        ):
            return Inbound(Denied(Problem.SIGNATURE, "X-Sign does not fit"))
        if not second.isdecimal() or abs(int(second) - at.timestamp()) > _TOLERANCE_S:
            return Inbound(Denied(Problem.TIMESTAMP, "X-Stamp is not within 300 s of now"))
        return Inbound(self.command(request.body), nonce=once)

    def command(self, body: bytes) -> Record | Denied:
        """Read what is told."""
        try:
            return Record((read_event(parse_json_object(body)),))
        except UnreadableError as error:
            return Denied(Problem.INVALID, str(error))
        except (KeyError, TypeError, ValueError):
            return Denied(Problem.INVALID, "is no event")

    def answer(self, inbound: Inbound, result: Result) -> WireReply:
        """Say yes or no."""
        word = result.problem if isinstance(result, Denied) else "ok"
        return WireReply(400 if isinstance(result, Denied) else 200, {}, dump({"result": word}))


def read_event(item: JsonObject) -> Telling:
    """Read one event."""
    code = item["code"]
    status: dict[str, Any] = {"status": EVENTS.get(code) or Status.UNKNOWN}
    if code == _REVOKE:
        status = {"revokes_code": _REVOKED}
    if code in DETAILS and item.get("how"):
        name, meanings = DETAILS[code]
        status[name] = meanings.get(item["how"], _OTHER[name])
    event = Event(
        event_id=item["id"], occurred_at=DASHED.decode(item["at"]), raw_code=code, note=item["words"], **status
    )
    return Telling(event, waybill_no=item["mail"])


def outcome_of(reply: WireReply, at: datetime) -> Outcome:
    """Judge an answer by its word; without a known one, by HTTP's status."""
    word = answer_of(reply).get("result")
    if isinstance(word, str) and word in _RESULTS:
        return Outcome(_RESULTS[word], code=word, waybill_no=answer_of(reply).get("mail"))
    if reply.status // 100 == 2 or reply.status == 409:
        return Outcome(OutcomeKind.UNKNOWN, code="unreadable")
    return status_outcome(reply, at)


def answer_of(reply: WireReply) -> JsonObject:
    """Read an answer; empty for what cannot be read, and for 5xx."""
    try:
        return {} if reply.status >= 500 else parse_json_object(reply.body)
    except UnreadableError:
        return {}


def dump(document: JsonObject) -> bytes:
    """Write JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
