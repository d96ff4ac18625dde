"""The kiosk itself: offers orders until they are taken, and keeps the steps that it is told."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

from govpost.mocks.base import (
    Heard,
    JsonObject,
    PortalMock,
    Rejection,
    UnfitError,
    json_reply,
    load_json_object,
)
from govpost.schemas import OutcomeKind, Reason, Status, WireReply, WireRequest

__all__ = ["KioskMock"]

_PAGE = 2


class KioskMock(PortalMock):
    """The far side of the kiosk's adapter."""

    key = "kiosk"
    statuses = MappingProxyType(
        {
            "A": Status.ACCEPTED,
            "N": Status.NUMBERED,
            "T": Status.IN_TRANSIT,
            "O": Status.OUT_FOR_DELIVERY,
            "D": Status.DELIVERED,
            "U": Status.UNDELIVERED,
            "L": Status.LOST,
        }
    )

    results = MappingProxyType(
        {
            "0": OutcomeKind.TAKEN,
            "1": OutcomeKind.TAKEN,
            "4": OutcomeKind.REFUSED,
            "5": OutcomeKind.BUSY,
            "40": OutcomeKind.REFUSED,
            "41": OutcomeKind.AUTH,
        }
    )
    reasons = MappingProxyType({f"R{number}": reason for number, reason in enumerate(Reason)})

    def __init__(self, secret: str = "kiosk-demo-key", **options: Any) -> None:
        super().__init__(**options)
        self.secret = secret
        self.orders: dict[str, JsonObject] = {}
        self.done: set[str] = set()
        self.told: dict[str, JsonObject] = {}
        self.calls: dict[str, Callable[[JsonObject], JsonObject]] = {
            "/orders": self.offer,
            "/taken": self.take,
            "/steps": self.take,
            "/books": self.books,
        }

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the counterpart of a gateway."""
        return cls(document.get("portals", {}).get(cls.key, {}).get("key", "kiosk-demo-key"), **options)

    def settings(self) -> JsonObject:
        """Give what the adapter needs."""
        return {"base_url": self.url, "key": self.secret}

    def state(self) -> JsonObject:
        """Count."""
        return {"orders": len(self.orders), "told": len(self.told)}

    def report(self) -> JsonObject:
        """List who was told what."""
        return {heard.identity: {"no": heard.portal_ref, "step": heard.status} for heard in self.heard()}

    def hand_over(self, document: JsonObject) -> None:
        """Offer an order from now on."""
        self.orders[str(document.get("no", len(self.orders)))] = document

    def is_taken(self, reply: WireReply) -> bool:
        """Tell nothing: the kiosk asks nothing."""
        return reply.status == 200

    def heard(self) -> list[Heard]:
        """List what it was told and took."""
        return [
            Heard(
                item["no"],
                name,
                item.get("step", "A"),
                item.get("mail", ""),
                item.get("leg", 1),
                item.get("cause", ""),
                item,
            )
            for name, item in self.told.items()
            if "why" not in item
        ]

    def _respond(self, request: WireRequest) -> WireReply:
        stamp = request.headers.get("X-Stamp", "")
        expected = hmac.digest(self.secret.encode(), f"{stamp}.".encode() + request.body, hashlib.sha256).hex()
        second, _, once = stamp.partition(".")
        if request.headers.get("X-Sign") != expected or not once:
            raise UnfitError("header X-Sign", "is not the HMAC of stamp and body", code="41")
        if not second.isdigit() or abs(int(second) - self.now().timestamp()) > 300:
            raise UnfitError("header X-Stamp", "is not within 300 s of now", code="41")
        if request.path not in self.calls:
            raise UnfitError("path", "is no call", code="40")
        return json_reply(200, {"code": 0, **self.calls[request.path](load_json_object(request.body))})

    def _refuse(self, error: UnfitError) -> WireReply:
        return json_reply(200, {"code": int(error.code), "why": str(error)})

    def say(self, code: str, request: WireRequest) -> WireReply:
        """Answer every item with a code, or the whole where the code is no item's."""
        number = int(code)
        if number >= 5:
            return json_reply(200, {"code": number, "wait": 5})
        items = load_json_object(request.body)["items"]
        return json_reply(200, {"code": 0, "results": [{"id": item["id"], "code": number} for item in items]})

    def _say_busy(self, seconds: int) -> WireReply:
        return json_reply(200, {"code": 5, "wait": seconds})

    def offer(self, asked: JsonObject) -> JsonObject:
        """Give a page of what is not taken yet."""
        start = int(asked["cursor"] or 0)
        names = list(self.orders)[start:]
        page = [self.orders[name] for name in names[:_PAGE] if name not in self.done]
        return {"orders": page, "cursor": str(start + len(names[:_PAGE])), "more": len(names) > _PAGE}

    def take(self, told: JsonObject) -> JsonObject:
        """Take items one by one."""
        return {"results": [{"id": item["id"], "code": self.take_one(item)} for item in told["items"]]}

    def take_one(self, item: JsonObject) -> int:
        """Take a thing once; what comes again must be what it was."""
        if item["no"] not in self.orders:
            self.complain("items[].no", "is no order of ours")
            return 4
        before = self.told.setdefault(item["id"], item)
        if json.dumps(before) != json.dumps(item):
            self.complain("items[].id", "was used before for something else")
            return 40
        if "ours" in item or "why" in item:
            self.done.add(item["no"])
        return 0 if before is item else 1

    def complain(self, where: str, reason: str) -> None:
        """Note what did not fit, without refusing the whole."""
        self.rejected.append(Rejection(self.requests[-1], where, reason, "40"))

    def books(self, asked: JsonObject) -> JsonObject:
        """Say how every order stands."""
        newest = {heard.portal_ref: heard.status for heard in self.heard()}
        return {"orders": [{"no": no, "step": step} for no, step in newest.items()]}
