"""全渝通办: signatures, every item read or refused by name, batches answered item by item, corrections, standings."""

import json
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import pytest

from govpost.adapters.base import DeliveryKind, Document, Owed, OwedRefusal, Page, Standing
from govpost.adapters.fields import order_to_wire
from govpost.adapters.protocols import x_tif
from govpost.adapters.protocols.content import drop_empty
from govpost.adapters.quanyu_tongban.fields import FIELDS
from govpost.adapters.registry import load_adapter
from govpost.schemas import (
    Address,
    Direction,
    Event,
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
GOLDEN = ROOT / "schemas" / "wire" / "quanyu_tongban" / "samples"
EXAMPLES = json.loads((DATA / "examples.json").read_text("utf-8"))
EXAMPLE = EXAMPLES["quanyu_tongban"]
KEYS = EXAMPLES["keys"]["quanyu_tongban"]
ITEM = EXAMPLE["pending_item"]
SAMPLES = json.loads((DATA / "quanyu_tongban_items.json").read_text("utf-8"))
NOW = datetime.fromtimestamp(1701389550, UTC)
NONCE = EXAMPLE["headers"]["x-tif-nonce"]
BASE = "https://qytb.example/gw"
ORDER_ID = "01HGGY4B5R0000000000000AB1"
WINDOW = {"YYSJQ": "20231201090000", "YYSJZ": "20231201110000"}
#: What no reason and no repr may show.
PERSONAL = [ITEM[role][name] for role in ("JJR", "SJR") for name in ("XM", "LXDH", "ZJHM", "XXDZ")]

TAKEN, REFUSED, BUSY, UNKNOWN = OutcomeKind.TAKEN, OutcomeKind.REFUSED, OutcomeKind.BUSY, OutcomeKind.UNKNOWN


def _build(**changes):
    settings = {"base_url": f"{BASE}/", **KEYS, **changes}
    return load_adapter("quanyu_tongban").build(settings, section="portals.quanyu_tongban")


@pytest.fixture
def portal():
    """Build the adapter as the gateway does."""
    return _build()


def _source():
    """Give the example's nonce first, then others."""
    nonces = (f"{number:032x}" if number else NONCE for number in count())
    return Source(now=lambda: NOW, token=lambda: next(nonces))


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


def _reply(errcode=0, *, status=200, headers=(), **data):
    body = {"errcode": errcode, "errmsg": "ok" if errcode == 0 else "no", "data": data}
    return WireReply(status, dict(headers), json.dumps(body).encode())


def _answer_by(conversation, answer):
    """Drive a conversation with a portal that answers each call's items; gives the calls' items, and the result."""
    calls = []
    request = next(conversation)
    while True:
        calls.append(json.loads(request.body)["items"])
        try:
            request = conversation.send(answer(calls[-1]))
        except StopIteration as stop:
            return calls, stop.value


def _order(portal_ref=ITEM["SBLSH"], direction=Direction.TO_APPLICANT):
    person = {"name": "甲", "phone": "13800000000", "address": Address(street="一号")}
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
        portal="quanyu_tongban",
        accepted_at=NOW,
    )


def _owed(status, *, event=None, corrects=None, waybill_no="EA969294768CN", leg=1, order=None, number=1):
    event = event or Event(event_id="e1", status=status, occurred_at=NOW)
    update = Update(ORDER_ID, event, status, leg, waybill_no, corrects)
    return Owed(f"{number:026}", DeliveryKind.UPDATE, order or _order(), NOW, update)


def _rendered(portal, owed):
    document = portal.render(owed)
    return document.call, json.loads(document.body)


def _traces(portal, *portal_refs):
    """Render one trace each for orders, several for one that is named several times."""
    numbered = enumerate(portal_refs, start=1)
    return [portal.render(_owed(Status.IN_TRANSIT, order=_order(ref), number=number)) for number, ref in numbered]


def _row(document, code, **changes):
    item = json.loads(document.body)
    row = {name: item[name] for name in ("SBLSH", "QQID") if name in item}
    return {**row, "code": code, **changes}


def _polled(portal, *items, cursor="c1", more=False):
    _, page = _talk(portal.poll("", _source()), _reply(items=list(items), cursor=cursor, more=more))
    return page


def _one(portal, **changes):
    """Poll the example's item, changed; None drops a member."""
    item = {name: value for name, value in {**ITEM, **changes}.items() if value is not None}
    (command,) = _polled(portal, item).commands
    return command


def _with(path, value):
    """Give the changes that put a value (None: nothing) into the example at a path of two names."""
    above, _, name = path.partition(".")
    if not name:
        return {above: value}
    member = {**ITEM[above], name: value}
    return {above: {key: each for key, each in member.items() if each is not None}}


# --- Signature ---


def test_the_worked_headers_are_reproduced(portal):
    """The four headers of the example, byte for byte."""
    request = next(portal.poll("", _source()))
    assert {name: request.headers[name] for name in EXAMPLE["headers"]} == EXAMPLE["headers"]
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"


def test_the_time_is_whole_seconds():
    """Fractions are cut off, in the header and in what is signed."""
    at = NOW.replace(microsecond=999_999)
    assert x_tif.signed_headers(KEYS["paasid"], token=KEYS["token"], nonce=NONCE, at=at) == EXAMPLE["headers"]


# --- Polling ---


def test_a_poll_asks_for_a_page_after_the_cursor(portal):
    """The call, its body, and what a page becomes."""
    reply = _reply(items=[ITEM, SAMPLES[0]], cursor="c2", more=True)
    (request,), page = _talk(portal.poll("c1", _source()), reply)
    assert (request.method, request.url) == ("POST", f"{BASE}/ebus/logistics/pending")
    assert request.body == b'{"cursor":"c1","size":200}'
    assert (page.cursor, page.has_more) == ("c2", True)
    assert [command.order.portal_ref for command in page.commands] == [ITEM["SBLSH"], SAMPLES[0]["SBLSH"]]


def test_the_worked_item_is_read(portal):
    """Each member of the example stands where it belongs; TJSJ is no content."""
    place = _one(portal)
    order = place.order
    assert isinstance(place, Place)
    assert (order.portal_ref, order.direction, order.payer) == (ITEM["SBLSH"], Direction.TO_APPLICANT, Payer.RECIPIENT)
    assert (order.sender.name, order.sender.id_document.no) == ("金杰雨", "500103197004011802")
    assert (order.recipient.phone, order.recipient.address.county) == ("17572678374", "大渡口区")
    assert [(item.name, item.copies, item.type) for item in order.items] == [("许可证正本", 2, "other")]
    assert (order.matter.code, order.matter.authority.name) == (ITEM["SXBM"], "渝中区政务服务中心")
    assert order.submitted_at == datetime(2023, 12, 1, 9, 46, tzinfo=UTC)
    assert place.content == {name: value for name, value in ITEM.items() if name != "TJSJ"}


def test_every_sample_is_read(portal):
    """All forty items become orders, nothing left over; who is called upon is called by appointment."""
    commands = _polled(portal, *SAMPLES).commands
    assert [command.order.portal_ref for command in commands] == [item["SBLSH"] for item in SAMPLES]
    for item, place in zip(SAMPLES, commands, strict=True):
        assert place.order.extras == {}
        assert place.order.recipient.name == item["SJR"]["XM"]
        assert (place.order.appointment is None) == (item["LXDM"] == "S")
        assert place.order.mode == (Mode.ROUTE if item["LXDM"] == "S" else Mode.DOORSTEP)


@pytest.mark.parametrize("name", ["collect", "deliver", "round_trip", "unknown_members"])
def test_the_samples_go_both_ways(portal, name):
    """The pairs beside the wire contract hold."""
    wire = json.loads((GOLDEN / f"{name}.wire.json").read_text("utf-8"))
    expected = json.loads((GOLDEN / f"{name}.order.json").read_text("utf-8"))
    (place,) = _polled(portal, wire).commands
    assert place.order.model_dump(mode="json", exclude_none=True) == expected
    assert order_to_wire(FIELDS, place.order, keep_extras=True) == drop_empty(wire)


def test_content_does_not_know_when_it_was_sent(portal):
    """Another TJSJ and empty members are the same content; an unknown member is content."""
    assert _one(portal, TJSJ="20231202000000", BZ="").content == _one(portal).content
    assert _one(portal, BZ="急").content != _one(portal).content


@pytest.mark.parametrize("name", ["XZQHDM", "JJR.YB", "SJR.YB"])
def test_what_is_optional_may_be_missing(portal, name):
    """Division code and postcode."""
    assert isinstance(_one(portal, **_with(name, None)), Place)


@pytest.mark.parametrize("role", ["JJR", "SJR"])
def test_an_id_document_may_be_missing_as_a_whole(portal, role):
    """ZJLX with ZJHM: both or neither."""
    person = {name: value for name, value in ITEM[role].items() if name not in {"ZJLX", "ZJHM"}}
    assert isinstance(_one(portal, **{role: person}), Place)


# --- Broken items ---

REQUIRED = ["SXBM", "SXMC", "BLDW", "LXDM", "FFFS", "CLQD", "JJR", "SJR", "TJSJ"]
OF_A_PERSON = ["XM", "LXDH", "SZS", "SZD", "SZX", "XXDZ"]


@pytest.mark.parametrize("path", [*REQUIRED, *(f"{role}.{name}" for role in ("JJR", "SJR") for name in OF_A_PERSON)])
def test_every_required_member_is_required(portal, path):
    """Missing, empty, of another type or much too long: refused by name, and never quoted."""
    missing = _one(portal, **_with(path, None))
    assert (missing.portal_ref, missing.field, missing.reason) == (ITEM["SBLSH"], path, f"{path}: is missing")
    for value in ("", "   ", 7, True, {}, [], ["x"], "永" * 300):
        refused = _one(portal, **_with(path, value))
        assert isinstance(refused, Refuse), value
        assert refused.field.startswith(path), value
        assert refused.reason.startswith(refused.field)
        assert not any(text in repr(refused) for text in PERSONAL)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"XZQHDM": "50011"}, "XZQHDM"),
        ({"LXDM": "X"}, "LXDM"),
        ({"LXDM": "s"}, "LXDM"),
        ({"FFFS": "Q"}, "FFFS"),
        ({"SXMC": "名" * 101}, "SXMC"),
        ({"CLQD": [{"FS": 1}]}, "CLQD[0].CLMC"),
        ({"CLQD": [{"CLMC": "证"}]}, "CLQD[0].FS"),
        ({"CLQD": [{"CLMC": "证", "FS": 1}, {"CLMC": "证", "FS": "1"}]}, "CLQD[1].FS"),
        ({"CLQD": [{"CLMC": "证", "FS": 0}]}, "CLQD[0].FS"),
        ({"CLQD": [{"CLMC": "证", "FS": 1}] * 101}, "CLQD"),
        ({"CLQD": ["证"]}, "CLQD[0]"),
        ({"TJSJ": "2023-12-01 17:46:00"}, "TJSJ"),
        ({"TJSJ": "20231301174600"}, "TJSJ"),
        ({"LXDM": "Q"}, "YYSJQ"),
        ({"LXDM": "W"}, "YYSJQ"),
        ({"LXDM": "Q", "YYSJZ": "20231201110000"}, "YYSJQ"),
        ({"LXDM": "W", "YYSJQ": "20231201110000"}, "YYSJZ"),
        ({"LXDM": "Q", **WINDOW, "YYSJZ": WINDOW["YYSJQ"]}, "YYSJZ"),
        ({"LXDM": "Q", **WINDOW, "YYSJQ": "20231201120000"}, "YYSJZ"),
        ({"LXDM": "Q", **WINDOW, "YYSJQ": "20231201990000"}, "YYSJZ"),
        (WINDOW, "YYSJQ"),
        (_with("SJR.LXDH", "12345678901"), "SJR.LXDH"),
        (_with("JJR.LXDH", "12345678901"), "JJR.LXDH"),
        (_with("SJR.XM", "名" * 51), "SJR.XM"),
        (_with("SJR.XXDZ", "址" * 201), "SJR.XXDZ"),
        (_with("SJR.YB", "4000"), "SJR.YB"),
        (_with("SJR.ZJHM", "500104201408175279"), "SJR.ZJHM"),
        (_with("JJR.ZJHM", "500103197013011802"), "JJR.ZJHM"),
        (_with("SJR.ZJLX", "护照"), "SJR.ZJLX"),
        (_with("SJR.ZJHM", None), "SJR.ZJHM"),
        (_with("JJR.ZJLX", None), "JJR.ZJLX"),
        ({"SBLSH": "5" * 65}, "SBLSH"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(portal, changes, field):
    """Each member's own rule, and the rules between members; the item can be acked."""
    refused = _one(portal, **changes)
    assert isinstance(refused, Refuse)
    assert (refused.field, refused.reason.partition(":")[0]) == (field, field)
    assert refused.portal_ref == changes.get("SBLSH", ITEM["SBLSH"])
    assert not any(text in repr(refused) for text in PERSONAL)


def test_a_broken_item_does_not_spoil_its_page(portal):
    """Those around it are placed; it is kept as far as it could be read."""
    broken = {**SAMPLES[1], "LXDM": "X"}
    page = _polled(portal, SAMPLES[0], broken, SAMPLES[2])
    first, refused, last = page.commands
    assert [type(command) for command in page.commands] == [Place, Refuse, Place]
    assert (first.order.portal_ref, last.order.portal_ref) == (SAMPLES[0]["SBLSH"], SAMPLES[2]["SBLSH"])
    assert refused.content == {name: value for name, value in broken.items() if name != "TJSJ"}


@pytest.mark.parametrize(
    "value",
    ["1731234567890123456", "1e999", "NaN", "1e300", '"\\u0000"', '"\\ud800"', "[" * 60 + "]" * 60],
)
def test_what_is_not_i_json_spoils_its_item_alone(portal, value):
    """A number, a text or a depth that we do not store is refused with its item, which is kept as text."""
    items = f'{json.dumps(ITEM)[:-1]}, "KZ": {value}}}, {json.dumps(SAMPLES[0])}'
    body = f'{{"errcode":0,"errmsg":"ok","data":{{"items":[{items}],"cursor":"","more":false}}}}'
    _, page = _talk(portal.poll("", _source()), WireReply(200, {}, body.encode()))
    refused, placed = page.commands
    assert (refused.portal_ref, refused.field, refused.reason[:5]) == (ITEM["SBLSH"], None, "item:")
    assert list(refused.content) == ["text"]
    assert refused.content["text"].isascii()
    assert isinstance(placed, Place)


@pytest.mark.parametrize("name", ["", None, 7, [], {"a": 1}, "5020 23", "流水", "5\u0000", "5\ud800", "5" * 101])
def test_an_item_without_a_name_is_kept_and_never_acked(portal, name):
    """It gets a name of ours that no SBLSH can be, by its content; another item gets another."""
    refused, again, other = (_one(portal, SBLSH=name, BLDW=unit) for unit in ("甲", "甲", "乙"))
    assert isinstance(refused, Refuse)
    assert (refused.portal_ref == again.portal_ref, refused.portal_ref == other.portal_ref) == (True, False)
    assert len(refused.portal_ref) <= 64
    with pytest.raises(UnsupportedFeatureError, match="SBLSH"):
        portal.refuse(_owed_refusal(portal_ref=refused.portal_ref))


@pytest.mark.parametrize("item", [None, 7, "x", [], [ITEM]])
def test_what_is_no_object_is_kept_too(portal, item):
    """The page beside it is read."""
    refused, placed = _polled(portal, item, ITEM).commands
    assert refused.portal_ref.startswith("no SBLSH ")
    assert refused.content == {"text": json.dumps(item)}
    assert isinstance(placed, Place)


def _owed_refusal(portal_ref=ITEM["SBLSH"], reason="SJR.XM: is missing"):
    return OwedRefusal("0" * 25 + "1", portal_ref, reason, NOW, {})


def test_a_broken_item_is_acked_0_with_the_reason(portal):
    """JSBZ 0 and JJYY, no number of ours; a long reason is cut."""
    document = portal.refuse(_owed_refusal())
    body = f'{{"SBLSH":"{ITEM["SBLSH"]}","JSBZ":"0","JJYY":"SJR.XM: is missing"}}'
    assert document == Document("ack", body.encode(), "0" * 25 + "1")
    assert len(json.loads(portal.refuse(_owed_refusal(reason="x" * 300)).body)["JJYY"]) == 100


# --- Pages ---


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"cursor": "", "more": False},
        {"items": {}, "cursor": "", "more": False},
        {"items": [], "more": False},
        {"items": [], "cursor": 7, "more": False},
        {"items": [], "cursor": "\ud800", "more": False},
        {"items": [], "cursor": ""},
        {"items": [], "cursor": "", "more": "true"},
    ],
)
def test_half_a_page_is_none(portal, data):
    """Nothing of it is taken, and the cursor stays."""
    assert _talk(portal.poll("c1", _source()), _reply(**data))[1] == Outcome(UNKNOWN, code="unreadable answer")


def test_a_cursor_that_stands_still_ends_the_reading(portal):
    """`more` under the same cursor would be read for ever."""
    assert _talk(portal.poll("c1", _source()), _reply(items=[], cursor="c1", more=True))[1] == Page((), "c1")


def test_a_refused_cursor_is_lost(portal):
    """Reading begins anew in the same conversation; at the beginning a refusal is one."""
    requests, page = _talk(portal.poll("c1", _source()), _reply(47001), _reply(items=[ITEM], cursor="c9", more=False))
    assert [json.loads(request.body)["cursor"] for request in requests] == ["c1", ""]
    assert (len(page.commands), page.cursor) == (1, "c9")
    assert _talk(portal.poll("", _source()), _reply(47001))[1].kind is REFUSED


# --- Answers as a whole ---

WHOLE = [
    (_reply(40001), OutcomeKind.AUTH, "40001", None),
    (_reply("40001"), OutcomeKind.AUTH, "40001", None),
    (_reply(40001, status=401), OutcomeKind.AUTH, "40001", None),
    (_reply(45009, headers={"X-Tif-Retry-After": "3"}), BUSY, "45009", 3.0),
    (_reply(45009, status=429, headers={"x-tif-retry-after": "0.5"}), BUSY, "45009", 0.5),
    (_reply(45009), BUSY, "45009", None),
    (_reply(45009, headers={"x-tif-retry-after": "soon"}), BUSY, "45009", None),
    (_reply(47001), REFUSED, "47001", None),
    (_reply(50000), UNKNOWN, "50000", None),
    (_reply(12345), UNKNOWN, "12345", None),
    (_reply([1]), UNKNOWN, "unreadable answer", None),
    (_reply("1" * 13), UNKNOWN, "unreadable answer", None),
    (_reply(0, status=502), UNKNOWN, "HTTP 502", None),
    (_reply(45009, status=503), UNKNOWN, "HTTP 503", None),
    (WireReply(200, {}, b"<html>"), UNKNOWN, "unreadable answer", None),
    (WireReply(200, {}, b""), UNKNOWN, "unreadable answer", None),
    (WireReply(200, {}, b"[]"), UNKNOWN, "unreadable answer", None),
    (WireReply(200, {}, b"\xff"), UNKNOWN, "unreadable answer", None),
    (WireReply(200, {}, b'{"a":' * 50_000), UNKNOWN, "unreadable answer", None),
    (WireReply(409), UNKNOWN, "unreadable answer", None),
    (WireReply(404), OutcomeKind.MISCONFIGURED, "HTTP 404", None),
    (WireReply(302), OutcomeKind.MISCONFIGURED, "HTTP 302", None),
    (WireReply(403), OutcomeKind.AUTH, "HTTP 403", None),
    (WireReply(429, {"Retry-After": "7"}), BUSY, "HTTP 429", 7.0),
]


@pytest.mark.parametrize(("reply", "kind", "code", "wait_s"), WHOLE)
def test_an_answer_that_speaks_of_the_call(portal, reply, kind, code, wait_s):
    """By errcode where it is known, else by HTTP's status; said alike to every call."""
    for conversation in (
        portal.poll("", _source()),
        portal.reconcile(date(2023, 12, 1), _source()),
        portal.send(_traces(portal, "A"), _source()),
    ):
        result = _talk(conversation, reply)[1]
        outcome = result[0] if isinstance(result, list) else result
        assert (outcome.kind, outcome.code, outcome.wait_s) == (kind, code, wait_s)


def test_a_call_that_was_not_read_is_said_of_each_item(portal):
    """Nothing of a batch has a result of its own then."""
    outcomes = _talk(portal.send(_traces(portal, "A", "B"), _source()), _reply(40001))[1]
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.AUTH] * 2


def test_a_used_nonce_is_replaced_once(portal):
    """At once, by a fresh one, over the same body."""
    documents = _traces(portal, "A")
    requests, outcomes = _talk(
        portal.send(documents, _source()), _reply(40029), _reply(results=[_row(documents[0], 0)])
    )
    assert [outcome.kind for outcome in outcomes] == [TAKEN]
    assert requests[0].body == requests[1].body
    assert len({request.headers["x-tif-nonce"] for request in requests}) == 2
    assert len({request.headers["x-tif-signature"] for request in requests}) == 2


def test_a_nonce_refused_twice_is_a_matter_for_a_person(portal):
    """There is no third call."""
    requests, outcomes = _talk(portal.send(_traces(portal, "A"), _source()), _reply(40029), _reply(40029))
    assert len(requests) == 2
    assert [(outcome.kind, outcome.code) for outcome in outcomes] == [(OutcomeKind.AUTH, "40029")]


def test_what_it_says_can_be_stored(portal):
    """Half a surrogate pair in errmsg has no UTF-8; the text is kept out of reprs."""
    reply = WireReply(200, {}, b'{"errcode":47001,"errmsg":"\\ud800\xe5\xbc\xa0"}')
    ((outcome,),) = _talk(portal.send(_traces(portal, "A"), _source()), reply)[1:]
    assert outcome.text == "?张"
    assert "张" not in repr(outcome)


# --- Batches ---


def test_a_batch_is_made_of_the_kept_bytes(portal):
    """The items' bodies stand in it in order as they were rendered, whatever their spelling."""
    documents = [
        Document("traces", b'{"QQID": "1",  "SBLSH":"A"}', "1"),
        Document("traces", '{"SBLSH":"B","QQID":"2","ZTMS":"更正"}'.encode(), "2"),
    ]
    (request,), outcomes = _talk(
        portal.send(documents, _source()), _reply(results=[_row(document, 0) for document in documents])
    )
    assert request.url == f"{BASE}/ebus/logistics/traces"
    assert request.body == b'{"items":[' + documents[0].body + b"," + documents[1].body + b"]}"
    assert [outcome.kind for outcome in outcomes] == [TAKEN, TAKEN]


@pytest.mark.parametrize(
    ("code", "kind", "kept"),
    [
        (0, TAKEN, "0"),
        ("0", TAKEN, "0"),
        (1, TAKEN, "1"),
        (2, REFUSED, "2"),
        (9, BUSY, "9"),
        (5, UNKNOWN, "5"),
        (None, UNKNOWN, "None"),
        ("没有", UNKNOWN, "unreadable answer"),
    ],
)
def test_each_item_has_its_own_result(portal, code, kind, kept):
    """Beside one that was taken; an SBLSH that the portal does not know parks its lane."""
    documents = _traces(portal, "A", "B")
    rows = [_row(documents[0], 0), _row(documents[1], code)]
    first, second = _talk(portal.send(documents, _source()), _reply(results=rows))[1]
    assert first.kind is TAKEN
    assert (second.kind, second.code, second.wait_s, second.parks_lane) == (kind, kept, None, True)


def test_results_find_their_items_in_any_order(portal):
    """Shuffled, doubled and foreign rows do not mislead."""
    documents = _traces(portal, "A", "A", "B")
    rows = [
        _row(documents[2], 2),
        {"SBLSH": "Z", "QQID": "Z", "code": 9},
        _row(documents[1], 9),
        _row(documents[0], 0),
        _row(documents[0], 9),
        "rubbish",
    ]
    outcomes = _talk(portal.send(documents, _source()), _reply(results=rows))[1]
    assert [outcome.kind for outcome in outcomes] == [TAKEN, BUSY, REFUSED]


@pytest.mark.parametrize("results", [[], None, "x", {"0": 0}, [{}], [None]])
def test_an_item_without_a_result_is_unknown(portal, results):
    """It may have been taken."""
    outcomes = _talk(portal.send(_traces(portal, "A", "B"), _source()), _reply(results=results))[1]
    assert [outcome.kind for outcome in outcomes] == [UNKNOWN, UNKNOWN]


def test_a_result_must_name_both_update_and_order(portal):
    """A row with our QQID and another SBLSH is no answer to us."""
    documents = _traces(portal, "A", "B")
    rows = [_row(documents[0], 0, SBLSH="B"), _row(documents[1], 0)]
    outcomes = _talk(portal.send(documents, _source()), _reply(results=rows))[1]
    assert [outcome.kind for outcome in outcomes] == [UNKNOWN, TAKEN]


def test_two_acks_of_one_item_share_its_rows(portal):
    """The first has the first row; without a second one the second is unknown."""
    acks = [portal.render(_owed(Status.ACCEPTED, number=number)) for number in (1, 2)]
    both = _talk(portal.send(acks, _source()), _reply(results=[_row(acks[0], 0), _row(acks[1], 9)]))[1]
    assert [outcome.kind for outcome in both] == [TAKEN, BUSY]
    single = _talk(portal.send(acks, _source()), _reply(results=[_row(acks[0], 0)]))[1]
    assert [outcome.kind for outcome in single] == [TAKEN, UNKNOWN]


@pytest.mark.parametrize("whole", [_reply(47001), WireReply(400), WireReply(413)])
@pytest.mark.parametrize("size", [2, 3, 7, 100])
@pytest.mark.parametrize("place", [0, 1, -1])
def test_one_item_that_cannot_be_read_falls_alone(portal, size, place, whole):
    """A refused call is halved until the item at fault stands alone: the others are taken, in few calls."""
    documents = _traces(portal, *(f"R{number}" for number in range(size)))
    bad = json.loads(documents[place].body)

    def answer(items):
        return whole if bad in items else _reply(results=[{**item, "code": 0} for item in items])

    calls, outcomes = _answer_by(portal.send(documents, _source()), answer)
    expected = [TAKEN] * size
    expected[place] = REFUSED
    assert [outcome.kind for outcome in outcomes] == expected
    assert len(calls) <= 1 + 2 * size.bit_length()


def test_nothing_overtakes_within_an_order(portal):
    """While a call is halved, what follows a failed item of its order is held back; other orders go on."""
    documents = _traces(portal, "A", "B", "A", "C", "A", "B")
    bad = json.loads(documents[0].body)

    def answer(items):
        return _reply(47001) if bad in items else _reply(results=[{**item, "code": 0} for item in items])

    calls, outcomes = _answer_by(portal.send(documents, _source()), answer)
    assert [(outcome.kind, outcome.code) for outcome in outcomes] == [
        (REFUSED, "47001"),
        (TAKEN, "0"),
        (BUSY, "held back"),
        (TAKEN, "0"),
        (BUSY, "held back"),
        (TAKEN, "0"),
    ]
    assert not outcomes[0].parks_lane
    assert [[item["SBLSH"] for item in call] for call in calls[1:]] == [["A", "B", "A"], ["A"], ["B"], ["C", "B"]]


def test_a_breakage_says_nothing_of_what_was_answered(portal):
    """The half that was taken stays taken; the one that did not leave is not sent."""
    documents = _traces(portal, "A", "B")
    broken = Outcome(OutcomeKind.NOT_SENT, code="refused_connection")
    rows = _reply(results=[_row(documents[0], 0)])
    requests, outcomes = _talk(portal.send(documents, _source()), _reply(47001), rows, broken)
    assert [outcome.kind for outcome in outcomes] == [TAKEN, OutcomeKind.NOT_SENT]
    assert len(requests) == 3


# --- What it is told ---


def test_the_engine_is_told_what_the_wire_bears(portal):
    """Every status but unknown, which of them wait for a number, and how much goes in a call and in a second."""
    manifest = portal.manifest
    assert manifest.tells == frozenset(STATE_CODES) | {Status.ACCEPTED}
    assert manifest.needs_waybill == frozenset(STATE_CODES) - {Status.CANCELLED}
    assert (manifest.batches, manifest.rate_per_s) == ({"ack": 200, "traces": 100}, 20)
    assert (manifest.is_idempotent, manifest.has_probe) == (True, False)


def test_an_order_that_is_taken_is_acked(portal):
    """With our number, as JSBZ 1."""
    document = portal.render(_owed(Status.ACCEPTED, waybill_no=None))
    body = f'{{"SBLSH":"{ITEM["SBLSH"]}","WLDH":"{ORDER_ID}","JSBZ":"1"}}'
    assert document == Document("ack", body.encode(), "0" * 25 + "1")


def test_acks_of_both_kinds_go_in_one_call(portal):
    """Taken and given back; rows are told apart by SBLSH."""
    documents = [portal.render(_owed(Status.ACCEPTED, order=_order("A"))), portal.refuse(_owed_refusal("B"))]
    rows = [_row(documents[1], 1), _row(documents[0], 0)]
    (request,), outcomes = _talk(portal.send(documents, _source()), _reply(results=rows))
    assert request.url == f"{BASE}/ebus/logistics/ack"
    assert [outcome.code for outcome in outcomes] == ["0", "1"]


STATE_CODES = {
    Status.NUMBERED: "02",
    Status.COLLECTED: "03",
    Status.IN_TRANSIT: "04",
    Status.OUT_FOR_DELIVERY: "05",
    Status.DELIVERED: "06",
    Status.UNDELIVERED: "07",
    Status.RETURNING: "08",
    Status.RETURNED: "09",
    Status.CANCELLED: "10",
    Status.LOST: "11",
}
REASON_CODES = {
    Reason.BAD_ADDRESS: "01",
    Reason.UNKNOWN_PERSON: "02",
    Reason.UNREACHABLE: "03",
    Reason.REFUSED: "04",
    Reason.MOVED: "05",
    Reason.DEFERRED: "06",
    Reason.WILL_COLLECT: "07",
    Reason.OTHER: "99",
    None: "99",
}


@pytest.mark.parametrize(("status", "code"), STATE_CODES.items())
def test_all_else_is_a_trace(portal, status, code):
    """With the delivery's own id, the leg's number, and a reason only where it was not delivered."""
    call, trace = _rendered(portal, _owed(status))
    assert call == "traces"
    assert trace.pop("ZTMS").strip()
    assert trace == {
        "QQID": "0" * 25 + "1",
        "SBLSH": ITEM["SBLSH"],
        "YJHM": "EA969294768CN",
        "ZT": code,
        "ZTSJ": "20231201081230",
        **({"YYDM": "99"} if code == "07" else {}),
    }


@pytest.mark.parametrize(("reason", "code"), REASON_CODES.items())
def test_every_reason_has_a_code(portal, reason, code):
    """An event without one is said as 其他."""
    event = Event(event_id="e1", status=Status.UNDELIVERED, occurred_at=NOW, reason=reason)
    assert _rendered(portal, _owed(Status.UNDELIVERED, event=event))[1]["YYDM"] == code


def test_a_trace_is_said_in_our_words(portal):
    """Status, office and reason; a courier's name and phone never leave."""
    event = Event(
        event_id="e1",
        status=Status.UNDELIVERED,
        occurred_at=NOW,
        office=Office(name="龙洲湾"),
        reason=Reason.REFUSED,
        note="王师傅 13800000000",
        raw_code="705",
    )
    assert portal.render(_owed(Status.UNDELIVERED, event=event)).body.decode() == (
        f'{{"QQID":"{"0" * 25}1","SBLSH":"{ITEM["SBLSH"]}","YJHM":"EA969294768CN","ZT":"07","ZTSJ":"20231201081230",'
        '"ZTMS":"【龙洲湾】邮件未妥投，原因：收件人拒收","YYDM":"04"}'
    )


def test_who_signed_is_said_by_name_alone(portal):
    """With 06 only; the ID number stays here."""
    signer = Signer(name="张三", relation="本人", id_type="111", id_no="50010320140114857X")
    for status, names in ((Status.DELIVERED, ["张三"]), (Status.RETURNED, [])):
        event = Event(event_id="e1", status=status, occurred_at=NOW, signer=signer)
        document = portal.render(_owed(status, event=event))
        assert [json.loads(document.body)[name] for name in ("QSR",) if name in json.loads(document.body)] == names
        assert "50010320140114857X" not in document.body.decode()


@pytest.mark.parametrize("leg", [1, 2])
def test_a_leg_is_said_with_round_trips_only(portal, leg):
    """Both legs have traces of their own."""
    order = _order(direction=Direction.ROUND_TRIP)
    assert _rendered(portal, _owed(Status.NUMBERED, leg=leg, order=order))[1]["LEG"] == leg
    assert "LEG" not in _rendered(portal, _owed(Status.NUMBERED, leg=leg))[1]


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.ACCEPTED, "01"), (Status.NUMBERED, "02"), (Status.UNDELIVERED, "07"), (Status.DELIVERED, "06")],
)
def test_a_correction_is_one_more_trace(portal, status, code):
    """ZT 01 and 02 included; the sentence begins 更正, and nobody signed."""
    event = Event(event_id="e2", occurred_at=NOW, revokes="e1", signer=Signer(name="张三"))
    call, trace = _rendered(portal, _owed(status, event=event, corrects="01HGGY4B5R0000000000000CD1"))
    assert (call, trace["ZT"], trace["ZTMS"][:2]) == ("traces", code, "更正")
    assert trace.get("YYDM") == ("99" if code == "07" else None)
    assert "QSR" not in trace


def test_a_cancel_needs_no_waybill_and_is_always_told(portal):
    """The portal cannot have asked for it: it has no call to."""
    assert _rendered(portal, _owed(Status.CANCELLED, waybill_no=None))[1]["YJHM"] == ""
    assert portal.manifest.tells_own_cancel


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


# --- Reconciling ---


def test_standings_are_read(portal):
    """A code that means nothing to us is kept."""
    rows = [{"SBLSH": "A", "ZT": "01"}, {"SBLSH": "B", "ZT": "11", "X": 1}, {"SBLSH": "C", "ZT": "77"}]
    rows += [{"SBLSH": "D", "ZT": 3}, {"SBLSH": "E"}, {"SBLSH": "F", "ZT": "x" * 300}]
    (request,), standings = _talk(portal.reconcile(date(2023, 12, 1), _source()), _reply(items=rows))
    assert request.url == f"{BASE}/ebus/logistics/reconcile"
    assert request.body == b'{"date":"20231201"}'
    assert standings == (
        Standing("A", Status.ACCEPTED, "01"),
        Standing("B", Status.LOST, "11"),
        Standing("C", Status.UNKNOWN, "77"),
        Standing("D", Status.UNKNOWN, "3"),
        Standing("E", Status.UNKNOWN, ""),
        Standing("F", Status.UNKNOWN, "x" * 100),
    )


@pytest.mark.parametrize("items", [None, {}, "x", [None], [{"ZT": "01"}], [{"SBLSH": "A", "ZT": "01"}, {"SBLSH": ""}]])
def test_half_a_book_is_none(portal, items):
    """A row left out would look like a difference."""
    result = _talk(portal.reconcile(date(2023, 12, 1), _source()), _reply(items=items))[1]
    assert result == Outcome(UNKNOWN, code="unreadable answer")


# --- Settings ---


def test_polls_are_five_seconds_apart_unless_said_otherwise():
    """The default, and a setting."""
    assert (_build().poll_every_s, _build(poll_every_s=0.5).poll_every_s) == (5, 0.5)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "often"])
def test_a_poll_must_have_a_distance(value):
    """Refused at the start, by name."""
    with pytest.raises(ConfigurationError, match=r"portals\.quanyu_tongban.*poll_every_s"):
        _build(poll_every_s=value)


def test_settings_do_not_show_secrets():
    """A repr of the settings masks the token."""
    settings = load_adapter("quanyu_tongban").factory.Settings(base_url=BASE, **KEYS)
    assert KEYS["token"] not in repr(settings)
