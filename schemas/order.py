"""The normalized order: what a portal asks to have mailed, in words that no portal owns."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from govpost.schemas._model import Model
from govpost.schemas.identifiers import CaseNo, DivisionCode, OrderId, Phone, Uscc, check_citizen_id

__all__ = [
    "Address",
    "Appointment",
    "Authority",
    "Direction",
    "IdDocument",
    "Item",
    "Matter",
    "Mode",
    "Order",
    "OrderContent",
    "Party",
    "PartyKind",
    "Payer",
    "Person",
    "PersonName",
    "Promise",
    "ProofKind",
    "Text",
]

Text = Annotated[str, StringConstraints(min_length=1, max_length=100)]
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=50)]
Street = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Postcode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]

#: GA/T 517 code of the resident identity card, the one document type whose number we can check.
RESIDENT_ID_CARD = "111"


class Direction(StrEnum):
    """Which way the item goes, seen from the applicant."""

    TO_APPLICANT = "to_applicant"
    FROM_APPLICANT = "from_applicant"
    #: 双向: leg 1 sender → recipient, leg 2 back.
    ROUND_TRIP = "round_trip"


class Mode(StrEnum):
    """How the post takes the item over."""

    #: 上门接: a courier calls by appointment.
    DOORSTEP = "doorstep"
    #: 沿路送: picked up on the courier's round.
    ROUTE = "route"
    #: 就近办: handed in at a counter nearby.
    COUNTER = "counter"


class Payer(StrEnum):
    """Who pays the postage."""

    GOVERNMENT = "government"
    APPLICANT = "applicant"
    #: 到付: the recipient, on delivery.
    RECIPIENT = "recipient"


class ProofKind(StrEnum):
    """What a portal may want as evidence of delivery."""

    SIGNATURE = "signature"
    PHOTO = "photo"
    RECEIPT = "receipt"


class PartyKind(StrEnum):
    """What a party is before the law."""

    #: 自然人
    PERSON = "person"
    #: 法人, 非法人组织
    ORGANIZATION = "organization"


class Address(Model):
    """Where a party is reached. Names as the portal wrote them, the code where it is known (GB/T 2260)."""

    province: Text | None = None
    city: Text | None = None
    county: Text | None = None
    division_code: DivisionCode | None = None
    #: Below the county; the whole address where a portal sends it in one piece.
    street: Street = Field(repr=False)
    postcode: Postcode | None = None
    #: The party itself gave or confirmed it as the place where it is to be reached (送达地址确认书).
    is_confirmed: bool | None = None


class IdDocument(Model):
    """An identity document: type by GA/T 517, and its number."""

    type: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{1,8}$")]
    #: Of a resident identity card, held to GB 11643; of another, in the canonical form if it happens to be one's.
    no: Annotated[str, StringConstraints(min_length=1, max_length=50)] = Field(repr=False)

    @field_validator("no")
    @classmethod
    def _check_no(cls, value: str, others: ValidationInfo) -> str:
        try:
            return check_citizen_id(value)
        except ValueError:
            if others.data.get("type") == RESIDENT_ID_CARD:
                raise
            return value


class Party(Model):
    """A sender or a recipient."""

    name: PersonName = Field(repr=False)
    phone: Phone = Field(repr=False)
    address: Address
    organization: Text | None = None
    id_document: IdDocument | None = Field(default=None, repr=False)
    kind: PartyKind | None = None


class Person(Model):
    """Somebody beside the parties."""

    name: PersonName = Field(repr=False)
    #: To the recipient, as the portal says it.
    relation: Text | None = None
    phone: Phone | None = Field(default=None, repr=False)


People = Annotated[tuple[Person, ...], Field(min_length=1)]


class Item(Model):
    """One kind of document in the mail."""

    #: Our code of the document type, as the adapter's code table gives it; `other` where the portal has no type.
    type: Text = "other"
    name: Text
    copies: Annotated[int, Field(ge=1, le=999)] = 1
    is_original: bool | None = None


class Appointment(Model):
    """When a courier may call; half-open, never compared with the clock."""

    start_at: AwareDatetime
    end_at: AwareDatetime

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        """Refuse a window that ends before it begins."""
        if self.end_at <= self.start_at:
            raise ValueError("ends before it begins")
        return self


class Promise(Model):
    """What was promised to the portal about time."""

    deliver_by: AwareDatetime | None = None
    within_days: Annotated[int, Field(ge=1, le=365)] | None = None


class Authority(Model):
    """The public body that the matter lies with."""

    name: Text
    #: GB 32100.
    uscc: Uscc | None = None
    code: Text | None = None


class Matter(Model):
    """The government matter (事项) and case (办件) that the mail belongs to."""

    code: Text | None = None
    name: Text | None = None
    #: As the portal writes it.
    case_ref: Text | None = None
    #: 案号, where the case is a court's, in its canonical form.
    case_no: CaseNo | None = None
    #: GB/T 2260 code of the place where the matter is handled.
    division_code: DivisionCode | None = None
    authority: Authority | None = None


class OrderContent(Model):
    """What a portal says of an order, before it has a number of ours."""

    #: The portal's own order number, unique within the portal.
    portal_ref: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    direction: Direction
    mode: Mode
    payer: Payer
    sender: Party
    recipient: Party
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=100)]
    matter: Matter
    appointment: Appointment | None = None
    promise: Promise | None = None
    proof_wanted: frozenset[ProofKind] = frozenset()
    #: Whom the recipient has named to receive in their place (指定代收人); None: nobody.
    may_sign: People | None = Field(default=None, repr=False)
    #: Who must not be given the item, whatever they are to the recipient (对方当事人); None: nobody.
    may_not_sign: People | None = Field(default=None, repr=False)
    submitted_at: AwareDatetime | None = None
    remark: Annotated[str, StringConstraints(max_length=100)] | None = Field(default=None, repr=False)
    #: What the portal sent and we have no word for, under the portal's own paths.
    extras: dict[str, Any] = Field(default_factory=dict, repr=False)


class Order(OrderContent):
    """An order that the ledger holds."""

    order_id: OrderId
    #: Key of the portal's settings section.
    portal: Text
    #: When the ledger took it.
    accepted_at: AwareDatetime
