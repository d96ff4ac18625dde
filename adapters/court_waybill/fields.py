"""Where the court and we write the same things (contract: court_waybill, RenWu)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from govpost.adapters.court_waybill.codes import DOCUMENTS, KINDS, TRUTH
from govpost.adapters.fields import Field, counted, text
from govpost.adapters.protocols.shanghai import RFC3339
from govpost.schemas import Direction, Mode, Payer, ProofKind
from govpost.schemas.identifiers import check_case_no

__all__ = ["CASE_NO", "COURT", "FIELDS", "FIXED", "FRAME", "ORGANIZATION"]

_DIGITS = re.compile(r"[0-9]{1,9}")
_ID = text(64, pattern=r"\S+", rule="must be without spaces")

#: Stand on no wire: what a task says once, and the order twice.
CASE_NO = "AnHao (case_no)"
COURT = "JiJianRen (authority)"
ORGANIZATION = "ShouSongDaRen (organization)"


class _Time:
    """An xs:dateTime; without an offset it is Asia/Shanghai."""

    _BARE = re.compile(r"[0-9-]{10}T[0-9:]{8}(?:\.[0-9]+)?")

    def decode(self, value: Any) -> datetime:
        is_bare = isinstance(value, str) and self._BARE.fullmatch(value)
        return RFC3339.decode(f"{value}+08:00" if is_bare else value)

    def encode(self, value: datetime) -> str:
        return RFC3339.encode(value)


@dataclass(frozen=True, slots=True)
class _Number:
    """A number in digits."""

    least: int
    most: int

    def decode(self, value: Any) -> int:
        is_number = isinstance(value, str) and _DIGITS.fullmatch(value)
        if not is_number or not self.least <= int(value) <= self.most:
            raise ValueError(f"must be {self.least} to {self.most}")
        return int(value)

    def encode(self, value: int) -> str:
        return str(value)


class _WrittenCaseNo:
    """案号, checked, and kept as written."""

    def decode(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("must be text")  # noqa: TRY004 - codecs raise ValueError
        check_case_no(value)
        return value

    def encode(self, value: Any) -> Any:
        return value


class _ReceiptWanted:
    """xuyao: whether the receipt is wanted."""

    def decode(self, value: Any) -> frozenset[ProofKind]:
        return frozenset({ProofKind.RECEIPT} if TRUTH.decode(value) else ())

    def encode(self, value: frozenset[ProofKind]) -> str:
        if value - {ProofKind.RECEIPT}:
            raise ValueError("this system asks for receipts only")
        return TRUTH.encode(bool(value))


class _Derived:
    """What is said elsewhere, and so not written again."""

    def decode(self, value: Any) -> Any:
        return value

    def encode(self, value: Any) -> None:
        pass


_DERIVED = _Derived()

#: What every task means without saying it: the court pays, and hands its mail over on the courier's round.
FIXED: Mapping[str, str] = {
    "(direction)": Direction.TO_APPLICANT,
    "(mode)": Mode.ROUTE,
    "(payer)": Payer.GOVERNMENT,
}

#: The batch's own attributes; the second paths are ours alone.
FRAME = (
    Field("pch", "batch_no", _ID),
    Field("fydm", "court_code"),
    Field("tjsj", "submitted_at", _Time()),
)

#: A task, with the attributes of its batch.
FIELDS = (
    Field("rwid", "portal_ref", _ID),
    Field("AnHao", "matter.case_ref", _WrittenCaseNo()),
    Field("AnYou", "matter.name"),
    Field("WenShu[]", "items[]", counted(1, 20)),
    Field("WenShu[].lb", "items[].type", DOCUMENTS),
    Field("WenShu[].mc", "items[].name"),
    Field("WenShu[].fs", "items[].copies", _Number(1, 999)),
    Field("ShouSongDaRen.xm", "recipient.name", text(50)),
    Field("ShouSongDaRen.zjlx", "recipient.id_document.type", required=False),
    Field("ShouSongDaRen.zjhm", "recipient.id_document.no", text(50), required=False),
    Field("ShouSongDaRen.dh", "recipient.phone"),
    Field("ShouSongDaRen.dz", "recipient.address.street", text(200)),
    Field("ShouSongDaRen.xzqh", "recipient.address.division_code", required=False),
    Field("ShouSongDaRen.yb", "recipient.address.postcode", required=False),
    Field("ShouSongDaRen.lx", "recipient.kind", KINDS),
    Field("ShouSongDaRen.querenshu", "recipient.address.is_confirmed", TRUTH),
    Field("DaiShouRen[].xm", "may_sign[].name", text(50)),
    Field("DaiShouRen[].gx", "may_sign[].relation", required=False),
    Field("DaiShouRen[].dh", "may_sign[].phone", required=False),
    Field("DuiFangDangShiRen[].xm", "may_not_sign[].name", text(50)),
    Field("JiJianRen.mc", "sender.organization"),
    Field("JiJianRen.lxr", "sender.name", text(50)),
    Field("JiJianRen.dh", "sender.phone"),
    Field("JiJianRen.dz", "sender.address.street", text(200)),
    Field("HuiZhi.xuyao", "proof_wanted", _ReceiptWanted()),
    Field("HuiZhi.qixian", "promise.within_days", _Number(1, 365), required=False),
    Field("fydm", "matter.authority.code"),
    Field("tjsj", "submitted_at", _Time()),
    Field(CASE_NO, "matter.case_no", _DERIVED, required=False),
    Field(COURT, "matter.authority.name", _DERIVED, required=False),
    Field(ORGANIZATION, "recipient.organization", _DERIVED, required=False),
    *(Field(path, path.strip("()"), _DERIVED) for path in FIXED),
)
