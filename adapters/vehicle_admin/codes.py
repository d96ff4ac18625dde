"""车管's codes and ours (contract: vehicle_admin)."""

from collections.abc import Mapping

from govpost.adapters.fields import CodeTable
from govpost.adapters.protocols.tmri import FAILURE
from govpost.schemas import OutcomeKind, Payer, Status

__all__ = ["CROSSINGS", "ID_TYPES", "KINDS", "PAYERS", "QUERY_CODES", "STATES", "WRITE_CODES"]

#: ywlx, and what the matter is called
KINDS: Mapping[str, str] = {"JSZ": "驾驶证", "XSZ": "行驶证", "HP": "号牌", "DJZS": "登记证书"}

#: kqzz, and what it adds to the matter's name: made in another district than the owner's
CROSSINGS = CodeTable({"0": "", "1": "（跨区制证）"})

#: sfzmmc: 居民身份证; ours is GA/T 517's
ID_TYPES = CodeTable({"A": "111"})

#: ffr: 个人, 政府
PAYERS = CodeTable({"1": Payer.APPLICANT, "2": Payer.GOVERNMENT})

#: yjzt; 10 with wtyy also says that a record cannot be taken
STATES = CodeTable(
    {
        "1": Status.ACCEPTED,
        "2": Status.NUMBERED,
        "3": Status.COLLECTED,
        "4": Status.IN_TRANSIT,
        "5": Status.OUT_FOR_DELIVERY,
        "6": Status.DELIVERED,
        "7": Status.UNDELIVERED,
        "8": Status.RETURNING,
        "9": Status.RETURNED,
        "10": Status.CANCELLED,
        "11": Status.LOST,
    }
)

_FAILURES = {"0": OutcomeKind.REFUSED, FAILURE: OutcomeKind.UNKNOWN}

#: code of an answer to a query; any other is unknown
QUERY_CODES: Mapping[str, OutcomeKind] = {"1": OutcomeKind.TAKEN, **_FAILURES}

#: code of an answer to a write: taken, has it already; any other is unknown
WRITE_CODES: Mapping[str, OutcomeKind] = {"1": OutcomeKind.TAKEN, "2": OutcomeKind.TAKEN, **_FAILURES}
