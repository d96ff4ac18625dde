"""The e-waybill (面单) of an order, of whatever portal, as a PDF of 100 × 150 mm (contract: court_waybill, MianDan).

Two parts with a cut line between them: the post delivers by the upper one (派件联), the lower one (回执联) is signed
and goes back. Names, phones and addresses are masked on both (GB/T 41833). Case number and documents stand on the
receipt alone.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from govpost.adapters._sheet import Box, Sheet, Text, build_sheet
from govpost.schemas import Address, Direction, Item, Leg, Order, Party, Payer
from govpost.schemas.divisions import division, division_head
from govpost.schemas.errors import MappingError
from govpost.schemas.identifiers import check_waybill_no, mask_name, mask_phone, mask_room

__all__ = ["HEIGHT_MM", "RECEIPT_FROM_MM", "WIDTH_MM", "build_label", "check_leg"]

WIDTH_MM = 100
HEIGHT_MM = 150
#: The cut line, from the top: the receipt is below it.
RECEIPT_FROM_MM = 74

_LEFT = 4
_WIDTH = WIDTH_MM - 2 * _LEFT
#: Narrowest bar of the number on the delivery part and on the receipt: whole dots of printers with 8 a mm.
_MODULE_MM = 0.5
_SMALL_MODULE_MM = 0.25

#: What tells a court's case number (案号) from any other: （2023）渝0113民初1234号.
_COURT_CASE_NO = re.compile(r"[（(〔\[][0-9]{4}[）)〕\]]\S+号")

_PAYERS: Mapping[Payer, str] = {
    Payer.GOVERNMENT: "政府付费",
    Payer.APPLICANT: "申请人付费",
    Payer.RECIPIENT: "收件人到付",
}


@dataclass(frozen=True, slots=True)
class _Words:
    """How a label speaks: a court serves papers, an office sends them."""

    title: str
    receipt: str
    case: str
    recipient: str
    sender: str
    items: str
    #: Who may sign.
    relations: str
    note: str


_COURT = _Words(
    title="法院专递",
    receipt="送达回执",
    case="案号",
    recipient="受送达人",
    sender="送达法院",
    items="送达文书",
    relations="□本人　□同住成年家属　□指定代收人　□诉讼代理人\n□法定代表人/负责人　□单位收发人员　□其他：",
    note="签收人须出示有效身份证件并填写证件号码；本案对方当事人不得代收。拒绝签收的，记明情况后退回人民法院。",
)
_OFFICE = _Words(
    title="政务寄递",
    receipt="签收回执",
    case="业务编号",
    recipient="收件人",
    sender="寄件人",
    items="寄递材料",
    relations="□本人　□同住成年家属　□委托代理人\n□单位同事　□单位收发人员　□其他：",
    note="请核对签收人的有效身份证件后交付；代收的，注明与收件人关系。未能妥投的，勾选原因后退回寄件人。",
)

_REASONS = "□拒收　□地址有误　□查无此人　□已迁移　□联系不上　□其他："
_TIME = "　　年　　月　　日　　时"
#: A court's mail is tried three times at least, so that there is room for as many.
_ATTEMPTS = "①　　月　　日　　时　②　　月　　日　　时　③　　月　　日　　时"


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the receipt: its title, what stands in it, and how wide it is with its title, in mm."""

    title: str
    wordings: Sequence[str] = ("",)
    width: float = _WIDTH
    size: float = 8
    bold: bool = False


_Row = tuple[float, Sequence[_Field]]


def build_label(order: Order, waybill_no: str, *, leg: Leg = 1, route_code: str | None = None) -> bytes:
    """Make the label of one leg of an order: a PDF of one page, the same bytes for the same arguments.

    `route_code` is the post's sorting code, where its answer held one; without it the destination is written large.
    Raises MappingError for a number that is none, and for leg 2 of an order that is no round trip.
    """
    check_leg(order, leg)
    try:
        number = check_waybill_no(waybill_no)
    except ValueError as error:
        raise MappingError("waybill_no", str(error), portal=order.portal, order_id=order.order_id) from None
    words = _COURT if _COURT_CASE_NO.fullmatch(_case_no(order)) else _OFFICE
    sender, recipient = _parties(order, leg)

    def draw(sheet: Sheet) -> None:
        _draw_head(sheet, words, order=order, leg=leg)
        _draw_number(sheet, number)
        _draw_destination(sheet, recipient.address, route_code)
        _draw_party(sheet, Box(_LEFT, 40, _WIDTH, 17), recipient, sign="收", size=13, is_dark=True)
        _draw_party(sheet, Box(_LEFT, 57, _WIDTH, 14.5), sender, sign="寄", size=9)
        _draw_receipt_head(sheet, words, number)
        _draw_form(sheet, [*_rows(words, order, sender=sender, recipient=recipient)], top=85.5)
        sheet.write(Box(_LEFT, 146, _WIDTH, 3), Text(words.note, 5.5), least=4.5)

    return build_sheet(draw, width=WIDTH_MM, height=HEIGHT_MM, title=number)


def check_leg(order: Order, leg: Leg) -> None:
    """Raise MappingError for leg 2 of an order that is no round trip."""
    if leg == 2 and order.direction is not Direction.ROUND_TRIP:
        raise MappingError("leg", "the order is no round trip", portal=order.portal, order_id=order.order_id)


def _case_no(order: Order) -> str:
    """Take the number of the case: the one place that knows where an order keeps it."""
    return order.matter.case_ref or order.portal_ref


def _parties(order: Order, leg: Leg) -> tuple[Party, Party]:
    """Give sender and recipient; the second leg goes back."""
    return (order.sender, order.recipient) if leg == 1 else (order.recipient, order.sender)


def _draw_head(sheet: Sheet, words: _Words, *, order: Order, leg: Leg) -> None:
    sheet.write(Box(_LEFT, 2.5, 34, 8), Text(words.title, 20, bold=True))
    sheet.write(Box(_LEFT + 31, 5.5, 12, 4), Text("派件联", 8))
    legs = {1: "去程", 2: "返程"} if order.direction is Direction.ROUND_TRIP else {}
    tags = [_PAYERS[order.payer], *filter(None, [legs.get(leg)])]
    for place, tag in enumerate(tags, start=1):
        box = Box(_LEFT + _WIDTH - 21 * place + 1, 3.5, 20, 6)
        sheet.frame(box)
        sheet.write(box, Text(tag, 9, bold=True), align=0.5)


def _draw_number(sheet: Sheet, number: str) -> None:
    sheet.barcode(Box(0, 11, WIDTH_MM, 13), number, module=_MODULE_MM)
    sheet.write(Box(_LEFT, 24, _WIDTH, 5), Text(number, 12, bold=True), align=0.5)


def _draw_destination(sheet: Sheet, address: Address, route_code: str | None) -> None:
    box = Box(_LEFT, 29, _WIDTH, 11)
    sheet.frame(box, line=0.4)
    above, place = _destination(address)
    if not route_code:
        sheet.write(box, Text(f"{above} {place}".strip(), 24, bold=True), align=0.5)
        return
    sheet.write(Box(_LEFT + 2, 29, 54, 11), Text(route_code, 26, bold=True))
    sheet.rule(_LEFT + 57, 29, height=11)
    sheet.write(Box(_LEFT + 58, 29, 33, 11), Text(above, 9), Text(place, 15, bold=True), align=0.5)


def _draw_party(sheet: Sheet, box: Box, party: Party, *, sign: str, size: float, is_dark: bool = False) -> None:
    sheet.frame(box)
    seal = Box(box.x + 1.5, box.y + (box.height - size / 2) / 2, size / 2, size / 2)
    sheet.frame(seal, is_filled=is_dark)
    sheet.write(seal, Text(sign, size, bold=True), align=0.5, ink=1 if is_dark else 0)
    who = Text(f"{_who(party)}　{mask_phone(party.phone)}", size, bold=True)
    text = Box(box.x + 10, box.y + 0.5, box.width - 11, box.height - 1)
    sheet.write(text, who, Text(_where(party.address), size - 1), least=4)


def _draw_receipt_head(sheet: Sheet, words: _Words, number: str) -> None:
    sheet.write(Box(1, RECEIPT_FROM_MM - 2, 4, 4), Text("✂", 9))
    sheet.rule(5, RECEIPT_FROM_MM, width=WIDTH_MM - 5, dash=1)
    sheet.write(Box(_LEFT, 76.5, 34, 8), Text(words.receipt, 16, bold=True))
    sheet.write(Box(_LEFT + 25, 79, 12, 4), Text("回执联", 8))
    right = _LEFT + _WIDTH - 42
    sheet.barcode(Box(right, 75.5, 42, 6), number, module=_SMALL_MODULE_MM)
    sheet.write(Box(right, 81.7, 42, 3), Text(number, 7), align=0.5)


def _rows(words: _Words, order: Order, *, sender: Party, recipient: Party) -> Iterator[_Row]:
    """List the rows of the receipt: how high they are, in mm, and their fields."""
    half = _WIDTH / 2
    office = sender.organization or _who(sender)
    yield 6, [_Field(words.case, [_case_no(order)], size=10, bold=True)]
    yield 6, [_Field(words.recipient, [_who(recipient)], half), _Field(words.sender, [office], half)]
    yield 12.5, [_Field(words.items, _listings(order.items))]
    yield 9, [_Field("签收人签名盖章或捺印", width=40), _Field("签收时间", [_TIME], _WIDTH - 40)]
    yield 6.5, [_Field("证件类型及号码", width=60), _Field("投递员签名", width=_WIDTH - 60)]
    yield 8, [_Field(f"与{words.recipient}关系", [words.relations])]
    yield 6, [_Field("未妥投原因", [_REASONS])]
    yield 6, [_Field("投递记录", [_ATTEMPTS])]


def _draw_form(sheet: Sheet, rows: Sequence[_Row], *, top: float) -> None:
    for height, fields in rows:
        left: float = _LEFT
        for field in fields:
            sheet.frame(Box(left, top, field.width, height))
            sheet.rule(left + 14, top, height=height)
            sheet.write(Box(left + 0.5, top, 13, height), Text(field.title, 7, bold=True), align=0.5)
            _draw_field(sheet, Box(left + 15, top + 0.3, field.width - 16, height - 0.6), field)
            left += field.width
        top += height


def _draw_field(sheet: Sheet, box: Box, field: _Field) -> None:
    """Write the first wording that fits, in lines as it has them; the last one whether it fits or not."""
    worded = [[Text(line, field.size, bold=field.bold) for line in text.split("\n")] for text in field.wordings]
    fitting = bisect_left(worded[:-1], x=True, key=lambda lines: sheet.fits(box, *lines, least=4.5))
    sheet.write(box, *worded[fitting], least=4.5)


def _listings(items: Sequence[Item]) -> Sequence[str]:
    """Word the list of documents, the whole of it first, then with fewer and fewer of them named."""
    named = [f"{item.name} {item.copies}份" for item in items]
    total = f"共{sum(item.copies for item in items)}份"
    return [f"{'；'.join(named)}（{total}）"] + [
        f"{'；'.join(named[:count])}等{len(named)}件（{total}）" for count in range(len(named) - 1, 0, -1)
    ]


def _who(party: Party) -> str:
    """Name a party: an organization in full, a person masked."""
    if party.organization is None:
        return mask_name(party.name)
    if party.organization == party.name:
        return party.organization
    return f"{party.organization} {mask_name(party.name)}"


def _where(address: Address) -> str:
    """Write an address out, unit and room hidden."""
    names = _names(address)
    known = next((number for number, name in enumerate(names) if address.street.startswith(name)), len(names))
    return "".join(names[:known]) + mask_room(address.street)


def _destination(address: Address) -> tuple[str, str]:
    """Name where it goes, down to the county: the divisions above, and the last one."""
    *above, place = _names(address) or [""]
    found = division(address.division_code) if address.division_code else None
    if place:
        return "".join(above), place
    if found:
        return found.full_name.removesuffix(found.name), found.name
    return "", division_head(address.street)


def _names(address: Address) -> list[str]:
    """List the divisions that an address names, a municipality once."""
    return list(dict.fromkeys(name for name in (address.province, address.city, address.county) if name))
