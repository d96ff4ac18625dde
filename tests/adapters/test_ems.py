"""EMS: byte-exact payloads, the legs and pickups of an order, numbers, cancels, labels, and every kind of push."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode

import pytest

from govpost.adapters.base import DeliveryKind, Document, Owed, Receives, Traced
from govpost.adapters.protocols import sm
from govpost.adapters.registry import load_adapter
from govpost.schemas import (
    Address,
    Denied,
    Direction,
    Mode,
    Noted,
    Notice,
    Order,
    Outcome,
    OutcomeKind,
    Payer,
    Presence,
    Problem,
    ProofKind,
    Reason,
    ReceivedBy,
    Record,
    Source,
    Status,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import BreakageError, ConfigurationError, MappingError, UnsupportedFeatureError

ROOT = Path(__file__).parents[2]
EXAMPLES = json.loads((ROOT / "tests" / "data" / "examples.json").read_text("utf-8"))
EXAMPLE, KEYS = EXAMPLES["ems"], EXAMPLES["keys"]["ems"]
TRACES = json.loads((ROOT / "tests" / "data" / "ems_traces.json").read_text("utf-8"))
SAMPLES = ROOT / "schemas" / "wire" / "ems" / "samples"
URL = "https://ems.example/amp/api/open"
CREATED_AT = datetime(2023, 12, 1, 0, 30, tzinfo=UTC)
NOW = datetime(2023, 12, 1, 1, 2, 3, tzinfo=UTC)
SOURCE = Source(now=lambda: NOW, token=lambda: "ab" * 16)
ORDER_ID = "01HGW0000000000000000000AB"
DELIVERY_ID = "01HGGY4B5R0000000000000CD1"
NUMBERS = ("EA969294768CN", "EA327328331CN", "EA033495542CN")
#: What no answer, reason, code or repr may show.
PERSONAL = ("邮递员甲", "邮递员乙", "13000000009", "13000000008", "张三", "13000000002", "解放西路2号3-4")


# --- Helpers: the test's own sealing, and the contract's forms ---


def _backend(**settings):
    return load_adapter("ems").build({"url": URL, **KEYS, **settings}, section="backends.ems")


def _sample(name):
    return json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))


def _order(name="deliver", **changes):
    return Order.model_validate({**_sample(f"{name}.order"), **changes})


def _owed(order=None, kind=DeliveryKind.PLACE, delivery_id=DELIVERY_ID):
    return Owed(delivery_id, kind, order or _order(), CREATED_AT)


def _rendered(order, **settings):
    return json.loads(_backend(**settings).render(_owed(order)).body)


def _run(conversation, *replies):
    """Drive a conversation with replies, or with breakages: the requests it made, and its result."""
    requests = [next(conversation)]
    for reply in replies:
        try:
            broken = isinstance(reply, BreakageError)
            requests.append(conversation.throw(reply) if broken else conversation.send(reply))
        except StopIteration as stop:
            return requests, stop.value
    raise AssertionError("the conversation wants more replies")


def _reply(ret_code="00000", body=None, text="", status=200):
    answer = {"serialNo": "s", "retCode": ret_code, "retMsg": text, "retBody": body, "retDate": "", "success": True}
    return WireReply(status, {}, json.dumps(answer).encode())


def _numbered(order_no, numbers):
    return _reply(body=json.dumps({"logisticsOrderNo": order_no, "waybillNo": numbers, "routeCode": "40"}))


REFUSED = _reply("B00001", text="参数有误")
UNKNOWN = _reply("S00001", text="系统异常")
BUSY = WireReply(429, {"Retry-After": "30"})
TAKEN = _reply()
NOT_SENT = BreakageError(Outcome(OutcomeKind.NOT_SENT, code="ConnectionRefusedError"))
CUT = BreakageError(Outcome(OutcomeKind.UNKNOWN, code="ServerDisconnectedError"))


def _form(request):
    return {name: values[0] for name, values in parse_qs(request.body.decode(), strict_parsing=True).items()}


def _asked(request):
    """Open what a request asks: its apiCode, and the business document."""
    form = _form(request)
    sealed = b64decode(form["logitcsInterface"].removeprefix("|$4|"), validate=True)
    opened = sm.sm4_ecb_decrypt(b64decode(KEYS["sign_key"]), sealed).decode()
    assert opened.endswith(KEYS["sign_key"])
    return form["apiCode"], json.loads(opened.removesuffix(KEYS["sign_key"]))


def _send(order, *replies, kind=DeliveryKind.PLACE, **settings):
    """Send a command of an order: what was asked, and the outcome."""
    backend = _backend(**settings)
    requests, outcomes = _run(backend.send([backend.render(_owed(order, kind))], SOURCE), *replies)
    return [_asked(request) for request in requests], outcomes[0]


def _seal(payload, *, is_signed=True, key=KEYS["sign_key"]):
    data = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    signed = data + key.encode() if is_signed else data
    return "|$4|" + b64encode(sm.sm4_ecb_encrypt(b64decode(key), signed)).decode()


def _push(payload=None, *, method="040002", path="/backends/ems/push", verb="POST", sealed=None, **changes):
    fields = {
        "method": method,
        "senderNo": KEYS["sender_no"],
        "msgType": "0",
        "timeStamp": "2023-12-02 18:00:00",
        "version": "V1.0.0",
        "serialNo": "C3E7E1A2E6F44EB9",
        "logitcsInterface": sealed or _seal(payload),
        **changes,
    }
    return WireRequest(verb, path, {}, urlencode(fields).encode())


def _told(payload, **changes):
    inbound = _backend().read(_push(payload, **changes), NOW)
    assert isinstance(inbound.command, Record), inbound.command
    return inbound.command.tellings


def _trace(**changes):
    return {**TRACES["delivered"][0], **changes}


def _answered(request, result=None):
    """Answer a push as the gateway would: with what came of it, or with what was wrong with it."""
    backend = _backend()
    inbound = backend.read(request, NOW)
    refusal = inbound.command if isinstance(inbound.command, Denied) else None
    reply = backend.answer(inbound, refusal or result or Noted())
    assert reply.status == 200
    return json.loads(reply.body)


# --- The envelope ---


def test_the_published_sample_is_reproduced():
    """The one ciphertext that EMS publishes: JSON, then the signKey's text, under SM4-ECB."""
    sample = EXAMPLE["published_sample"]
    document = Document("020006", json.dumps({"020006": [json.loads(sample["json"])]}).encode())
    request = next(_backend().send([document], SOURCE))
    assert _form(request)["logitcsInterface"] == sample["logitcsInterface"]


def test_the_worked_order_is_reproduced():
    """A kept order goes out byte for byte as the example has it, in the contract's envelope."""
    document = Document("020003", f'{{"020003":{EXAMPLE["json"]}}}'.encode())
    request = next(_backend().send([document], SOURCE))
    assert (request.method, request.url) == ("POST", URL)
    assert dict(request.headers) == {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert _form(request) == {
        "apiCode": "020003",
        "senderNo": KEYS["sender_no"],
        "authorization": KEYS["authorization"],
        "msgType": "0",
        "timeStamp": "2023-12-01 09:02:03",
        "version": "V1.0.0",
        "logitcsInterface": EXAMPLE["logitcsInterface"],
    }


def test_no_plus_stands_in_a_form():
    """A plus of the Base64 is percent-encoded, and so is a space: no reader can take one for the other."""
    assert "+" in EXAMPLE["logitcsInterface"]
    document = Document("020003", f'{{"020003":{EXAMPLE["json"]}}}'.encode())
    body = next(_backend().send([document], SOURCE)).body.decode()
    assert quote(EXAMPLE["logitcsInterface"], safe="") in body
    assert "%2B" in body
    assert "+" not in body


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"sign_key": "TvaBgrhE46sft3nZlfe7"}, "sign_key"),
        ({"sign_key": "TvaBgrhE46sft3nZlfe7xw=!"}, "sign_key"),
        ({"authorization": ""}, "authorization"),
        ({"sender_no": ""}, "sender_no"),
        ({"url": "http://ems.example/api"}, "url"),
        ({"product": "10"}, "product"),
        ({"projects": {"vehicle": ""}}, "projects"),
        ({"signkey": "x"}, "signkey"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(settings, name):
    """At the start, and without showing a secret."""
    with pytest.raises(ConfigurationError, match=rf"backends\.ems.*{name}") as caught:
        _backend(**settings)
    assert "TvaBgrh" not in str(caught.value)


# --- An order in EMS's words ---


@pytest.mark.parametrize(("number", "name"), [(1, "deliver"), (2, "collect"), (3, "round_trip")])
def test_the_samples_hold(number, name):
    """Each sample order becomes its document, and rendering twice gives the same bytes."""
    owed = _owed(_order(name), delivery_id=f"01HGGY4B5R0000000000000CD{number}")
    document = _backend().render(owed)
    assert json.loads(document.body) == _sample(f"{name}.wire")
    assert _backend().render(owed) == document
    assert (document.call, document.delivery_id) == ("020003", owed.delivery_id)


def test_members_stand_in_the_contracts_order():
    """What the worked example has, an order has in the same sequence."""
    order = _rendered(_order())["020003"][0]
    assert [name for name in order if name in EXAMPLE["order"][0]] == list(EXAMPLE["order"][0])
    assert {role: order[role] for role in ("sender", "receiver")} == {
        role: EXAMPLE["order"][0][role] for role in ("sender", "receiver")
    }


@pytest.mark.parametrize(
    ("payer", "direction", "modes"),
    [
        (Payer.GOVERNMENT, Direction.TO_APPLICANT, ["1"]),
        (Payer.GOVERNMENT, Direction.FROM_APPLICANT, ["4"]),
        (Payer.GOVERNMENT, Direction.ROUND_TRIP, ["4", "1"]),
        (Payer.APPLICANT, Direction.TO_APPLICANT, ["2"]),
        (Payer.APPLICANT, Direction.FROM_APPLICANT, ["1"]),
        (Payer.APPLICANT, Direction.ROUND_TRIP, ["1", "2"]),
        (Payer.RECIPIENT, Direction.TO_APPLICANT, ["2"]),
        (Payer.RECIPIENT, Direction.FROM_APPLICANT, ["2"]),
        (Payer.RECIPIENT, Direction.ROUND_TRIP, ["2", "2"]),
    ],
)
def test_who_pays_is_said_for_each_leg(payer, direction, modes):
    """Sender and recipient change places on the way back, and whoever pays does not."""
    orders = _rendered(_order(payer=payer, direction=direction))["020003"]
    assert [order["paymentMode"] for order in orders] == modes


@pytest.mark.parametrize(
    ("wanted", "flag"),
    [
        ({ProofKind.RECEIPT}, "2"),
        ({ProofKind.RECEIPT, ProofKind.SIGNATURE}, "2"),
        ({ProofKind.SIGNATURE}, "5"),
        ({ProofKind.PHOTO}, "5"),
        ({ProofKind.PHOTO, ProofKind.SIGNATURE}, "5"),
        (set(), None),
    ],
)
def test_a_wanted_proof_is_a_receipt_flag(wanted, flag):
    """On paper, or electronic."""
    assert _rendered(_order(proof_wanted=wanted))["020003"][0].get("receiptFlag") == flag


def test_both_kinds_of_receipt_are_not_to_be_had():
    """A photo beside a receipt on paper is refused by name."""
    with pytest.raises(UnsupportedFeatureError, match=r"^proof_wanted"):
        _rendered(_order(proof_wanted={ProofKind.RECEIPT, ProofKind.PHOTO}))


def test_a_project_wants_a_note():
    """Mail of a portal that is a project names it, and a remark goes before what we say by ourselves."""
    settings = {"projects": {"yukuaiban": "GAWSCG"}, "product": "11"}
    order = _rendered(_order(), **settings)["020003"][0]
    assert (order["projectId"], order["note"], order["bizProductNo"]) == ("GAWSCG", "营业执照办理 营业执照", "11")
    assert _rendered(_order(remark="到后联系"), **settings)["020003"][0]["note"] == "到后联系"
    bare = _order(matter={}, items=[{"name": "号" * 60}, {"name": "牌" * 60}])
    assert _rendered(bare, **settings)["020003"][0]["note"] == "号" * 60 + "、" + "牌" * 39
    other = _rendered(_order(portal="other"), **settings)["020003"][0]
    assert not {"projectId", "note"} & set(other)


def test_what_ems_has_no_words_for_is_refused():
    """An update is not for a backend, nor is an amendment for this one."""
    for kind in (DeliveryKind.UPDATE, DeliveryKind.AMEND):
        with pytest.raises(UnsupportedFeatureError, match=r"^kind"):
            _backend().render(_owed(kind=kind))


def test_every_field_of_an_order_can_be_said():
    """An order in which everything is set: nothing of it is refused, and extras stay here."""
    person = {
        **_sample("collect.order")["sender"],
        "organization": "某公司",
        "address": {
            "province": "重庆市", "city": "重庆市", "county": "巴南区",
            "division_code": "500113", "street": "一号", "postcode": "401320",
        },
    }  # fmt: skip
    order = _order(
        "round_trip",
        sender=person,
        recipient=person,
        remark="注",
        promise={"within_days": 3},
        extras={"x": {"y": "密"}},
    )
    there = _rendered(order)["020003"][0]
    assert (there["note"], there["receiverIdNo"]) == ("注", "50010320140114857X")
    assert there["sender"]["address"] == there["receiver"]["address"] == "一号 某公司"
    assert "密" not in json.dumps(there, ensure_ascii=False)


# --- Addresses ---


@pytest.mark.parametrize(
    ("address", "said"),
    [
        # A whole address in the street, with the code and without.
        ({"street": "四川省泸州市龙马潭区新市街7号", "division_code": "510504"}, "四川省|泸州市|龙马潭区|新市街7号"),
        ({"street": "重庆市璧山区解放西路4号"}, "重庆市|重庆市|璧山区|解放西路4号"),
        ({"street": "重庆市石柱土家族自治县龙海大道2号"}, "重庆市|重庆市|石柱土家族自治县|龙海大道2号"),
        # The code alone says where it is; what the text repeats is taken off it, be it half of the name.
        ({"street": "新市街7号", "division_code": "511502"}, "四川省|宜宾市|翠屏区|新市街7号"),
        ({"street": "巴南区龙洲大道1号", "division_code": "500113"}, "重庆市|重庆市|巴南区|龙洲大道1号"),
        ({"street": "重庆市龙洲大道1号", "division_code": "500113"}, "重庆市|重庆市|巴南区|龙洲大道1号"),
        # The text is what a courier reads; a code that says otherwise does not change it.
        ({"street": "四川省泸州市龙马潭区一号", "division_code": "500113"}, "四川省|泸州市|龙马潭区|一号"),
        # Names that the portal wrote stay, and what it left out is filled in.
        ({"province": "重庆", "county": "巴南", "street": "一号"}, "重庆|重庆市|巴南|一号"),
        ({"province": "重庆市", "county": "巴南区", "street": "四川省一号"}, "重庆市|重庆市|巴南区|四川省一号"),
        ({"province": "甲省", "city": "乙市", "county": "丙县", "street": "甲省丁路"}, "甲省|乙市|丙县|甲省丁路"),
        # Cities without counties, counties without a city, a district without a code yet.
        ({"province": "广东省", "city": "东莞市", "street": "一号"}, "广东省|东莞市|东莞市|一号"),
        ({"street": "广东省中山市一号"}, "广东省|中山市|中山市|一号"),
        ({"street": "甘肃省嘉峪关市一号"}, "甘肃省|嘉峪关市|嘉峪关市|一号"),
        ({"street": "一号", "division_code": "429004"}, "湖北省|仙桃市|仙桃市|一号"),
        ({"street": "重庆市两江新区一号"}, "重庆市|重庆市|两江新区|一号"),
        # An address that is nothing but its head stays whole.
        ({"street": "重庆市巴南区"}, "重庆市|重庆市|巴南区|重庆市巴南区"),
    ],
)
def test_addresses_are_spelled_out(address, said):
    """Province, city, county and the rest, wherever they can be had from."""
    recipient = {**_sample("deliver.order")["recipient"], "address": address}
    receiver = _rendered(_order(recipient=recipient))["020003"][0]["receiver"]
    assert "|".join(receiver[name] for name in ("prov", "city", "county", "address")) == said


@pytest.mark.parametrize(
    ("address", "level"),
    [
        ({"street": "龙洲大道1号"}, "province"),
        ({"street": "巴南区龙洲大道1号"}, "province"),
        ({"street": "一号", "division_code": "999999"}, "province"),
        ({"province": "重庆市", "street": "一号"}, "city"),
        ({"province": "四川省", "city": "泸州市", "street": "一号"}, "county"),
        ({"province": "广东省", "city": "深圳市", "street": "一号", "division_code": "440301"}, "county"),
    ],
)
@pytest.mark.parametrize("role", ["sender", "recipient"])
def test_a_place_that_is_not_known_is_refused_by_name(role, address, level):
    """EMS wants all three names; none is made up."""
    party = {**_sample("deliver.order")["recipient"], "address": address}
    with pytest.raises(UnsupportedFeatureError) as caught:
        _rendered(_order(**{role: party}))
    assert caught.value.path == f"{role}.address.{level}"
    assert "号" not in str(caught.value)


def test_an_organization_that_does_not_fit_is_refused_by_name():
    """It stands at the end of the address, which has 200 characters."""
    party = {**_sample("deliver.order")["recipient"], "organization": "某公司"}
    party["address"] = {**party["address"], "street": "路" * 197}
    with pytest.raises(MappingError, match=r"^recipient\.organization"):
        _rendered(_order(recipient=party))


# --- Placing ---


def test_one_way_is_one_request():
    """An array of one, under our own number; the answer's body is JSON in a text."""
    asked, outcome = _send(_order(), _numbered(ORDER_ID, NUMBERS[0]))
    assert asked == [("020003", _rendered(_order())["020003"])]
    assert (outcome.kind, outcome.code, outcome.waybill_no) == (OutcomeKind.TAKEN, "00000", NUMBERS[0])
    assert (outcome.return_waybill_no, outcome.more_waybill_nos, outcome.notices) == (None, (), ())


def test_a_round_trip_is_two_orders_and_a_pickup():
    """Leg by leg, sender and recipient changed, each naming the other; then the courier, at once."""
    order = _order("round_trip", order_id=ORDER_ID)
    one, two = f"{ORDER_ID}-1", f"{ORDER_ID}-2"
    asked, outcome = _send(order, _numbered(one, NUMBERS[0]), _numbered(two, NUMBERS[1]), TAKEN)
    assert [code for code, _ in asked] == ["020003", "020003", "030001"]
    (there,), (back,), pickup = (document for _, document in asked)
    assert (there["logisticsOrderNo"], there["returnRelationNo"]) == (one, two)
    assert (back["logisticsOrderNo"], back["returnRelationNo"]) == (two, one)
    assert (there["sender"], there["receiver"]) == (back["receiver"], back["sender"])
    assert pickup == {
        "logisticsOrderNo": one,
        "pushMethod": "1",
        "pickupPreBeginTime": "2023-12-01 09:00:00",
        "pickupPreEndTime": "2023-12-01 11:00:00",
    }
    assert (outcome.kind, outcome.waybill_no, outcome.return_waybill_no) == (OutcomeKind.TAKEN, *NUMBERS[:2])


def test_the_round_takes_the_waybill_along():
    """A scheduled pickup is asked for with the number that the answer brought."""
    asked, outcome = _send(_order("collect"), _numbered("01HGW0000000000000000000AC", NUMBERS[0]), TAKEN)
    assert asked[1][0] == "030001"
    assert (asked[1][1]["pushMethod"], asked[1][1]["waybillNo"]) == ("2", NUMBERS[0])
    assert (outcome.kind, outcome.notices) == (OutcomeKind.TAKEN, ())


@pytest.mark.parametrize(
    ("direction", "mode", "method"),
    [
        (Direction.FROM_APPLICANT, Mode.DOORSTEP, "1"),
        (Direction.FROM_APPLICANT, Mode.ROUTE, "2"),
        (Direction.FROM_APPLICANT, Mode.COUNTER, None),
        (Direction.ROUND_TRIP, Mode.DOORSTEP, "1"),
        (Direction.ROUND_TRIP, Mode.ROUTE, "2"),
        (Direction.ROUND_TRIP, Mode.COUNTER, None),
        (Direction.TO_APPLICANT, Mode.DOORSTEP, None),
        (Direction.TO_APPLICANT, Mode.ROUTE, None),
        (Direction.TO_APPLICANT, Mode.COUNTER, None),
    ],
)
def test_a_courier_is_asked_for_where_people_send(direction, mode, method):
    """Not for what an authority sends, and not for what is handed in; an appointment changes nothing of that."""
    document = _rendered(_order("collect", direction=direction, mode=mode))
    assert document.get("030001", {}).get("pushMethod") == method


def test_a_pickup_without_an_appointment_goes_with_the_next_round():
    """Nobody waits at a certain hour, so no window is asked for."""
    pickup = _rendered(_order("collect", appointment=None, mode="doorstep"))["030001"]
    assert (pickup["pushMethod"], {name for name in pickup if "Time" in name}) == ("2", set())


@pytest.mark.parametrize("body", [json.dumps([{"waybillNo": NUMBERS[0]}]), {"waybillNo": NUMBERS[0]}])
def test_an_answers_body_may_be_json_or_a_text_of_it(body):
    """A list or an object, in a text or not, naming our number or not."""
    assert _send(_order(), _reply(body=body))[1].waybill_no == NUMBERS[0]


def test_several_numbers_are_several_pieces():
    """The first is the leg's; the others are noted under their legs, and a person is told."""
    order = _order("round_trip", order_id=ORDER_ID, mode="counter")
    numbers = (f"{NUMBERS[0]}, {NUMBERS[1]}", NUMBERS[2] + ",9876543210987")
    replies = (_numbered(f"{ORDER_ID}-{leg}", said) for leg, said in enumerate(numbers, 1))
    outcome = _send(order, *replies)[1]
    assert (outcome.waybill_no, outcome.return_waybill_no) == (NUMBERS[0], NUMBERS[2])
    assert outcome.more_waybill_nos == ((1, NUMBERS[1]), (2, "9876543210987"))
    assert outcome.notices == (Notice.SEVERAL_PIECES,)


@pytest.mark.parametrize(
    ("said", "first", "code"),
    [
        ("EA969294769CN", None, "00000, waybill unreadable"),
        ("处理中", None, "00000, waybill unreadable"),
        (f"EA969294769CN,{NUMBERS[0]}", None, "00000, waybill unreadable"),
        (f"{NUMBERS[0]},EA969294769CN", NUMBERS[0], "00000, waybill unreadable"),
        ("", None, "00000, no waybill"),
        (None, None, "00000, no waybill"),
        (9876543210987, None, "00000, no waybill"),
        # Position 11 of a domestic number is believed to check the eight before it.
        ("1200000000099", "1200000000099", "00000, check digit of waybill doubtful"),
        ("1200000000599", "1200000000599", "00000"),
    ],
)
def test_an_order_is_taken_whatever_its_number_looks_like(said, first, code):
    """A number that is none is left to the push; a doubtful one is taken, with a remark."""
    outcome = _send(_order(), _numbered(ORDER_ID, said))[1]
    assert (outcome.kind, outcome.waybill_no, outcome.code) == (OutcomeKind.TAKEN, first, code)
    assert outcome.more_waybill_nos == ()


@pytest.mark.parametrize(
    "body",
    [
        *(None, "", "好的", 7, [], {}, [None], json.dumps({"logisticsOrderNo": "X"})),
        *({"logisticsOrderNo": other, "waybillNo": NUMBERS[0]} for other in ([ORDER_ID], {"no": ORDER_ID}, 7)),
    ],
)
def test_a_body_without_a_number_leaves_the_order_taken(body):
    """Also one that speaks of another order."""
    outcome = _send(_order(), _reply(body=body))[1]
    assert (outcome.kind, outcome.code) == (OutcomeKind.TAKEN, "00000, no waybill")


def test_the_number_of_another_order_is_not_ours():
    """An answer is looked through for the order that was placed."""
    body = [{"logisticsOrderNo": "X", "waybillNo": NUMBERS[1]}, {"logisticsOrderNo": ORDER_ID, "waybillNo": NUMBERS[0]}]
    assert _send(_order(), _reply(body=body))[1].waybill_no == NUMBERS[0]


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (_reply("B00001", text="订单重复"), OutcomeKind.TAKEN, "B00001, no waybill"),
        (_reply("B00001", text="订单已取消"), OutcomeKind.REFUSED, "B00001"),
        (REFUSED, OutcomeKind.REFUSED, "B00001"),
        (UNKNOWN, OutcomeKind.UNKNOWN, "S00001"),
        (_reply("S00001", text="重复"), OutcomeKind.UNKNOWN, "S00001"),
        (_reply("E00009"), OutcomeKind.UNKNOWN, "E00009"),
        (_reply("联系13800000000"), OutcomeKind.UNKNOWN, "unreadable answer"),
        (_reply(None), OutcomeKind.UNKNOWN, "unreadable answer"),
        (_reply(["00000"]), OutcomeKind.UNKNOWN, "unreadable answer"),
        (_reply("00000", status=500), OutcomeKind.UNKNOWN, "HTTP 500"),
        (_reply("B00001", status=502), OutcomeKind.UNKNOWN, "HTTP 502"),
        (WireReply(200, {}, b"<html>"), OutcomeKind.UNKNOWN, "unreadable answer"),
        (WireReply(200, {}, b"[]"), OutcomeKind.UNKNOWN, "unreadable answer"),
        (WireReply(409), OutcomeKind.UNKNOWN, "unreadable answer"),
        (WireReply(401), OutcomeKind.AUTH, "HTTP 401"),
        (WireReply(404), OutcomeKind.MISCONFIGURED, "HTTP 404"),
        (WireReply(302), OutcomeKind.MISCONFIGURED, "HTTP 302"),
        (BUSY, OutcomeKind.BUSY, "HTTP 429"),
    ],
)
def test_answers_become_outcomes(reply, kind, code):
    """By retCode, or by HTTP's status where there is none; what was done before was done."""
    outcome = _send(_order(), reply)[1]
    assert (outcome.kind, outcome.code) == (kind, code)
    assert outcome.wait_s == (30 if kind is OutcomeKind.BUSY else None)


def test_the_words_of_a_refusal_are_kept_out_of_sight():
    """They go with the outcome, which does not show them."""
    outcome = _send(_order(), _reply("B00001", text="收件人张三电话有误"))[1]
    assert outcome.text == "收件人张三电话有误"
    assert "张三" not in repr(outcome)


@pytest.mark.parametrize("reply", [UNKNOWN, REFUSED, BUSY, WireReply(401)])
def test_nothing_follows_a_first_leg_that_was_not_taken(reply):
    """No second leg, no pickup, nothing to take back."""
    asked, outcome = _send(_order("round_trip"), reply)
    assert [code for code, _ in asked] == ["020003"]
    assert outcome.kind is not OutcomeKind.TAKEN


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (TAKEN, OutcomeKind.REFUSED, "B00001, leg 2"),
        (_reply("B00001", text="该订单已取消"), OutcomeKind.REFUSED, "B00001, leg 2"),
        (REFUSED, OutcomeKind.REFUSED, "B00001, leg 2, and leg 1 stands"),
        (UNKNOWN, OutcomeKind.UNKNOWN, "S00001"),
        (BUSY, OutcomeKind.BUSY, "HTTP 429"),
    ],
)
def test_a_refused_second_leg_takes_the_first_back(reply, kind, code):
    """In the same conversation; until that is settled the whole is not, and all of it is asked again."""
    order = _order("round_trip", order_id=ORDER_ID)
    asked, outcome = _send(order, _numbered(f"{ORDER_ID}-1", NUMBERS[0]), REFUSED, reply)
    assert asked[2] == ("020006", {"logisticsOrderNo": f"{ORDER_ID}-1", "cancelReason": "客户取消寄递"})
    assert (outcome.kind, outcome.code, outcome.waybill_no) == (kind, code, None)


@pytest.mark.parametrize("reply", [UNKNOWN, BUSY])
def test_an_open_second_leg_leaves_the_whole_open(reply):
    """Nothing is taken back: asked again, both are placed once."""
    asked, outcome = _send(_order("round_trip"), TAKEN, reply)
    assert [code for code, _ in asked] == ["020003", "020003"]
    assert outcome.kind in {OutcomeKind.UNKNOWN, OutcomeKind.BUSY}


@pytest.mark.parametrize("name", ["collect", "round_trip"])
def test_a_refused_pickup_leaves_the_order_taken(name):
    """A person is told, since nobody comes; the numbers stand."""
    legs = [_numbered(None, number) for number in NUMBERS[: 2 if name == "round_trip" else 1]]
    asked, outcome = _send(_order(name), *legs, REFUSED)
    assert asked[-1][0] == "030001"
    assert (outcome.kind, outcome.waybill_no) == (OutcomeKind.TAKEN, NUMBERS[0])
    assert (outcome.code, outcome.text) == ("00000, pickup B00001", "参数有误")
    assert outcome.notices == (Notice.PICKUP_REFUSED,)


@pytest.mark.parametrize("reply", [_reply("B00001", text="重复下单"), TAKEN])
def test_a_pickup_that_was_asked_for_before_is_asked_for(reply):
    """Asked again after a lost answer, it is not refused."""
    outcome = _send(_order("collect"), _numbered(None, NUMBERS[0]), reply)[1]
    assert (outcome.kind, outcome.code, outcome.notices) == (OutcomeKind.TAKEN, "00000", ())


@pytest.mark.parametrize(("reply", "kind"), [(UNKNOWN, OutcomeKind.UNKNOWN), (BUSY, OutcomeKind.BUSY)])
def test_an_open_pickup_leaves_the_whole_open(reply, kind):
    """It is all asked again, which EMS does once."""
    assert _send(_order("collect"), _numbered(None, NUMBERS[0]), reply)[1].kind is kind


def test_a_round_without_a_waybill_is_not_asked_for():
    """EMS would want the number; a person is told."""
    asked, outcome = _send(_order("collect"), _reply("B00001", text="重复"))
    assert [code for code, _ in asked] == ["020003"]
    assert outcome.code == "B00001, no waybill, no waybill for the pickup"
    assert outcome.notices == (Notice.PICKUP_REFUSED,)


@pytest.mark.parametrize(
    ("kind", "before"),
    [
        (DeliveryKind.PLACE, []),
        (DeliveryKind.PLACE, [TAKEN]),
        (DeliveryKind.PLACE, [TAKEN, TAKEN]),
        (DeliveryKind.PLACE, [TAKEN, REFUSED]),
        (DeliveryKind.CANCEL, []),
        (DeliveryKind.CANCEL, [TAKEN]),
    ],
)
@pytest.mark.parametrize("breakage", [NOT_SENT, CUT])
def test_a_breakage_after_something_arrived_is_unknown(kind, before, breakage):
    """Had nothing left, the placement could be withdrawn here; once a leg is placed, EMS must be asked."""
    backend = _backend()
    conversation = backend.send([backend.render(_owed(_order("round_trip"), kind))], SOURCE)
    with pytest.raises(BreakageError) as caught:
        _run(conversation, *before, breakage)
    expected = OutcomeKind.UNKNOWN if before else breakage.outcome.kind
    assert (caught.value.outcome.kind, caught.value.outcome.code) == (expected, breakage.outcome.code)


def test_sending_again_changes_the_time_alone():
    """The kept document is sent byte for byte; the envelope's time is new."""
    backend = _backend()
    document = backend.render(_owed(_order("round_trip")))
    later = Source(now=lambda: datetime(2023, 12, 2, tzinfo=UTC), token=lambda: "cd" * 16)
    first, again = (_form(next(backend.send([document], source))) for source in (SOURCE, later))
    assert first.pop("timeStamp") != again.pop("timeStamp")
    assert first == again


def test_the_wire_has_no_probe():
    """An unknown outcome is sent again: the manifest says so, and the probe asks nothing."""
    manifest = load_adapter("ems").manifest
    assert (manifest.is_idempotent, manifest.has_probe, manifest.amends) == (True, False, False)
    with pytest.raises(StopIteration) as stop:
        next(_backend().probe(_owed(), SOURCE))
    assert stop.value.value is Presence.CANNOT_TELL


# --- Cancelling ---


def test_both_legs_are_cancelled():
    """One request for each, by our own numbers."""
    order = _order("round_trip", order_id=ORDER_ID)
    asked, outcome = _send(order, TAKEN, TAKEN, kind=DeliveryKind.CANCEL)
    assert asked == [
        ("020006", {"logisticsOrderNo": f"{ORDER_ID}-{leg}", "cancelReason": "客户取消寄递"}) for leg in (1, 2)
    ]
    assert (outcome.kind, outcome.code) == (OutcomeKind.TAKEN, "00000")
    assert _send(_order(), TAKEN, kind=DeliveryKind.CANCEL)[0] == [
        ("020006", {"logisticsOrderNo": ORDER_ID, "cancelReason": "客户取消寄递"})
    ]


@pytest.mark.parametrize(
    ("replies", "kind", "code"),
    [
        ([REFUSED], OutcomeKind.REFUSED, "B00001"),
        ([UNKNOWN], OutcomeKind.UNKNOWN, "S00001"),
        ([_reply("B00001", text="订单已取消"), TAKEN], OutcomeKind.TAKEN, "00000"),
        ([TAKEN, _reply("B00001", text="重复取消")], OutcomeKind.TAKEN, "B00001"),
        ([TAKEN, REFUSED], OutcomeKind.TAKEN, "00000, leg 2 B00001"),
        ([TAKEN, UNKNOWN], OutcomeKind.UNKNOWN, "S00001"),
        ([TAKEN, BUSY], OutcomeKind.BUSY, "HTTP 429"),
    ],
)
def test_the_first_leg_decides_a_cancel(replies, kind, code):
    """Refused, and nothing was changed; taken, and nothing will be mailed, whatever EMS thinks of the way back."""
    asked, outcome = _send(_order("round_trip"), *replies, kind=DeliveryKind.CANCEL)
    assert len(asked) == len(replies)
    assert (outcome.kind, outcome.code) == (kind, code)


# --- Traces asked for, and labels ---


@pytest.mark.parametrize(
    "body",
    [
        TRACES["delivered"],
        json.dumps(TRACES["delivered"]),
        json.dumps({"responseItems": TRACES["delivered"]}),
    ],
)
def test_traces_are_fetched_as_they_are_pushed(body):
    """A list, in a text or in an object; each trace is the same event, whichever way it came."""
    requests, tellings = _run(_backend().trace(NUMBERS[0], SOURCE), _reply(body=body))
    assert [_asked(request) for request in requests] == [("040001", {"waybillNo": NUMBERS[0]})]
    assert tellings == _told(TRACES["delivered"])


def test_a_fetched_trace_is_of_the_item_that_was_asked_for():
    """Where it does not say the number itself; one that says no time is left out."""
    body = [_trace(waybillNo=""), _trace(opTime="")]
    (telling,) = _run(_backend().trace(NUMBERS[1], SOURCE), _reply(body=body))[1]
    assert (telling.waybill_no, telling.event.waybill_no) == (NUMBERS[1], NUMBERS[1])


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (REFUSED, OutcomeKind.REFUSED),
        (UNKNOWN, OutcomeKind.UNKNOWN),
        (_reply(body="无"), OutcomeKind.UNKNOWN),
        (_reply(), OutcomeKind.UNKNOWN),
        (WireReply(503), OutcomeKind.UNKNOWN),
    ],
)
def test_where_ems_says_nothing_there_are_no_traces(reply, kind):
    """Nothing said is not the same as nothing there."""
    assert _run(_backend().trace(NUMBERS[0], SOURCE), reply)[1].kind is kind
    assert _run(_backend().trace(NUMBERS[0], SOURCE), _reply(body="[]"))[1] == ()


@pytest.mark.parametrize(("settings", "kind"), [({}, "129"), ({"kind": "149"}, "149"), ({"kind": "179"}, "179")])
def test_a_label_is_a_pdf(settings, kind):
    """Base64 of a PDF, in one of three templates; line breaks are no harm."""
    pdf = b"%PDF-1.4 \xff\x00 label"
    text = b64encode(pdf).decode()
    requests, label = _run(_backend().label(NUMBERS[0], SOURCE, **settings), _reply(body=f"{text[:8]}\n{text[8:]}"))
    assert _asked(requests[0]) == ("010004", {"waybillNo": NUMBERS[0], "type": kind})
    assert label == pdf


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (_reply(body=b64encode(b"<html>").decode()), OutcomeKind.UNKNOWN),
        (_reply(body="https://ems.example/label.pdf"), OutcomeKind.UNKNOWN),
        (_reply(body={"pdf": 1}), OutcomeKind.UNKNOWN),
        (_reply(body=""), OutcomeKind.UNKNOWN),
        (REFUSED, OutcomeKind.REFUSED),
    ],
)
def test_what_is_no_pdf_is_no_label(reply, kind):
    """It is checked before it is handed on."""
    assert _run(_backend().label(NUMBERS[0], SOURCE), reply)[1].kind is kind


# --- Pushes: what they mean ---

#: The contract's table, line by line.
OPERATIONS = [
    ("203", Status.COLLECTED, None),
    ("207", None, "203"),
    *((code, Status.IN_TRANSIT, None) for code in ["303", "305", "336", "345", "389", "954", "713"]),
    ("702", Status.OUT_FOR_DELIVERY, None),
    ("742", None, "702"),
    ("704", Status.DELIVERED, None),
    ("743", None, "704"),
    ("741", Status.RETURNING, "704"),
    ("748", Status.DELIVERED, None),
    *((code, Status.IN_TRANSIT, "748") for code in ["749", "750", "751"]),
    ("705", Status.UNDELIVERED, None),
    ("744", None, "705"),
    *((code, Status.RETURNING, None) for code in ["326", "405", "447", "482", "708"]),
    ("711", Status.RETURNED, None),
    ("747", Status.IN_TRANSIT, None),
    *((code, Status.IN_TRANSIT, None) for code in ["756", "802", "803", "651"]),
    ("801", Status.CANCELLED, None),
    ("987", Status.LOST, None),
    ("988", Status.LOST, None),
    ("999", Status.UNKNOWN, None),
    ("O_011", Status.UNKNOWN, None),
]


@pytest.mark.parametrize(("code", "status", "revokes_code"), OPERATIONS)
def test_operations_become_statuses(code, status, revokes_code):
    """Every code of the contract, and others; the raw code is kept always."""
    event = _told([_trace(opCode=code)])[0].event
    assert (event.status, event.revokes_code, event.raw_code, event.revokes) == (status, revokes_code, code, None)


def test_the_operations_table_holds_no_more_than_the_contract():
    """Any other code is unknown, down to the last of a thousand."""
    known = {code for code, status, _ in OPERATIONS if status is not Status.UNKNOWN}
    traces = [_trace(opCode=f"{code:03}") for code in range(1000)]
    tellings = _told(traces)
    assert len(tellings) == 1000
    assert {telling.event.raw_code for telling in tellings if telling.event.status is not Status.UNKNOWN} == known


RECEIVERS = {
    "10": ReceivedBy.SELF,
    "20": ReceivedBy.OTHER,
    **dict.fromkeys(["30", "50", "150", "181"], ReceivedBy.PICKUP_POINT),
    "60": ReceivedBy.MAILROOM,
    "70": ReceivedBy.PROPERTY,
    "162": ReceivedBy.OFFICE,
    **dict.fromkeys(["161", "163", "164", "165", "166", "167", "168", "169"], ReceivedBy.UNATTENDED),
    "40": ReceivedBy.OTHER,
    "160": ReceivedBy.OTHER,
    "170": ReceivedBy.OTHER,
    "x": ReceivedBy.OTHER,
    "": None,
}


@pytest.mark.parametrize(("code", "received_by"), RECEIVERS.items())
def test_deliver_codes_say_who_took_it(code, received_by):
    """With a delivery, and with nothing else; at a pickup point it is the pickup point whatever the code."""
    told = _told(
        [
            _trace(opCode=op, deliverCode=code, opTime=f"2023-12-01 10:00:0{n}")
            for n, op in enumerate(("704", "748", "711"))
        ]
    )
    assert [telling.event.received_by for telling in told] == [received_by, ReceivedBy.PICKUP_POINT, None]


REASONS = {
    "1": Reason.BAD_ADDRESS,
    "2": Reason.BAD_ADDRESS,
    "3": Reason.UNKNOWN_PERSON,
    "4": Reason.UNREACHABLE,
    "5": Reason.MOVED,
    "6": Reason.DEFERRED,
    "7": Reason.REFUSED,
    "8": Reason.WILL_COLLECT,
    "9": Reason.WILL_COLLECT,
    "10": Reason.OTHER,
    "x": Reason.OTHER,
    "": None,
}


@pytest.mark.parametrize(("code", "reason"), REASONS.items())
def test_attempt_codes_say_why_not(code, reason):
    """With an attempt that failed, and with nothing else; a number stands for its text."""
    value = int(code) if code.isdigit() else code
    told = _told([_trace(opCode="705", attemptDeliveryCode=value), _trace(opCode="708", attemptDeliveryCode=value)])
    assert [telling.event.reason for telling in told] == [reason, None]


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("delivered", [Status.COLLECTED, Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.DELIVERED]),
        (
            "refused",
            [Status.COLLECTED, Status.OUT_FOR_DELIVERY, Status.UNDELIVERED, Status.RETURNING, Status.RETURNED],
        ),
        ("revoked", [Status.COLLECTED, Status.OUT_FOR_DELIVERY, Status.DELIVERED, None, Status.DELIVERED]),
    ],
)
def test_the_sample_traces_are_read(name, statuses):
    """Each item's story, in order, under its waybill number."""
    told = _told(TRACES[name])
    assert [telling.event.status for telling in told] == statuses
    assert {telling.waybill_no for telling in told} == {TRACES[name][0]["waybillNo"]}
    assert len({telling.event.event_id for telling in told}) == len(statuses)


def test_a_trace_is_read_whole():
    """Time of Shanghai, the office, EMS's words as a note; nothing of the courier beside it."""
    (telling,) = _told([_trace()])
    event = telling.event
    assert (telling.order_id, telling.waybill_no, event.waybill_no, event.leg) == (None, *NUMBERS[:1] * 2, 1)
    assert event.occurred_at == datetime(2023, 12, 1, 2, 5, tzinfo=UTC)
    assert event.office.model_dump() == {"code": "40005701", "name": "巴南片区揽投部", "city": "重庆市"}
    assert event.note == TRACES["delivered"][0]["opDesc"]
    assert event.signer is None
    members = event.model_dump_json(exclude={"note"})
    assert not any(text in members for text in PERSONAL)


@pytest.mark.parametrize(
    ("order_no", "order_id", "leg"),
    [
        (ORDER_ID, ORDER_ID, 1),
        (f"{ORDER_ID}-1", ORDER_ID, 1),
        (f"{ORDER_ID}-2", ORDER_ID, 2),
        (f"{ORDER_ID}-3", None, 1),
        (f"X{ORDER_ID}", None, 1),
        ("WX20231201", None, 1),
        ("", None, 1),
        (None, None, 1),
    ],
)
def test_the_order_number_names_order_and_leg(order_no, order_id, leg):
    """Ours does; with another's the waybill number has to do."""
    (telling,) = _told([_trace(orderNo=order_no)])
    assert (telling.order_id, telling.event.leg, telling.waybill_no) == (order_id, leg, NUMBERS[0])


def test_an_event_is_known_by_four_members():
    """Waybill, code, time and office; the same again is the same, whatever else changed."""

    def event_id(**changes):
        return _told([_trace(**changes)])[0].event.event_id

    same = {event_id(), event_id(opDesc="x", operatorName="y", deliverCode="20", orderNo=ORDER_ID)}
    others = {
        event_id(waybillNo=NUMBERS[1]),
        event_id(opCode="204"),
        event_id(opTime="2023-12-01 10:05:01"),
        event_id(opOrgCode="40005702"),
    }
    assert (len(same), len(others), same & others) == (1, 4, set())
    assert all(len(known) <= 128 and known.isascii() for known in same | others)


def test_one_trace_may_come_alone():
    """An object for a list of one, or a list called responseItems."""
    assert _told(_trace()) == _told([_trace()]) == _told({"responseItems": [_trace()]})
    assert _told([]) == ()


@pytest.mark.parametrize(
    ("changes", "members"),
    [
        ({"opCode": None}, {"status": Status.UNKNOWN, "raw_code": None}),
        ({"opCode": "邮递员甲 13000000009"}, {"status": Status.UNKNOWN, "raw_code": None}),
        ({"opCode": 704, "deliverCode": 10}, {"status": Status.DELIVERED, "received_by": ReceivedBy.SELF}),
        ({"opCode": True}, {"status": Status.UNKNOWN, "raw_code": None}),
        ({"opOrgName": ""}, {"office": None}),
        ({"opOrgName": "部" * 101}, {"office": None}),
        ({"opDesc": "x" * 2001}, {"note": "x" * 2000}),
        ({"opDesc": {"a": 1}}, {"note": None}),
    ],
)
def test_a_member_that_is_amiss_does_not_lose_the_event(changes, members):
    """It counts as not said."""
    event = _told([_trace(**changes)])[0].event
    assert {name: getattr(event, name) for name in members} == members


def test_an_office_keeps_what_fits():
    """A name alone is an office."""
    event = _told([_trace(opOrgCode="1" * 101, opOrgCity=None)])[0].event
    assert event.office.model_dump(exclude_none=True) == {"name": "巴南片区揽投部"}


@pytest.mark.parametrize("at", ["1999-01-01 00:00:00", "2099-12-31 23:59:59"])
def test_past_and_future_are_for_the_engine_to_judge(at):
    """A time is a time."""
    assert _told([_trace(opTime=at)])[0].event.occurred_at.year in {1998, 2099}


@pytest.mark.parametrize(
    ("number", "order_no", "event_number", "told_number", "order_id"),
    [
        # A wrong check digit: the event is kept, under what EMS called the item where we have no better name.
        ("EA969294769CN", "", None, "EA969294769CN", None),
        ("EA969294769CN", ORDER_ID, None, None, ORDER_ID),
        ("", ORDER_ID, None, None, ORDER_ID),
        ("无", ORDER_ID, None, None, ORDER_ID),
        # The inferred check digit of a domestic number is no reason for anything.
        ("1200000000099", "", "1200000000099", "1200000000099", None),
    ],
)
def test_a_doubtful_number_does_not_lose_the_event(number, order_no, event_number, told_number, order_id):
    """It is told of the order where that is known."""
    (telling,) = _told([_trace(waybillNo=number, orderNo=order_no)])
    assert (telling.event.waybill_no, telling.waybill_no, telling.order_id) == (event_number, told_number, order_id)


def test_events_without_a_number_differ_by_their_orders():
    """Two items are not one event."""
    told = _told([_trace(waybillNo="", orderNo=f"{ORDER_ID}-{leg}") for leg in (1, 2)])
    assert len({telling.event.event_id for telling in told}) == 2


BROKEN = [
    (_trace(opTime=""), "[0].opTime: is not a time yyyy-MM-dd HH:mm:ss"),
    (_trace(opTime="2023-12-01T10:05:00"), "[0].opTime: is not a time yyyy-MM-dd HH:mm:ss"),
    (_trace(opTime="2023-02-30 10:05:00"), "[0].opTime: is not a time that exists"),
    (_trace(waybillNo=""), "[0].waybillNo: is no mail number, and orderNo is none of ours"),
    (_trace(waybillNo="张三13000000002"), "[0].waybillNo: is no mail number, and orderNo is none of ours"),
    ("已签收", "[0] must be an object"),
    (None, "[0] must be an object"),
]


@pytest.mark.parametrize(("broken", "why"), BROKEN)
def test_a_broken_trace_does_not_spoil_the_others(broken, why):
    """The good ones are recorded, and the answer says how many could not be read, and why the first."""
    payload = [broken, *TRACES["delivered"]]
    assert _told(payload) == _told(TRACES["delivered"])
    answer = _answered(_push(payload))
    assert (answer["code"], answer["codeMessage"]) == ("00000", f"1 could not be read, first {why}")


@pytest.mark.parametrize(("broken", "why"), BROKEN)
def test_a_push_of_which_nothing_can_be_read_is_refused(broken, why):
    """With the reason of the first."""
    answer = _answered(_push([broken, broken]))
    assert (answer["code"], answer["codeMessage"]) == ("B00001", f"logitcsInterface: {why}")


@pytest.mark.parametrize(
    ("method", "changes", "raw_code"),
    [
        ("030002", {"status": "2"}, "030002:2"),
        ("030003", {"status": 1}, "030003:1"),
        ("030003", {"opCode": "1"}, "030003:1"),
        ("030002", {}, "030002"),
        ("030002", {"status": "邮递员甲 13000000009"}, "030002"),
    ],
)
def test_how_a_pickup_stands_is_kept_and_moves_nothing(method, changes, raw_code):
    """All that came is the note; the time is the push's own where it says none."""
    pickup = {"logisticsOrderNo": f"{ORDER_ID}-1", "courier": "邮递员甲", **changes}
    (telling,) = _told([pickup], method=method)
    event = telling.event
    assert (telling.order_id, event.status, event.raw_code) == (ORDER_ID, Status.UNKNOWN, raw_code)
    assert event.occurred_at == datetime(2023, 12, 2, 10, tzinfo=UTC)
    assert json.loads(event.note) == pickup
    again = _told([{**pickup, "opTime": "2023-12-02 18:00:00", "waybillNo": NUMBERS[0]}], method=method)
    assert (again[0].waybill_no, again[0].event.occurred_at) == (NUMBERS[0], event.occurred_at)


# --- Pushes: who may, and what is answered ---


@pytest.mark.parametrize("is_signed", [True, False])
def test_the_sign_keys_text_may_stand_inside_or_not(is_signed):
    """Both are accepted, and so is a caller that forgot to percent-encode its plus signs."""
    sealed = _seal([_trace()], is_signed=is_signed)
    assert _told(None, sealed=sealed) == _told([_trace()])
    assert _told(None, sealed=_seal([_trace()]).removeprefix("|$4|")) == _told([_trace()])


def test_a_bare_plus_is_no_space():
    """A push whose form was put together by hand."""
    payload = next(trace for trace in (_trace(opDesc=f"{n}") for n in range(99)) if "+" in _seal([trace]))
    head = urlencode({"method": "040002", "senderNo": KEYS["sender_no"]})
    body = f"{head}&logitcsInterface={_seal([payload])}"
    inbound = _backend().read(WireRequest("POST", "/backends/ems/push", {}, body.encode()), NOW)
    assert inbound.command.tellings == _told([payload])


@pytest.mark.parametrize(
    ("request_", "problem", "field"),
    [
        (_push([_trace()], senderNo="1100000000001"), Problem.SIGNATURE, "senderNo"),
        (_push([_trace()], senderNo=""), Problem.SIGNATURE, "senderNo"),
        (_push([_trace()], senderNo="一一"), Problem.SIGNATURE, "senderNo"),
        (_push(sealed=_seal([_trace()], key="AAECAwQFBgcICQoLDA0ODw==")), Problem.SIGNATURE, "logitcsInterface"),
        (_push(sealed="|$4|"), Problem.SIGNATURE, "logitcsInterface"),
        (_push(sealed="|$4|不是"), Problem.SIGNATURE, "logitcsInterface"),
        (_push(sealed="|$4|AAAA"), Problem.SIGNATURE, "logitcsInterface"),
        (_push(sealed=_seal([_trace()])[:-4]), Problem.SIGNATURE, "logitcsInterface"),
        (_push(b"rubbish"), Problem.SIGNATURE, "logitcsInterface"),
        (_push(b"\xff\xfe"), Problem.SIGNATURE, "logitcsInterface"),
        (_push(b"[" * 50), Problem.SIGNATURE, "logitcsInterface"),
        (_push([_trace()], method="050005"), Problem.INVALID, "method"),
        (_push([_trace()], method=""), Problem.INVALID, "method"),
        (_push([_trace()], verb="GET"), Problem.INVALID, None),
        (_push([_trace()], path="/backends/ems/pull"), Problem.INVALID, None),
        (WireRequest("POST", "/backends/ems/push", {}, b""), Problem.SIGNATURE, "senderNo"),
        (WireRequest("POST", "/backends/ems/push", {}, b"{}"), Problem.INVALID, None),
        (WireRequest("POST", "/backends/ems/push", {}, "a=张".encode()), Problem.INVALID, None),
        (WireRequest("POST", "/backends/ems/push", {}, b"a=%ff"), Problem.INVALID, None),
        (WireRequest("POST", "/backends/ems/push", {}, b"a=1&a=2"), Problem.INVALID, None),
        (
            WireRequest("POST", "/backends/ems/push", {}, b"&".join(b"a%d=1" % n for n in range(99))),
            Problem.INVALID,
            None,
        ),
    ],
)
def test_a_push_that_is_not_proven_or_not_readable_is_refused(request_, problem, field):
    """By senderNo and key, which is all the proof there is on this wire; nothing raises, and B00001 is said."""
    denied = _backend().read(request_, NOW).command
    assert (denied.problem, denied.field) == (problem, field)
    assert _answered(request_)["code"] == "B00001"


def test_an_answer_echoes_who_it_is_for():
    """Number and sender as they came; a stranger does not learn ours."""
    assert _answered(_push([_trace()])) == {
        "serialNo": "C3E7E1A2E6F44EB9",
        "code": "00000",
        "codeMessage": "成功",
        "senderNo": KEYS["sender_no"],
    }
    assert _answered(_push([_trace()], senderNo="9"))["senderNo"] == "9"


@pytest.mark.parametrize("problem", list(Problem))
def test_every_problem_is_a_no(problem):
    """The contract has one code for all of them: whatever is not 00000 is pushed again."""
    answer = _answered(_push([_trace()]), Denied(problem, "the reason"))
    assert (answer["code"], answer["codeMessage"]) == ("B00001", "the reason")


def test_a_push_has_its_role():
    """The engine finds by its methods what the backend can do; no nonce: the same push again is the same events."""
    backend = _backend()
    assert isinstance(backend, Receives)
    assert isinstance(backend, Traced)
    assert backend.read(_push([_trace()]), NOW).nonce is None


def test_nothing_personal_shows():
    """Requests, what was read, documents, errors and answers can be logged."""
    backend = _backend()
    shown = [
        repr(backend.read(_push([*TRACES["delivered"], _trace(waybillNo="张三13000000002")]), NOW)),
        repr(_push(TRACES["delivered"])),
        json.dumps(_answered(_push([*TRACES["delivered"], _trace(waybillNo="张三13000000002")])), ensure_ascii=False),
        repr(backend.render(_owed())),
        repr(next(backend.send([backend.render(_owed())], SOURCE))),
        repr([telling.event for telling in _told(TRACES["delivered"])]),
        repr(_told([{"orderNo": ORDER_ID, "courier": "邮递员甲"}], method="030002")[0].event),
        repr(_send(_order(), _numbered(ORDER_ID, "张三13000000002"))[1]),
        repr(vars(backend)),
    ]
    secrets = (KEYS["authorization"], KEYS["sign_key"])
    assert [(text, where) for where in shown for text in (*PERSONAL, *secrets) if text in where] == []


def test_an_address_is_never_quoted():
    """An address may be without a county, and the error still says nothing of it."""
    address = Address(street="解放西路2号3-4")
    order = _order()
    order = order.model_copy(update={"recipient": order.recipient.model_copy(update={"address": address})})
    with pytest.raises(UnsupportedFeatureError) as caught:
        _rendered(order)
    assert not any(text in f"{caught.value!r}{caught.value}" for text in PERSONAL)
