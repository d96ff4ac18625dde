"""车管: three ways to call, every record read or refused by name, rounds that lose nothing, and write-backs."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from lxml import etree

from govpost.adapters.base import DeliveryKind, Document, Owed, OwedRefusal, Page
from govpost.adapters.fields import order_to_wire
from govpost.adapters.protocols.content import drop_empty
from govpost.adapters.protocols.shanghai import DASHED
from govpost.adapters.registry import load_adapter
from govpost.adapters.vehicle_admin.fields import FIELDS, LANDLINE_FIELDS
from govpost.schemas import (
    Direction,
    Event,
    Item,
    Mode,
    Office,
    Order,
    Outcome,
    OutcomeKind,
    Payer,
    Place,
    Presence,
    Reason,
    Refuse,
    Signer,
    Source,
    Status,
    Update,
    WireReply,
)
from govpost.schemas.errors import BreakageError, ConfigurationError, UnsupportedFeatureError

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
GOLDEN = ROOT / "schemas" / "wire" / "vehicle_admin" / "samples"
EXAMPLE = json.loads((DATA / "examples.json").read_text("utf-8"))["vehicle_admin"]
SAMPLES = json.loads((DATA / "vehicle_admin_records.json").read_text("utf-8"))
RECORD = EXAMPLE["reply_decoded_records"][0]
LSH = RECORD["lsh"]
GLBM = "500113000400"
REF = f"{GLBM}-{LSH}"
HOST, OTHER_HOST = "https://relay-1.example", "https://relay-2.example:8443"
PATH = "/trffweb/services/TmriOutNewAccess"
REQUEST_NAMESPACE = "http://endpoint.axis.framework.tmri.com"
NOW = datetime(2023, 12, 1, 1, 0, 0, 400_000, tzinfo=UTC)
ORDER_ID = "01HGGY4B5R0000000000000AB1"
PROLOG = '<?xml version="1.0" encoding="GBK"?>'
SAID = {
    "xtlb": "02",
    "cjsqbh": "C1",
    "yhbz": "U1",
    "dwmc": "重庆市车辆管理所",
    "dwjgdm": "500113000400",
    "yhxm": "便民通",
    "zdbs": "10.0.0.1",
}
#: What no reason and no repr may show.
PERSONAL = [RECORD[name] for name in ("xm", "sjhm", "sfzmhm", "yjdz", "hphm", "dabh")]

TAKEN, REFUSED, UNKNOWN, NOT_SENT = (
    OutcomeKind.TAKEN,
    OutcomeKind.REFUSED,
    OutcomeKind.UNKNOWN,
    OutcomeKind.NOT_SENT,
)


def _offices(number=1):
    glbms = [GLBM, *(f"5002{n:02d}000400" for n in range(1, number))]
    return [{"glbm": glbm, "jkxlh": f"xlh-{glbm}"} for glbm in glbms]


def _build(**changes):
    settings = {"endpoints": [f"{HOST}{PATH}"], "service": "out_new", **SAID, "offices": _offices(), **changes}
    given = {name: value for name, value in settings.items() if value is not None}
    return load_adapter("vehicle_admin").build(given, section="portals.vehicle_admin")


@pytest.fixture
def portal():
    """Build the adapter as the gateway does."""
    return _build()


def _source(now=NOW):
    return Source(now=lambda: now, token=lambda: "0" * 32)


def _talk(conversation, *replies):
    """Drive a conversation to its end: the requests it made, and its result. An outcome for a reply breaks it."""
    requests = [next(conversation)]
    for reply in replies:
        try:
            broken = isinstance(reply, Outcome)
            requests.append(conversation.throw(BreakageError(reply)) if broken else conversation.send(reply))
        except StopIteration as stop:
            return requests, stop.value
    raise AssertionError("the conversation wants more replies")


def _soap(text, *, operation="queryObjectOut", namespace=f"{HOST}{PATH}", status=200):
    returned = f"<{operation}Return>{escape(text)}</{operation}Return>"
    answer = f'<n:{operation}Response xmlns:n="{namespace}">{returned}</n:{operation}Response>'
    envelope = f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{answer}</e:Body></e:Envelope>'
    return WireReply(status, {"Content-Type": "text/xml"}, f'<?xml version="1.0"?>{envelope}'.encode())


def _document(*records, code="1", rownum=None, message="成功"):
    """Write an answer as the portal does; a record is a dict, or text as it stands."""
    written = "".join(
        record if isinstance(record, str) else _rec(number, record) for number, record in enumerate(records)
    )
    rows = len(records) if rownum is None else rownum
    head = f"<code>{code}</code><message>{quote(message)}</message><rownum>{rows}</rownum>"
    return f"{PROLOG}<root><head>{head}</head><body>{written}</body></root>"


def _rec(number, record):
    members = "".join(f"<{name}>{quote(escape(value), safe='')}</{name}>" for name, value in record.items())
    return f'<REC id="{number}">{members}</REC>'


def _found(*records, **head):
    return _soap(_document(*records, **head))


def _done(code="1", message="成功"):
    head = f"<code>{code}</code><message>{quote(message)}</message>"
    return _soap(f"{PROLOG}<root><head>{head}</head></root>", operation="writeObjectOut")


def _call(request):
    """Take a request apart: its operation, and its arguments in their order."""
    ((call,),) = etree.fromstring(request.body)
    return etree.QName(call).localname, {argument.tag: argument.text for argument in call}


def _inner(request):
    """Take the document in a request apart, values as they stand."""
    root = etree.fromstring(_call(request)[1]["UTF8XmlDoc"].encode())
    ((name, *_),) = [(child.tag,) for child in root]
    return name, {member.tag: member.text or "" for member in root[0]}


def _polled(portal, *records, **head):
    return _talk(portal.poll("", _source()), _found(*records, **head))[1]


def _one(portal, **changes):
    """Poll the example's record, changed; None drops an element."""
    record = {name: value for name, value in {**RECORD, **changes}.items() if value is not None}
    (command,) = _polled(portal, record).commands
    return command


def _order(portal_ref=REF, direction=Direction.TO_APPLICANT):
    person = {"name": "甲", "phone": "13800000000", "address": {"street": "一号"}}
    return Order(
        portal_ref=portal_ref,
        direction=direction,
        mode=Mode.ROUTE,
        payer=Payer.GOVERNMENT,
        sender=person,
        recipient=person,
        items=({"name": "证"},),
        matter={},
        order_id=ORDER_ID,
        portal="vehicle_admin",
        accepted_at=NOW,
    )


def _owed(status, *, event=None, corrects=None, waybill_no="EA969294768CN", leg=1, order=None, number=1):
    event = event or Event(event_id="e1", status=status, occurred_at=NOW)
    update = Update(ORDER_ID, event, status, leg, waybill_no, corrects)
    return Owed(f"{number:026}", DeliveryKind.UPDATE, order or _order(), NOW, update)


def _written(portal, owed):
    """Render what is owed: what the write-back says."""
    document = portal.render(owed)
    root = etree.fromstring(document.body.decode().encode())
    assert [child.tag for child in root] == ["MailRecord"]
    return {member.tag: member.text or "" for member in root[0]}


def _said(text):
    return quote(text, safe="")


# --- Calling ---

OLD = ["xtlb", "jkxlh", "jkid", "UTF8XmlDoc"]
NEW = ["xtlb", "jkxlh", "jkid", "yhbz", "dwmc", "dwjgdm", "yhxm", "zdbs", "UTF8XmlDoc"]
NEW_NEW = ["xtlb", "jkxlh", "jkid", "cjsqbh", "dwjgdm", "dwmc", "yhbz", "yhxm", "zdbs", "UTF8XmlDoc"]


@pytest.mark.parametrize(
    ("service", "names", "suffix"), [("out", OLD, ""), ("out_new", NEW, ""), ("out_new_new", NEW_NEW, "New")]
)
def test_each_service_has_its_operations_and_their_order(service, names, suffix):
    """What each call says of who calls stands where that operation wants it."""
    portal = _build(service=service)
    ((query,), _) = _talk(portal.poll("", _source()), _soap(_document(), operation=f"queryObjectOut{suffix}"))
    ((write,), _) = _talk(
        portal.send([portal.render(_owed(Status.COLLECTED))], _source()),
        _soap(f"{PROLOG}<root><head><code>1</code></head></root>", operation=f"writeObjectOut{suffix}"),
    )
    for request, operation, jkid in ((query, "queryObjectOut", "02Y01"), (write, "writeObjectOut", "02Y02")):
        called, arguments = _call(request)
        assert (called, list(arguments)) == (operation + suffix, names)
        assert arguments.pop("UTF8XmlDoc").startswith(PROLOG)
        expected = {**SAID, "jkxlh": f"xlh-{GLBM}", "jkid": jkid}
        assert arguments == {name: expected[name] for name in names[:-1]}
        assert (request.method, request.url) == ("POST", f"{HOST}{PATH}")
        assert request.headers["SOAPAction"] == '""'


def test_the_worked_query_is_reproduced(portal):
    """Byte for byte, in its envelope: an hour that begins ten minutes behind the round before."""
    _, page = _talk(portal.poll("", _source(datetime(2023, 12, 1, 0, 10, tzinfo=UTC))), _found())
    request = next(portal.poll(page.cursor, _source(NOW)))
    assert _call(request)[1]["UTF8XmlDoc"] == EXAMPLE["query_doc"]


@pytest.mark.parametrize(
    "namespace", [f"{HOST}{PATH}", REQUEST_NAMESPACE, f"http://10.0.0.9:9080{PATH}"], ids=["ours", "request", "behind"]
)
def test_an_answer_is_read_in_either_namespace(portal, namespace):
    """The address asked, that of requests, and the address that the service has behind a relay."""
    page = _talk(portal.poll("", _source()), _soap(_document(RECORD), namespace=namespace))[1]
    assert [command.order.portal_ref for command in page.commands] == [REF]


@pytest.mark.parametrize("namespace", ["urn:x", f"{HOST}/other", f"ftp://relay{PATH}", "http://[", f"x{PATH}"])
def test_no_other_namespace_is_an_answer(portal, namespace):
    """It may be anybody's."""
    result = _talk(portal.poll("", _source()), _soap(_document(RECORD), namespace=namespace))[1]
    assert result.kind is UNKNOWN


def _two_addresses():
    return _build(endpoints=[f"{HOST}{PATH}", f"{OTHER_HOST}{PATH}"])


def test_the_next_address_is_tried_after_not_sent():
    """With the same bytes; its answer counts, in its own namespace."""
    portal = _two_addresses()
    broken = Outcome(NOT_SENT, code="refused_connection")
    answer = _soap(_document(RECORD), namespace=f"{OTHER_HOST}{PATH}")
    (first, second), page = _talk(portal.poll("", _source()), broken, answer)
    assert [first.url, second.url] == [f"{HOST}{PATH}", f"{OTHER_HOST}{PATH}"]
    assert first.body == second.body
    assert isinstance(page, Page)


@pytest.mark.parametrize("code", ["timeout", "connection_lost"])
def test_no_other_address_is_tried_when_something_may_have_arrived(code):
    """A write whose answer was lost."""
    portal = _two_addresses()
    conversation = portal.send([portal.render(_owed(Status.COLLECTED))], _source())
    next(conversation)
    with pytest.raises(BreakageError) as raised:
        conversation.throw(BreakageError(Outcome(UNKNOWN, code=code)))
    assert raised.value.outcome.code == code


@pytest.mark.parametrize("status", [500, 503, 404])
def test_no_other_address_is_tried_after_an_answer(status):
    """However bad."""
    portal = _two_addresses()
    document = portal.render(_owed(Status.COLLECTED))
    requests, _ = _talk(portal.send([document], _source()), WireReply(status))
    assert len(requests) == 1


def test_when_no_address_can_be_reached_nothing_was_sent():
    """The last breakage is the outcome."""
    portal = _two_addresses()
    conversation = portal.poll("", _source())
    next(conversation)
    conversation.throw(BreakageError(Outcome(NOT_SENT, code="dns")))
    with pytest.raises(BreakageError) as raised:
        conversation.throw(BreakageError(Outcome(NOT_SENT, code="tls")))
    assert (raised.value.outcome.kind, raised.value.outcome.code) == (NOT_SENT, "tls")


# --- Records ---


def test_the_worked_answer_is_read(portal):
    """Each element stands where it belongs; gxsj is no content."""
    page = _talk(portal.poll("", _source()), _soap(EXAMPLE["reply_string"]))[1]
    place, other = page.commands
    order = place.order
    assert (order.portal_ref, other.order.portal_ref) == (REF, f"{GLBM}-1231201000001")
    assert (order.direction, order.mode, order.payer) == (Direction.TO_APPLICANT, Mode.ROUTE, Payer.APPLICANT)
    assert (order.recipient.name, order.recipient.phone) == ("钱琪桐", "15157368193")
    assert order.recipient.address.street == RECORD["yjdz"]
    assert (order.recipient.address.division_code, order.recipient.address.postcode) == ("500230", "400000")
    assert (order.recipient.id_document.type, order.recipient.id_document.no) == ("111", RECORD["sfzmhm"])
    assert [(item.name, item.type, item.copies) for item in order.items] == [
        ("行驶证", "other", 1),
        ("检验标志", "other", 1),
    ]
    assert (order.matter.code, order.matter.name) == ("XSZ", "行驶证（跨区制证）")
    assert (order.matter.authority.code, order.matter.division_code) == (GLBM, "500113")
    assert order.extras == {name: RECORD[name] for name in ("kqzz", "dabh", "hpzl", "hphm", "fzjg")}
    assert order.submitted_at == datetime(2023, 12, 1, 0, 10, tzinfo=UTC)
    assert place.content == {name: value for name, value in RECORD.items() if name != "gxsj"}
    assert not any(text in repr(page) for text in PERSONAL)


def test_every_sample_is_read(portal):
    """All forty become orders; that they were made in another district is carried, and said."""
    commands = _polled(portal, *SAMPLES).commands
    assert [command.order.portal_ref for command in commands] == [f"{GLBM}-{record['lsh']}" for record in SAMPLES]
    for record, place in zip(SAMPLES, commands, strict=True):
        assert place.order.recipient.name == record["xm"]
        assert "、".join(item.name for item in place.order.items) == record["clqd"]
        assert place.order.extras["kqzz"] == record["kqzz"]
        assert place.order.matter.name.endswith("（跨区制证）") == (record["kqzz"] == "1")


@pytest.mark.parametrize("name", sorted(path.name.partition(".")[0] for path in GOLDEN.glob("*.wire.json")))
def test_the_samples_go_both_ways(portal, name):
    """The pairs beside the wire contract hold."""
    wire = json.loads((GOLDEN / f"{name}.wire.json").read_text("utf-8"))
    expected = json.loads((GOLDEN / f"{name}.order.json").read_text("utf-8"))
    (place,) = _polled(portal, wire).commands
    assert place.order.model_dump(mode="json", exclude_none=True) == expected
    assert order_to_wire(FIELDS, place.order, keep_extras=True) == drop_empty(wire)


@pytest.mark.parametrize("name", ["阿依古丽·艾合买提", "𠮷田㛃", "欧阳䶮", "A&B<C>", 'O\'Neil "X"'])
def test_any_name_is_read(portal, name):
    """Of any people, in any characters."""
    assert _one(portal, xm=name).order.recipient.name == name


def test_content_does_not_know_when_it_was_changed(portal):
    """Another gxsj and empty elements are the same content; an unknown element is content."""
    assert _one(portal, gxsj="2023-12-02 00:00:00", bz="").content == _one(portal).content
    assert _one(portal, bz="急").content != _one(portal).content


@pytest.mark.parametrize("name", ["kqzz", "xzqh", "yzbm", "dabh", "hpzl", "hphm", "fzjg", "gxsj"])
def test_what_is_optional_may_be_missing(portal, name):
    """Or be empty."""
    assert isinstance(_one(portal, **{name: None}), Place)
    assert isinstance(_one(portal, **{name: " "}), Place)


def test_an_id_document_may_be_missing_as_a_whole(portal):
    """Both or neither: sfzmmc and sfzmhm."""
    assert _one(portal, sfzmmc=None, sfzmhm=None).order.recipient.id_document is None


def test_a_landline_stands_in_for_a_mobile(portal):
    """Where there is sjhm it goes first, and the other one is kept."""
    place = _one(portal, sjhm="", lxdh="023-62880123")
    assert place.order.recipient.phone == "023-62880123"
    assert order_to_wire(LANDLINE_FIELDS, place.order, keep_extras=True) == drop_empty(
        {**RECORD, "sjhm": "", "lxdh": "023-62880123"}
    )
    both = _one(portal, lxdh="023-62880123").order
    assert (both.recipient.phone, both.extras["lxdh"]) == (RECORD["sjhm"], "023-62880123")


def test_documents_are_told_apart_by_their_comma(portal):
    """Blanks between two commas are no document."""
    items = _one(portal, clqd="驾驶证、 行驶证、、").order.items
    assert [item.name for item in items] == ["驾驶证", "行驶证"]


def test_only_names_of_documents_have_words(portal):
    """Several copies have none."""
    copies = _one(portal).order.model_copy(update={"items": (Item(name="证", copies=2),)})
    with pytest.raises(UnsupportedFeatureError, match="items"):
        order_to_wire(FIELDS, copies)


# --- The sender ---


def test_a_sender_is_made_of_what_the_settings_say(portal):
    """The name from dwmc, as the address, in the division that glbm begins with; the recipient's number."""
    sender = _one(portal).order.sender
    assert sender.model_dump(exclude_none=True) == {
        "name": "重庆市车辆管理所",
        "organization": "重庆市车辆管理所",
        "phone": RECORD["sjhm"],
        "address": {"street": "重庆市车辆管理所", "division_code": "500113"},
    }


def test_an_office_may_say_who_it_is():
    """Its own name, phone and address."""
    own = {"name": "巴南车管分所", "phone": "023-66223344", "address": "重庆市巴南区渝南大道1号"}
    order = _one(_build(offices=[{**_offices()[0], **own}])).order
    assert (order.sender.name, order.sender.phone, order.sender.address.street) == tuple(own.values())
    assert order.matter.authority.name == own["name"]


def test_a_sender_is_never_nobody():
    """Without dwmc, and at a place that we do not know."""
    office = {"glbm": "999999000400", "jkxlh": "x"}
    portal = _build(service="out", dwmc=None, offices=[office])
    order = _one(portal, glbm="999999000400").order
    assert (order.sender.name, order.sender.address.division_code) == ("车辆管理所", None)
    assert order.matter.division_code is None


# --- Broken records ---


@pytest.mark.parametrize("name", ["ywlx", "xm", "sjhm", "yjdz", "clqd", "ffr", "glbm"])
def test_every_required_element_is_required(portal, name):
    """Missing or blank: refused by name, and can be written back."""
    for value in (None, "", "  "):
        refused = _one(portal, **{name: value})
        assert (refused.portal_ref, refused.field, refused.reason) == (REF, name, f"{name}: is missing")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ywlx": "HGZ"}, "ywlx"),
        ({"ywlx": "jsz"}, "ywlx"),
        ({"kqzz": "2"}, "kqzz"),
        ({"ffr": "3"}, "ffr"),
        ({"sfzmmc": "Z"}, "sfzmmc"),
        ({"sfzmmc": None}, "sfzmmc"),
        ({"sfzmhm": None}, "sfzmhm"),
        ({"sfzmhm": "500230200512277578"}, "sfzmhm"),
        ({"xm": "名" * 51}, "xm"),
        ({"sjhm": "12345678901"}, "sjhm"),
        ({"sjhm": "", "lxdh": "1"}, "lxdh"),
        ({"yjdz": "址" * 201}, "yjdz"),
        ({"xzqh": "50011"}, "xzqh"),
        ({"yzbm": "4000"}, "yzbm"),
        ({"clqd": "、、"}, "clqd"),
        ({"clqd": "证" * 101}, "clqd"),
        ({"gxsj": "20231201081000"}, "gxsj"),
        ({"gxsj": "2023-13-01 08:10:00"}, "gxsj"),
        ({"glbm": "500199000400"}, "glbm"),
        ({"glbm": "x" * 300}, "glbm"),
        ({"lsh": "1" * 52}, "lsh"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(portal, changes, field):
    """Each element's own rule; the record can be written back, and nothing personal is said of it."""
    refused = _one(portal, **changes)
    assert isinstance(refused, Refuse)
    assert (refused.field, refused.reason.partition(":")[0]) == (field, field)
    assert refused.portal_ref == f"{GLBM}-{changes.get('lsh', LSH)}"
    assert not any(text in repr(refused) for text in PERSONAL)
    assert portal.refuse(OwedRefusal("0" * 26, refused.portal_ref, refused.reason, NOW, refused.content))


@pytest.mark.parametrize(
    "written",
    ["%E9%92%B", "%", "%C7%AE%E7%F7", "a%00b", "<b>x</b>", "x</xm><xm>y"],
)
def test_a_value_that_is_none_spoils_its_record_alone(portal, written):
    """Broken percent-encoding, another encoding, NUL, elements, twice: refused by name, written back, kept."""
    broken = _rec(1, {**RECORD, "xm": "@"}).replace("%40", written)
    first, refused, last = _polled(portal, SAMPLES[0], broken, SAMPLES[2]).commands
    assert [type(first), type(refused), type(last)] == [Place, Refuse, Place]
    assert (refused.portal_ref, refused.field) == (REF, "xm")
    assert refused.content["yjdz"] == RECORD["yjdz"]


def test_what_is_encoded_twice_is_nobodys_fault(portal):
    """The answer is not read: no record is given back for what a relay did."""
    record = {name: quote(value, safe="") for name, value in RECORD.items()}
    result = _talk(portal.poll("", _source()), _found(record))[1]
    assert (result.kind, result.code) == (UNKNOWN, "answer is URL-encoded twice")


@pytest.mark.parametrize("lsh", [None, "", " ", "1 2", "流水", "1&2", "<1>", "1" * 65])
def test_a_record_that_cannot_be_named_is_kept_for_a_person(portal, lsh):
    """Under the same name each time, and another than any record's; the others on its page are read."""
    record = {name: value for name, value in {**RECORD, "lsh": lsh}.items() if value is not None}
    refused, place = _polled(portal, record, SAMPLES[0]).commands
    again, _ = _polled(portal, {**record, "gxsj": "2023-12-01 08:59:59"}, SAMPLES[0]).commands
    assert isinstance(place, Place)
    assert re.fullmatch(rf"{GLBM} no lsh [0-9a-f]{{32}}", refused.portal_ref)
    assert (refused.field, refused.portal_ref) == ("lsh", again.portal_ref)
    assert refused.portal_ref != _one(portal, lsh=lsh, bz="x").portal_ref
    with pytest.raises(UnsupportedFeatureError, match="portal_ref"):
        portal.refuse(OwedRefusal("0" * 26, refused.portal_ref, refused.reason, NOW, refused.content))


def test_a_record_of_another_office_is_that_offices():
    """Whoever was asked for it."""
    portal = _build(offices=_offices(2))
    assert _one(portal, glbm=_offices(2)[1]["glbm"]).order.portal_ref == f"{_offices(2)[1]['glbm']}-{LSH}"


def test_repeated_records_are_all_given(portal):
    """The ledger tells them apart."""
    assert len(_polled(portal, RECORD, RECORD).commands) == 2


# --- Answers that bring nothing ---

TRUNCATED = EXAMPLE["reply_string"][:900]
HEADLESS = re.sub("<head>.*</head>", "", EXAMPLE["reply_string"])
FAULT = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Server.x</faultcode>'
    "<faultstring>钱琪桐</faultstring></e:Fault></e:Body></e:Envelope>"
)
BOMB = '<!DOCTYPE root [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><root><head><code>1</code></head></root>'


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (_soap("$E接口序列号无效"), UNKNOWN, "$E"),
        (_found(code="0", message="失败"), REFUSED, "0"),
        (_found(code="9"), UNKNOWN, "9"),
        (_found(code="钱琪桐"), UNKNOWN, "unreadable answer"),
        (_soap(TRUNCATED), UNKNOWN, "answer is not XML"),
        (_soap(HEADLESS), UNKNOWN, "answer has no head with a code"),
        (_soap(BOMB), UNKNOWN, "answer has a document type"),
        (
            _soap(_document(RECORD), operation="writeObjectOut"),
            UNKNOWN,
            "answer is another operation's, or in a foreign namespace",
        ),
        (WireReply(200, {}, FAULT.encode()), UNKNOWN, "fault Server.x"),
        (WireReply(500, {}, FAULT.encode()), UNKNOWN, "HTTP 500"),
        (WireReply(200, {}, b"<html><body>x</body></html>"), UNKNOWN, "answer is not SOAP 1.1"),
        (WireReply(200, {}, b""), UNKNOWN, "answer is not XML"),
        (WireReply(200, {}, b"x" * 50_000_000), UNKNOWN, "answer is larger than 2097152 bytes"),
        (WireReply(204), UNKNOWN, "answer is not XML"),
        (WireReply(409), UNKNOWN, "answer is not XML"),
        (WireReply(401), OutcomeKind.AUTH, "HTTP 401"),
        (WireReply(404), OutcomeKind.MISCONFIGURED, "HTTP 404"),
        (WireReply(302), OutcomeKind.MISCONFIGURED, "HTTP 302"),
        (WireReply(429, {"Retry-After": "7"}), OutcomeKind.BUSY, "HTTP 429"),
    ],
    ids=count(),
)
def test_an_answer_without_records_brings_no_page(portal, reply, kind, code):
    """And says why, without anybody's data; the next poll asks for the same."""
    _, result = _talk(portal.poll("", _source()), reply)
    assert (result.kind, result.code) == (kind, code)
    assert "钱琪桐" not in repr(result)


# --- Rounds ---


class _Portal:
    """The far side in memory: what each office offers, at most 100 records of a window."""

    def __init__(self, records):
        self.records = records
        self.taken = set()
        self.asked = Counter()
        self.fails = {}
        #: How many more it says there are than come.
        self.miscounts_by = 0

    def answer(self, request):
        """Answer a query; a record is a pair of glbm and second, and its lsh is its place."""
        jkxlh, (_, condition) = _call(request)[1]["jkxlh"], _inner(request)
        glbm = condition["glbm"]
        assert jkxlh == f"xlh-{glbm}"
        self.asked[glbm] += 1
        if glbm in self.fails:
            return self.fails[glbm]
        start, end = (
            DASHED.decode(condition[name].replace("%20", " ").replace("%3A", ":")) for name in ("kssj", "jssj")
        )
        assert start < end
        open_ = [
            {**RECORD, "lsh": str(lsh), "glbm": glbm, "gxsj": DASHED.encode(at)}
            for lsh, (office, at) in enumerate(self.records)
            if office == glbm and start <= at < end and lsh not in self.taken
        ]
        came = open_[:100]
        return _found(*came, rownum=len(came) + self.miscounts_by)


def _drive(conversation, far):
    """Let the far side answer a conversation to its end."""
    request = next(conversation)
    while True:
        reply = far.answer(request)
        try:
            request = conversation.throw(reply) if isinstance(reply, BreakageError) else conversation.send(reply)
        except StopIteration as stop:
            return stop.value


def _ask(portal, far, cursor, now, *, most=10_000):
    """Poll until there is nothing more; the pages, the cursor, and the outcome that ended it, if one did."""
    pages = []
    for _ in range(most):
        brought = _drive(portal.poll(cursor, _source(now)), far)
        if isinstance(brought, Outcome):
            return pages, cursor, brought
        pages.append(brought)
        cursor = brought.cursor
        if not brought.has_more:
            return pages, cursor, None
    raise AssertionError("there is always more")


def _read_lsh(pages):
    return Counter(
        int(command.order.portal_ref.partition("-")[2])
        for page in pages
        for command in page.commands
        if isinstance(command, Place)
    )


GLBMS = [office["glbm"] for office in _offices(39)]


def test_a_round_asks_every_office_with_its_own_serial_number():
    """One page an office, in the order of the settings, all up to the same second."""
    portal, far = _build(offices=_offices(39)), _Portal([])
    pages, _, outcome = _ask(portal, far, "", NOW)
    assert outcome is None
    assert (len(pages), far.asked) == (39, Counter(GLBMS))
    assert [page.has_more for page in pages] == [True] * 38 + [False]


@pytest.mark.parametrize(
    "cursor", ["", "x", "{}", '{"to":"x"}', '{"to":1,"left":["nobody"],"at":{}}', "[1]", '{"at":{"a":[]}}']
)
def test_without_a_cursor_everything_untaken_is_read(portal, cursor):
    """From the day that the settings say, up to now; a cursor that cannot be read is none."""
    _, condition = _inner(next(portal.poll(cursor, _source())))
    assert condition == {
        "glbm": GLBM,
        "kssj": _said("2020-01-01 00:00:00"),
        "jssj": _said("2023-12-01 09:00:00"),
        "yjzt": "0",
    }


def test_a_day_before_which_nothing_is_read():
    """A setting."""
    _, condition = _inner(next(_build(since="2023-11-01").poll("", _source())))
    assert condition["kssj"] == _said("2023-11-01 00:00:00")


def test_windows_overlap_by_ten_minutes(portal):
    """Each begins that much before the end of the one before, however long nobody asked."""
    cursor = ""
    begun = []
    for now in (NOW, NOW + timedelta(minutes=1), NOW + timedelta(days=30)):
        (request,), page = _talk(portal.poll(cursor, _source(now)), _found())
        begun.append(_inner(request)[1]["kssj"])
        cursor = page.cursor
    assert begun[1:] == [_said("2023-12-01 08:50:00"), _said("2023-12-01 08:51:00")]


def test_what_is_written_late_is_read(portal):
    """A record that is committed within ten minutes of its time."""
    far = _Portal([])
    _, cursor, _ = _ask(portal, far, "", NOW)
    far.records.append((GLBM, NOW.replace(microsecond=0) - timedelta(minutes=10)))
    pages, _, _ = _ask(portal, far, cursor, NOW + timedelta(minutes=1))
    assert _read_lsh(pages) == {0: 1}


@pytest.mark.parametrize("seed", range(4))
def test_full_windows_are_split_until_everything_is_read(seed):
    """Crowds and lonely records alike, over several rounds, none lost; each answer holds at most 100."""
    dice = Random(seed)
    start = NOW.replace(microsecond=0) - timedelta(days=2)
    crowd = [start + timedelta(seconds=dice.randrange(3600)) for _ in range(700)]
    lonely = [start + timedelta(seconds=dice.randrange(2 * 86_400 - 1)) for _ in range(300)]
    records = [(dice.choice(GLBMS[:3]), at) for at in crowd + lonely]
    portal, far = _build(offices=_offices(3)), _Portal(records)
    pages, cursor, outcome = _ask(portal, far, "", NOW)
    assert outcome is None
    assert set(_read_lsh(pages)) == set(range(1000))
    assert max(len(page.commands) for page in pages) <= 100
    assert sum(far.asked.values()) < 60
    later = [(dice.choice(GLBMS[:3]), NOW.replace(microsecond=0) + timedelta(seconds=n)) for n in range(400)]
    far.taken, far.records = set(range(1000)), records + later
    pages, _, _ = _ask(portal, far, cursor, NOW + timedelta(hours=1))
    assert _read_lsh(pages).keys() == set(range(1000, 1400))


def test_a_lost_cursor_is_harmless():
    """In the middle of a round, too: whatever nobody has taken is read again."""
    portal = _build(offices=_offices(3))
    far = _Portal([(glbm, NOW.replace(microsecond=0) - timedelta(days=400)) for glbm in GLBMS[:3]])
    first = _drive(portal.poll("", _source()), far)
    assert _read_lsh([first, _drive(portal.poll(first.cursor, _source()), far)]) == {0: 1, 1: 1}
    far.taken = {0}
    assert _read_lsh(_ask(portal, far, "", NOW)[0]) == {1: 1, 2: 1}


def test_a_second_that_is_full_is_taken_and_said():
    """A person is told; the round goes on; the next one begins there again, when what was taken is gone."""
    portal, at = _build(), NOW.replace(microsecond=0) - timedelta(hours=3)
    far = _Portal([(GLBM, at)] * 150 + [(GLBM, at + timedelta(hours=2))])
    pages, cursor, _ = _ask(portal, far, "", NOW)
    read = _read_lsh(pages)
    assert read.keys() == {*range(100), 150}
    (note,) = [command for page in pages for command in page.commands if isinstance(command, Refuse)]
    assert note.portal_ref == f"{GLBM} at 2023-12-01 06:00:00"
    with pytest.raises(UnsupportedFeatureError):
        portal.refuse(OwedRefusal("0" * 26, note.portal_ref, note.reason, NOW, note.content))
    far.taken = set(read)
    pages, cursor, _ = _ask(portal, far, cursor, NOW + timedelta(minutes=1))
    assert _read_lsh(pages).keys() == set(range(100, 150))
    far.taken |= set(range(150))
    _, condition = _inner(next(portal.poll(cursor, _source(NOW + timedelta(minutes=2)))))
    assert condition["kssj"] == _said("2023-12-01 08:51:00")


def test_a_wrong_count_is_no_full_second():
    """Nobody is told of records that there may not be; what came is taken, and asked for again with the next round."""
    portal, at = _build(), NOW.replace(microsecond=0) - timedelta(hours=3)
    far = _Portal([(GLBM, at)] * 2)
    far.miscounts_by = 1
    commands, cursor = [], ""
    while len(commands) < 4:
        page = _drive(portal.poll(cursor, _source()), far)
        commands, cursor = [*commands, *page.commands], page.cursor
    assert [command for command in commands if isinstance(command, Refuse)] == []


@pytest.mark.parametrize(("came", "rownum"), [(2, 3), (0, 1), (99, 100), (2, 100)])
def test_fewer_than_it_says_is_a_full_answer(portal, came, rownum):
    """They are taken, and the window is split: where they lie, or in its middle."""
    records = [{**RECORD, "lsh": str(number)} for number in range(came)]
    page = _polled(portal, *records, rownum=rownum)
    assert (len(page.commands), page.has_more) == (came, True)
    _, condition = _inner(next(portal.poll(page.cursor, _source())))
    middle = RECORD["gxsj"] if came else "2021-12-16 04:30:00"
    assert (condition["kssj"], condition["jssj"]) == (_said("2020-01-01 00:00:00"), _said(middle))


@pytest.mark.parametrize(("came", "rownum"), [(2, 1), (1, 0), (1, ""), (1, "many"), (0, 0), (99, 99)])
def test_more_than_it_says_is_all(portal, came, rownum):
    """They are taken, and nothing is asked again."""
    records = [{**RECORD, "lsh": str(number)} for number in range(came)]
    page = _polled(portal, *records, rownum=rownum)
    assert (len(page.commands), page.has_more) == (came, False)


# --- Offices that fail ---

FAILED = _soap("$E接口序列号无效")


def test_an_office_that_fails_keeps_no_other_waiting():
    """The others are read; then it is asked once more, and has the last word."""
    portal, far = _build(offices=_offices(4)), _Portal([(glbm, NOW - timedelta(hours=1)) for glbm in GLBMS[:4]])
    far.fails = {GLBMS[1]: FAILED}
    pages, cursor, outcome = _ask(portal, far, "", NOW)
    assert _read_lsh(pages) == {0: 1, 2: 1, 3: 1}
    assert (outcome.kind, outcome.code) == (UNKNOWN, f"{GLBMS[1]}: $E")
    far.taken, far.fails = {0, 2, 3}, {}
    assert _read_lsh(_ask(portal, far, cursor, NOW + timedelta(seconds=1))[0]) == {1: 1}


def test_rounds_go_on_while_offices_fail():
    """Each round the others are asked, and those that failed once; when they are back, nothing was lost."""
    portal, far = _build(offices=_offices(4)), _Portal([])
    far.fails = {GLBMS[0]: FAILED, GLBMS[3]: FAILED}
    cursor, now, read = "", NOW, Counter()
    for number in range(5):
        far.records += [(glbm, now - timedelta(seconds=5)) for glbm in GLBMS[:4]]
        pages, cursor, outcome = _ask(portal, far, cursor, now)
        read += _read_lsh(pages)
        far.taken = set(read)
        assert outcome.code == f"{GLBMS[0]}: $E"
        assert read.keys() == {4 * n + office for n in range(number + 1) for office in (1, 2)}
        now += timedelta(seconds=30)
    assert far.asked[GLBMS[0]] <= 6
    far.fails = {}
    pages, _, outcome = _ask(portal, far, cursor, now)
    read += _read_lsh(pages)
    assert (outcome, len(read)) == (None, 20)


def test_when_all_offices_fail_the_poll_has_failed():
    """At once, and each was asked once."""
    portal, far = _build(offices=_offices(4)), _Portal([])
    far.fails = dict.fromkeys(GLBMS, FAILED)
    pages, _, outcome = _ask(portal, far, "", NOW)
    assert (pages, outcome.code) == ([], "$E")
    assert set(far.asked.values()) == {1}


def test_a_failure_in_the_middle_of_a_round_is_told_at_its_end():
    """What was read stays read."""
    portal, far = _build(offices=_offices(4)), _Portal([])
    page = _drive(portal.poll("", _source()), far)
    far.fails = dict.fromkeys(GLBMS, FAILED)
    pages, cursor, outcome = _ask(portal, far, page.cursor, NOW)
    assert [page.commands for page in pages] == [()]
    assert outcome.code == f"{GLBMS[1]}: $E"
    far.fails = {}
    far.asked.clear()
    _ask(portal, far, cursor, NOW)
    assert far.asked == Counter(GLBMS[1:4])


def test_a_lost_answer_counts_as_an_offices_failure_once():
    """Another office is asked; a second one that is lost ends the poll."""
    portal, far = _build(offices=_offices(3)), _Portal([])
    lost = BreakageError(Outcome(UNKNOWN, code="timeout"))
    far.fails = {GLBMS[0]: lost}
    pages, _, outcome = _ask(portal, far, "", NOW)
    assert (len(pages), outcome.code) == (2, f"{GLBMS[0]}: timeout")
    far.fails[GLBMS[1]] = lost
    with pytest.raises(BreakageError):
        _ask(portal, far, "", NOW)


@pytest.mark.parametrize("reply", [WireReply(401), WireReply(404), WireReply(429)])
def test_what_speaks_of_the_portal_ends_the_poll(reply):
    """No other office is asked."""
    portal, far = _build(offices=_offices(3)), _Portal([])
    far.fails = {GLBMS[0]: reply}
    pages, _, _ = _ask(portal, far, "", NOW)
    assert (pages, far.asked) == ([], Counter(GLBMS[:1]))


def test_a_dead_line_ends_the_poll():
    """No other office could be reached."""
    portal, far = _build(offices=_offices(3)), _Portal([])
    far.fails = {GLBMS[0]: BreakageError(Outcome(NOT_SENT, code="dns"))}
    with pytest.raises(BreakageError):
        _ask(portal, far, "", NOW)


def test_offices_come_and_go():
    """A new one is read from the beginning; one that is gone is asked no more."""
    far = _Portal([(glbm, NOW - timedelta(days=90)) for glbm in GLBMS[:3]])
    _, cursor, _ = _ask(_build(offices=_offices(2)), far, "", NOW)
    far.taken, changed = {0, 1}, [_offices(3)[0], _offices(3)[2]]
    pages, _, _ = _ask(_build(offices=changed), far, cursor, NOW + timedelta(minutes=1))
    assert _read_lsh(pages) == {2: 1}


def test_a_clock_that_was_put_back_stops_nothing(portal):
    """Windows still end now, and begin before."""
    _, page = _talk(portal.poll("", _source(NOW + timedelta(days=1))), _found())
    _, condition = _inner(next(portal.poll(page.cursor, _source(NOW))))
    assert (condition["kssj"], condition["jssj"]) == (_said("2023-12-01 08:50:00"), _said("2023-12-01 09:00:00"))


def test_a_cursor_is_short():
    """For 39 offices, in the middle of everything."""
    portal, far = _build(offices=_offices(39)), _Portal([(GLBM, NOW - timedelta(hours=1))] * 200)
    far.fails = {GLBMS[5]: FAILED}
    assert max(len(page.cursor) for page in _ask(portal, far, "", NOW)[0]) < 2000


# --- What it is told ---


def test_the_engine_is_told_what_the_wire_bears(portal):
    """Every status but unknown, which of them wait for a number, one write a call, told again under its qqid."""
    manifest = portal.manifest
    assert manifest.tells == frozenset(STATE_CODES)
    assert manifest.needs_waybill == frozenset(STATE_CODES) - {Status.ACCEPTED, Status.CANCELLED}
    assert (manifest.batches, manifest.is_idempotent, manifest.has_probe) == ({}, True, False)
    assert manifest.tells_own_cancel


STATE_CODES = {
    Status.ACCEPTED: "1",
    Status.NUMBERED: "2",
    Status.COLLECTED: "3",
    Status.IN_TRANSIT: "4",
    Status.OUT_FOR_DELIVERY: "5",
    Status.DELIVERED: "6",
    Status.UNDELIVERED: "7",
    Status.RETURNING: "8",
    Status.RETURNED: "9",
    Status.CANCELLED: "10",
    Status.LOST: "11",
}


@pytest.mark.parametrize(("status", "code"), STATE_CODES.items())
def test_every_status_is_written_back(portal, status, code):
    """With the delivery's own id, and the number that there is."""
    record = _written(portal, _owed(status))
    assert record.pop("czms").startswith("%E9%82%AE")
    assert record == {
        "lsh": LSH,
        "qqid": "0" * 25 + "1",
        "yjdh": "EA969294768CN",
        "yjzt": code,
        "czsj": "2023-12-01%2009%3A00%3A00",
        "wtyy": _said("其他原因") if code == "7" else "",
    }


def test_a_write_back_is_said_in_our_words(portal):
    """Status, office and reason, byte for byte; a courier's name and phone never leave."""
    event = Event(
        event_id="e1",
        status=Status.UNDELIVERED,
        occurred_at=NOW,
        office=Office(name="龙洲湾·A&B"),
        reason=Reason.REFUSED,
        note="王师傅 13800000000",
        signer=Signer(name="张三"),
        raw_code="705",
    )
    document = portal.render(_owed(Status.UNDELIVERED, event=event))
    czms = _said("【龙洲湾·A＆B】邮件未妥投，原因：收件人拒收")
    assert document.body.decode("ascii") == (
        f"{PROLOG}<root><MailRecord><lsh>{LSH}</lsh><qqid>{'0' * 25}1</qqid><yjdh>EA969294768CN</yjdh><yjzt>7</yjzt>"
        f"<czsj>2023-12-01%2009%3A00%3A00</czsj><czms>{czms}</czms><wtyy>{_said('收件人拒收')}</wtyy>"
        "</MailRecord></root>"
    )
    assert document.delivery_id == "0" * 25 + "1"


@pytest.mark.parametrize("leg", [1, 2])
def test_a_leg_is_said_with_two_only(portal, leg):
    """As cs."""
    order = _order(direction=Direction.ROUND_TRIP)
    assert _written(portal, _owed(Status.NUMBERED, leg=leg, order=order))["cs"] == str(leg)
    assert "cs" not in _written(portal, _owed(Status.NUMBERED, leg=leg))


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.ACCEPTED, "1"), (Status.NUMBERED, "2"), (Status.UNDELIVERED, "7"), (Status.DELIVERED, "6")],
)
def test_a_correction_is_one_more_write(portal, status, code):
    """Also to yjzt 1 and 2; the sentence begins 更正."""
    event = Event(event_id="e2", occurred_at=NOW, revokes="e1")
    record = _written(portal, _owed(status, event=event, corrects="01HGGY4B5R0000000000000CD1"))
    assert (record["yjzt"], record["czms"].startswith(_said("更正"))) == (code, True)


def test_a_cancel_and_an_order_taken_need_no_waybill(portal):
    """The element is empty."""
    for status in (Status.ACCEPTED, Status.CANCELLED):
        assert _written(portal, _owed(status, waybill_no=None))["yjdh"] == ""


def test_a_record_is_given_back(portal):
    """As yjzt 10 with the reason in wtyy, cut at 100 characters, markup written full-width."""
    owed = OwedRefusal("0" * 25 + "7", REF, "xm: <" + "x" * 200, NOW, {})
    document = portal.refuse(owed)
    assert document.body.decode("ascii") == (
        f"{PROLOG}<root><MailRecord><lsh>{LSH}</lsh><qqid>{'0' * 25}7</qqid><yjdh></yjdh><yjzt>10</yjzt>"
        f"<czsj>2023-12-01%2009%3A00%3A00</czsj><czms>{_said('邮政不能接单')}</czms>"
        f"<wtyy>{_said('xm: ＜' + 'x' * 95)}</wtyy></MailRecord></root>"
    )
    requests, outcomes = _talk(portal.send([document], _source()), _done())
    assert _call(requests[0])[1]["jkid"] == "02Y02"
    assert outcomes[0].kind is TAKEN


def test_what_was_rendered_goes_out_as_it_was(portal):
    """Byte for byte, whatever its spelling, in an envelope of its own."""
    body = f"{PROLOG}<root><MailRecord><lsh>1</lsh ><qqid>2</qqid>\n</MailRecord></root>".encode()
    ((request,), _) = _talk(portal.send([Document(f"02Y02 {GLBM}", body, "2")], _source()), _done())
    assert _call(request)[1]["UTF8XmlDoc"] == body.decode()


def test_each_write_back_goes_with_its_offices_serial_number():
    """The order's, not the first one's."""
    portal = _build(offices=_offices(39))
    documents = [portal.render(_owed(Status.COLLECTED, order=_order(f"{glbm}-1"))) for glbm in GLBMS]
    requests, outcomes = _talk(portal.send(documents, _source()), *[_done()] * 39)
    assert [_call(request)[1]["jkxlh"] for request in requests] == [f"xlh-{glbm}" for glbm in GLBMS]
    assert [outcome.kind for outcome in outcomes] == [TAKEN] * 39


def test_an_office_that_was_removed_is_named(portal):
    """Before anything is rendered, and where something was rendered before."""
    gone = "500199000400"
    with pytest.raises(UnsupportedFeatureError, match=gone):
        portal.render(_owed(Status.COLLECTED, order=_order(f"{gone}-1")))
    with pytest.raises(UnsupportedFeatureError, match=gone):
        portal.refuse(OwedRefusal("0" * 26, f"{gone}-1", "x", NOW, {}))
    conversation = portal.send([Document(f"02Y02 {gone}", b"", "1")], _source())
    with pytest.raises(StopIteration) as stopped:
        next(conversation)
    (outcome,) = stopped.value.value
    assert (outcome.kind, outcome.code) == (REFUSED, f"office {gone} is not in the settings")


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (_done("1"), TAKEN, "1"),
        (_done("2", "已存在"), TAKEN, "2"),
        (_soap("<root><head><code>1</code></head></root>", operation="writeObjectOut"), TAKEN, "1"),
        (_done("0", "流水号不存在"), REFUSED, "0"),
        (_done("3"), UNKNOWN, "3"),
        (_soap("$E网络异常", operation="writeObjectOut"), UNKNOWN, "$E"),
        (_soap(TRUNCATED, operation="writeObjectOut"), UNKNOWN, "answer is not XML"),
        (_soap(HEADLESS, operation="writeObjectOut"), UNKNOWN, "answer has no head with a code"),
        (WireReply(200, {}, FAULT.encode()), UNKNOWN, "fault Server.x"),
        (WireReply(200, {}, b"<html/>"), UNKNOWN, "answer is not SOAP 1.1"),
        (WireReply(502), UNKNOWN, "HTTP 502"),
        (WireReply(409), UNKNOWN, "answer is not XML"),
        (WireReply(403), OutcomeKind.AUTH, "HTTP 403"),
    ],
    ids=count(),
)
def test_a_write_backs_answer_is_judged_by_its_code(portal, reply, kind, code):
    """What is no answer is unknown: it may have been done."""
    (outcome,) = _talk(portal.send([portal.render(_owed(Status.COLLECTED))], _source()), reply)[1]
    assert (outcome.kind, outcome.code, outcome.parks_lane) == (kind, code, True)


def test_the_portals_words_are_kept_apart(portal):
    """With the outcome, and in no repr."""
    (outcome,) = _talk(portal.send([portal.render(_owed(Status.COLLECTED))], _source()), _done("0", "钱琪桐"))[1]
    assert outcome.text == "钱琪桐"
    assert "钱琪桐" not in repr(outcome)


def test_only_updates_with_a_state_are_told(portal):
    """A command, or an event that could not be read, has no words here."""
    with pytest.raises(UnsupportedFeatureError):
        portal.render(Owed("0" * 26, DeliveryKind.PLACE, _order(), NOW))
    with pytest.raises(UnsupportedFeatureError):
        portal.render(_owed(Status.UNKNOWN))


def test_there_is_nothing_to_ask(portal):
    """A probe makes no request."""
    with pytest.raises(StopIteration) as stopped:
        next(portal.probe(_owed(Status.COLLECTED), _source()))
    assert stopped.value.value is Presence.CANNOT_TELL


# --- Settings ---


@pytest.mark.parametrize(
    ("service", "needed"),
    [
        ("out", {"xtlb"}),
        ("out_new", {"xtlb", "yhbz", "dwmc", "dwjgdm", "yhxm", "zdbs"}),
        ("out_new_new", {"xtlb", "cjsqbh", "yhbz", "dwmc", "dwjgdm", "yhxm", "zdbs"}),
    ],
)
def test_a_service_needs_what_its_calls_say(service, needed):
    """And nothing else; what is missing or blank is named, with the service that needs it."""
    assert _build(service=service, **{name: None for name in SAID if name not in needed})
    for name in needed:
        for value in (None, "", "  "):
            with pytest.raises(ConfigurationError, match=rf'{name} is missing: service = "{service}" needs it'):
                _build(service=service, **{name: value})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"service": "new"}, "service"),
        ({"service": None}, "service"),
        ({"endpoints": []}, "endpoints"),
        ({"endpoints": None}, "endpoints"),
        ({"endpoints": "https://relay.example/x"}, "endpoints"),
        ({"endpoints": ["https://relay.example/x", "http://relay.example/x"]}, "endpoints must be https"),
        ({"endpoints": ["relay.example/x"]}, "endpoints is not an http"),
        ({"endpoints": ["https://relay.example/x?wsdl"]}, "endpoints must be without user, query and fragment"),
        ({"offices": []}, "offices"),
        ({"offices": [*_offices(2), _offices()[0]]}, f"{GLBM} stands there twice"),
        ({"offices": [{"glbm": GLBM}]}, r"offices\.0\.jkxlh"),
        ({"offices": [{"glbm": GLBM, "jkxlh": ""}]}, r"offices\.0\.jkxlh"),
        ({"offices": [{"glbm": "5001-13", "jkxlh": "x"}]}, r"offices\.0\.glbm"),
        ({"offices": [{"glbm": GLBM, "jkxlh": "x", "phone": "110"}]}, r"offices\.0\.phone"),
        ({"offices": [{"glbm": GLBM, "jkxlh": "x", "jkxhl": "x"}]}, r"offices\.0\.jkxhl"),
        ({"poll_every_s": 0}, "poll_every_s"),
        ({"since": "yesterday"}, "since"),
        ({"xtlb": "x" * 101}, "xtlb"),
        ({"zdsb": "x"}, "zdbs"),
    ],
)
def test_settings_that_do_not_fit_are_refused_at_the_start(changes, said):
    """By name, and without a secret."""
    with pytest.raises(ConfigurationError, match=said) as raised:
        _build(**changes)
    assert str(raised.value).startswith("[portals.vehicle_admin]")
    assert "xlh-" not in str(raised.value)


def test_plain_http_must_be_said_aloud():
    """For each of the addresses; not on this machine."""
    plain = ["http://10.1.1.1/services/TmriOutAccess", "http://127.0.0.1:9080/services/TmriOutAccess"]
    assert _build(endpoints=plain, allow_http=True)
    assert _build(endpoints=plain[1:])
    with pytest.raises(ConfigurationError, match="https"):
        _build(endpoints=plain)


def test_rounds_are_half_a_minute_apart_unless_said_otherwise():
    """The default, and a setting."""
    assert (_build().poll_every_s, _build(poll_every_s=0.5).poll_every_s) == (30, 0.5)


def test_settings_do_not_show_secrets():
    """Neither the settings' repr nor an office's."""
    settings = load_adapter("vehicle_admin").factory.Settings(
        endpoints=[f"{HOST}{PATH}"], service="out_new", **SAID, offices=_offices()
    )
    assert "xlh-" not in repr(settings)
    assert "xlh-" not in repr(vars(_build()))
