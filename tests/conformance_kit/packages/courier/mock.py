"""The courier itself: mails what it is given once, and pushes what happens."""

import hmac
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta, timezone
from secrets import token_hex
from types import MappingProxyType
from typing import Any, Self

from govpost.mocks.base import CarrierMock, JsonObject, UnfitError, dump_json, json_reply, load_json_object
from govpost.schemas import OutcomeKind, Reason, ReceivedBy, Status, WireReply, WireRequest

__all__ = ["CourierMock"]

_SHANGHAI = timezone(timedelta(hours=8))
_MAILS = ("EA969294768CN", "EB969294768CN")


class CourierMock(CarrierMock):
    """The far side of the courier's adapter."""

    key = "courier"
    statuses = MappingProxyType(
        {
            "10": Status.COLLECTED,
            "20": Status.IN_TRANSIT,
            "30": Status.DELIVERED,
            "39": None,
            "40": Status.UNDELIVERED,
        }
    )

    results = MappingProxyType(
        {"ok": OutcomeKind.TAKEN, "known": OutcomeKind.TAKEN, "no": OutcomeKind.REFUSED, "?": OutcomeKind.UNKNOWN}
    )
    details = MappingProxyType(
        {
            ("30", "desk"): MappingProxyType({"received_by": ReceivedBy.MAILROOM}),
            ("40", "away"): MappingProxyType({"reason": Reason.UNREACHABLE}),
            ("40", "moon"): MappingProxyType({"reason": Reason.OTHER}),
        }
    )

    def __init__(self, secret: str = "courier-demo-key", **options: Any) -> None:
        super().__init__(**options)
        self.secret = secret
        self.mails: dict[str, str] = {}
        self.placements: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}
        self.events: list[JsonObject] = []
        self.calls: dict[str, Callable[[JsonObject], JsonObject]] = {
            "/order": self.take,
            "/cancel": self.cancel,
            "/traces": self.traces,
        }

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the counterpart of a gateway."""
        return cls(document.get("backends", {}).get(cls.key, {}).get("key", "courier-demo-key"), **options)

    def settings(self) -> JsonObject:
        """Give what the adapter needs."""
        return {"base_url": self.url, "key": self.secret}

    def state(self) -> JsonObject:
        """Count."""
        return {"orders": len(self.mails)}

    def report(self) -> JsonObject:
        """List numbers."""
        return dict(self.mails)

    def placed(self) -> Mapping[str, int]:
        """Count placements."""
        return dict(self.placements)

    def tell(self, order_id: str, code: str, detail: str = "") -> WireRequest:
        """Push one event."""
        at = self.now().astimezone(_SHANGHAI) + timedelta(seconds=len(self.events))
        event = {"id": f"c-{len(self.events)}", "mail": self.mails[order_id], "code": code, "at": f"{at:%F %T}"}
        self.events.append({**event, "how": detail, "words": "投递员赵某某13911112222"})
        return self.wrap(dump_json(self.events[-1]))

    def wrap(self, content: bytes) -> WireRequest:
        """Sign any push."""
        stamp = f"{int(self.now().timestamp())}.{token_hex(16)}"
        headers = {"X-Stamp": stamp, "X-Sign": self.sign(stamp, content)}
        return WireRequest("POST", "/backends/courier/push", headers, content)

    def say(self, code: str, request: WireRequest) -> WireReply:
        """Answer with a word."""
        return json_reply(200, {"result": code})

    def sign(self, stamp: str, body: bytes) -> str:
        """Sign a body."""
        return hmac.digest(self.secret.encode(), f"{stamp}.".encode() + body, "sha256").hex()

    def _respond(self, request: WireRequest) -> WireReply:
        stamp = request.headers.get("X-Stamp", "")
        if request.headers.get("X-Sign") != self.sign(stamp, request.body):
            raise UnfitError("header X-Sign", "is not the HMAC of stamp and body", code="401")
        if abs(int(stamp.partition(".")[0]) - self.now().timestamp()) > 300:
            raise UnfitError("header X-Stamp", "is not within 300 s of now", code="401")
        if request.path not in self.calls:
            raise UnfitError("path", "is no call", code="404")
        document = load_json_object(request.body)
        name = document.get("id", "")
        if name and name in self.bodies:
            if self.bodies[name] != request.body:
                raise UnfitError("body.id", "was used before for something else")
            return json_reply(200, {"result": "known", "mail": self.mails.get(document["order"])})
        answer = self.calls[request.path](document)
        self.bodies[name] = request.body
        return json_reply(200, {"result": "ok", **answer})

    def _refuse(self, error: UnfitError) -> WireReply:
        return json_reply(int(error.code), {"result": "no" if error.code == "400" else "?", "why": str(error)})

    def take(self, order: JsonObject) -> JsonObject:
        """Take an order."""
        self.placements[order["order"]] += 1
        mail = self.mails.setdefault(order["order"], _MAILS[len(self.mails) % len(_MAILS)])
        return {"mail": mail}

    def cancel(self, order: JsonObject) -> JsonObject:
        """Cancel an order."""
        if order["order"] not in self.mails:
            raise UnfitError("body.order", "was never placed")
        return {}

    def traces(self, asked: JsonObject) -> JsonObject:
        """List an item's events."""
        return {"events": [event for event in self.events if event["mail"] == asked["mail"]]}
