"""渝快办: byte-exact signatures and bodies, everything the door refuses, answers, pushes and the probe."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from govpost.adapters.base import DeliveryKind, Owed
from govpost.adapters.protocols import sm
from govpost.adapters.registry import load_adapter
from govpost.adapters.sentences import REASONS, SENTENCES
from govpost.schemas import (
    Address,
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
    Signer,
    Source,
    Status,
    Update,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import ConfigurationError, UnsupportedFeatureError

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = json.loads((DATA / "examples.json").read_text("utf-8"))
EXAMPLE = EXAMPLES["yukuaiban"]
KEYS = EXAMPLES["keys"]["yukuaiban"]
SAMPLES = json.loads((DATA / "yukuaiban_orders.json").read_text("utf-8"))
NOW = datetime.fromtimestamp(1701389550, UTC)
NONCE = EXAMPLE["headers"]["X-Nonce"]
APP_KEY = b64decode(KEYS["app_key"])
IV = bytes.fromhex(EXAMPLE["iv_hex"])
CREATE = "/portals/yukuaiban/orders/create"
ORDER_ID = "01HGGY4B5R0000000000000AB1"
#: What no answer, reason or repr may show.
PERSONAL = [
    person[name]
    for person in EXAMPLE["secret_opens_to"].values()
    for name in ("name", "mobile", "address", "idNo")
    if name in person
]


@pytest.fixture
def portal():
    """Build the adapter as the gateway does."""
    settings = {"base_url": "https://ykb.example/base/", **KEYS}
    return load_adapter("yukuaiban").build(settings, section="portals.yukuaiban")


def _source():
    return Source(now=lambda: NOW, token=lambda: NONCE)


def _signed(body, *, path=CREATE, at=NOW, nonce=NONCE, method="POST", **changes):
    """Sign as the contract says, with code of the test's own."""
    timestamp = changes.pop("timestamp", str(int(at.timestamp() * 1000)))
    app_id = changes.pop("app_id", KEYS["app_id"])
    text = "\n".join((app_id, timestamp, nonce, method, path.partition("?")[0], sm.sm3(body).hex()))
    headers = {
        "X-App-Id": app_id,
        "X-Timestamp": timestamp,
        "X-Nonce": nonce,
        "X-Sign": sm.hmac_sm3(KEYS["app_secret"].encode(), text.encode()).hex(),
        **changes,
    }
    return WireRequest(method, path, headers, body)


def _seal(opened):
    data = opened if isinstance(opened, bytes) else json.dumps(opened, ensure_ascii=False).encode()
    return b64encode(IV + sm.sm4_cbc_encrypt(APP_KEY, data, iv=IV)).decode()


def _enveloped(body):
    return json.dumps({"txnCommCom": {"txnIttChnlId": "CQZWFW"}, "txnBodyCom": body}, ensure_ascii=False).encode()


def _create(*, opened=None, drop=(), **changes):
    """Make a create request out of the example: members changed or dropped, people sealed as given."""
    body = json.loads(EXAMPLE["body"])["txnBodyCom"] | changes
    if opened is not None:
        body["secret"] = _seal(opened)
    return _signed(_enveloped({name: value for name, value in body.items() if name not in drop}))


def _people(role="receiver", drop=(), **changes):
    people = EXAMPLE["secret_opens_to"]
    person = {name: value for name, value in {**people[role], **changes}.items() if name not in drop}
    return {**people, role: person}


def _order(direction=Direction.TO_APPLICANT):
    person = {"name": "甲", "phone": "13800000000", "address": Address(street="一号")}
    return Order(
        portal_ref="YKB20231201000123",
        direction=direction,
        mode=Mode.ROUTE,
        payer=Payer.GOVERNMENT,
        sender=person,
        recipient=person,
        items=({"name": "证"},),
        matter={},
        order_id=ORDER_ID,
        portal="yukuaiban",
        accepted_at=NOW,
    )


def _event(status=Status.DELIVERED, **changes):
    return Event(event_id="e1", status=status, occurred_at=NOW, **changes)


def _owed(status, *, event=None, corrects=None, waybill_no="EA969294768CN", leg=1, order=None, settled=()):
    update = Update(ORDER_ID, event or _event(status), status, leg, waybill_no, corrects)
    return Owed("0" * 25 + "1", DeliveryKind.UPDATE, order or _order(), NOW, update, settled)


def _run(conversation, *replies):
    """Drive a conversation: the requests it made, and its result."""
    requests = [next(conversation)]
    for reply in replies:
        try:
            requests.append(conversation.send(reply))
        except StopIteration as stop:
            return requests, stop.value
    raise AssertionError("the conversation wants more replies")


def _json_reply(status=200, **body):
    return WireReply(status, {}, json.dumps(body).encode())


def _answered(reply):
    envelope = json.loads(reply.body)
    return envelope["C-Response-Code"], json.loads(envelope["C-Response-Body"])


# --- Vectors ---


def test_sm3_and_sm4_reproduce_the_standards_vectors():
    """Digest and cipher agree with the published examples."""
    vectors = EXAMPLES["vectors"]
    assert sm.sm3(b"abc").hex() == vectors["sm3"]["abc"]
    assert sm.sm3(b"abcd" * 16).hex() == vectors["sm3"]["abcd*16"]
    key, plain, cipher = (bytes.fromhex(vectors["sm4_ecb_block"][name]) for name in ("key", "plain", "cipher"))
    assert sm.sm4_ecb_encrypt(key, plain)[:16] == cipher
    assert sm.sm4_ecb_decrypt(key, sm.sm4_ecb_encrypt(key, plain)) == plain


def test_the_secret_is_reproduced_and_opened():
    """SM4-CBC with the example's vector gives the example's secret, byte for byte."""
    data = json.dumps(EXAMPLE["secret_opens_to"], ensure_ascii=False, separators=(",", ":")).encode()
    assert b64encode(IV + sm.sm4_cbc_encrypt(APP_KEY, data, iv=IV)).decode() == EXAMPLE["secret"]
    assert sm.sm4_cbc_decrypt(APP_KEY, b64decode(EXAMPLE["secret"])[16:], iv=IV) == data


@pytest.mark.parametrize("data", [b"", b"x" * 15, b"x" * 16])
def test_what_does_not_open_says_only_that(data):
    """Lengths and padding are not told apart."""
    with pytest.raises(ValueError, match=r"^the ciphertext does not open$"):
        sm.sm4_cbc_decrypt(APP_KEY, data, iv=IV)


# --- Reading ---


def test_the_worked_example_is_read(portal):
    """The example's request verifies as it stands and becomes the order it means."""
    assert sm.sm3(EXAMPLE["body"].encode()).hex() == EXAMPLE["body_sm3"]
    inbound = portal.read(WireRequest("POST", CREATE, EXAMPLE["headers"], EXAMPLE["body"].encode()), NOW)
    assert isinstance(inbound.command, Place)
    assert inbound.nonce == NONCE
    order = inbound.command.order
    assert (order.portal_ref, order.mode, order.payer) == ("YKB20231201000123", Mode.COUNTER, Payer.RECIPIENT)
    assert (order.recipient.name, order.recipient.id_document.no) == ("Müller Hans", "50010320140114857X")
    assert (order.sender.address.street, order.sender.address.postcode) == ("龙海大道713号锦绣家园9栋15-2", "401340")
    assert (order.items[0].type, order.items[0].copies) == ("id_card", 3)
    assert order.submitted_at == datetime(2023, 12, 1, 0, 30, 15, tzinfo=UTC)
    assert inbound.command.content["secret"] == EXAMPLE["secret_opens_to"]
    assert not {"submitTime", "remark"} & set(inbound.command.content)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["order"]["orderNo"][-2:])
def test_every_sample_is_read(portal, sample):
    """All forty sample orders become orders, nothing left over."""
    body = _enveloped({**sample["order"], "secret": _seal(sample["secret_opens_to"])})
    place = portal.read(_signed(body), NOW).command
    assert isinstance(place, Place)
    assert place.order.extras == {}
    assert place.order.recipient.name == sample["secret_opens_to"]["receiver"]["name"]
    assert (place.order.appointment is None) == (sample["order"]["serviceType"] == "1")


def test_cancel_and_query_are_read(portal):
    """The other two calls become their commands; a base path before the portal's is signed and fine."""
    body = _enveloped({"orderNo": "YKB20231201000123", "reason": "办错了"})
    cancel = portal.read(_signed(body, path="/gw/portals/yukuaiban/orders/cancel"), NOW)
    assert cancel.command == Cancel("YKB20231201000123", reason="办错了")
    query = portal.read(_signed(body, path="/portals/yukuaiban/orders/query?x=1"), NOW)
    assert query.command == Query("YKB20231201000123")


def test_unknown_members_are_kept(portal):
    """A member we have no word for is content and goes to extras."""
    place = portal.read(_create(opened=_people(floor="10"), channel={"a": 1}), NOW).command
    assert place.order.extras == {"channel": {"a": 1}, "secret": {"receiver": {"floor": "10"}}}
    assert place.content["channel"] == {"a": 1}


def test_content_does_not_know_how_it_was_sealed(portal):
    """The same order under another vector, at another submitTime, with empty members, is the same content."""
    first = portal.read(_create(), NOW).command
    again = portal.read(
        _create(opened=_people(postcode="401337"), submitTime="2023-12-01 09:00:00", extra=None), NOW
    ).command
    assert first.content == again.content


@pytest.mark.parametrize("path", ["/portals/yukuaiban/orders/amend", "/portals/yukuaiban/create", "/"])
def test_an_unknown_call_is_invalid(portal, path):
    """Below the portal only three calls exist."""
    assert portal.read(_signed(b"{}", path=path), NOW).command.problem is Problem.INVALID
    assert portal.read(_signed(b"{}", method="GET"), NOW).command.problem is Problem.INVALID


# --- The caller ---


@pytest.mark.parametrize("name", ["X-App-Id", "X-Timestamp", "X-Nonce", "X-Sign"])
@pytest.mark.parametrize("value", ["", None, "x", "ü" * 32, "\udcff" * 32, "0" * 400])
def test_a_header_that_is_missing_or_wrong_is_a_bad_signature(portal, name, value):
    """Nothing of such a request is stored, not even its nonce."""
    headers = dict(EXAMPLE["headers"])
    headers[name] = value
    kept = {key: text for key, text in headers.items() if text is not None}
    inbound = portal.read(WireRequest("POST", CREATE, kept, EXAMPLE["body"].encode()), NOW)
    assert inbound.command.problem is Problem.SIGNATURE
    assert inbound.nonce is None


@pytest.mark.parametrize(
    "changes",
    [
        {"url": CREATE + "/"},
        {"url": "/base" + CREATE},
        {"method": "PUT"},
        {"body": EXAMPLE["body"].encode() + b" "},
        {"headers": {**EXAMPLE["headers"], "X-Sign": EXAMPLE["headers"]["X-Sign"].upper()}},
    ],
)
def test_the_signature_covers_method_path_and_body(portal, changes):
    """Any change to what was signed is a bad signature."""
    request = {"method": "POST", "url": CREATE, "headers": EXAMPLE["headers"], "body": EXAMPLE["body"].encode()}
    assert portal.read(WireRequest(**{**request, **changes}), NOW).command.problem is Problem.SIGNATURE


@pytest.mark.parametrize(("seconds", "is_good"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_stale_timestamp_is_refused(portal, seconds, is_good):
    """Three hundred seconds either way are allowed, and the nonce of a refused one is not kept."""
    inbound = portal.read(_create(), NOW + timedelta(seconds=seconds))
    assert isinstance(inbound.command, Place) == is_good
    assert is_good or (inbound.command.problem, inbound.nonce) == (Problem.TIMESTAMP, None)


@pytest.mark.parametrize("timestamp", ["abc", "-1", "1701389550", "9" * 5000, "１７０１３８９５５００００"])
def test_a_signed_timestamp_that_is_none_is_a_bad_timestamp(portal, timestamp):
    """The signature is looked at first."""
    assert portal.read(_signed(b"{}", timestamp=timestamp), NOW).command.problem is Problem.TIMESTAMP


# --- The body ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"txnBodyCom":{}}',
        b'{"txnCommCom":{},"txnBodyCom":null}',
        b'{"txnCommCom":{},"txnBodyCom":[]}',
        b'{"txnCommCom":{},"txnBodyCom":"{}"}',
        b'{"txnCommCom":{},"txnBodyCom":{}}',
        '{"txnCommCom":"重庆"}'.encode("gb18030"),
        b'{"a":' * 50_000,
        b'{"txnCommCom":{},"txnCommCom":{},"txnBodyCom":{}}',
        b'{"txnCommCom":{},"txnBodyCom":{"orderNo":NaN}}',
        b'{"txnCommCom":{},"txnBodyCom":{"orderNo":"\\ud800"}}',
        b'{"txnCommCom":{},"txnBodyCom":{"orderNo":"YKB2023\\u0000"}}',
    ],
)
@pytest.mark.parametrize("call", ["create", "cancel", "query"])
def test_a_body_that_cannot_be_read_is_invalid(portal, body, call):
    """The nonce counts all the same: the caller was proven."""
    inbound = portal.read(_signed(body, path=f"/portals/yukuaiban/orders/{call}"), NOW)
    assert inbound.command.problem is Problem.INVALID
    assert inbound.nonce == NONCE


BODY_MEMBERS = [
    "orderNo",
    "projid",
    "taskCode",
    "taskName",
    "regionCode",
    "deptName",
    "deptCode",
    "serviceType",
    "serviceMode",
    "payMode",
    "documents",
    "submitTime",
    "secret",
]
PERSON_MEMBERS = ["name", "mobile", "province", "city", "county", "address"]


@pytest.mark.parametrize("name", BODY_MEMBERS)
def test_every_required_member_is_required(portal, name):
    """Missing, null, empty, of another type or much too long: refused by name."""
    missing = portal.read(_create(drop=(name,)), NOW).command
    assert (missing.problem, missing.field, missing.reason) == (Problem.INVALID, name, "is missing")
    for value in (None, "", 7, True, {}, [], ["x"], "x" * 300):
        denied = portal.read(_create(**{name: value}), NOW).command
        assert denied.problem is Problem.INVALID, value
        assert denied.field.startswith(name)


@pytest.mark.parametrize("role", ["sender", "receiver"])
@pytest.mark.parametrize("name", PERSON_MEMBERS)
def test_every_personal_member_is_required(portal, role, name):
    """The path leads into the secret, and the reason quotes nobody."""
    path = f"secret.{role}.{name}"
    missing = portal.read(_create(opened=_people(role, drop=(name,))), NOW).command
    assert (missing.field, missing.reason) == (path, "is missing")
    for value in (None, "", 13636083778, False, {}, ["x"], "永" * 201):
        denied = portal.read(_create(opened=_people(role, **{name: value})), NOW).command
        assert (denied.problem, denied.field) == (Problem.INVALID, path), value
        assert not any(text in repr(denied) for text in PERSONAL)


@pytest.mark.parametrize("name", ["remark", "postcode", "id"])
def test_what_is_optional_may_be_missing(portal, name):
    """Remark, postcode, and idType with idNo."""
    dropped = {"remark": (), "postcode": ("postcode",), "id": ("idType", "idNo")}[name]
    place = portal.read(_create(drop=("remark",), opened=_people(drop=dropped)), NOW).command
    assert isinstance(place, Place)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"orderNo": "YKB2023"}, "orderNo"),
        ({"orderNo": "Y" * 33}, "orderNo"),
        ({"orderNo": "ykb20231201000123"}, "orderNo"),
        ({"orderNo": "YKB2023120100012\n"}, "orderNo"),
        ({"taskCode": "1" * 30}, "taskCode"),
        ({"taskName": "名" * 101}, "taskName"),
        ({"remark": "名" * 101}, "remark"),
        ({"remark": 5}, "remark"),
        ({"regionCode": "50011"}, "regionCode"),
        ({"deptCode": "11500113415868344B"}, "deptCode"),
        ({"deptCode": "11500113415868344"}, "deptCode"),
        ({"serviceType": "4"}, "serviceType"),
        ({"serviceMode": "SMJX"}, "serviceMode"),
        ({"payMode": "gov"}, "payMode"),
        ({"documents": [{"docType": "XXX", "docName": "x", "copies": 1}]}, "documents[0].docType"),
        ({"documents": [{"docType": "SFZ", "docName": "", "copies": 1}]}, "documents[0].docName"),
        ({"documents": [{"docType": "SFZ", "docName": "x"}]}, "documents[0].copies"),
        ({"documents": [{"docType": "SFZ", "docName": "x", "copies": "1"}]}, "documents[0].copies"),
        ({"documents": [{"docType": "SFZ", "docName": "x", "copies": 0}]}, "documents[0].copies"),
        ({"documents": [{"docType": "SFZ", "docName": "x", "copies": 1}] * 21}, "documents"),
        ({"documents": [{"docType": "SFZ", "docName": "x", "copies": 1}, "SFZ"]}, "documents[1]"),
        ({"submitTime": "2023-12-01T08:12:30"}, "submitTime"),
        ({"submitTime": "2023-12-32 08:12:30"}, "submitTime"),
        ({"pickupTime": {"start": "2023-12-01 09:00:00", "end": "2023-12-01 11:00:00"}}, "pickupTime"),
        ({"serviceType": "2"}, "pickupTime"),
        ({"serviceType": "3", "pickupTime": {}}, "pickupTime"),
        ({"serviceType": "3", "pickupTime": {"start": "2023-12-01 09:00:00"}}, "pickupTime.end"),
        (
            {"serviceType": "2", "pickupTime": {"start": "2023-12-01 11:00:00", "end": "2023-12-01 09:00:00"}},
            "pickupTime",
        ),
        ({"opened": _people(mobile="12345678901")}, "secret.receiver.mobile"),
        ({"opened": _people(name="名" * 51)}, "secret.receiver.name"),
        ({"opened": _people(address="址" * 201)}, "secret.receiver.address"),
        ({"opened": _people(postcode="4013")}, "secret.receiver.postcode"),
        ({"opened": _people(idNo="500103201401148571")}, "secret.receiver.idNo"),
        ({"opened": _people(idNo="50010320141314857X")}, "secret.receiver.idNo"),
        ({"opened": _people(idType="护照")}, "secret.receiver.idType"),
        ({"opened": _people(drop=("idNo",))}, "secret.receiver.idNo"),
        ({"opened": _people(drop=("idType",))}, "secret.receiver.idType"),
        ({"opened": {"sender": EXAMPLE["secret_opens_to"]["sender"]}}, "secret.receiver"),
        ({"opened": {"sender": [], "receiver": {}}}, "secret.sender"),
        ({"other": 2**60}, None),
    ],
)
def test_what_does_not_fit_is_refused_by_name(portal, changes, field):
    """Each member's own rule, and the rules between members."""
    denied = portal.read(_create(**changes), NOW).command
    assert isinstance(denied, Denied)
    assert (denied.problem, denied.field) == (Problem.INVALID, field)
    assert not any(text in repr(denied) for text in PERSONAL)


@pytest.mark.parametrize(
    "secret",
    [
        "不是",
        "====",
        "AAAA",
        b64encode(bytes(16)).decode(),
        b64encode(bytes(40)).decode(),
        b64encode(bytes(64)).decode(),
        EXAMPLE["secret"][:-4],
        EXAMPLE["secret"] + "\n",
        _seal(b"rubbish"),
        _seal(b"\xff\xfe"),
        _seal(b"[]"),
        _seal(b'{"sender":1,"sender":2}'),
        _seal(b'{"sender":' * 40),
    ],
)
def test_a_secret_that_does_not_open_is_invalid(portal, secret):
    """Whether Base64, cipher or JSON failed is not told apart."""
    assert portal.read(_create(secret=secret), NOW).command == Denied(
        Problem.INVALID, "does not open to a JSON object", "secret"
    )


def test_nothing_personal_is_in_a_repr(portal):
    """Commands and requests can be logged."""
    request = _create()
    inbound = portal.read(request, NOW)
    assert not any(text in f"{inbound!r}{request!r}" for text in PERSONAL)


# --- Answers ---


def test_answers_are_said_in_the_envelope(portal):
    """Create, cancel and query; the body is a JSON text."""
    inbound = portal.read(_create(), NOW)
    reply = portal.answer(inbound, Placed("YKB20231201000123", ORDER_ID))
    assert reply == portal.answer(inbound, Placed("YKB20231201000123", ORDER_ID, is_repeat=True))
    assert (reply.status, dict(reply.headers)) == (200, {"Content-Type": "application/json; charset=utf-8"})
    assert reply.body.decode() == (
        '{"C-API-Status":"00","C-Response-Code":"000000000000","C-Response-Desc":"success","C-Response-Body":'
        f'"{{\\"orderNo\\":\\"YKB20231201000123\\",\\"logisticsNo\\":\\"{ORDER_ID}\\",\\"accepted\\":true}}"}}'
    )
    code, body = _answered(portal.answer(inbound, Cancelled("YKB20231201000123", ORDER_ID)))
    assert (code, body) == ("000000000000", {"orderNo": "YKB20231201000123", "cancelled": True})


def test_a_query_is_answered_with_what_moved_the_order(portal):
    """Waybills of both legs, state, and traces in our own words."""
    office = Office(name="巴南龙洲湾营业部")
    traces = (
        _event(Status.NUMBERED),
        _event(Status.UNDELIVERED, office=office, reason=Reason.UNREACHABLE, note="王师傅 13800000000"),
    )
    numbers = {2: "EA969294771CN", 1: "EA969294768CN"}
    reply = portal.answer(portal.read(_create(), NOW), Found(_order(), Status.UNDELIVERED, numbers, traces))
    assert _answered(reply)[1] == {
        "orderNo": "YKB20231201000123",
        "logisticsNo": ORDER_ID,
        "waybillNo": "EA969294768CN,EA969294771CN",
        "shipperCode": "EMS",
        "state": "70",
        "traces": [
            {"state": "20", "opTime": "2023-12-01 08:12:30", "opDesc": "邮件已取号，等待揽收"},
            {
                "state": "70",
                "opTime": "2023-12-01 08:12:30",
                "opDesc": "【巴南龙洲湾营业部】邮件未妥投，原因：联系不上收件人",
            },
        ],
    }


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.UNKNOWN])
def test_every_state_can_be_answered(portal, status):
    """Each status an order can have has a state."""
    reply = portal.answer(portal.read(_create(), NOW), Found(_order(), status, {}, ()))
    assert _answered(reply)[1]["state"].isdigit()
    assert _answered(reply)[1]["waybillNo"] == ""


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Problem.INVALID, "YKB400001"),
        (Problem.SIGNATURE, "YKB401001"),
        (Problem.TIMESTAMP, "YKB401002"),
        (Problem.REPLAYED, "YKB401003"),
        (Problem.UNKNOWN_ORDER, "YKB404001"),
        (Problem.CONFLICT, "YKB409001"),
        (Problem.TOO_LATE, "YKB409002"),
        (Problem.TRY_AGAIN, "YKB500000"),
    ],
)
def test_refusals_have_their_codes(portal, problem, code):
    """Each problem is said with HTTP 200, status 99 and its code."""
    denied = Denied(problem, "no", field="orderNo")
    reply = portal.answer(portal.read(_signed(b""), NOW), denied)
    envelope = json.loads(reply.body)
    assert (reply.status, envelope["C-API-Status"], envelope["C-Response-Desc"]) == (200, "99", "fail")
    assert _answered(reply) == (code, {"field": "orderNo", "reason": "no"})


def test_a_refusal_without_a_field_has_none(portal):
    """The member is left out, not null."""
    assert _answered(portal.answer(portal.read(_signed(b""), NOW), Denied(Problem.TRY_AGAIN, "later")))[1] == {
        "reason": "later"
    }


# --- Pushes ---


def test_the_worked_push_is_reproduced(portal):
    """Body and headers equal the example's, byte for byte; the example's base has no path."""
    bare = load_adapter("yukuaiban").build({"base_url": "http://127.0.0.1:9001", **KEYS}, section="portals.yukuaiban")
    owed = _owed(Status.NUMBERED)
    document = bare.render(owed)
    requests, outcomes = _run(bare.send([document], _source()), _json_reply(result_code="200", reason="ok"))
    assert requests[0].url == "http://127.0.0.1:9001" + EXAMPLE["outbound"]["path"]
    assert requests[0].body.decode() == EXAMPLE["outbound"]["body"]
    assert dict(requests[0].headers) == EXAMPLE["outbound"]["headers"]
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.TAKEN]
    assert document.delivery_id == owed.delivery_id


def test_the_base_path_is_signed(portal):
    """A base with a path: the push goes below it and the signature covers it."""
    document = portal.render(_owed(Status.NUMBERED))
    request = next(portal.send([document], _source()))
    path = "/base/gwlp/logistic/pushlogisticode"
    assert request.url == f"https://ykb.example{path}"
    assert request.headers["X-Sign"] == _signed(document.body, path=path).headers["X-Sign"]


@pytest.mark.parametrize("leg", [1, 2])
def test_a_leg_is_said_with_round_trips_only(portal, leg):
    """Each leg's number is told once."""
    body = json.loads(portal.render(_owed(Status.NUMBERED, leg=leg, order=_order(Direction.ROUND_TRIP))).body)
    assert body["leg"] == leg
    trace = json.loads(portal.render(_owed(Status.COLLECTED, leg=leg, order=_order(Direction.ROUND_TRIP))).body)
    assert "leg" not in trace


def test_a_trace_is_said_in_our_words(portal):
    """Status, office and reason; a courier's name and phone never leave."""
    event = _event(
        Status.UNDELIVERED,
        office=Office(name="龙洲湾"),
        reason=Reason.REFUSED,
        note="王师傅 13800000000",
        raw_code="705",
    )
    document = portal.render(_owed(Status.UNDELIVERED, event=event))
    assert document.call.endswith("pushtrace")
    assert json.loads(document.body) == {
        "requestId": "0" * 31 + "1",
        "order_id": "YKB20231201000123",
        "logistic_code": "EA969294768CN",
        "state": "70",
        "opTime": "2023-12-01 08:12:30",
        "opDesc": "【龙洲湾】邮件未妥投，原因：收件人拒收",
        "orgName": "龙洲湾",
        "reasonCode": "04",
    }


@pytest.mark.parametrize(
    "office",
    ["李师傅139-0000-0000", "李师傅 139 0000 0000", "李师傅１３９００００００００", "023-6280-1234", "1.3.9.0 0"],
)
def test_an_office_with_a_phone_is_not_named(portal, office):
    """However it is written: with hyphens, with spaces, in full width."""
    event = _event(Status.COLLECTED, office=Office(name=office))
    told = json.loads(portal.render(_owed(Status.COLLECTED, event=event)).body)
    assert (told["orgName"], told["opDesc"]) == ("中国邮政", "邮件已揽收")


@pytest.mark.parametrize("office", ["巴南龙洲湾营业部", "人民路12号3栋45投递部", "渝北第2024支局"])
def test_an_office_with_a_house_number_is_named(portal, office):
    """A few digits are no phone."""
    told = json.loads(
        portal.render(_owed(Status.COLLECTED, event=_event(Status.COLLECTED, office=Office(name=office)))).body
    )
    assert told["orgName"] == office


def test_who_signed_is_said_by_name_alone(portal):
    """The signer's ID number stays here, and an office that looks like a phone is left out."""
    signer = Signer(name="张三", relation="本人", id_type="111", id_no="50010320140114857X")
    event = _event(Status.DELIVERED, signer=signer, office=Office(name="王师傅13800000000"))
    body = portal.render(_owed(Status.DELIVERED, event=event)).body.decode()
    assert json.loads(body)["signer"] == "张三"
    assert (json.loads(body)["orgName"], json.loads(body)["opDesc"]) == ("中国邮政", "邮件已妥投")
    assert "50010320140114857X" not in body


@pytest.mark.parametrize(
    ("status", "state"), [(Status.ACCEPTED, "10"), (Status.NUMBERED, "20"), (Status.OUT_FOR_DELIVERY, "50")]
)
def test_a_correction_is_one_more_trace(portal, status, state):
    """States 10 and 20 included; the sentence begins 更正, and nobody signed."""
    event = Event(event_id="e2", occurred_at=NOW, revokes="e1", signer=Signer(name="张三"))
    document = portal.render(_owed(status, event=event, corrects="01HGGY4B5R0000000000000CD1"))
    body = json.loads(document.body)
    assert document.call.endswith("pushtrace")
    assert (body["state"], body["opDesc"].startswith("更正")) == (state, True)
    assert "signer" not in body


def test_a_cancel_of_the_post_needs_no_waybill(portal):
    """State 90 is told with an empty number where there never was one."""
    body = json.loads(portal.render(_owed(Status.CANCELLED, waybill_no=None)).body)
    assert (body["state"], body["logistic_code"]) == ("90", "")


def test_only_updates_with_a_state_are_told(portal):
    """A command, or an event that could not be read, has no words here."""
    with pytest.raises(UnsupportedFeatureError):
        portal.render(Owed("0" * 26, DeliveryKind.PLACE, _order(), NOW))
    with pytest.raises(UnsupportedFeatureError):
        portal.render(_owed(Status.UNKNOWN))


def test_sentences_cover_the_vocabulary():
    """Every status and reason has words."""
    assert set(SENTENCES) == set(Status)
    assert set(REASONS) == set(Reason)


@pytest.mark.parametrize(
    ("reply", "kind", "code", "parks", "wait_s"),
    [
        (_json_reply(result_code="200"), OutcomeKind.TAKEN, "200", True, None),
        (_json_reply(result_code=200), OutcomeKind.TAKEN, "200", True, None),
        (_json_reply(result_code="409"), OutcomeKind.TAKEN, "409", True, None),
        (_json_reply(409, result_code="409"), OutcomeKind.TAKEN, "409", True, None),
        (_json_reply(result_code="429", retry=30), OutcomeKind.BUSY, "429", True, 30.0),
        (_json_reply(result_code="429", retry="2.5"), OutcomeKind.BUSY, "429", True, 2.5),
        (_json_reply(result_code="429", retry="soon"), OutcomeKind.BUSY, "429", True, None),
        (_json_reply(result_code="401"), OutcomeKind.AUTH, "401", True, None),
        (_json_reply(result_code="404"), OutcomeKind.REFUSED, "404", True, None),
        (_json_reply(404, result_code="404"), OutcomeKind.REFUSED, "404", True, None),
        (_json_reply(result_code="400", reason="bad"), OutcomeKind.REFUSED, "400", False, None),
        (_json_reply(result_code="500"), OutcomeKind.UNKNOWN, "500", True, None),
        (_json_reply(result_code="777"), OutcomeKind.UNKNOWN, "777", True, None),
        (_json_reply(result_code={"a": 1}), OutcomeKind.UNKNOWN, "unreadable answer", True, None),
        (_json_reply(502, result_code="200"), OutcomeKind.UNKNOWN, "HTTP 502", True, None),
        (WireReply(200, {}, b"<html>"), OutcomeKind.UNKNOWN, "unreadable answer", True, None),
        (WireReply(200, {}, b""), OutcomeKind.UNKNOWN, "unreadable answer", True, None),
        (WireReply(409, {}, b""), OutcomeKind.UNKNOWN, "unreadable answer", True, None),
        (WireReply(404, {}, b"<html>"), OutcomeKind.MISCONFIGURED, "HTTP 404", True, None),
        (WireReply(302, {}, b""), OutcomeKind.MISCONFIGURED, "HTTP 302", True, None),
        (WireReply(403, {}, b""), OutcomeKind.AUTH, "HTTP 403", True, None),
        (WireReply(429, {"Retry-After": "7"}, b""), OutcomeKind.BUSY, "HTTP 429", True, 7.0),
        (_json_reply(**{"C-Response-Body": '{"result_code":"200"}'}), OutcomeKind.TAKEN, "200", True, None),
        (_json_reply(**{"C-Response-Body": "{"}), OutcomeKind.UNKNOWN, "unreadable answer", True, None),
    ],
)
def test_answers_become_outcomes(portal, reply, kind, code, parks, wait_s):
    """By result_code where it is known, else by HTTP's status; what cannot be read is unknown."""
    _, (outcome,) = _run(portal.send([portal.render(_owed(Status.COLLECTED))], _source()), reply)
    assert (outcome.kind, outcome.code, outcome.parks_lane, outcome.wait_s) == (kind, code, parks, wait_s)


def _trace(state="50", at="2023-12-01 08:12:30"):
    return {"state": state, "opTime": at}


@pytest.mark.parametrize(
    ("status", "settled", "answer", "presence"),
    [
        (Status.NUMBERED, 0, {"logistic_code": "EA969294768CN"}, Presence.HAS),
        (Status.NUMBERED, 0, {"logistic_code": "EB000000005CN, EA969294768CN", "traces": []}, Presence.HAS),
        (Status.NUMBERED, 0, {"logistic_code": "EB000000005CN"}, Presence.HAS_NOT),
        (Status.NUMBERED, 0, {"logistic_code": None, "traces": None}, Presence.HAS_NOT),
        (Status.OUT_FOR_DELIVERY, 0, {"traces": [_trace()]}, Presence.HAS),
        (Status.OUT_FOR_DELIVERY, 1, {"traces": [_trace()]}, Presence.HAS_NOT),
        (Status.OUT_FOR_DELIVERY, 1, {"traces": [_trace(), {**_trace(), "opDesc": "x"}]}, Presence.HAS),
        (Status.OUT_FOR_DELIVERY, 0, {"traces": [_trace("60"), _trace(at="2023-12-01 08:12:31")]}, Presence.HAS_NOT),
        (Status.OUT_FOR_DELIVERY, 0, {}, Presence.HAS_NOT),
        (Status.OUT_FOR_DELIVERY, 0, {"traces": [None, 7, "x"]}, Presence.HAS_NOT),
        (Status.OUT_FOR_DELIVERY, 0, {"traces": "x"}, Presence.CANNOT_TELL),
        (Status.NUMBERED, 0, {"logistic_code": 7}, Presence.CANNOT_TELL),
        (Status.NUMBERED, 0, {"result_code": "500"}, Presence.CANNOT_TELL),
        (Status.NUMBERED, 0, {"result_code": "404"}, Presence.HAS_NOT),
    ],
)
def test_the_probe_counts_against_what_was_settled(portal, status, settled, answer, presence):
    """A waybill is there when listed; a trace when there are more like it than were taken before."""
    earlier = tuple(_owed(Status.OUT_FOR_DELIVERY).update for _ in range(settled))
    numbered = _owed(Status.NUMBERED).update
    owed = _owed(status, settled=(numbered, *earlier))
    requests, found = _run(portal.probe(owed, _source()), _json_reply(**{"result_code": "200", **answer}))
    assert requests[0].url.endswith("/gwlp/logistic/querytrace")
    assert json.loads(requests[0].body) == {"requestId": NONCE, "order_id": "YKB20231201000123"}
    assert found is presence


@pytest.mark.parametrize("reply", [WireReply(200, {}, b"<html>"), WireReply(503), WireReply(404)])
def test_a_probe_without_an_answer_cannot_tell(portal, reply):
    """Neither garbage nor an error page says what has arrived."""
    assert _run(portal.probe(_owed(Status.COLLECTED), _source()), reply)[1] is Presence.CANNOT_TELL


# --- Settings ---


@pytest.mark.parametrize("app_key", ["", "AAEC", "not base64!", "AAECAwQFBgcICQoLDA0ODxA="])
def test_the_app_key_is_sixteen_bytes(app_key):
    """Any other key is refused at the start, and not shown."""
    with pytest.raises(ConfigurationError, match=r"portals\.yukuaiban.*app_key") as caught:
        load_adapter("yukuaiban").build(
            {"base_url": "https://x.example", **KEYS, "app_key": app_key}, section="portals.yukuaiban"
        )
    assert not app_key or app_key not in str(caught.value)


def test_settings_do_not_show_secrets():
    """A repr of the settings masks them."""
    settings = load_adapter("yukuaiban").factory.Settings(base_url="https://x.example", **KEYS)
    assert KEYS["app_secret"] not in repr(settings)
    assert KEYS["app_key"] not in repr(settings)
