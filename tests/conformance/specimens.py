"""An order in which everything is said, and other things that could be said in each place."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from govpost.schemas import (
    Address,
    Appointment,
    Authority,
    Direction,
    IdDocument,
    Item,
    Matter,
    Mode,
    Order,
    Party,
    Payer,
    Promise,
    ProofKind,
)
from govpost.schemas.documents import JsonObject
from govpost.tests.conformance.bench import NOW
from govpost.tests.conformance.variations import Path, leaves, wire_path, with_value

__all__ = ["full_order", "others"]

#: Values of the order's own types; those that fit a place and differ from what stands there are tried.
_VALUES: tuple[Any, ...] = (
    "13733334444",
    "500104199710208392",
    "11500113199260507Q",
    "500230",
    "408215",
    "114",
    "另一个",
    *(str(word) for words in (Direction, Mode, Payer, ProofKind) for word in words),
    "2023-12-02T02:00:00Z",
    7,
    True,
    False,
)

#: What is no part of what a portal ordered.
_OURS = frozenset({"order_id", "portal", "accepted_at"})


def full_order() -> Order:
    """Build an order that uses every field there is."""
    return Order(
        portal_ref="KIT-20231201-000001",
        direction=Direction.FROM_APPLICANT,
        mode=Mode.DOORSTEP,
        payer=Payer.GOVERNMENT,
        sender=_full_party("陶雨芳", phone="17134182391"),
        recipient=_full_party("华杰建", phone="18333267866"),
        items=(Item(type="permit", name="食品经营许可证", copies=2, is_original=True),),
        matter=Matter(
            code="1150011371948353173500131002000",
            name="食品经营许可证办理",
            case_ref="1150011371948353171",
            division_code="500113",
            authority=Authority(name="巴南区市场监管局", uscc="115001137194835317", code="BNSJJ"),
        ),
        appointment=Appointment(
            start_at=datetime(2023, 12, 2, 1, tzinfo=UTC), end_at=datetime(2023, 12, 2, 3, tzinfo=UTC)
        ),
        promise=Promise(deliver_by=datetime(2023, 12, 5, tzinfo=UTC), within_days=3),
        proof_wanted=frozenset({ProofKind.SIGNATURE}),
        submitted_at=NOW,
        remark="请在工作日派送",
        order_id="01HGGY4B5R0000000000000AB1",
        portal="kit",
        accepted_at=NOW,
    )


def _full_party(name: str, *, phone: str) -> Party:
    address = Address(
        province="重庆市",
        city="重庆市",
        county="巴南区",
        division_code="500113",
        street="龙海大道1号",
        postcode="401320",
    )
    document = IdDocument(type="111", no="500108196905244643")
    return Party(name=name, phone=phone, address=address, organization="巴南区市场监管局", id_document=document)


def others(order: Order) -> Iterator[tuple[str, Order]]:
    """Give for each field that is set the order with something else in that field."""
    document = order.model_dump(mode="json", exclude_none=True)
    for path, value in leaves(document):
        if path and path[0] not in _OURS:
            other = _other(document, path, value)
            if other is not None:
                yield wire_path(path), other


def _other(document: JsonObject, path: Path, value: Any) -> Order | None:
    for candidate in _VALUES:
        if candidate != value and type(candidate) is type(value):
            try:
                order = Order.model_validate(with_value(document, path, candidate))
            except ValidationError:
                continue
            return order
    return None
