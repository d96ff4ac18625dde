"""Place, amend and cancel at any backend that takes CloudEvents (contract: webhook, gateway → backend)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from govpost.adapters.base import AdapterSettings, DeliveryKind, Document, Owed, Secret
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols import standard_webhooks
from govpost.adapters.protocols.http_status import status_outcome
from govpost.schemas import Conversation, Order, Outcome, OutcomeKind, Presence, Source, WireReply, WireRequest
from govpost.schemas.documents import JsonObject, dump_json, parse_json, parse_json_object
from govpost.schemas.errors import UnreadableError, UnsupportedFeatureError
from govpost.schemas.identifiers import WaybillNo, check_waybill_no

__all__ = ["EVENT_TYPES", "Webhook", "WebhookSettings"]

#: What we owe → the CloudEvents type that says it.
EVENT_TYPES = {
    DeliveryKind.PLACE: "cn.govpost.order.placed",
    DeliveryKind.AMEND: "cn.govpost.order.amended",
    DeliveryKind.CANCEL: "cn.govpost.order.cancelled",
}


class WebhookSettings(AdapterSettings):
    """What `[backends.<key>]` holds for a webhook."""

    addresses: ClassVar[tuple[str, ...]] = ("url",)

    url: str
    #: One secret, or several separated by spaces while they are rotated: every one of them signs.
    secret: Secret
    #: How many events one request may carry, where the backend takes CloudEvents' batched form.
    batch_size: Annotated[int, Field(ge=1, le=100)] = 1

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr) -> SecretStr:
        if not _read_keys(value):
            raise ValueError("must not be blank")
        return value


def _read_keys(secret: SecretStr) -> tuple[bytes, ...]:
    return tuple(standard_webhooks.read_key(each) for each in secret.get_secret_value().split())


class Webhook:
    """A backend that takes orders as CloudEvents: carries."""

    Settings: ClassVar[type[AdapterSettings]] = WebhookSettings

    def __init__(self, settings: WebhookSettings, manifest: Manifest) -> None:
        batches = dict.fromkeys(EVENT_TYPES.values(), settings.batch_size) if settings.batch_size > 1 else {}
        self.manifest = manifest.model_copy(update={"batches": batches})
        self._url = settings.url
        self._keys = _read_keys(settings.secret)

    def render(self, owed: Owed) -> Document:
        """Make the CloudEvent; its data is the order as it stands, also where it is amended or cancelled."""
        event_type = EVENT_TYPES.get(owed.kind)
        if event_type is None:
            raise UnsupportedFeatureError("kind", "a backend is told of orders, not of updates")
        event = {
            "specversion": "1.0",
            "id": owed.delivery_id,
            "source": f"/govpost/{owed.order.portal}",
            "type": event_type,
            "subject": owed.order.order_id,
            "time": _rfc3339(owed.created_at),
            "data": _order_data(owed.order),
        }
        body = dump_json(event)
        return Document(event_type, body, owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Post an event, or several in the batched form, signed anew."""
        now = source.now()
        if len(documents) == 1:
            reply = yield self._request(documents[0], now)
            return [_outcome(reply, source.now())]
        reply = yield self._batch_request(documents, source.token(), now)
        return _batch_outcomes(documents, reply, source.now())

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:  # noqa: ARG002 - the role's signature
        """Ask nothing: this wire has no such question (the manifest says so), and needs none."""
        yield from ()
        return Presence.CANNOT_TELL

    def _request(self, document: Document, now: datetime) -> WireRequest:
        signed = self._signed(document.delivery_id, document.body, now)
        headers = {"Content-Type": "application/cloudevents+json", **signed, "Idempotency-Key": document.delivery_id}
        return WireRequest("POST", self._url, headers, document.body)

    def _batch_request(self, documents: Sequence[Document], message_id: str, now: datetime) -> WireRequest:
        body = b"[" + b",".join(document.body for document in documents) + b"]"
        headers = {"Content-Type": "application/cloudevents-batch+json", **self._signed(message_id, body, now)}
        return WireRequest("POST", self._url, headers, body)

    def _signed(self, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
        timestamp = str(int(now.timestamp()))
        signature = standard_webhooks.sign(self._keys, message_id=message_id, timestamp=timestamp, body=body)
        return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _order_data(order: Order) -> JsonObject:
    """Dump an order the same way every time: a set has no order of its own."""
    data = order.model_dump(mode="json", exclude_none=True)
    return {**data, "proof_wanted": sorted(data["proof_wanted"])}


def _outcome(reply: WireReply, at: datetime) -> Outcome:
    outcome = status_outcome(reply, at)
    return _with_waybills(outcome, reply.body) if outcome.kind is OutcomeKind.TAKEN else outcome


def _batch_outcomes(documents: Sequence[Document], reply: WireReply, at: datetime) -> list[Outcome]:
    """Judge an answer to a batch: 2xx lists each event's own answer, found by its id."""
    whole = status_outcome(reply, at)
    if whole.kind is not OutcomeKind.TAKEN:
        return [whole] * len(documents)
    try:
        answers = parse_json(reply.body)
    except UnreadableError:
        answers = None
    listed = [answer for answer in answers if isinstance(answer, dict)] if isinstance(answers, list) else []
    by_id = {answer.get("id"): answer for answer in listed}
    return [_listed_outcome(by_id.get(document.delivery_id), at) for document in documents]


def _listed_outcome(answer: JsonObject | None, at: datetime) -> Outcome:
    status = answer and answer.get("status")
    if answer is None or not isinstance(status, int) or isinstance(status, bool):
        return Outcome(OutcomeKind.UNKNOWN, code="no answer for it")
    outcome = status_outcome(WireReply(status), at)
    return _numbered(outcome, answer) if outcome.kind is OutcomeKind.TAKEN else outcome


def _with_waybills(outcome: Outcome, body: bytes) -> Outcome:
    """Add the numbers an answer brings; the order is taken whatever the answer looks like."""
    try:
        return _numbered(outcome, parse_json_object(body) if body.strip() else {})
    except UnreadableError:
        return replace(outcome, code=f"{outcome.code}, waybill unreadable")


def _numbered(outcome: Outcome, answer: JsonObject) -> Outcome:
    try:
        waybill_no, return_waybill_no = _waybill_no(answer, "waybill_no"), _waybill_no(answer, "return_waybill_no")
    except ValueError:
        return replace(outcome, code=f"{outcome.code}, waybill unreadable")
    return replace(outcome, waybill_no=waybill_no, return_waybill_no=return_waybill_no)


def _waybill_no(answer: JsonObject, name: str) -> WaybillNo | None:
    value: Any = answer.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text")  # noqa: TRY004 - caught with the other unfit values
    return check_waybill_no(value)
