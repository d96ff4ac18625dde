"""Place, amend and cancel at any backend that takes CloudEvents (contract: webhook, gateway → backend)."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import SecretStr, field_validator

from govpost.adapters.base import AdapterSettings, DeliveryKind, Document, Owed, Secret
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols import standard_webhooks
from govpost.adapters.protocols.http_status import status_outcome
from govpost.schemas import Conversation, Order, Outcome, OutcomeKind, Presence, Source, WireReply, WireRequest
from govpost.schemas.documents import JsonObject, parse_json_object
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
        self.manifest = manifest
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
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        return Document(event_type, body, owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Post one event after the other, each signed anew."""
        outcomes = []
        for document in documents:
            reply = yield self._request(document, source.now())
            outcomes.append(_outcome(reply, source.now()))
        return outcomes

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:  # noqa: ARG002 - the role's signature
        """Ask nothing: this wire has no such question (the manifest says so), and needs none."""
        yield from ()
        return Presence.CANNOT_TELL

    def _request(self, document: Document, now: datetime) -> WireRequest:
        message_id, timestamp = document.delivery_id, str(int(now.timestamp()))
        signature = standard_webhooks.sign(self._keys, message_id=message_id, timestamp=timestamp, body=document.body)
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature,
            "Idempotency-Key": message_id,
        }
        return WireRequest("POST", self._url, headers, document.body)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _order_data(order: Order) -> JsonObject:
    """Dump an order the same way every time: a set has no order of its own."""
    data = order.model_dump(mode="json", exclude_none=True)
    return {**data, "proof_wanted": sorted(data["proof_wanted"])}


def _outcome(reply: WireReply, at: datetime) -> Outcome:
    outcome = status_outcome(reply, at)
    return _with_waybills(outcome, reply.body) if outcome.kind is OutcomeKind.TAKEN else outcome


def _with_waybills(outcome: Outcome, body: bytes) -> Outcome:
    """Add the numbers an answer brings; the order is taken whatever the answer looks like."""
    try:
        answer = parse_json_object(body) if body.strip() else {}
        waybill_no, return_waybill_no = _waybill_no(answer, "waybill_no"), _waybill_no(answer, "return_waybill_no")
    except (UnreadableError, ValueError):
        return replace(outcome, code=f"{outcome.code}, waybill unreadable")
    return replace(outcome, waybill_no=waybill_no, return_waybill_no=return_waybill_no)


def _waybill_no(answer: JsonObject, name: str) -> WaybillNo | None:
    value: Any = answer.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text")  # noqa: TRY004 - caught with the other unfit values
    return check_waybill_no(value)
