"""EMS's codes and ours (contract: ems)."""

from collections.abc import Mapping
from dataclasses import dataclass

from govpost.schemas import OutcomeKind, Payer, ProofKind, Reason, ReceivedBy, Status

__all__ = [
    "CANCEL",
    "LABEL",
    "OPERATIONS",
    "PAYMENTS",
    "PICKUP",
    "PICKUP_PUSHES",
    "PLACE",
    "PUSH_DONE",
    "PUSH_REFUSED",
    "REASONS",
    "RECEIPTS",
    "RECEIVERS",
    "RESULTS",
    "TAKEN_WORDS",
    "TRACES",
    "TRACE_PUSH",
    "UNKNOWN_OPERATION",
    "Operation",
]

#: apiCode of what we ask.
PLACE, CANCEL, PICKUP, LABEL, TRACES = "020003", "020006", "030001", "010004", "040001"

#: method of what is pushed to us: traces; how a pickup stands, how it ended.
TRACE_PUSH = "040002"
PICKUP_PUSHES = frozenset({"030002", "030003"})

#: retCode of an answer; any other is unknown.
RESULTS: Mapping[str, OutcomeKind] = {
    "00000": OutcomeKind.TAKEN,
    "S00001": OutcomeKind.UNKNOWN,
    "B00001": OutcomeKind.REFUSED,
}

#: apiCode → what the text of a refusal says when the thing was done before.
TAKEN_WORDS: Mapping[str, tuple[str, ...]] = {
    PLACE: ("重复",),
    PICKUP: ("重复",),
    CANCEL: ("重复", "已取消"),
}

#: code of our answer to a push; whatever is not done is pushed again, so that "try again" needs no other.
PUSH_DONE, PUSH_REFUSED = "00000", "B00001"

#: paymentMode by who pays and whether the applicant sends: 1 sender, 2 recipient, 4 centrally by the recipient.
PAYMENTS: Mapping[tuple[Payer, bool], str] = {
    (Payer.GOVERNMENT, False): "1",
    (Payer.GOVERNMENT, True): "4",
    (Payer.APPLICANT, False): "2",
    (Payer.APPLICANT, True): "1",
    (Payer.RECIPIENT, False): "2",
    (Payer.RECIPIENT, True): "2",
}

#: receiptFlag: 2 a receipt on paper, which is signed; 5 an electronic one. Nobody makes both for one item.
RECEIPTS: Mapping[frozenset[ProofKind], str] = {
    frozenset({ProofKind.RECEIPT}): "2",
    frozenset({ProofKind.RECEIPT, ProofKind.SIGNATURE}): "2",
    frozenset({ProofKind.SIGNATURE}): "5",
    frozenset({ProofKind.PHOTO}): "5",
    frozenset({ProofKind.SIGNATURE, ProofKind.PHOTO}): "5",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What an opCode means."""

    #: None where it does nothing but take something back.
    status: Status | None
    #: opCode of what it takes back.
    revokes: str | None = None
    #: Where the code itself says who took the item.
    received_by: ReceivedBy | None = None


_TAKEN_FROM_PICKUP_POINT = Operation(Status.IN_TRANSIT, revokes="748")

#: opCode
OPERATIONS: Mapping[str, Operation] = {
    "203": Operation(Status.COLLECTED),
    "207": Operation(None, revokes="203"),
    **dict.fromkeys(("303", "305", "336", "345", "389", "954", "713"), Operation(Status.IN_TRANSIT)),
    "702": Operation(Status.OUT_FOR_DELIVERY),
    "742": Operation(None, revokes="702"),
    "704": Operation(Status.DELIVERED),
    "743": Operation(None, revokes="704"),
    "741": Operation(Status.RETURNING, revokes="704"),
    "748": Operation(Status.DELIVERED, received_by=ReceivedBy.PICKUP_POINT),
    # Delivered to a pickup point is delivered, and from there only a revoke leads back on the road.
    **dict.fromkeys(("749", "750", "751"), _TAKEN_FROM_PICKUP_POINT),
    "705": Operation(Status.UNDELIVERED),
    "744": Operation(None, revokes="705"),
    **dict.fromkeys(("326", "405", "447", "482", "708"), Operation(Status.RETURNING)),
    "711": Operation(Status.RETURNED),
    "747": Operation(Status.IN_TRANSIT),  # waits at a pickup point
    **dict.fromkeys(("756", "802", "803", "651"), Operation(Status.IN_TRANSIT)),  # re-addressed; exception
    "801": Operation(Status.CANCELLED),
    **dict.fromkeys(("987", "988"), Operation(Status.LOST)),
}

UNKNOWN_OPERATION = Operation(Status.UNKNOWN)

#: deliverCode; any other that is given is `other`.
RECEIVERS: Mapping[str, ReceivedBy] = {
    "10": ReceivedBy.SELF,
    "20": ReceivedBy.OTHER,
    **dict.fromkeys(("30", "50", "150", "181"), ReceivedBy.PICKUP_POINT),
    "60": ReceivedBy.MAILROOM,
    "70": ReceivedBy.PROPERTY,
    "162": ReceivedBy.OFFICE,
    **dict.fromkeys(("161", "163", "164", "165", "166", "167", "168", "169"), ReceivedBy.UNATTENDED),
}

#: attemptDeliveryCode; any other that is given is `other`.
REASONS: Mapping[str, Reason] = {
    "1": Reason.BAD_ADDRESS,
    "2": Reason.BAD_ADDRESS,
    "3": Reason.UNKNOWN_PERSON,
    "4": Reason.UNREACHABLE,
    "5": Reason.MOVED,
    "6": Reason.DEFERRED,
    "7": Reason.REFUSED,
    "8": Reason.WILL_COLLECT,
    "9": Reason.WILL_COLLECT,
}
