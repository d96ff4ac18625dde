"""The court's codes and ours (contract: court_waybill)."""

from collections.abc import Mapping

from govpost.adapters.fields import CodeTable
from govpost.schemas import OutcomeKind, PartyKind, Problem, Reason, Status

__all__ = ["DOCUMENTS", "KINDS", "PROBLEMS", "REASONS", "RESULTS", "STATES", "TRUTH"]

#: xs:boolean
TRUTH = CodeTable({"true": True, "false": False, "1": True, "0": False})

#: lx: 自然人, 法人
KINDS = CodeTable({"ZRR": PartyKind.PERSON, "FR": PartyKind.ORGANIZATION})

#: lb
DOCUMENTS = CodeTable(
    {
        "CP": "summons",  # 传票
        "QSZ": "complaint_copy",  # 起诉状副本
        "YSTZ": "notice_to_respond",  # 应诉通知书
        "PJS": "judgment",  # 判决书
        "CDS": "ruling",  # 裁定书
        "TJS": "mediation_statement",  # 调解书
        "TZS": "notice",  # 通知书
        "QT": "other",  # 其他
    }
)

#: zt
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

#: yydm
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

#: dm of PiCiJieGuo, for a batch that was not taken as a whole
PROBLEMS: Mapping[Problem, str] = {
    Problem.INVALID: "4",
    Problem.UNKNOWN_ORDER: "4",
    Problem.TOO_LATE: "4",
    Problem.CONFLICT: "5",
    Problem.SIGNATURE: "8",
    Problem.TIMESTAMP: "8",
    Problem.REPLAYED: "8",
    Problem.TRY_AGAIN: "9",
}

#: dm of YingDa: taken, has it already, unknown task, invalid, signature, try again; and whether a refusal parks a lane
RESULTS: Mapping[str, tuple[OutcomeKind, bool]] = {
    "0": (OutcomeKind.TAKEN, True),
    "1": (OutcomeKind.TAKEN, True),
    "2": (OutcomeKind.REFUSED, True),
    "3": (OutcomeKind.REFUSED, False),
    "8": (OutcomeKind.AUTH, True),
    "9": (OutcomeKind.BUSY, True),
}
