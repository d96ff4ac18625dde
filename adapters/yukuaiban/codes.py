"""渝快办's codes and ours (contract: yukuaiban)."""

from collections.abc import Mapping

from govpost.adapters.fields import CodeTable
from govpost.schemas import Direction, Mode, OutcomeKind, Payer, Problem, Reason, Status

__all__ = ["DIRECTIONS", "DOCUMENTS", "MODES", "PAYERS", "REASONS", "REFUSALS", "RESULTS", "STATES"]

#: serviceType
DIRECTIONS = CodeTable({"1": Direction.TO_APPLICANT, "2": Direction.FROM_APPLICANT, "3": Direction.ROUND_TRIP})

#: serviceMode: 上门接, 沿路送, 就近办
MODES = CodeTable({"SMJ": Mode.DOORSTEP, "YLS": Mode.ROUTE, "JJB": Mode.COUNTER})

#: payMode: 政府买单, 个人付费, 到付
PAYERS = CodeTable({"GOV": Payer.GOVERNMENT, "PER": Payer.APPLICANT, "COD": Payer.RECIPIENT})

#: docType
DOCUMENTS = CodeTable(
    {
        "YYZZ": "business_license",  # 营业执照
        "SFZ": "id_card",  # 身份证
        "HKB": "household_register",  # 户籍资料
        "XKZ": "permit",  # 许可证
        "SPJG": "approval_result",  # 审批结果
        "ZM": "certificate",  # 证明
        "QT": "other",  # 其他
    }
)

#: state
STATES = CodeTable(
    {
        "10": Status.ACCEPTED,
        "20": Status.NUMBERED,
        "30": Status.COLLECTED,
        "40": Status.IN_TRANSIT,
        "50": Status.OUT_FOR_DELIVERY,
        "60": Status.DELIVERED,
        "70": Status.UNDELIVERED,
        "80": Status.RETURNING,
        "81": Status.RETURNED,
        "90": Status.CANCELLED,
        "99": Status.LOST,
    }
)

#: reasonCode, said with state 70 only
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

#: C-Response-Code of a refusal
REFUSALS: Mapping[Problem, str] = {
    Problem.INVALID: "YKB400001",
    Problem.SIGNATURE: "YKB401001",
    Problem.TIMESTAMP: "YKB401002",
    Problem.REPLAYED: "YKB401003",
    Problem.UNKNOWN_ORDER: "YKB404001",
    Problem.CONFLICT: "YKB409001",
    Problem.TOO_LATE: "YKB409002",
    Problem.TRY_AGAIN: "YKB500000",
}

#: result_code of an answer to a push, and whether a refusal parks the lane
RESULTS: Mapping[str, tuple[OutcomeKind, bool]] = {
    "200": (OutcomeKind.TAKEN, True),
    "409": (OutcomeKind.TAKEN, True),
    "429": (OutcomeKind.BUSY, True),
    "401": (OutcomeKind.AUTH, True),
    "404": (OutcomeKind.REFUSED, True),
    "400": (OutcomeKind.REFUSED, False),
    "500": (OutcomeKind.UNKNOWN, True),
}
