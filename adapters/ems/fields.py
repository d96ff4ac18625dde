"""Where EMS and we write the same things (contract: ems, 020003).

One EMS order is one leg: the table reads an order whose sender and recipient are the leg's, their addresses spelled
out (`places`).
"""

from govpost.adapters.fields import Field

__all__ = ["FIELDS", "UNSAID"]

FIELDS = (
    Field("receiverAgentIdType", "recipient.id_document.type", required=False),
    Field("receiverIdNo", "recipient.id_document.no", required=False),
    Field("note", "remark", required=False),
    Field("sender.name", "sender.name"),
    Field("sender.mobile", "sender.phone"),
    Field("sender.prov", "sender.address.province"),
    Field("sender.city", "sender.address.city"),
    Field("sender.county", "sender.address.county"),
    Field("sender.address", "sender.address.street"),
    Field("sender.postCode", "sender.address.postcode", required=False),
    Field("receiver.name", "recipient.name"),
    Field("receiver.mobile", "recipient.phone"),
    Field("receiver.prov", "recipient.address.province"),
    Field("receiver.city", "recipient.address.city"),
    Field("receiver.county", "recipient.address.county"),
    Field("receiver.address", "recipient.address.street"),
    Field("receiver.postCode", "recipient.address.postcode", required=False),
)

#: What no table row says, each with the reason why nothing is lost.
UNSAID = (
    "direction",  # said by how many EMS orders there are, and which way they go
    "mode",  # said by the pickup (030001)
    "appointment",  # the same; where EMS sends nobody to collect, it has nothing to do with it
    "payer",  # said by paymentMode, which the direction has a part in
    "proof_wanted",  # said by receiptFlag
    "sender.organization",  # said at the end of the address
    "recipient.organization",  # the same
    "sender.address.division_code",  # said by the names of province, city and county
    "recipient.address.division_code",  # the same
    "sender.id_document",  # only the recipient is asked for one on the wire; a sender shows it to the courier
    "portal_ref",  # EMS knows the order by ours
    "submitted_at",  # a fact of the portal's
    "promise",  # ours to keep, by the product that the contract with EMS names
    "items",  # to EMS every item of ours is a document (contentsAttribute)
    "matter",  # the government's business, not the carrier's
    "may_sign",  # printed on the receipt; EMS asks its couriers to look at who signs, and tells us
    "may_not_sign",  # the same
    "sender.kind",  # a person or an organization: its name shows it
    "recipient.kind",  # the same
    "sender.address.is_confirmed",  # what it means that mail comes back from there is the portal's business
    "recipient.address.is_confirmed",  # the same
)
