"""What the API shows of an order: people masked, foreign free text (remarks, notes, extras) left out."""

from collections.abc import Iterable
from typing import Any

from pydantic import AwareDatetime

from govpost.gateway.ledger.reads import EventRow, OrderPage, OrderRecord, OrderRow
from govpost.schemas import (
    Address,
    Appointment,
    Direction,
    Event,
    IdDocument,
    Item,
    Leg,
    Matter,
    Mode,
    Office,
    Party,
    Payer,
    Person,
    Promise,
    ProofKind,
    Reason,
    ReceivedBy,
    Signer,
    Status,
)
from govpost.schemas._model import Model
from govpost.schemas.identifiers import mask_address, mask_id_no, mask_name, mask_phone

__all__ = ["OrderDetail", "OrderList", "OrderSummary", "build_order_detail", "build_order_list"]


class LegView(Model):
    """How one leg stands."""

    leg: int
    status: Status
    waybill_no: str | None


class OrderSummary(Model):
    """How an order stands."""

    order_id: str
    portal: str
    portal_ref: str
    backend: str
    status: Status
    legs: tuple[LegView, ...]
    accepted_at: AwareDatetime
    updated_at: AwareDatetime


class OrderList(Model):
    """Orders, newest first."""

    orders: tuple[OrderSummary, ...]
    #: Give it back as `cursor` for the next page; null on the last.
    cursor: str | None


class IdDocumentView(Model):
    """An identity document; its number is masked."""

    type: str
    no: str


class PartyView(Model):
    """A sender or a recipient; name, phone, address and ID number are masked."""

    name: str
    phone: str
    address: str
    division_code: str | None
    organization: str | None
    id_document: IdDocumentView | None


class PersonView(Model):
    """Somebody who may sign, or may not; name and phone are masked."""

    name: str
    relation: str | None
    phone: str | None


class SignerView(Model):
    """Who signed; name and ID number are masked."""

    name: str
    relation: str | None
    id_type: str | None
    id_no: str | None


class ProofView(Model):
    """That there is evidence, and what it is."""

    kind: ProofKind
    media_type: str
    size_bytes: int


class EventView(Model):
    """Something that happened to the item."""

    event_id: str
    source: str
    status: Status | None
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    leg: Leg
    #: Whether it moved the order.
    moved: bool
    revokes: str | None
    #: The event_id that took it back.
    revoked_by: str | None
    waybill_no: str | None
    office: Office | None
    reason: Reason | None
    received_by: ReceivedBy | None
    signer: SignerView | None
    proof: tuple[ProofView, ...]
    #: The source's code, where it had none of ours.
    raw_code: str | None


class OrderDetail(OrderSummary):
    """An order and what happened to it."""

    direction: Direction
    mode: Mode
    payer: Payer
    sender: PartyView
    recipient: PartyView
    items: tuple[Item, ...]
    matter: Matter
    appointment: Appointment | None
    promise: Promise | None
    proof_wanted: tuple[ProofKind, ...]
    may_sign: tuple[PersonView, ...]
    may_not_sign: tuple[PersonView, ...]
    submitted_at: AwareDatetime | None
    #: In the order in which they were recorded.
    events: tuple[EventView, ...]


def build_order_list(page: OrderPage) -> OrderList:
    """Show a page of orders."""
    return OrderList(orders=tuple(OrderSummary(**_summary(row)) for row in page.rows), cursor=page.cursor)


def build_order_detail(record: OrderRecord, events: Iterable[EventRow]) -> OrderDetail:
    """Show an order, masked, with its events."""
    order = record.order
    return OrderDetail(
        **_summary(record.row),
        direction=order.direction,
        mode=order.mode,
        payer=order.payer,
        sender=_party(order.sender),
        recipient=_party(order.recipient),
        items=order.items,
        matter=order.matter,
        appointment=order.appointment,
        promise=order.promise,
        proof_wanted=tuple(sorted(order.proof_wanted)),
        may_sign=tuple(map(_person, order.may_sign or ())),
        may_not_sign=tuple(map(_person, order.may_not_sign or ())),
        submitted_at=order.submitted_at,
        events=tuple(_event(row) for row in events),
    )


def _summary(row: OrderRow) -> dict[str, Any]:
    legs = (LegView(leg=leg, status=status, waybill_no=row.waybill_nos.get(leg)) for leg, status in row.legs.items())
    return {
        "order_id": row.order_id,
        "portal": row.portal,
        "portal_ref": row.portal_ref,
        "backend": row.backend,
        "status": row.status,
        "legs": tuple(legs),
        "accepted_at": row.accepted_at,
        "updated_at": row.updated_at,
    }


def _party(party: Party) -> PartyView:
    return PartyView(
        name=mask_name(party.name),
        phone=mask_phone(party.phone),
        address=mask_address(_whole_address(party.address)),
        division_code=party.address.division_code,
        organization=party.organization,
        id_document=_id_document(party.id_document),
    )


def _person(person: Person) -> PersonView:
    return PersonView(
        name=mask_name(person.name), relation=person.relation, phone=person.phone and mask_phone(person.phone)
    )


def _whole_address(address: Address) -> str:
    """Put an address together, saying the municipality once where it is province and city at the same time."""
    names = dict.fromkeys((address.province, address.city, address.county, address.street))
    return "".join(name for name in names if name)


def _id_document(document: IdDocument | None) -> IdDocumentView | None:
    if document is None:
        return None
    return IdDocumentView(type=document.type, no=mask_id_no(document.no))


def _event(row: EventRow) -> EventView:
    event: Event = row.event
    return EventView(
        event_id=event.event_id,
        source=row.source,
        status=event.status,
        occurred_at=event.occurred_at,
        recorded_at=row.recorded_at,
        leg=event.leg,
        moved=row.moved,
        revokes=event.revokes,
        revoked_by=row.revoked_by,
        waybill_no=event.waybill_no,
        office=event.office,
        reason=event.reason,
        received_by=event.received_by,
        signer=_signer(event.signer),
        proof=tuple(
            ProofView(kind=proof.kind, media_type=proof.media_type, size_bytes=proof.size) for proof in event.kept_proof
        ),
        raw_code=event.raw_code,
    )


def _signer(signer: Signer | None) -> SignerView | None:
    if signer is None:
        return None
    return SignerView(
        name=mask_name(signer.name),
        relation=signer.relation,
        id_type=signer.id_type,
        id_no=signer.id_no and mask_id_no(signer.id_no),
    )
