"""全渝通办's codes and ours (contract: quanyu_tongban)."""

from collections.abc import Mapping

from govpost.adapters.fields import CodeTable
from govpost.schemas import Direction, Mode, OutcomeKind, Payer, Reason, Status

__all__ = ["DIRECTIONS", "ERRORS", "MODES", "NONCE_REUSED", "PAYERS", "REASONS", "RESULTS", "STATES"]

#: LXDM: 送件, 取件, 往返
DIRECTIONS = CodeTable({"S": Direction.TO_APPLICANT, "Q": Direction.FROM_APPLICANT, "W": Direction.ROUND_TRIP})

#: What LXDM means for how the post takes the item over, which this wire does not say by itself: from people by
#: appointment at their door, from a counter on the courier's round.
MODES: Mapping[Direction, Mode] = {
    Direction.TO_APPLICANT: Mode.ROUTE,
    Direction.FROM_APPLICANT: Mode.DOORSTEP,
    Direction.ROUND_TRIP: Mode.DOORSTEP,
}

#: FFFS: 政府, 个人, 到付
PAYERS = CodeTable({"Z": Payer.GOVERNMENT, "G": Payer.APPLICANT, "D": Payer.RECIPIENT})

#: ZT
STATES = CodeTable(
    {
        "01": Status.ACCEPTED,
        "02": Status.NUMBERED,
        "03": Status.COLLECTED,
        "04": Status.IN_TRANSIT,
        "05": Status.OUT_FOR_DELIVERY,
        "06": Status.DELIVERED,
        "07": Status.UNDELIVERED,
        "08": Status.RETURNING,
        "09": Status.RETURNED,
        "10": Status.CANCELLED,
        "11": Status.LOST,
    }
)

#: YYDM, said with ZT 07 only
REASONS = CodeTable(
    {
        "01": Reason.BAD_ADDRESS,
        "02": Reason.UNKNOWN_PERSON,
        "03": Reason.UNREACHABLE,
        "04": Reason.REFUSED,
        "05": Reason.MOVED,
        "06": Reason.DEFERRED,
        "07": Reason.WILL_COLLECT,
        "99": Reason.OTHER,
    }
)

NONCE_REUSED = "40029"

#: errcode, what the portal says of a whole call
ERRORS: Mapping[str, OutcomeKind] = {
    "0": OutcomeKind.TAKEN,
    "40001": OutcomeKind.AUTH,
    # Only where a fresh nonce was refused as well: nobody but a person can find out why.
    NONCE_REUSED: OutcomeKind.AUTH,
    "45009": OutcomeKind.BUSY,
    "47001": OutcomeKind.REFUSED,
    "50000": OutcomeKind.UNKNOWN,
}

#: code, what it says of one item of a call: ok, already acked, unknown SBLSH, try again
RESULTS: Mapping[str, OutcomeKind] = {
    "0": OutcomeKind.TAKEN,
    "1": OutcomeKind.TAKEN,
    "2": OutcomeKind.REFUSED,
    "9": OutcomeKind.BUSY,
}
