"""川渝通办: the envelope at the door, the four methods, signed answers, notices, and the probe."""

import json
from base64 import b64encode
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from govpost.adapters.base import DeliveryKind, Owed
from govpost.adapters.chuanyu_tongban.codes import RECEIVERS, STATUSES
from govpost.adapters.chuanyu_tongban.fields import FIELDS
from govpost.adapters.fields import order_to_wire
from govpost.adapters.protocols import sm
from govpost.adapters.protocols.sm2 import SigningKey, VerifyingKey
from govpost.adapters.protocols.sm_envelope import Envelopes, read_envelope
from govpost.adapters.registry import load_adapter
from govpost.schemas import (
    Address,
    Amend,
    Amended,
    Cancel,
    Cancelled,
    Denied,
    Direction,
    Event,
    Found,
    Mode,
    Office,
    Order,
    OutcomeKind,
    Payer,
    Place,
    Placed,
    Presence,
    Problem,
    Query,
    Reason,
    ReceivedBy,
    Signer,
    Source,
    Status,
    Update,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import BreakageError, ConfigurationError, UnsupportedFeatureError

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
SAMPLES = ROOT / "schemas" / "wire" / "chuanyu_tongban" / "samples"
EXAMPLES = json.loads((DATA / "examples.json").read_text("utf-8"))
EXAMPLE = EXAMPLES["chuanyu_tongban"]
ENVELOPE = EXAMPLE["envelope"]
CONTENT = EXAMPLE["opens_to"]["bizContent"]
KEYS = EXAMPLES["keys"]["chuanyu_tongban"]
PAIRS = EXAMPLES["keys"]["sm2"]
ORDERS = json.loads((DATA / "chuanyu_tongban_orders.json").read_text("utf-8"))
NOW = datetime.fromtimestamp(1701389550, UTC)
REQ_ID = "0123456789abcdef0123456789abcdef"
TOKEN = "fedcba9876543210fedcba9876543210"
DOOR = "/portals/chuanyu_tongban/gateway"
ORDER_ID = "01HGGY4B5R0000000000000AB1"
DELIVERY_ID = "01HGGY4B5R0000000000000CD1"
EARLIER_ID = "01HGGY4B5R0000000000000CD0"
#: How the wire writes DELIVERY_ID.
IDENTITY = "018c21e22cb8000000000000000031a1"
BIZ_NO = CONTENT["bizNo"]
SETTINGS = {
    "base_url": "https://cytb.example/base/",
    **KEYS,
    "sign_key": PAIRS["gateway"]["private"],
    "verify_keys": [PAIRS["portal"]["public"]],
}
#: What no answer, reason or repr may show.
PERSONAL = [CONTENT[role][name] for role in ("from", "to") for name in ("name", "phone", "address", "idNo")]


def _build(**changes):
    return load_adapter("chuanyu_tongban").build({**SETTINGS, **changes}, section="portals.chuanyu_tongban")


@pytest.fixture(scope="module")
def portal():
    """Build the adapter as the gateway does."""
    return _build()


def _far_side(pair="portal", app_code="CY50POST", verify="gateway"):
    """Make what the portal has: its own pair, and our public key."""
    return Envelopes(
        app_code,
        cipher_key=bytes.fromhex(KEYS["sm4_key"]),
        sign_key=SigningKey(PAIRS[pair]["private"]),
        verify_keys=[VerifyingKey(PAIRS[verify]["public"])],
    )


def _sealed(opened, *, req_id=REQ_ID, at=NOW, pair="portal", app_code="CY50POST"):
    data = opened if isinstance(opened, bytes) else json.dumps(opened, ensure_ascii=False).encode()
    return WireRequest("POST", DOOR, {}, _far_side(pair, app_code).seal(data, req_id=req_id, at=at))


def _call(method, content, **how):
    return _sealed({"method": method, "bizContent": content}, **how)


def _place(drop=(), **changes):
    """Make a place call out of the example; a path with a dot changes a person, None takes a member away."""
    content = deepcopy(CONTENT)
    for path, value in {**changes, **dict.fromkeys(drop)}.items():
        inside, _, name = path.rpartition(".")
        (content[inside] if inside else content)[name] = value
    return _call("order.place", content)


def _changed(path, value):
    return _place(**{path: value})


def _answered(reply, req_id=REQ_ID):
    """Open an answer as the portal does: only if it is signed and echoes the reqId."""
    envelope = read_envelope(reply.body)
    assert reply.status == 200
    assert _far_side().is_authentic(envelope)
    assert (envelope.req_id, envelope.app_code) == (req_id, "CY50POST")
    return _far_side().open(envelope)


def _order(direction=Direction.TO_APPLICANT):
    person = {"name": "甲", "phone": "13800000000", "address": Address(street="一号")}
    return Order(
        portal_ref=BIZ_NO,
        direction=direction,
        mode=Mode.DOORSTEP,
        payer=Payer.GOVERNMENT,
        sender=person,
        recipient=person,
        items=({"name": "证"},),
        matter={},
        order_id=ORDER_ID,
        portal="chuanyu_tongban",
        accepted_at=NOW,
    )


def _event(status=Status.DELIVERED, **changes):
    return Event(event_id="e1", status=status, occurred_at=NOW, **changes)


def _owed(status, *, event=None, corrects=None, waybill_no="EA969294768CN", leg=1, order=None):
    update = Update(ORDER_ID, event or _event(status), status, leg, waybill_no, corrects)
    return Owed(DELIVERY_ID, DeliveryKind.UPDATE, order or _order(), NOW, update)


def _source(at=NOW):
    return Source(now=lambda: at, token=lambda: TOKEN)


def _run(conversation, *replies):
    """Drive a conversation: the requests it made, and its result."""
    requests = [next(conversation)]
    for reply in replies:
        try:
            requests.append(conversation.send(reply))
        except StopIteration as stop:
            return requests, stop.value
    raise AssertionError("the conversation wants more replies")


def _reply(opened, *, req_id=IDENTITY, status=200, **how):
    return WireReply(status, {}, _sealed(opened, req_id=req_id, **how).body)


def _sent(portal, reply, owed=None):
    _, (outcome,) = _run(portal.send([portal.render(owed or _owed(Status.COLLECTED))], _source()), reply)
    return outcome


# --- Reading ---


def test_the_worked_example_is_read(portal):
    """The example's envelope verifies as it stands and becomes the order it means."""
    inbound = portal.read(WireRequest("POST", DOOR, {}, json.dumps(ENVELOPE).encode()), NOW)
    assert isinstance(inbound.command, Place)
    assert inbound.nonce == ENVELOPE["reqId"]
    assert inbound.nonce_digest == sm.sm3(ENVELOPE["encData"].encode())
    order = inbound.command.order
    assert (order.portal_ref, order.direction, order.mode) == (BIZ_NO, Direction.TO_APPLICANT, Mode.DOORSTEP)
    assert (order.payer, order.matter.division_code) == (Payer.GOVERNMENT, "500230")
    assert (order.recipient.name, order.recipient.id_document.no) == ("金曦", "510104200807193593")
    assert order.recipient.address == Address(
        division_code="510104",
        street="四川省成都市锦江区解放西路600号锦绣家园19栋15-6",
        postcode="644000",
    )
    assert [(item.name, item.copies, item.is_original) for item in order.items] == [("公积金转移函", 1, True)]
    assert order.appointment.start_at == datetime(2023, 12, 1, 1, tzinfo=UTC)
    assert order.extras == {"acceptRegion": "510104"}
    assert inbound.command.content == {name: value for name, value in CONTENT.items() if name != "submittedAt"}


@pytest.mark.parametrize("sample", ORDERS, ids=lambda sample: sample["bizNo"][-2:])
def test_every_sample_is_read(portal, sample):
    """All forty sample orders become orders, with nothing left over but the region that accepted."""
    place = portal.read(_call("order.place", sample), NOW).command
    assert isinstance(place, Place)
    assert place.order.extras == {"acceptRegion": sample["acceptRegion"]}
    assert order_to_wire(FIELDS, place.order, keep_extras=True) == sample


@pytest.mark.parametrize("name", ["result", "material", "round", "unknown_members"])
def test_the_golden_pairs_go_both_ways(portal, name):
    """The pairs in schemas/wire hold."""
    wire = json.loads((SAMPLES / f"{name}.wire.json").read_text("utf-8"))
    expected = json.loads((SAMPLES / f"{name}.order.json").read_text("utf-8"))
    order = portal.read(_call("order.place", wire), NOW).command.order
    assert order.model_dump(mode="json", exclude_none=True) == expected
    assert order_to_wire(FIELDS, order, keep_extras=True) == wire


def test_amend_cancel_and_trace_are_read(portal):
    """The other methods become their commands; an amend is known by its reqId."""
    amend = portal.read(_call("order.amend", {"bizNo": BIZ_NO, "to": CONTENT["to"]}), NOW).command
    assert amend == Amend(BIZ_NO, portal.read(_place(), NOW).command.order.recipient, command_id=REQ_ID)
    cancel = portal.read(_call("order.cancel", {"bizNo": BIZ_NO, "reason": "办错了"}), NOW).command
    assert cancel == Cancel(BIZ_NO, reason="办错了")
    assert portal.read(_call("order.cancel", {"bizNo": BIZ_NO}), NOW).command == Cancel(BIZ_NO)
    assert portal.read(_call("order.trace", {"bizNo": BIZ_NO}), NOW).command == Query(BIZ_NO)


def test_a_retry_is_recognized_and_a_clash_too(portal):
    """The same content under the same reqId has the same nonce and digest, other content another digest."""
    first, retry = (portal.read(_place(), NOW) for _ in range(2))
    other = portal.read(_place(payer="COD"), NOW)
    assert (first.nonce, first.nonce_digest) == (retry.nonce, retry.nonce_digest)
    assert first.nonce == other.nonce
    assert first.nonce_digest != other.nonce_digest


def test_content_does_not_know_when_it_was_submitted(portal):
    """The same order at another time, with empty members, is the same content."""
    again = portal.read(_place(submittedAt="2023-12-02T08:12:30+08:00", note="", more=None), NOW).command
    assert again.content == portal.read(_place(), NOW).command.content


def test_unknown_members_are_kept(portal):
    """A member we have no word for is content and goes to extras."""
    place = portal.read(_place(channel={"a": 1}, **{"to.floor": 3}), NOW).command
    assert place.order.extras == {"acceptRegion": "510104", "channel": {"a": 1}, "to": {"floor": 3}}
    assert place.content["channel"] == {"a": 1}


@pytest.mark.parametrize(
    ("appointment", "mode"),
    [(CONTENT["appointment"], Mode.DOORSTEP), (None, Mode.ROUTE), ({}, Mode.ROUTE), ({"begin": " "}, Mode.ROUTE)],
)
def test_the_mode_follows_from_the_appointment(portal, appointment, mode):
    """A courier calls by appointment; without one the item is taken on the round."""
    order = portal.read(_place(appointment=appointment), NOW).command.order
    assert (order.mode, order.appointment is None) == (mode, mode is Mode.ROUTE)


# --- The caller ---


@pytest.mark.parametrize("value", ["", "CY50POSU", "cy50post", None, 7, ["CY50POST"]])
def test_an_unknown_caller_gets_an_empty_401(portal, value):
    """Nothing of such a request is stored, and nothing is signed for it."""
    inbound = portal.read(WireRequest("POST", DOOR, {}, json.dumps({**ENVELOPE, "appCode": value}).encode()), NOW)
    assert (inbound.command.problem, inbound.nonce) == (Problem.SIGNATURE, None)
    assert portal.answer(inbound, inbound.command) == WireReply(401)


@pytest.mark.parametrize("name", [name for name in ENVELOPE if name != "appCode"])
@pytest.mark.parametrize("value", ["", None, "x", 7, "é" * 32, "0" * 400])
def test_a_member_that_was_changed_is_a_bad_signature(portal, name, value):
    """Missing, of another type or tampered with: 4011, signed, and no nonce is used up."""
    inbound = portal.read(WireRequest("POST", DOOR, {}, json.dumps({**ENVELOPE, name: value}).encode()), NOW)
    assert (inbound.command.problem, inbound.nonce, inbound.nonce_digest) == (Problem.SIGNATURE, None, None)
    echoed = "" if name == "reqId" else ENVELOPE["reqId"]
    assert _answered(portal.answer(inbound, inbound.command), echoed)["code"] == "4011"


@pytest.mark.parametrize("pair", ["gateway", "court"])
def test_another_partys_signature_is_refused(portal, pair):
    """Our own key is not the portal's, and nor is a third one."""
    request = _sealed(EXAMPLE["opens_to"], pair=pair)
    assert portal.read(request, NOW).command.problem is Problem.SIGNATURE


def test_a_rotated_key_holds_until_it_is_retired():
    """Two keys may be live at once; one that is taken out is refused from then on."""
    court = PAIRS["court"]["public"]
    both, retired = _build(verify_keys=[f"04{court}", PAIRS["portal"]["public"]]), _build(verify_keys=[court])
    assert isinstance(both.read(_place(), NOW).command, Place)
    assert retired.read(_place(), NOW).command.problem is Problem.SIGNATURE


@pytest.mark.parametrize(("seconds", "is_good"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_stale_timestamp_is_refused(portal, seconds, is_good):
    """Three hundred seconds either way are allowed, and the nonce of a refused one is not kept."""
    inbound = portal.read(_place(), NOW + timedelta(seconds=seconds))
    assert isinstance(inbound.command, Place) == is_good
    assert is_good or (inbound.command.problem, inbound.nonce) == (Problem.TIMESTAMP, None)


def _resigned(**changes):
    """Change members of an envelope and sign what came of it."""
    envelope = {**ENVELOPE, **changes}
    text = "&".join(f"{name}={envelope[name]}" for name in sorted(envelope) if name != "signData")
    signature = SigningKey(PAIRS["portal"]["private"]).sign(text.encode())
    envelope["signData"] = b64encode(signature).decode()
    return WireRequest("POST", DOOR, {}, json.dumps(envelope).encode())


@pytest.mark.parametrize(
    "timestamp", ["", "abc", "-1", "1701389550", "1701389550000 ", "9" * 5000, "１７０１３８９５５００００"]
)
def test_a_signed_timestamp_that_is_none_is_a_bad_timestamp(portal, timestamp):
    """The signature is looked at first."""
    assert portal.read(_resigned(timestamp=timestamp), NOW).command.problem is Problem.TIMESTAMP


@pytest.mark.parametrize("req_id", ["", "ab", "g" * 32, "0" * 33, "0" * 31 + "&", "０" * 32])
def test_a_signed_req_id_that_is_none_is_invalid(portal, req_id):
    """It is refused by name, not stored, and not echoed: our signature covers what we echo."""
    inbound = portal.read(_resigned(reqId=req_id), NOW)
    assert inbound.command == Denied(Problem.INVALID, "must be 32 hex digits", "reqId")
    assert inbound.nonce is None
    assert _answered(portal.answer(inbound, inbound.command), "")["message"] == "reqId: must be 32 hex digits"


@pytest.mark.parametrize(
    ("name", "value"), [("version", "2.0.0"), ("encType", "SM4-CBC"), ("signType", "RSA"), ("encType", "")]
)
def test_another_kind_of_envelope_is_invalid(portal, name, value):
    """A caller who is proven hears which member it is, and its nonce counts."""
    inbound = portal.read(_resigned(**{name: value}), NOW)
    assert (inbound.command.problem, inbound.command.field) == (Problem.INVALID, name)
    assert inbound.nonce == ENVELOPE["reqId"]


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b'"x"', b"\xff", b"{" * 50_000, b'{"appCode":"a","appCode":"a"}']
)
def test_a_body_that_is_no_envelope_is_invalid(portal, body):
    """It is answered in a signed envelope that echoes nothing."""
    inbound = portal.read(WireRequest("POST", DOOR, {}, body), NOW)
    assert (inbound.command.problem, inbound.nonce) == (Problem.INVALID, None)
    assert _answered(portal.answer(inbound, inbound.command), "")["code"] == "4001"


def test_the_door_is_one(portal):
    """POST to …/gateway, a base path and a query before and after it notwithstanding."""
    body = _place().body
    assert isinstance(portal.read(WireRequest("POST", f"/gw{DOOR}?x=1", {}, body), NOW).command, Place)
    for method, url in (("GET", DOOR), ("POST", f"{DOOR}/"), ("POST", "/portals/chuanyu_tongban/notify")):
        assert portal.read(WireRequest(method, url, {}, body), NOW).command.problem is Problem.INVALID


# --- What is sealed ---


@pytest.mark.parametrize(
    "opened", [b"", b"rubbish", b"[]", b"\xff", b'{"method":"order.place","method":"order.place"}']
)
def test_what_does_not_open_to_an_object_is_invalid(portal, opened):
    """A signature that is good does not make it readable; the nonce counts."""
    inbound = portal.read(_sealed(opened), NOW)
    assert inbound.command == Denied(Problem.INVALID, "does not open to a JSON object", "encData")
    assert inbound.nonce == REQ_ID


@pytest.mark.parametrize(
    "method", ["", None, "order.create", "logistics.notify", 7, ["order.place"], {"order.place": 1}]
)
def test_an_unknown_method_is_invalid(portal, method):
    """Only four are known."""
    assert portal.read(_call(method, CONTENT), NOW).command.field == "method"


@pytest.mark.parametrize("content", [None, [], "x", 7, [CONTENT]])
@pytest.mark.parametrize("method", ["order.place", "order.amend", "order.cancel", "order.trace"])
def test_content_must_be_an_object(portal, method, content):
    """Whatever the method."""
    assert portal.read(_call(method, content), NOW).command == Denied(
        Problem.INVALID, "must be an object", "bizContent"
    )


REQUIRED = [
    *("bizNo", "matterCode", "matterName", "acceptRegion", "handleRegion", "direction", "payer", "docs"),
    *("from", "from.name", "from.phone", "from.address", "to", "to.name", "to.phone", "to.address"),
]


@pytest.mark.parametrize("path", REQUIRED)
def test_every_required_member_is_required(portal, path):
    """Missing, null, empty, of another type or much too long: refused by name, and nobody is quoted."""
    for value in (None, ""):
        missing = portal.read(_changed(path, value), NOW).command
        assert missing.problem is Problem.INVALID, value
        assert missing.field.startswith(path)
        assert missing.reason == "is missing"
    for value in (7, True, {}, [], ["x"], "永" * 300):
        denied = portal.read(_changed(path, value), NOW).command
        assert denied.problem is Problem.INVALID, value
        assert denied.field.startswith(path)
        assert not any(text in repr(denied) for text in PERSONAL)


@pytest.mark.parametrize(
    "drop",
    [("appointment",), ("submittedAt",), ("to.zip", "from.zip"), ("to.region",), ("to.idType", "to.idNo"), ("docs0",)],
)
def test_what_the_mail_can_do_without_may_be_missing(portal, drop):
    """Appointment, time of submission, zip, region, ID document, whether it is an original."""
    request = _place(docs=[{"name": "证", "count": 1}]) if drop == ("docs0",) else _place(drop=drop)
    assert isinstance(portal.read(request, NOW).command, Place)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("bizNo", "C" * 65, "bizNo"),
        ("matterName", "名" * 101, "matterName"),
        ("handleRegion", "50023", "handleRegion"),
        ("acceptRegion", "51010a", "acceptRegion"),
        ("acceptRegion", "500113", "acceptRegion"),
        ("handleRegion", "511502", "acceptRegion"),
        ("acceptRegion", "330106", "acceptRegion"),
        ("direction", "BOTH", "direction"),
        ("payer", "gov", "payer"),
        ("docs", [], "docs"),
        ("docs", [{"name": "证", "count": 1}] * 101, "docs"),
        ("docs", [{"name": "证", "count": 0}], "docs[0].count"),
        ("docs", [{"name": "证", "count": "1"}], "docs[0].count"),
        ("docs", [{"name": "证", "count": 1, "original": "true"}], "docs[0].original"),
        ("docs", [{"name": "证", "count": 1}, {"count": 1}], "docs[1].name"),
        ("to.name", "名" * 51, "to.name"),
        ("to.phone", "12345678901", "to.phone"),
        ("to.address", "址" * 201, "to.address"),
        ("to.region", "5101", "to.region"),
        ("to.zip", "64400", "to.zip"),
        ("to.idNo", "510104200807193594", "to.idNo"),
        ("to.idNo", None, "to.idNo"),
        ("to.idType", None, "to.idType"),
        ("from.idType", "身份证", "from.idType"),
        ("appointment", {"begin": "2023-12-01T09:00:00+08:00"}, "appointment.end"),
        ("appointment", {"begin": "2023-12-01T09:00:00", "end": "2023-12-01T11:00:00"}, "appointment.begin"),
        ("appointment", {"begin": "2023-12-01T11:00:00+08:00", "end": "2023-12-01T09:00:00+08:00"}, "appointment"),
        ("submittedAt", "2023-12-32T08:12:30+08:00", "submittedAt"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(portal, path, value, field):
    """Each member's own rule, and that two provinces are concerned."""
    inbound = portal.read(_changed(path, value), NOW)
    assert (inbound.command.problem, inbound.command.field) == (Problem.INVALID, field)
    assert _answered(portal.answer(inbound, inbound.command))["message"].startswith(f"{field}: ")
    assert not any(text in repr(inbound) for text in PERSONAL)


@pytest.mark.parametrize(
    ("name", "value"),
    [("phone", "1"), ("idNo", "510104200807193594"), ("idNo", None), ("idType", None), ("zip", "1"), ("address", None)],
)
def test_an_amend_is_held_to_the_same_rules(portal, name, value):
    """The path is the one of order.place, and nobody is quoted."""
    to = {**CONTENT["to"], name: value}
    denied = portal.read(_call("order.amend", {"bizNo": BIZ_NO, "to": to}), NOW).command
    assert (denied.problem, denied.field) == (Problem.INVALID, f"to.{name}")
    assert (denied.reason == "is missing") == (value is None)
    assert not any(text in repr(denied) for text in PERSONAL)


@pytest.mark.parametrize("method", ["order.amend", "order.cancel", "order.trace"])
def test_every_call_names_its_order(portal, method):
    """Without bizNo nothing is done."""
    denied = portal.read(_call(method, {"to": CONTENT["to"]}), NOW).command
    assert denied == Denied(Problem.INVALID, "is missing", "bizNo")


def test_nothing_personal_is_in_a_repr(portal):
    """Commands and requests can be logged."""
    amend = _call("order.amend", {"bizNo": BIZ_NO, "to": CONTENT["to"]})
    shown = f"{portal.read(_place(), NOW)!r}{portal.read(amend, NOW)!r}{_place()!r}"
    assert not any(text in shown for text in PERSONAL)


# --- Answers ---


def test_answers_echo_the_request(portal):
    """Place, amend and cancel say the order's two numbers, a repeat the same; timestamp is when it was asked."""
    inbound = portal.read(_place(), NOW)
    done = {"code": "0", "message": "ok", "data": {"bizNo": BIZ_NO, "orderId": ORDER_ID}}
    for result in (
        Placed(BIZ_NO, ORDER_ID),
        Placed(BIZ_NO, ORDER_ID, is_repeat=True),
        Amended(BIZ_NO, ORDER_ID),
        Cancelled(BIZ_NO, ORDER_ID),
    ):
        reply = portal.answer(inbound, result)
        assert _answered(reply) == done
        assert dict(reply.headers) == {"Content-Type": "application/json; charset=utf-8"}
        assert read_envelope(reply.body).timestamp == "1701389550000"


def test_a_trace_is_answered_with_what_moved_the_order(portal):
    """Waybills of both legs, status, and traces said as notices are, in our own words."""
    office = Office(name="龙洲湾营业部")
    traces = (
        _event(Status.NUMBERED),
        _event(Status.UNDELIVERED, office=office, reason=Reason.UNREACHABLE, note="王师傅 13800000000"),
        _event(Status.DELIVERED, received_by=ReceivedBy.FAMILY, leg=2, signer=Signer(name="张三")),
    )
    numbers = {2: "EA969294771CN", 1: "EA969294768CN"}
    found = Found(_order(Direction.ROUND_TRIP), Status.DELIVERED, numbers, traces)
    inbound = portal.read(_call("order.trace", {"bizNo": BIZ_NO}), NOW)
    at = "2023-12-01T08:12:30+08:00"
    assert _answered(portal.answer(inbound, found))["data"] == {
        "bizNo": BIZ_NO,
        "orderId": ORDER_ID,
        "waybillNo": "EA969294768CN,EA969294771CN",
        "status": "DELIVERED",
        "traces": [
            {"leg": 1, "status": "NUMBERED", "at": at, "desc": "邮件已取号，等待揽收", "office": "中国邮政"},
            {
                "leg": 1,
                "status": "FAILED",
                "at": at,
                "desc": "【龙洲湾营业部】邮件未妥投，原因：联系不上收件人",
                "office": "龙洲湾营业部",
                "reason": "UNREACHABLE",
            },
            {
                "leg": 2,
                "status": "DELIVERED",
                "at": at,
                "desc": "邮件已妥投",
                "office": "中国邮政",
                "receivedBy": "FAMILY",
            },
        ],
    }


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.UNKNOWN])
def test_every_status_can_be_answered(portal, status):
    """Each status an order can have has a code, before there is a number too; what could not be read is left out."""
    found = Found(_order(), status, {}, (_event(Status.UNKNOWN), Event(event_id="r", occurred_at=NOW, revokes="e1")))
    data = _answered(portal.answer(portal.read(_place(), NOW), found))["data"]
    assert (data["status"], data["waybillNo"], data["traces"]) == (STATUSES.theirs[status], "", [])


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Problem.INVALID, "4001"),
        (Problem.SIGNATURE, "4011"),
        (Problem.TIMESTAMP, "4012"),
        (Problem.REPLAYED, "4013"),
        (Problem.UNKNOWN_ORDER, "4041"),
        (Problem.CONFLICT, "4091"),
        (Problem.TOO_LATE, "4092"),
        (Problem.TRY_AGAIN, "5001"),
    ],
)
def test_refusals_have_their_codes(portal, problem, code):
    """Each problem is signed, HTTP 200, and echoes the reqId."""
    answer = _answered(portal.answer(portal.read(_place(), NOW), Denied(problem, "no")))
    assert answer == {"code": code, "message": "no"}


# --- Notices ---


def _notice(portal, owed):
    return json.loads(portal.render(owed).body)["bizContent"]


def test_a_notice_is_sent_in_an_envelope(portal):
    """Signed with our key; its reqId is the delivery's id, and so is its notifyId."""
    document = portal.render(_owed(Status.NUMBERED))
    requests, (outcome,) = _run(portal.send([document], _source()), _reply({"code": "0", "message": "ok"}))
    assert (requests[0].method, requests[0].url) == ("POST", "https://cytb.example/base/logistics/notify")
    assert dict(requests[0].headers) == {"Content-Type": "application/json; charset=utf-8"}
    envelope = read_envelope(requests[0].body)
    assert _far_side().is_authentic(envelope)
    assert (envelope.app_code, envelope.req_id, envelope.timestamp) == ("CY50POST", IDENTITY, "1701389550000")
    assert _far_side().open(envelope) == {
        "method": "logistics.notify",
        "bizContent": {
            "notifyId": IDENTITY,
            "bizNo": BIZ_NO,
            "waybillNo": "EA969294768CN",
            "status": "NUMBERED",
            "at": "2023-12-01T08:12:30+08:00",
            "desc": "邮件已取号，等待揽收",
            "office": "中国邮政",
        },
    }
    assert outcome.kind is OutcomeKind.TAKEN


def test_a_retry_keeps_req_id_and_data(portal):
    """Only timestamp and signature are made anew."""
    document = portal.render(_owed(Status.COLLECTED))
    later = NOW + timedelta(minutes=7)
    first, retry = (json.loads(next(portal.send([document], _source(at))).body) for at in (NOW, later))
    assert {name for name in first if first[name] != retry[name]} == {"timestamp", "signData"}


def test_a_failure_is_said_in_our_words(portal):
    """Status, office and reason; a courier's name and phone never leave, an office that looks like a phone neither."""
    event = _event(Status.UNDELIVERED, office=Office(name="龙洲湾"), reason=Reason.REFUSED, note="王师傅 13800000000")
    notice = _notice(portal, _owed(Status.UNDELIVERED, event=event))
    assert (notice["status"], notice["reason"], notice["office"]) == ("FAILED", "REFUSED", "龙洲湾")
    assert notice["desc"] == "【龙洲湾】邮件未妥投，原因：收件人拒收"
    assert _notice(portal, _owed(Status.UNDELIVERED))["reason"] == "OTHER"
    phone = _event(Status.COLLECTED, office=Office(name="王师傅13800000000"), reason=Reason.OTHER)
    assert not {"reason"} & set(_notice(portal, _owed(Status.COLLECTED, event=phone)))
    assert "13800000000" not in str(_notice(portal, _owed(Status.COLLECTED, event=phone)))


def test_who_took_it_is_said_by_capacity_alone(portal):
    """With DELIVERED only; the signer's name and number stay here."""
    signer = Signer(name="张三", id_type="111", id_no="50010320140114857X")
    event = _event(Status.DELIVERED, received_by=ReceivedBy.PICKUP_POINT, signer=signer)
    notice = _notice(portal, _owed(Status.DELIVERED, event=event))
    assert notice["receivedBy"] == "PICKUP_POINT"
    assert "张三" not in str(notice)
    assert "receivedBy" not in _notice(portal, _owed(Status.DELIVERED))
    returned = _event(Status.RETURNED, received_by=ReceivedBy.OFFICE)
    assert "receivedBy" not in _notice(portal, _owed(Status.RETURNED, event=returned))


@pytest.mark.parametrize("leg", [1, 2])
def test_a_leg_is_said_with_round_trips_only(portal, leg):
    """As a number."""
    round_trip = _order(Direction.ROUND_TRIP)
    assert _notice(portal, _owed(Status.IN_TRANSIT, leg=leg, order=round_trip))["leg"] == leg
    assert "leg" not in _notice(portal, _owed(Status.IN_TRANSIT))


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.NUMBERED, Status.UNDELIVERED, Status.DELIVERED])
def test_a_correction_revokes_the_notice(portal, status):
    """By the id under which it was told, whatever the order went back to; of reason and receiver nothing is said."""
    event = Event(event_id="e2", occurred_at=NOW, revokes="e1", reason=Reason.OTHER, received_by=ReceivedBy.SELF)
    notice = _notice(portal, _owed(status, event=event, corrects=EARLIER_ID))
    assert (notice["status"], notice["revokes"]) == ("REVOKED", "018c21e22cb8000000000000000031a0")
    assert notice["notifyId"] == IDENTITY
    assert notice["desc"].startswith("更正")
    assert not {"reason", "receivedBy"} & set(notice)


def test_a_cancel_needs_no_waybill(portal):
    """It is told with an empty number where there never was one."""
    notice = _notice(portal, _owed(Status.CANCELLED, waybill_no=None))
    assert (notice["status"], notice["waybillNo"]) == ("CANCELLED", "")


def test_only_updates_are_told(portal):
    """A command, an order that was accepted, or an event that could not be read, has no words here."""
    for owed in (
        Owed(DELIVERY_ID, DeliveryKind.PLACE, _order(), NOW),
        _owed(Status.ACCEPTED),
        _owed(Status.UNKNOWN),
    ):
        with pytest.raises(UnsupportedFeatureError):
            portal.render(owed)


def test_codes_cover_the_vocabulary():
    """Every status but unknown has a code, and so has everybody who may take an item."""
    assert set(STATUSES.theirs) == set(Status) - {Status.UNKNOWN}
    assert set(RECEIVERS.theirs) == set(ReceivedBy)


@pytest.mark.parametrize(
    ("answer", "kind", "code", "parks", "wait_s"),
    [
        ({"code": "0"}, OutcomeKind.TAKEN, "0", True, None),
        ({"code": 0}, OutcomeKind.TAKEN, "0", True, None),
        ({"code": "4093"}, OutcomeKind.TAKEN, "4093", True, None),
        ({"code": "4041"}, OutcomeKind.REFUSED, "4041", True, None),
        ({"code": "4001", "message": "no"}, OutcomeKind.REFUSED, "4001", False, None),
        ({"code": "4011"}, OutcomeKind.AUTH, "4011", True, None),
        ({"code": "4012"}, OutcomeKind.AUTH, "4012", True, None),
        ({"code": "4290", "data": {"retryAfter": 30}}, OutcomeKind.BUSY, "4290", True, 30.0),
        ({"code": "4290", "data": {"retryAfter": "2.5"}}, OutcomeKind.BUSY, "4290", True, 2.5),
        ({"code": "4290", "data": {"retryAfter": "soon"}}, OutcomeKind.BUSY, "4290", True, None),
        ({"code": "4290", "data": [30]}, OutcomeKind.BUSY, "4290", True, None),
        ({"code": "5001"}, OutcomeKind.UNKNOWN, "5001", True, None),
        ({"code": "4013"}, OutcomeKind.UNKNOWN, "4013", True, None),
        ({"code": "777"}, OutcomeKind.UNKNOWN, "777", True, None),
        ({"code": {"a": 1}}, OutcomeKind.UNKNOWN, "unreadable answer", True, None),
        ({}, OutcomeKind.UNKNOWN, "unreadable answer", True, None),
    ],
)
def test_answers_become_outcomes(portal, answer, kind, code, parks, wait_s):
    """By their code; one that we do not know may mean anything."""
    outcome = _sent(portal, _reply(answer))
    assert (outcome.kind, outcome.code, outcome.parks_lane, outcome.wait_s) == (kind, code, parks, wait_s)
    assert outcome.text == answer.get("message", "")


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (_reply({"code": "0"}, req_id="0" * 32), OutcomeKind.UNKNOWN, "unverified answer"),
        (_reply({"code": "0"}, pair="gateway"), OutcomeKind.UNKNOWN, "unverified answer"),
        (_reply({"code": "0"}, pair="court"), OutcomeKind.UNKNOWN, "unverified answer"),
        (_reply(b"[]"), OutcomeKind.UNKNOWN, "unverified answer"),
        (WireReply(200, {}, b'{"code":"0"}'), OutcomeKind.UNKNOWN, "unverified answer"),
        (WireReply(200, {}, b"<html>"), OutcomeKind.UNKNOWN, "unverified answer"),
        (WireReply(200, {}, b""), OutcomeKind.UNKNOWN, "unverified answer"),
        (WireReply(204), OutcomeKind.UNKNOWN, "unverified answer"),
        (WireReply(400), OutcomeKind.UNKNOWN, "unverified answer"),
        (WireReply(409), OutcomeKind.UNKNOWN, "unverified answer"),
        (_reply({"code": "0"}, status=502), OutcomeKind.UNKNOWN, "HTTP 502"),
        (WireReply(401), OutcomeKind.AUTH, "HTTP 401"),
        (WireReply(404), OutcomeKind.MISCONFIGURED, "HTTP 404"),
        (WireReply(429, {"Retry-After": "7"}), OutcomeKind.BUSY, "HTTP 429"),
    ],
)
def test_what_is_not_signed_settles_nothing(portal, reply, kind, code):
    """An answer to something else, of somebody else, or in plain HTTP is never taken and never a refusal."""
    outcome = _sent(portal, reply)
    assert (outcome.kind, outcome.code) == (kind, code)


def test_either_live_key_may_sign_an_answer():
    """As at the door."""
    both = _build(verify_keys=[PAIRS["court"]["public"], PAIRS["portal"]["public"]])
    assert _sent(both, _reply({"code": "0"})).kind is OutcomeKind.TAKEN
    assert _sent(both, _reply({"code": "0"}, pair="court")).kind is OutcomeKind.TAKEN


# --- The probe ---


@pytest.mark.parametrize(
    ("answer", "presence"),
    [
        ({"code": "0", "data": {"notifyIds": ["0" * 32, IDENTITY]}}, Presence.HAS),
        ({"code": "0", "data": {"notifyIds": ["0" * 32, 7, None]}}, Presence.HAS_NOT),
        ({"code": "0", "data": {"notifyIds": []}}, Presence.HAS_NOT),
        ({"code": "4041"}, Presence.HAS_NOT),
        ({"code": "0", "data": {"notifyIds": IDENTITY}}, Presence.CANNOT_TELL),
        ({"code": "0", "data": None}, Presence.CANNOT_TELL),
        ({"code": "4093", "data": {"notifyIds": [IDENTITY]}}, Presence.CANNOT_TELL),
        ({"code": "5001"}, Presence.CANNOT_TELL),
    ],
)
def test_the_probe_asks_for_the_notices_it_has(portal, answer, presence):
    """Under a reqId of its own, since it is asked again and again."""
    requests, found = _run(portal.probe(_owed(Status.COLLECTED), _source()), _reply(answer, req_id=TOKEN))
    assert requests[0].url == "https://cytb.example/base/logistics/query"
    assert _far_side().open(read_envelope(requests[0].body)) == {
        "method": "logistics.query",
        "bizContent": {"bizNo": BIZ_NO},
    }
    assert found is presence


@pytest.mark.parametrize(
    "reply",
    [
        WireReply(200, {}, b"<html>"),
        WireReply(503),
        _reply({"code": "0", "data": {"notifyIds": []}}),
        _reply({"code": "4041"}, req_id=TOKEN, pair="court"),
    ],
)
def test_a_probe_without_an_answer_cannot_tell(portal, reply):
    """Neither garbage, nor an error page, nor another's answer says what has arrived."""
    assert _run(portal.probe(_owed(Status.COLLECTED), _source()), reply)[1] is Presence.CANNOT_TELL


@pytest.mark.parametrize(
    ("reply", "kind", "wait_s"),
    [
        (_reply({"code": "4290", "data": {"retryAfter": 30}}, req_id=TOKEN), OutcomeKind.BUSY, 30.0),
        (_reply({"code": "4011"}, req_id=TOKEN), OutcomeKind.AUTH, None),
        (WireReply(404), OutcomeKind.MISCONFIGURED, None),
    ],
)
def test_a_probe_that_is_sent_away_says_so(portal, reply, kind, wait_s):
    """What asks us to wait is waited for, whatever the question was."""
    with pytest.raises(BreakageError) as caught:
        _run(portal.probe(_owed(Status.COLLECTED), _source()), reply)
    assert (caught.value.outcome.kind, caught.value.outcome.wait_s) == (kind, wait_s)


# --- Settings ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sm4_key", "10" * 15),
        ("sm4_key", "zz" * 16),
        ("sign_key", "0" * 64),
        ("sign_key", PAIRS["gateway"]["public"]),
        ("verify_keys", []),
        ("verify_keys", [PAIRS["portal"]["public"], PAIRS["portal"]["private"]]),
        ("verify_keys", ["1" * 128]),
    ],
)
def test_keys_that_are_none_are_refused_at_the_start(name, value):
    """By name, and not shown."""
    with pytest.raises(ConfigurationError, match=rf"portals\.chuanyu_tongban.*{name}") as caught:
        _build(**{name: value})
    assert not any(text in str(caught.value) for text in ([value] if isinstance(value, str) else value))


def test_verifying_keys_may_come_from_a_file():
    """A text holds one key a line."""
    lines = "\n".join((PAIRS["court"]["public"], PAIRS["portal"]["public"]))
    assert isinstance(_build(verify_keys=f"{lines}\n").read(_place(), NOW).command, Place)


def test_settings_do_not_show_secrets():
    """A repr of the settings masks them."""
    settings = load_adapter("chuanyu_tongban").factory.Settings(**SETTINGS)
    assert not any(secret in repr(settings) for secret in (KEYS["sm4_key"], PAIRS["gateway"]["private"]))
