"""川渝通办's codes and ours (contract: chuanyu_tongban)."""

from collections.abc import Mapping

from govpost.adapters.fields import CodeTable
from govpost.schemas import Direction, OutcomeKind, Payer, Problem, Reason, ReceivedBy, Status

__all__ = [
    "DIRECTIONS",
    "PAYERS",
    "REASONS",
    "RECEIVERS",
    "REFUSALS",
    "RESULTS",
    "REVOKED",
    "STATUSES",
    "TAKEN",
    "UNKNOWN_ORDER",
]

#: direction
DIRECTIONS = CodeTable(
    {"RESULT": Direction.TO_APPLICANT, "MATERIAL": Direction.FROM_APPLICANT, "ROUND": Direction.ROUND_TRIP}
)

#: payer
PAYERS = CodeTable({"GOV": Payer.GOVERNMENT, "APPLICANT": Payer.APPLICANT, "COD": Payer.RECIPIENT})

#: status; ACCEPTED stands in answers to order.trace only.
STATUSES = CodeTable(
    {
        "ACCEPTED": Status.ACCEPTED,
        "NUMBERED": Status.NUMBERED,
        "COLLECTED": Status.COLLECTED,
        "TRANSIT": Status.IN_TRANSIT,
        "DELIVERING": Status.OUT_FOR_DELIVERY,
        "DELIVERED": Status.DELIVERED,
        "FAILED": Status.UNDELIVERED,
        "RETURNING": Status.RETURNING,
        "RETURNED": Status.RETURNED,
        "CANCELLED": Status.CANCELLED,
        "LOST": Status.LOST,
    }
)

#: The status that takes an earlier notice back.
REVOKED = "REVOKED"

#: reason, said with FAILED only
REASONS = CodeTable(
    {
        "BAD_ADDRESS": Reason.BAD_ADDRESS,
        "UNKNOWN_PERSON": Reason.UNKNOWN_PERSON,
        "UNREACHABLE": Reason.UNREACHABLE,
        "REFUSED": Reason.REFUSED,
        "MOVED": Reason.MOVED,
        "DEFERRED": Reason.DEFERRED,
        "WILL_COLLECT": Reason.WILL_COLLECT,
        "OTHER": Reason.OTHER,
    }
)

#: receivedBy, said with DELIVERED only. The contract names no codes: these are our words, written as its others are.
RECEIVERS = CodeTable({word.upper(): word for word in ReceivedBy})

#: The code of an answer of theirs and of ours that says yes.
TAKEN = "0"

#: code of a refusal of ours
REFUSALS: Mapping[Problem, str] = {
    Problem.INVALID: "4001",
    Problem.SIGNATURE: "4011",
    Problem.TIMESTAMP: "4012",
    Problem.REPLAYED: "4013",
    Problem.UNKNOWN_ORDER: "4041",
    Problem.CONFLICT: "4091",
    Problem.TOO_LATE: "4092",
    Problem.TRY_AGAIN: "5001",
}

#: To a notice and to a query alike: the portal does not have the order.
UNKNOWN_ORDER = "4041"

#: code of an answer to a notice, and whether a refusal parks the lane; any other, 5xxx among them, may mean anything.
RESULTS: Mapping[str, tuple[OutcomeKind, bool]] = {
    TAKEN: (OutcomeKind.TAKEN, True),
    "4093": (OutcomeKind.TAKEN, True),
    "4290": (OutcomeKind.BUSY, True),
    "4011": (OutcomeKind.AUTH, True),
    # Our clock or theirs is wrong: nothing gets through until somebody has looked at it.
    "4012": (OutcomeKind.AUTH, True),
    UNKNOWN_ORDER: (OutcomeKind.REFUSED, True),
    "4001": (OutcomeKind.REFUSED, False),
}
