"""Documents and orders, both ways."""

import json
from collections.abc import Iterator
from typing import Any

from govpost.adapters.base import DeliveryKind, Document, Owed
from govpost.adapters.fields import CodeTable, build_order, order_to_wire
from govpost.adapters.protocols.content import drop_empty
from govpost.schemas import Order, OrderContent, Place
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import MappingError
from govpost.tests.conformance.bench import Bench
from govpost.tests.conformance.checks.scopes import BACKENDS, EVERYBODY, HANDS_OVER
from govpost.tests.conformance.kit import Level, check
from govpost.tests.conformance.subject import Finding, Sample, Subject
from govpost.tests.conformance.variations import leaves, name_of

__all__ = ["codes_are_the_contracts", "golden_in", "golden_out", "golden_rendered", "samples_fit_the_contract"]

_KINDS = {"amend": DeliveryKind.AMEND, "cancel": DeliveryKind.CANCEL}
_DELIVERY_IDS = ("01HGGY4B5R0000000000000CD1", "01HGGY4B5R0000000000000CD2")


@check(Level.BRONZE, EVERYBODY, needs_mock=False)
def samples_fit_the_contract(subject: Subject) -> Iterator[str]:
    """There are samples in pairs, and every wire document fits its schema in the contract."""
    if subject.contract is None:
        raise Finding("it has no wire/openapi.json")
    if not subject.samples:
        raise Finding("it has no wire/samples in pairs (<name>.wire.json, <name>.order.json)")
    for sample in subject.samples:
        unfit = subject.contract.unfit(subject.contract.schema_of(sample.name), sample.document)
        if unfit:
            yield f"{sample.name}: {unfit}"


@check(Level.BRONZE, HANDS_OVER, needs_mock=False)
def golden_in(subject: Subject) -> Iterator[str]:
    """Every sample becomes exactly the order beside it: through the mock where there is one, else by the table."""
    for sample in subject.samples:
        order = _order_of(subject, sample)
        if order != sample.order:
            yield from (f"{sample.name}: {each}" for each in _places(_dump(order), _dump(sample.order)))


@check(Level.BRONZE, HANDS_OVER, needs_mock=False)
def golden_out(subject: Subject) -> Iterator[str]:
    """By the same table every order becomes the document it came from, unknown members included."""
    if subject.fields is None:
        raise Finding("there is no table FIELDS in its fields.py")
    for sample in subject.samples:
        try:
            document = order_to_wire(subject.fields, sample.order, keep_extras=True)
        except MappingError as error:
            yield f"{sample.name}: {error}"
        else:
            yield from (f"{sample.name}: {each}" for each in _places(document, drop_empty(sample.document)))


@check(Level.SILVER, BACKENDS)
def golden_rendered(subject: Subject) -> Iterator[str]:
    """Every order is rendered as the document beside it, but for what is made of the delivery's own number."""
    adapter = Bench(subject).adapter
    for sample in subject.samples:
        first, second = (json.loads(_rendered(adapter, sample, number).body) for number in _DELIVERY_IDS)
        own = set(_places(first, second))
        yield from (f"{sample.name}: {each}" for each in _places(first, sample.document) if each not in own)


@check(Level.BRONZE, HANDS_OVER, needs_mock=False)
def codes_are_the_contracts(subject: Subject) -> Iterator[str]:
    """Every code that the contract lists for a member of an order has a meaning in FIELDS, and no other has."""
    if subject.contract is None or subject.fields is None:
        raise Finding("there is no contract, or no table FIELDS")
    tables = [(each.wire_path, each.codec) for each in subject.fields if isinstance(each.codec, CodeTable)]
    for wire_path, table in tables:
        listed = subject.contract.codes(subject.contract.schema_of(subject.samples[0].name), wire_path)
        if listed is not None and listed != set(table.ours):
            yield f"{wire_path}: {', '.join(sorted(listed ^ set(table.ours)))} stands on one side only"


def _order_of(subject: Subject, sample: Sample) -> OrderContent:
    if subject.mock_type is None:
        return _by_table(subject, sample)
    command = Bench(subject).take(sample.document)
    if not isinstance(command, Place):
        raise Finding(f"{sample.name}: it is not taken ({getattr(command, 'reason', type(command).__name__)})")
    return command.order


def _by_table(subject: Subject, sample: Sample) -> OrderContent:
    if subject.fields is None:
        raise Finding("there is neither a mock nor a table FIELDS to translate with")
    try:
        return build_order(subject.fields, sample.document)
    except MappingError as error:
        raise Finding(f"{sample.name}: {error}") from error


def _rendered(adapter: Any, sample: Sample, delivery_id: str) -> Document:
    kind = next((kind for verb, kind in _KINDS.items() if sample.name.startswith(verb)), DeliveryKind.PLACE)
    if not isinstance(sample.order, Order):
        raise Finding(f"{sample.name}: the order has no number")
    document: Document = adapter.render(Owed(delivery_id, kind, sample.order, sample.order.accepted_at))
    return document


def _dump(order: OrderContent) -> JsonObject:
    return order.model_dump(mode="json", exclude_none=True)


def _places(one: Any, other: Any) -> Iterator[str]:
    """Name the places where two documents differ."""
    mine, theirs = dict(leaves(one)), dict(leaves(other))
    yield from (
        f"{name_of(path) or 'all'} differs" for path in mine | theirs if mine.get(path, ...) != theirs.get(path, ...)
    )
