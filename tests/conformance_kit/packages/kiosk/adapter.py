"""The kiosk: asked for orders, told in batches, idempotent on what each telling is called."""

import hmac
import json
from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from govpost.adapters.base import (
    AdapterSettings,
    Document,
    Owed,
    OwedRefusal,
    Page,
    Secret,
    Standing,
)
from govpost.adapters.fields import CodeTable, build_order
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols.content import order_content
from govpost.adapters.protocols.http_status import ask_seconds, status_outcome
from govpost.adapters.protocols.shanghai import DASHED
from govpost.adapters.sentences import describe_update
from govpost.schemas import (
    Conversation,
    Outcome,
    OutcomeKind,
    Place,
    Presence,
    Reason,
    Refuse,
    Source,
    Status,
    WireReply,
    WireRequest,
)
from govpost.schemas.documents import JsonObject, parse_json_object
from govpost.schemas.errors import MappingError, UnreadableError, UnsupportedFeatureError
from kiosk.fields import FIELDS

__all__ = ["Kiosk", "KioskSettings"]

STEPS = CodeTable(
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
CAUSES = CodeTable({f"R{number}": reason for number, reason in enumerate(Reason)})
#: Of one item, and of a request as a whole.
_RESULTS = {0: OutcomeKind.TAKEN, 1: OutcomeKind.TAKEN, 4: OutcomeKind.REFUSED, 5: OutcomeKind.BUSY}
_RESULTS |= {40: OutcomeKind.REFUSED, 41: OutcomeKind.AUTH}


class KioskSettings(AdapterSettings):
    """What `[portals.kiosk]` holds."""

    base_url: str
    key: Secret


class Kiosk:
    """The kiosk's adapter."""

    Settings: ClassVar[type[AdapterSettings]] = KioskSettings
    poll_every_s = 60.0

    def __init__(self, settings: KioskSettings, manifest: Manifest) -> None:
        self.manifest = manifest
        self._base_url = settings.base_url
        self._key = settings.key.get_secret_value().encode()

    def poll(self, cursor: str, source: Source) -> Conversation[Page | Outcome]:
        """Ask for a page."""
        reply = yield self.request("/orders", {"cursor": cursor}, source)
        answer = answer_of(reply)
        if answer.get("code") != 0 or not isinstance(answer.get("orders"), list):
            return verdict(reply, answer, source)
        return Page(tuple(map(read_order, answer["orders"])), str(answer.get("cursor", "")), answer.get("more") is True)

    def refuse(self, owed: OwedRefusal) -> Document:
        """Give an order back."""
        return Document("/taken", dump({"id": owed.identity, "no": owed.portal_ref, "why": owed.reason}))

    def render(self, owed: Owed) -> Document:
        """Make the body of /taken for what was accepted, and of /steps for all else."""
        update = owed.update
        if update is None or update.status not in STEPS.theirs:
            raise UnsupportedFeatureError("status", "the kiosk has no step for it")
        head = {"id": owed.identity, "no": owed.order.portal_ref}
        if update.status is Status.ACCEPTED:
            return Document("/taken", dump({**head, "ours": owed.order.order_id}))
        step = {"mail": update.waybill_no, "step": STEPS.encode(update.status), "text": describe_update(update)}
        leg = {} if update.leg == 1 else {"leg": update.leg}
        cause = {}
        if update.status is Status.UNDELIVERED:
            cause = {"cause": CAUSES.encode(update.event.reason or Reason.OTHER)}
        at = DASHED.encode(update.event.occurred_at)
        return Document("/steps", dump({**head, **step, "at": at, **leg, **cause}))

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Send all in one request."""
        items = [json.loads(document.body) for document in documents]
        reply = yield self.request(documents[0].call, {"items": items}, source)
        answer = answer_of(reply)
        if answer.get("code") != 0 or not isinstance(answer.get("results"), list):
            return [verdict(reply, answer, source)] * len(items)
        codes = {result.get("id"): result.get("code") for result in answer["results"] if isinstance(result, dict)}
        return [outcome_of(codes.get(item["id"])) for item in items]

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Ask nothing: there is no such question."""
        yield from ()
        return Presence.CANNOT_TELL

    def reconcile(self, day: date, source: Source) -> Conversation[tuple[Standing, ...] | Outcome]:
        """Ask what the kiosk believes of a day's orders."""
        reply = yield self.request("/books", {"day": day.isoformat()}, source)
        answer = answer_of(reply)
        if answer.get("code") != 0 or not isinstance(answer.get("orders"), list):
            return verdict(reply, answer, source)
        return tuple(
            Standing(order["no"], STEPS.get(order["step"]) or Status.UNKNOWN, order["step"])
            for order in answer["orders"]
        )

    def request(self, call: str, document: JsonObject, source: Source) -> WireRequest:
        """Sign a request anew."""
        body, stamp = dump(document), f"{int(source.now().timestamp())}.{source.token()}"
        sign = hmac.digest(self._key, f"{stamp}.".encode() + body, "sha256").hex()
        return WireRequest("POST", f"{self._base_url}{call}", {"X-Stamp": stamp, "X-Sign": sign}, body)


def read_order(item: JsonObject) -> Place | Refuse:
    """Read one order; what is broken is refused by name."""
    number = str(item.get("no", ""))
    try:
        # Each by itself: what no text of ours may hold in one spoils no page.
        parse_json_object(dump(item))
        return Place(build_order(FIELDS, item), order_content(item))
    except MappingError as error:
        return Refuse(number, error.reason, item, error.path)
    except (UnreadableError, UnicodeEncodeError):
        return Refuse(number, "holds what no text may", item)


def answer_of(reply: WireReply) -> JsonObject:
    """Read an answer; empty for what cannot be read, and for 5xx."""
    try:
        answer = {} if reply.status >= 500 else json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def verdict(reply: WireReply, answer: JsonObject, source: Source) -> Outcome:
    """Judge a request as a whole that did not bring what it should."""
    outcome = outcome_of(answer.get("code"))
    if outcome.kind is OutcomeKind.BUSY:
        return Outcome(OutcomeKind.BUSY, code=outcome.code, wait_s=ask_seconds(answer.get("wait")))
    if reply.status // 100 in {2, 5} or reply.status == 409:
        is_no = outcome.kind in {OutcomeKind.REFUSED, OutcomeKind.AUTH}
        return outcome if is_no else Outcome(OutcomeKind.UNKNOWN, code="unreadable")
    return status_outcome(reply, source.now())


def outcome_of(code: object) -> Outcome:
    """Judge one item by its code; one that is not in the contract may mean anything."""
    kind = _RESULTS.get(code) if type(code) is int else None
    return Outcome(kind, code=str(code)) if kind else Outcome(OutcomeKind.UNKNOWN, code="unheard-of")


def dump(document: JsonObject) -> bytes:
    """Write JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
