"""The e-waybill, as others read it: a PDF reader and a barcode reader that know nothing of how it was made."""

import json
import re
import subprocess
import sys
import zlib
from base64 import a85decode
from datetime import UTC, datetime
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp

from govpost.adapters._sheet import _ONE_AT_A_TIME, build_sheet
from govpost.adapters.fields import build_order
from govpost.adapters.label import HEIGHT_MM, RECEIPT_FROM_MM, WIDTH_MM, build_label
from govpost.adapters.quanyu_tongban.items import read_item
from govpost.adapters.yukuaiban.fields import FIELDS
from govpost.schemas import Address, Direction, Item, Matter, Order, Party, Payer
from govpost.schemas.errors import MappingError

TREE = Path(__file__).parents[2]
DATA = TREE / "tests" / "data"
NUMBER = "EA123456785CN"
MM = 72 / 25.4
CASE_NO = "（2023）渝0113民初3006号"
#: 䶮 and 㛃 stand in nothing but what is hidden.
NAME, PHONE, ROOM = "何䶮㛃", "13883269998", "锦绣家园28栋15-1"


#: What the ledger adds to an order.
KEPT = {
    "order_id": "01HGGY4B5R0000000000000AB1",
    "portal": "court",
    "accepted_at": datetime(2023, 12, 1, 0, 30, tzinfo=UTC),
}


def order(**changes):
    """Build a court's order."""
    facts = {
        **KEPT,
        "portal_ref": "FY0113-20231201-002-0001",
        "direction": Direction.TO_APPLICANT,
        "mode": "counter",
        "payer": Payer.GOVERNMENT,
        "sender": party("赵梦杰", "17271638110", "重庆市巴南区龙洲大道", organization="重庆市巴南区人民法院"),
        "recipient": party(NAME, PHONE, f"重庆市大渡口区凤凰路867号{ROOM}"),
        "items": [Item(name="传票"), Item(name="起诉状副本", copies=2)],
        "matter": Matter(name="民间借贷纠纷", case_ref=CASE_NO),
        "remark": "请于开庭前送达",
    }
    return Order(**{**facts, **changes})


def party(name, phone, street, *, organization=None, **names):
    """Build a party."""
    return Party(name=name, phone=phone, organization=organization, address=Address(street=street, **names))


def page_of(pdf):
    """Open the one page."""
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    return document[0]


def text_of(pdf, *, part="whole"):
    """Read the text of the page, or of what lies above or below its cut line; line ends left out."""
    cut = (HEIGHT_MM - RECEIPT_FROM_MM) * MM
    bounds = {"whole": {}, "delivery": {"bottom": cut}, "receipt": {"top": cut}}[part]
    return re.sub(r"[\r\n]", "", page_of(pdf).get_textpage().get_text_bounded(**bounds))


def streams_of(pdf):
    """Unpack every stream: what the page draws, its font, and the table from the font's codes to characters."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\n?endstream", pdf, re.DOTALL)
    packed = (a85decode(b"<~" + one, adobe=True) if one.endswith(b"~>") else one for one in streams)
    return [zlib.decompress(one) for one in packed]


def bars_of(pdf, *, dots_a_mm=8):
    """Read the barcodes of the page as a label printer prints it, from the top."""
    picture = page_of(pdf).render(scale=dots_a_mm / MM).to_pil().convert("L")
    found = zxingcpp.read_barcodes(picture)
    found.sort(key=lambda bars: bars.position.top_left.y)
    return [(bars.format, bars.text) for bars in found]


def sample_orders():
    """Collect every sample that the project holds, of whatever portal, as an order."""
    read = [json.loads(path.read_text("utf-8")) for path in sorted(TREE.glob("schemas/wire/*/samples/*.order.json"))]
    pushed = json.loads((DATA / "yukuaiban_orders.json").read_text("utf-8"))
    polled = json.loads((DATA / "quanyu_tongban_items.json").read_text("utf-8"))
    contents = [build_order(FIELDS, {**one["order"], "secret": one["secret_opens_to"]}) for one in pushed]
    contents += [read_item(item).order for item in polled]
    read += [content.model_dump(exclude_unset=True) for content in contents]
    return [Order.model_validate({**KEPT, **document}) for document in read]


def test_it_is_one_page_of_the_size_of_a_label():
    """100 × 150 mm."""
    assert [round(side / MM, 2) for side in page_of(build_label(order(), NUMBER)).get_size()] == [100, 150]


@pytest.mark.parametrize("number", [NUMBER, "1100012345678"])
@pytest.mark.parametrize("dots_a_mm", [8, 12])
def test_both_parts_carry_the_number_as_code_128(number, dots_a_mm):
    """An independent reader reads it from the picture at 203 and at 300 dots an inch, the quiet zones with it."""
    bars = bars_of(build_label(order(), number), dots_a_mm=dots_a_mm)

    assert bars == [(zxingcpp.BarcodeFormat.Code128, number)] * 2


def test_both_parts_carry_the_number_as_text():
    """A person can read what a scanner cannot."""
    pdf = build_label(order(), NUMBER)

    assert [text_of(pdf, part=part).count(NUMBER) for part in ("delivery", "receipt")] == [1, 1]


def test_persons_are_masked():
    """Names, phones and addresses of both sides are shown as far as GB/T 41833 lets them be."""
    text = text_of(build_label(order(), NUMBER), part="delivery")

    assert "何**　138******98重庆市大渡口区凤凰路867号****" in text
    assert "重庆市巴南区人民法院 赵**　172******10重庆市巴南区龙洲大道" in text


def test_nothing_hidden_is_anywhere_in_the_file():
    """Not as text, not in its properties, and not in the font: glyphs of hidden characters are not even embedded."""
    pdf = build_label(order(), NUMBER)
    streams = b"\n".join(streams_of(pdf))

    assert [value for value in (NAME, PHONE, ROOM, "28栋", "15-1", "民间借贷", "开庭") if value in text_of(pdf)] == []
    assert f"<{ord('何'):04X}>".encode() in streams
    assert [char for char in "䶮㛃锦绣栋梦" if f"<{ord(char):04X}>".encode() in streams] == []
    assert pypdfium2.PdfDocument(pdf).get_metadata_dict(skip_empty=True).keys() <= {
        "Title", "Author", "Creator", "Producer", "CreationDate", "ModDate", "Subject", "Keywords",
    }  # fmt: skip
    assert pypdfium2.PdfDocument(pdf).get_metadata_value("Title") == NUMBER


def test_case_number_and_documents_stand_on_the_receipt_alone():
    """What somebody is summoned for is not read from the part that stays on the envelope."""
    pdf = build_label(order(), NUMBER)
    told = (CASE_NO, "传票 1份；起诉状副本 2份（共3份）", "送达文书")

    assert [value for value in told if value not in text_of(pdf, part="receipt")] == []
    assert [value for value in (*told, "传票", "起诉状", "民初") if value in text_of(pdf, part="delivery")] == []


def test_every_letter_lies_on_one_side_of_the_cut():
    """Nothing but the scissors is cut through."""
    textpage = page_of(build_label(order(), NUMBER)).get_textpage()
    cut = (HEIGHT_MM - RECEIPT_FROM_MM) * MM
    text = textpage.get_text_range()
    boxes = [(text[index], textpage.get_charbox(index)) for index in range(textpage.count_chars())]

    assert [char for char, (_, bottom, _, top) in boxes if bottom < cut < top] == ["✂"]


@pytest.mark.parametrize("form", ["（2023）渝0113民初1234号", "(2023)渝0113民初1号", "〔2023〕渝0113知民初1号"])
def test_a_case_number_makes_it_a_courts(form):
    """Brackets of every kind occur."""
    text = text_of(build_label(order(matter=Matter(case_ref=form)), NUMBER))

    assert [
        word
        for word in ("法院专递", "送达回执", "受送达人", "送达法院", "对方当事人", f"案号 {form}")
        if word not in text
    ] == []


@pytest.mark.parametrize(
    ("case_ref", "shown"),
    [("11500113719483531710001", "11500113719483531710001"), (None, "FY0113-20231201-002-0001"), ("1号", "1号")],
)
def test_any_other_order_is_an_offices(case_ref, shown):
    """It speaks of no court; without a case the portal's own number stands for it, on the receipt alone."""
    pdf = build_label(order(matter=Matter(case_ref=case_ref), sender=party("周文", PHONE, "人民路1号")), NUMBER)

    assert f"业务编号 {shown}" in text_of(pdf, part="receipt")
    assert f"业务编号 {shown}" not in text_of(pdf, part="delivery")
    assert [word for word in ("法院", "送达", "案号", "当事人") if word in text_of(pdf)] == []
    assert "政务寄递" in text_of(pdf)


def test_the_receipt_asks_for_what_service_needs():
    """Who signed, in which relation, by which document, when; or why it comes back, after which attempts."""
    text = text_of(build_label(order(), NUMBER), part="receipt").replace("　", "")
    asked = (
        "签收人签名盖章或捺印", "签收时间 年月日时", "证件类型及号码", "投递员签名", "与受送达人关系", "□本人",
        "□同住成年家属", "□指定代收人", "□诉讼代理人", "□法定代表人/负责人", "□单位收发人员", "未妥投原因", "□拒收",
        "□地址有误", "□查无此人", "□已迁移", "□联系不上", "□其他：", "投递记录", "①月日时②月日时③月日时",
    )  # fmt: skip

    assert [value for value in asked if value not in text] == []


def test_the_same_order_gives_the_same_bytes():
    """In another process, whose hashes differ, too."""
    script = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('label_test', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "sys.stdout.buffer.write(module.build_label(module.order(), module.NUMBER))"
    )
    done = subprocess.run([sys.executable, "-c", script, __file__], capture_output=True, timeout=60, check=True)

    assert done.stdout == build_label(order(), NUMBER) == build_label(order(), NUMBER)


def test_pages_are_made_one_at_a_time():
    """Threads share the font, and its reader can serve one page at a time only."""
    could_begin = []
    build_sheet(lambda _: could_begin.append(_ONE_AT_A_TIME.acquire(blocking=False)), width=10, height=10, title="")

    assert could_begin == [False]


def test_every_sample_order_can_be_labelled():
    """Of whatever portal, both legs where there are two; nothing is cut off, missing, or shown that is hidden."""
    orders = sample_orders()
    assert len(orders) > 80
    for one in orders:
        legs = (1, 2) if one.direction is Direction.ROUND_TRIP else (1,)
        for leg in legs:
            text = text_of(build_label(one, NUMBER, leg=leg))
            parties = (one.sender, one.recipient)
            phones = [party.phone for party in parties]
            names = [party.name for party in parties if party.organization is None]
            assert [value for value in (*phones, *names, "栋", "…", "〓") if value in text] == []


def test_the_way_back_goes_back():
    """On leg 2 the recipient sends and the sender receives, and the label says which leg it is."""
    one = order(direction=Direction.ROUND_TRIP)
    there, back = (text_of(build_label(one, NUMBER, leg=leg), part="delivery") for leg in (1, 2))

    assert there.index("何**") < there.index("赵**")
    assert back.index("赵**") < back.index("何**")
    assert ("去程" in there, "返程" in there, "去程" in back, "返程" in back) == (True, False, False, True)


def test_one_way_has_no_way_back():
    """Leg 2 of an order that is no round trip is refused by name."""
    with pytest.raises(MappingError, match=r"^leg: the order is no round trip$"):
        build_label(order(), NUMBER, leg=2)


@pytest.mark.parametrize("number", ["", "EA123456789CN", "EA123456785CN,EA123456799CN", "邮件1"])
def test_what_is_no_mail_number_is_refused(number):
    """The message names the field and not the value."""
    with pytest.raises(MappingError, match=r"^waybill_no: [^0-9]*(?:check digit|two capitals)") as caught:
        build_label(order(), number)

    assert not number or number not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (Address(street="人民路1号", province="四川省", city="泸州市", county="龙马潭区"), "四川省泸州市 龙马潭区"),
        (Address(street="人民路1号", province="重庆市", city="重庆市", county="巴南区"), "重庆市 巴南区"),
        (Address(street="人民路1号", division_code="500104"), "重庆市 大渡口区"),
        (Address(street="重庆市巴南区人民路1号"), "重庆市巴南区"),
    ],
)
def test_without_a_route_code_the_destination_is_large(address, shown):
    """From the names, else the code, else the head of the address."""
    recipient = Party(name="甲", phone=PHONE, address=address)

    assert f"{NUMBER}{shown}收" in text_of(build_label(order(recipient=recipient), NUMBER))


def test_a_route_code_stands_beside_the_destination():
    """The sorting code of the post goes first."""
    text = text_of(build_label(order(), NUMBER, route_code="400013-A1"))

    assert "400013-A1" in text
    assert "重庆市大渡口区" in text


@pytest.mark.parametrize(
    ("names", "street", "shown"),
    [
        ({"province": "重庆市", "city": "重庆市", "county": "巴南区"}, "人民路1号", "重庆市巴南区人民路1号"),
        ({"province": "重庆市", "county": "巴南区"}, "重庆市巴南区人民路1号", "重庆市巴南区人民路1号"),
        ({"province": "四川省", "city": "泸州市"}, "泸州市龙马潭区人民路1号", "四川省泸州市龙马潭区人民路1号"),
    ],
)
def test_divisions_are_named_once(names, street, shown):
    """Whether a portal writes an address in one piece or in four."""
    text = text_of(build_label(order(recipient=party("甲", PHONE, street, **names)), NUMBER))

    assert f"138******98{shown}" in text


def test_an_organization_is_named_in_full():
    """Only persons are masked: who is the organization itself, and who receives at one."""
    sender = party("重庆某某有限公司", "023-66221234", "人民路1号", organization="重庆某某有限公司")
    recipient = party("李雷", PHONE, "人民路2号", organization="重庆某某厂")
    text = text_of(build_label(order(sender=sender, recipient=recipient), NUMBER), part="delivery")

    assert "重庆某某有限公司　023-******34" in text
    assert "重庆某某厂 李*　138******98" in text


@pytest.mark.parametrize(("payer", "shown"), [(Payer.RECIPIENT, "到付"), (Payer.GOVERNMENT, "政府付费")])
def test_it_says_who_pays(payer, shown):
    """The courier must know whether to ask for money."""
    assert shown in text_of(build_label(order(payer=payer), NUMBER), part="delivery")


LONGEST = {
    "sender": party(
        "某" * 50, "023-68889999-123456", "重庆市巴南区" + "长" * 194,
        organization="机" * 100, province="新疆维吾尔自治区", city="克孜勒苏柯尔克孜自治州", county="阿合奇县",
    ),
    "recipient": party(
        "尼" * 50, "0236-61234567-123456", "道" * 196 + "路1号",
        province="新疆维吾尔自治区", city="克孜勒苏柯尔克孜自治州", county="阿合奇县",
    ),
    "items": [Item(name=f"{number:02}" + "文" * 98, copies=3) for number in range(20)],
    "matter": Matter(case_ref="（2023）最高法知民终" + "1" * 87 + "号"),
}  # fmt: skip


def test_the_longest_texts_stay_within_the_page():
    """Every letter lies 1 mm from the edge at least, and the numbers can still be scanned."""
    pdf = build_label(order(**LONGEST), NUMBER, route_code="W" * 30)
    textpage = page_of(pdf).get_textpage()
    boxes = [textpage.get_charbox(index) for index in range(textpage.count_chars())]
    outside = [
        box
        for box in boxes
        if box[0] < MM or box[1] < MM or box[2] > (WIDTH_MM - 1) * MM or box[3] > (HEIGHT_MM - 1) * MM
    ]

    assert len(boxes) > 1000
    assert outside == []
    assert [text for _, text in bars_of(pdf)] == [NUMBER, NUMBER]


def test_the_longest_addresses_are_shown_whole():
    """What the courier needs is written smaller rather than cut; documents too many are counted."""
    pdf = build_label(order(**LONGEST), NUMBER)
    delivery, receipt = text_of(pdf, part="delivery"), text_of(pdf, part="receipt")

    assert "新疆维吾尔自治区克孜勒苏柯尔克孜自治州阿合奇县" + "道" * 196 + "路1号" in delivery
    assert "机" * 100 in delivery
    assert "长" * 194 in delivery
    assert "…" not in delivery
    assert "（2023）最高法知民终" + "1" * 87 + "号" in receipt
    assert "00" + "文" * 98 + " 3份；01" + "文" * 98 + " 3份等20件（共60份）" in receipt


def test_twenty_usual_documents_are_all_named():
    """Counting them is for the longest names only."""
    items = [Item(name=f"第{number}号证据材料副本") for number in range(1, 21)]
    text = text_of(build_label(order(items=items), NUMBER), part="receipt").replace(" ", "")

    assert "；".join(f"{item.name}1份" for item in items) + "（共20份）" in text


def test_rare_characters_are_shown():
    """The font has what GB 18030 brings into names and addresses, and 𠮷 beyond it."""
    street = "㛃䶮·〇鿍𠮷路1号"
    text = text_of(build_label(order(recipient=party("䶮", PHONE, street)), NUMBER))

    assert "㛃䶮·〇鿍" in text
    assert "〓" not in text


def test_a_character_that_the_font_lacks_leaves_a_mark():
    """Each is shown as 〓: none vanishes, none breaks the label."""
    text = text_of(build_label(order(items=[Item(name="བོད𪜀😀证")]), NUMBER))

    assert "〓〓〓〓〓证 1份" in text


def test_what_cannot_be_seen_is_not_shown():
    """Line ends become spaces; direction marks, joiners and variation selectors are left out."""
    recipient = party("甲", PHONE, "人民路1号", organization="甲\n乙\u202e丙\u200d丁\ufe0f戊\x07己e\u0301厂")

    assert "甲 乙丙丁戊己é厂" in text_of(build_label(order(recipient=recipient), NUMBER), part="delivery")


def test_its_one_font_is_embedded():
    """No reader needs a font of its own."""
    pdf = build_label(order(**LONGEST), NUMBER)
    fonts = re.findall(rb"/BaseFont /([^ \n]+)", pdf)

    assert {font.partition(b"+")[2] for font in fonts} == {b"GovpostLabel"}
    assert len(re.findall(rb"/FontFile2 ", pdf)) == len(fonts)
