"""Where 渝快办 and we write the same things (contract: yukuaiban, create)."""

from govpost.adapters.fields import Field, counted, integer, text
from govpost.adapters.protocols.shanghai import DASHED
from govpost.adapters.yukuaiban.codes import DIRECTIONS, DOCUMENTS, MODES, PAYERS

__all__ = ["CANCEL", "FIELDS", "QUERY"]

_ORDER_NO = text(32, least=8, pattern=r"[A-Z0-9-]+", rule="must be capitals, digits and dashes")
_POSTCODE = text(6, least=6, pattern=r"[0-9]+", rule="must be six digits")

#: txnBodyCom of create, with `secret` replaced by what it opens to.
FIELDS = (
    Field("orderNo", "portal_ref", _ORDER_NO),
    Field("projid", "matter.case_ref"),
    Field("taskCode", "matter.code", text(31, least=31)),
    Field("taskName", "matter.name"),
    Field("regionCode", "matter.division_code"),
    Field("deptName", "matter.authority.name"),
    Field("deptCode", "matter.authority.uscc"),
    Field("serviceType", "direction", DIRECTIONS),
    Field("serviceMode", "mode", MODES),
    Field("payMode", "payer", PAYERS),
    Field("documents[]", "items[]", counted(1, 20)),
    Field("documents[].docType", "items[].type", DOCUMENTS),
    Field("documents[].docName", "items[].name"),
    Field("documents[].copies", "items[].copies", integer(1, 999)),
    Field("pickupTime.start", "appointment.start_at", DASHED, required=False),
    Field("pickupTime.end", "appointment.end_at", DASHED, required=False),
    Field("submitTime", "submitted_at", DASHED),
    Field("remark", "remark", required=False),
    Field("secret.sender.name", "sender.name", text(50)),
    Field("secret.sender.mobile", "sender.phone"),
    Field("secret.sender.province", "sender.address.province"),
    Field("secret.sender.city", "sender.address.city"),
    Field("secret.sender.county", "sender.address.county"),
    Field("secret.sender.address", "sender.address.street", text(200)),
    Field("secret.sender.postcode", "sender.address.postcode", _POSTCODE, required=False),
    Field("secret.receiver.name", "recipient.name", text(50)),
    Field("secret.receiver.mobile", "recipient.phone"),
    Field("secret.receiver.province", "recipient.address.province"),
    Field("secret.receiver.city", "recipient.address.city"),
    Field("secret.receiver.county", "recipient.address.county"),
    Field("secret.receiver.address", "recipient.address.street", text(200)),
    Field("secret.receiver.postcode", "recipient.address.postcode", _POSTCODE, required=False),
    Field("secret.receiver.idType", "recipient.id_document.type", required=False),
    Field("secret.receiver.idNo", "recipient.id_document.no", text(50), required=False),
)

#: txnBodyCom of cancel and of query; the second paths are members of our commands.
CANCEL = (Field("orderNo", "portal_ref", _ORDER_NO), Field("reason", "reason", required=False))
QUERY = (Field("orderNo", "portal_ref", _ORDER_NO),)
