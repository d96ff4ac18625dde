"""Where 车管 and we write the same things (contract: vehicle_admin, 02Y01)."""

from typing import Any

from govpost.adapters.fields import CodeTable, Field, text
from govpost.adapters.protocols.shanghai import DASHED
from govpost.adapters.vehicle_admin.codes import ID_TYPES, KINDS, PAYERS
from govpost.schemas.identifiers import check_phone

__all__ = ["AUTHORITY", "DIRECTION", "DIVISION", "FIELDS", "LANDLINE_FIELDS", "MODE", "NAME", "SENDER", "SERIAL_NO"]

#: What an lsh must be for a record to be written back to; an order's may not be as long.
SERIAL_NO = text(64, pattern=r"[0-9A-Za-z_.:/-]+", rule="must be letters, digits and _ . : / -")

#: Stands between the documents of clqd.
_COMMA = "、"

# What no member of a record says by itself. The names stand on no wire: values of ours are read from under them.
DIRECTION, MODE, SENDER = "(direction)", "(mode)", "(sender)"
NAME, DIVISION, AUTHORITY = "(matter's name)", "(matter's division)", "(matter's authority)"


class _Given:
    """A value that is ours already; on the way out other members say it, or nothing does."""

    def decode(self, value: Any) -> Any:
        return value

    def encode(self, value: Any) -> None:
        pass


class _SerialNo:
    """An lsh, on the way in with its office's glbm before it."""

    _ref = text(64, pattern=r"[0-9A-Za-z]+-[0-9A-Za-z_.:/-]+", rule="must be letters, digits and _ . : / -")

    def decode(self, value: Any) -> Any:
        return self._ref.decode(value)

    def encode(self, value: str) -> str:
        return value.partition("-")[2]


class _Documents:
    """The names of documents in one text."""

    _names = text()

    def decode(self, value: Any) -> list[dict[str, str]]:
        names = map(str.strip, self._names.decode(value).split(_COMMA))
        return [{"name": name} for name in names if name]

    def encode(self, value: Any) -> str:
        if any(item["copies"] != 1 or item["type"] != "other" for item in value):
            raise ValueError("is more than a name, and this system has words for nothing else")
        return _COMMA.join(item["name"] for item in value)


class _Phone:
    """A number that can be called, checked before it may have to stand in for the sender's as well."""

    _number = text()

    def decode(self, value: Any) -> str:
        return check_phone(self._number.decode(value))

    def encode(self, value: str) -> str:
        return value


_POSTCODE = text(6, least=6, pattern=r"[0-9]+", rule="must be six digits")


def _given(name: str, order_path: str) -> Field:
    return Field(name, order_path, _Given(), required=False)


def _fields(phone: str) -> tuple[Field, ...]:
    return (
        Field("lsh", "portal_ref", _SerialNo()),
        Field("ywlx", "matter.code", CodeTable({code: code for code in KINDS})),
        Field("sfzmmc", "recipient.id_document.type", ID_TYPES, required=False),
        Field("sfzmhm", "recipient.id_document.no", text(50), required=False),
        Field("xm", "recipient.name", text(50)),
        Field(phone, "recipient.phone", _Phone()),
        Field("yjdz", "recipient.address.street", text(200)),
        Field("xzqh", "recipient.address.division_code", required=False),
        Field("yzbm", "recipient.address.postcode", _POSTCODE, required=False),
        Field("clqd", "items", _Documents()),
        Field("ffr", "payer", PAYERS),
        Field("glbm", "matter.authority.code"),
        Field("gxsj", "submitted_at", DASHED, required=False),
        _given(DIRECTION, "direction"),
        _given(MODE, "mode"),
        _given(SENDER, "sender"),
        _given(NAME, "matter.name"),
        _given(DIVISION, "matter.division_code"),
        _given(AUTHORITY, "matter.authority.name"),
    )


#: A REC. kqzz, dabh, hpzl, hphm and fzjg are the vehicle office's business: they stand in `extras`.
FIELDS = _fields("sjhm")

#: A REC without sjhm.
LANDLINE_FIELDS = _fields("lxdh")
