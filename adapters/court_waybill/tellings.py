"""What an update is told as: one HuiChuan or several, made once and kept together, and what a person should know.

What is kept is JSON of our own, a HuiChuan a member. The label alone is not kept but what it is made from: it is much
larger, and the same order and number give the same bytes.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree
from ulid import ULID

from govpost.adapters.base import Owed
from govpost.adapters.court_waybill.batches import build_element
from govpost.adapters.court_waybill.codes import REASONS, STATES
from govpost.adapters.court_waybill.law import Capacity, Decision, Verdict, count_attempts, decide
from govpost.adapters.court_waybill.signers import Who, find_relation
from govpost.adapters.label import build_label
from govpost.adapters.protocols.shanghai import RFC3339
from govpost.adapters.protocols.strict_xml import dump_xml
from govpost.adapters.sentences import describe_update, office_name
from govpost.schemas import Event, Notice, Order, ProofKind, Reason, Status, Update
from govpost.schemas.documents import JsonObject, dump_json
from govpost.schemas.errors import UnsupportedFeatureError

__all__ = ["Kept", "Message", "build_query", "last_qqid", "read_kept", "render"]

_LONGEST_TEXT = 100
_ENCODING = "GB18030"


class _Kind(StrEnum):
    """What a HuiChuan tells; the end of its qqid."""

    LABEL = "MD"
    TRACE = "GJ"
    RECEIPT = "HZ"
    WITHDRAWAL = "CX"


@dataclass(frozen=True, slots=True)
class Message:
    """One HuiChuan, ready to be sent."""

    body: bytes
    #: The qqid that it withdraws: not to be sent where the court has never had that.
    withdraws: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What was made of an update."""

    rwid: str
    messages: tuple[Message, ...]
    notices: tuple[Notice, ...]


def render(owed: Owed) -> bytes:
    """Make all that an update is told as; raises UnsupportedFeatureError for what this portal is not told."""
    update = _update(owed)
    history = _history(owed, update)
    decision = decide(owed.order, history)
    messages = [_message(kind, owed, history, decision) for kind in _kinds(owed.order, update, decision)]
    kept = {
        "rwid": owed.order.portal_ref,
        "messages": messages,
        "notices": list(_notices(owed.order, update, decision)),
    }
    return dump_json(kept)


def read_kept(body: bytes) -> Kept:
    """Take what `render` made, in the order in which it must be told."""
    kept = json.loads(body)
    return Kept(
        rwid=kept["rwid"],
        messages=tuple(Message(_body(each), each.get("withdraws")) for each in kept["messages"]),
        notices=tuple(map(Notice, kept["notices"])),
    )


def last_qqid(owed: Owed) -> str:
    """Name what is told last of an update: once the court has it, it has all."""
    update = _update(owed)
    *_, last = _kinds(owed.order, update, decide(owed.order, _history(owed, update)))
    return _qqid(owed.identity, last)


def build_query(rwid: str, *, qqid: str) -> bytes:
    """Make the question which qqids have arrived for a task."""
    root = build_element("HuiChuan", qqid=qqid, rwid=rwid, yjhm="")
    root.append(build_element("ChaXun"))
    return dump_xml(root)


def _update(owed: Owed) -> Update:
    if owed.update is None:
        raise UnsupportedFeatureError("kind", "this portal is told updates only")
    if owed.update.status not in STATES.theirs:
        raise UnsupportedFeatureError("status", "this portal has no state for it")
    return owed.update


def _history(owed: Owed, update: Update) -> tuple[Event, ...]:
    """Give what moved the item up to the update, with its event last; for a correction without the event that corrects.

    The event stands there also where it was taken back meanwhile: then this is asked for a probe, and what was told is
    asked after as it was told.
    """
    before = tuple(event for event in owed.history if event.event_id != update.event.event_id)
    return before if update.corrects else (*before, update.event)


def _kinds(order: Order, update: Update, decision: Decision) -> Iterator[_Kind]:
    """List what an update is told as, in order."""
    is_wanted = ProofKind.RECEIPT in order.proof_wanted
    if update.corrects:
        yield from (_Kind.WITHDRAWAL, _Kind.TRACE) if is_wanted else (_Kind.TRACE,)
    elif update.status is Status.NUMBERED:
        yield _Kind.LABEL
    else:
        yield _Kind.TRACE
        if is_wanted and decision.verdict in _RESULTS:
            yield _Kind.RECEIPT


def _notices(order: Order, update: Update, decision: Decision) -> Iterator[Notice]:
    """List what a person should know."""
    is_wanted = ProofKind.RECEIPT in order.proof_wanted
    if update.status is Status.DELIVERED and decision.verdict is Verdict.NOT_SERVED:
        yield Notice.SERVICE_INVALID
    elif is_wanted and decision.verdict is Verdict.UNPROVEN:
        yield Notice.SERVICE_UNPROVEN
    elif is_wanted and (decision.doubts or (update.corrects and update.status is Status.RETURNED)):
        # A return that stands while something before it is taken back may have served for another reason.
        yield Notice.RECEIPT_IN_DOUBT


def _qqid(identity: str, kind: _Kind) -> str:
    return f"{identity}-{kind}"


def _message(kind: _Kind, owed: Owed, history: Sequence[Event], decision: Decision) -> JsonObject:
    update = _update(owed)
    qqid = _qqid(owed.identity, kind)
    attributes = {"qqid": qqid, "rwid": owed.order.portal_ref, "yjhm": update.waybill_no or ""}
    match kind:
        case _Kind.LABEL:
            order = owed.order.model_dump(mode="json", exclude_none=True, exclude={"extras"})
            return {"label": attributes, "order": order}
        case _Kind.TRACE:
            return {"xml": _xml(attributes, _trace(update, history, decision))}
        case _Kind.RECEIPT:
            return {"xml": _xml(attributes, _receipt(history[-1], decision))}
        case _Kind.WITHDRAWAL:
            withdrawn = _qqid(ULID.from_str(str(update.corrects)).hex, _Kind.RECEIPT)
            receipt = build_element("HuiZhi", jg="CX", sj=RFC3339.encode(update.event.occurred_at), cxqqid=withdrawn)
            return {"xml": _xml(attributes, receipt), "withdraws": withdrawn}


#: jg, by what the law says; anything else is no receipt.
_RESULTS: Mapping[Verdict, str] = {Verdict.SERVED: "YS", Verdict.REFUSED: "JS", Verdict.RETURNED: "TH"}

_UNDELIVERED = STATES.encode(Status.UNDELIVERED)


def _trace(update: Update, history: Sequence[Event], decision: Decision) -> etree._Element:
    """Say where the item is; where it was handed over in a way that is no service, it counts as not delivered."""
    is_invalid = update.status is Status.DELIVERED and decision.verdict is Verdict.NOT_SERVED
    zt = _UNDELIVERED if is_invalid else STATES.encode(update.status)
    ms = _say_invalid(update, decision) if is_invalid else describe_update(update)
    trace = build_element("GuiJi", zt=zt, sj=RFC3339.encode(update.event.occurred_at), ms=ms[:_LONGEST_TEXT])
    if zt == _UNDELIVERED:
        trace.set("yydm", REASONS.encode((None if is_invalid else update.event.reason) or Reason.OTHER))
    if attempt := count_attempts(history):
        trace.set("cs", str(attempt))
    return trace


def _say_invalid(update: Update, decision: Decision) -> str:
    office = office_name(update.event)
    correction = "更正：" if update.corrects else ""
    return f"{correction}{f'【{office}】' if office else ''}邮件{decision.words}"


def _receipt(event: Event, decision: Decision) -> etree._Element:
    """Make the receipt, with the pictures that prove it."""
    receipt = build_element(
        "HuiZhi",
        jg=_RESULTS[decision.verdict],
        sj=RFC3339.encode(event.occurred_at),
        sdrq=decision.served_on.isoformat() if decision.served_on else "",
        **_signature(event, decision),
    )
    if decision.reason:
        receipt.set("yydm", REASONS.encode(decision.reason))
    for proof in (proof for ground in decision.grounds for proof in ground.proof):
        if proof.media_type.startswith("image/"):
            image = build_element("YingXiang", lx=proof.media_type)
            image.text = b64encode(proof.data).decode()
            receipt.append(image)
    return receipt


def _signature(event: Event, decision: Decision) -> dict[str, str]:
    """Say who signed, as what, and by which document; the relation in a word we know or in the law's."""
    signer, capacity = event.signer, decision.capacity
    if signer is None or capacity is None:
        return {}
    relation, who = find_relation(event)
    is_plain = relation is None or who is Who.RECIPIENT or capacity is Capacity.RECIPIENT
    return {"qsr": signer.name, "gx": str(capacity if is_plain else relation), "zjhm": signer.id_no or ""}


def _xml(attributes: dict[str, str], content: etree._Element) -> str:
    root = build_element("HuiChuan", **attributes)
    root.append(content)
    return dump_xml(root).decode(_ENCODING)


def _body(kept: JsonObject) -> bytes:
    """Make what goes on the wire of what was kept."""
    if "xml" in kept:
        return str(kept["xml"]).encode(_ENCODING)
    label = build_element("MianDan")
    order = Order.model_validate(kept["order"])
    label.text = b64encode(build_label(order, kept["label"]["yjhm"])).decode()
    return _xml(kept["label"], label).encode(_ENCODING)
