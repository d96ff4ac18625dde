"""Compare what each side of the demo knows, at its end, with what it should."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from govpost.mocks._demo_stories import Tale
from govpost.mocks.base import CarrierMock, JsonObject, Mock, PortalMock

__all__ = ["find_leftovers", "find_misled", "find_rejections", "find_unended", "find_unlike_ledger", "find_wrong_mail"]


def find_unended(tales: Iterable[Tale], ended: Iterable[Tale]) -> Iterator[str]:
    """Name the orders of which not everything happened, or was not heard once and in order."""
    over = set(ended)
    for tale in tales:
        if tale not in over:
            yield f"{tale.portal.key}/{tale.portal_ref} ({tale.title}) did not end as it should"


def find_unlike_ledger(due: Mapping[tuple[str, str], str], orders: Iterable[JsonObject]) -> Iterator[str]:
    """Name the orders that should not be in the ledger, are not, or stand where they should not."""
    known = {(order["portal"], order["portal_ref"]): order["status"] for order in orders}
    for key in sorted(due.keys() | known.keys()):
        if due.get(key) != known.get(key):
            yield f"the ledger says of {'/'.join(key)} {known.get(key)}, not {due.get(key)}"


def find_misled(portals: Iterable[PortalMock], orders: Iterable[JsonObject]) -> Iterator[str]:
    """Name the orders whose portal was told a waybill number that is not the leg's."""
    numbers = {
        (order["portal"], order["portal_ref"], leg["leg"]): leg["waybill_no"]
        for order in orders
        for leg in order["legs"]
    }
    for portal in portals:
        for each in portal.heard():
            if each.waybill_no and each.waybill_no != numbers.get((portal.key, each.portal_ref, each.leg)):
                yield f"{portal.key}/{each.portal_ref} was told another number than that of leg {each.leg}"


def find_wrong_mail(carriers: Iterable[CarrierMock], orders: Iterable[JsonObject]) -> Iterator[str]:
    """Name what a backend would mail and should not, or mail more than once, or should mail and would not."""
    for carrier in carriers:
        mailed = Counter(carrier.placed())
        wanted = Counter(order["order_id"] for order in orders if order["backend"] == carrier.key)
        if mailed != wanted:
            yield f"{carrier.key} mails {[*(mailed - wanted)]} too often, {[*(wanted - mailed)]} not at all"


def find_rejections(mocks: Iterable[Mock]) -> Iterator[str]:
    """Say what mocks refused because it did not fit."""
    for mock in mocks:
        for each in mock.rejected:
            yield f"{mock.key} refused: {each.where} {each.reason}"


def find_leftovers(**left: int) -> Iterator[str]:
    """Say what is left over of what there should be none."""
    return (f"{number} {name} left over" for name, number in left.items() if number)
