"""法院专递: sealed batches task by task, what a court is told and when a receipt leaves, and what is taken back."""

import json
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from govpost.adapters.base import DeliveryKind, Explains, Inbound, Outbound, Owed, Receives
from govpost.adapters.court_waybill.fields import FIELDS
from govpost.adapters.fields import order_to_wire
from govpost.adapters.label import build_label
from govpost.adapters.protocols.sm2 import SigningKey, VerifyingKey, der_from_raw, raw_from_der
from govpost.adapters.registry import load_adapter
from govpost.schemas import (
    Batch,
    Batched,
    Denied,
    Event,
    Notice,
    Order,
    OutcomeKind,
    PartyKind,
    Place,
    Placed,
    Presence,
    Problem,
    ProofKind,
    Source,
    Status,
    Update,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import BreakageError, ConfigurationError, UnsupportedFeatureError
from govpost.schemas.outcome import Outcome

ROOT = Path(__file__).parents[2]
WIRE = ROOT / "schemas" / "wire" / "court_waybill"
DATA = ROOT / "tests" / "data"
EXAMPLES = json.loads((DATA / "examples.json").read_text("utf-8"))
EXAMPLE, KEYS = EXAMPLES["court_waybill"], EXAMPLES["keys"]["sm2"]
BODY = b64decode(EXAMPLE["body_base64"])
NOW = datetime.fromtimestamp(1701389550, UTC)
BASE = "https://court.example/base"
BATCHES = "/portals/court_waybill/batches"
NS = "{urn:govpost:court-waybill:1}"
ORDER_ID = "01HGGY4B5R0000000000000AB1"
#: Two deliveries, and what is made of their ids on the wire.
FIRST, SECOND = "01HGGY4B5R0000000000000AB2", "01HGGY4B5R0000000000000AB3"
FIRST_HEX, SECOND_HEX = "018c21e22cb800000000000000002962", "018c21e22cb800000000000000002963"
WAYBILL = "EA969294768CN"
PNG = b"\x89PNG\r\n\x1a\n and a picture"
ADULT_ID = "500108196905244643"

TAKEN, REFUSED, UNKNOWN, BUSY, AUTH = (
    OutcomeKind.TAKEN,
    OutcomeKind.REFUSED,
    OutcomeKind.UNKNOWN,
    OutcomeKind.BUSY,
    OutcomeKind.AUTH,
)


def _schema(name):
    return etree.XMLSchema(etree.parse(WIRE / f"{name}.xsd"))


HUICHUAN, ANSWERS, TASK, FRAME = map(_schema, ("huichuan", "answers", "task", "batch"))

SETTINGS = {
    "base_url": f"{BASE}/",
    "certs": {"CQFY": KEYS["court"]["public"], "CQFY-2": KEYS["portal"]["public"]},
    "sign_cert": "CQYZ",
    "sign_key": KEYS["gateway_court"]["private"],
}


@pytest.fixture(scope="module")
def court():
    """Build the adapter as the gateway does."""
    return _build()


def _build(**changes):
    return load_adapter("court_waybill").build({**SETTINGS, **changes}, section="portals.court_waybill")


def _source(at=NOW):
    return Source(now=lambda: at, token=lambda: "f" * 32)


# --- What a court sends ---


def _seal(body, *, at=NOW, cert="CQFY", key=KEYS["court"]["private"], timestamp=None):
    """Seal as the contract says."""
    timestamp = str(int(at.timestamp() * 1000)) if timestamp is None else timestamp
    signature = SigningKey(key).sign(timestamp.encode() + b"\n" + body)
    return {"X-Cert-Id": cert, "X-Timestamp": timestamp, "X-Signature": b64encode(der_from_raw(signature)).decode()}


def _sealed(body, *, path=BATCHES, method="POST", **how):
    return WireRequest(method, path, _seal(body, **how), body)


def _task(rwid="FY-1", *, drop=(), insert="", **changes):
    """Write a task; members by `Element.attribute` or `Element`, None drops an attribute."""
    members = {
        "RenWu.rwid": rwid,
        "AnHao": "(2023)渝0113民初1234号",
        "AnYou": "买卖合同纠纷",
        "WenShu.lb": "CP",
        "WenShu.mc": "传票",
        "WenShu.fs": "1",
        "ShouSongDaRen.xm": "华杰建",
        "ShouSongDaRen.zjlx": "111",
        "ShouSongDaRen.zjhm": ADULT_ID,
        "ShouSongDaRen.dh": "18333267866",
        "ShouSongDaRen.dz": "重庆市巴南区龙海大道671号",
        "ShouSongDaRen.xzqh": "500113",
        "ShouSongDaRen.yb": "401320",
        "ShouSongDaRen.lx": "ZRR",
        "ShouSongDaRen.querenshu": "true",
        "DaiShouRen.xm": "陶雨芳",
        "DaiShouRen.gx": "配偶",
        "DaiShouRen.dh": "17134182391",
        "DuiFangDangShiRen.xm": "欧阳若䶮",
        "JiJianRen.mc": "重庆市巴南区人民法院",
        "JiJianRen.lxr": "赵青山",
        "JiJianRen.dh": "13900001234",
        "JiJianRen.dz": "重庆市巴南区龙洲大道1号",
        "HuiZhi.xuyao": "true",
        "HuiZhi.qixian": "10",
        **changes,
    }
    root = etree.Element(f"{NS}RenWu", nsmap={None: NS.strip("{}")})
    for path, value in members.items():
        name, _, attribute = path.partition(".")
        if name in drop or (value is None and not attribute):
            continue
        found = root if name == "RenWu" else root.find(f"{NS}{name}")
        element = etree.SubElement(root, f"{NS}{name}") if found is None else found
        if not attribute:
            element.text = value
        elif value is not None:
            element.set(attribute, value)
    return etree.tostring(root, encoding="unicode").replace("</RenWu>", f"{insert}</RenWu>")


def _batch(*tasks, pch="FY-20231201-1", fydm="渝0113", tjsj="2023-12-01T08:30:00+08:00", more=""):
    head = f'<SongDaPiCi xmlns="{NS.strip("{}")}" pch="{pch}" fydm="{fydm}" tjsj="{tjsj}"{more}>'
    return f'<?xml version="1.0" encoding="GB18030"?>\n{head}{"".join(tasks)}</SongDaPiCi>'.encode("gb18030")


def _read(court, body, **how):
    return court.read(_sealed(body, **how), NOW)


def _one(court, **changes):
    """Read a batch of one task."""
    (command,) = _read(court, _batch(_task(**changes))).command.commands
    return command


def _opened(reply):
    """Check an answer's seal and form, and give its root."""
    signed = reply.headers["X-Timestamp"].encode() + b"\n" + reply.body
    signature = raw_from_der(b64decode(reply.headers["X-Signature"]))
    assert VerifyingKey(KEYS["gateway_court"]["public"]).verify(signature, signed)
    assert (reply.status, reply.headers["X-Cert-Id"]) == (200, "CQYZ")
    assert reply.headers["Content-Type"] == "application/xml; charset=GB18030"
    assert reply.body.startswith(b'<?xml version="1.0" encoding="GB18030"?>')
    root = etree.fromstring(reply.body)
    ANSWERS.assertValid(root)
    return root


# --- Seals ---


def test_the_worked_batch_is_verified_and_read(court):
    """The example's signature fits, and its three tasks are orders."""
    headers = {
        "X-Cert-Id": "CQFY",
        "X-Timestamp": EXAMPLE["timestamp"],
        "X-Signature": EXAMPLE["signature_base64_der"],
    }
    inbound = court.read(WireRequest("POST", BATCHES, headers, BODY), NOW)
    batch = inbound.command
    assert (batch.batch_no, [type(each) for each in batch.commands]) == ("FY0113-20231201-001", [Place] * 3)
    order = batch.commands[0].order
    assert (order.portal_ref, order.recipient.name) == ("FY0113-20231201-001-0001", "陈浩")
    assert (order.matter.case_ref, order.matter.case_no) == ("(2023)渝0113民初3381号", "（2023）渝0113民初3381号")


def test_our_seal_is_made_as_the_example_says(court):
    """What we send verifies under our public key, over the time, a line end and the body."""
    (request, *_), _ = _talk(court.send([court.render(_owed(Status.IN_TRANSIT))], _source()), _yes())
    signed = EXAMPLE["timestamp"].encode() + b"\n" + request.body
    signature = raw_from_der(b64decode(request.headers["X-Signature"]))
    assert VerifyingKey(KEYS["gateway_court"]["public"]).verify(signature, signed)
    assert (request.headers["X-Cert-Id"], request.headers["X-Timestamp"]) == ("CQYZ", EXAMPLE["timestamp"])


def _broken_seals():
    good = _seal(BODY)
    other = _seal(BODY, key=KEYS["portal"]["private"])
    raw = b64encode(raw_from_der(b64decode(good["X-Signature"]))).decode()
    return {
        "nothing": {},
        "no cert": {**good, "X-Cert-Id": ""},
        "an unknown cert": {**good, "X-Cert-Id": "NOBODY"},
        "another's cert": {**good, "X-Cert-Id": "CQFY-2"},
        "another's key": other,
        "no signature": {**good, "X-Signature": ""},
        "no Base64": {**good, "X-Signature": "龙"},
        "no DER": {**good, "X-Signature": "AAAA"},
        "not DER but raw": {**good, "X-Signature": raw},
        "no time": {**good, "X-Timestamp": ""},
        "another time": {**good, "X-Timestamp": str(int(good["X-Timestamp"]) + 1)},
        "no number": _seal(BODY, timestamp="soon"),
        "digits of others": _seal(BODY, timestamp="１７０１３８９５５００００"),
    }


@pytest.mark.parametrize("name", _broken_seals())
def test_a_seal_that_does_not_hold_is_refused_before_the_body_is_read(court, name):
    """Signature (8), and nobody is known to have asked: no nonce."""
    inbound = court.read(WireRequest("POST", BATCHES, _broken_seals()[name], BODY), NOW)
    assert (inbound.command.problem, inbound.nonce) == (Problem.SIGNATURE, None)
    assert _opened(court.answer(inbound, inbound.command)).attrib == {
        "pch": "",
        "dm": "8",
        "xx": inbound.command.reason,
    }


@pytest.mark.parametrize(
    "change", [(b"2023", b"2024"), (b"\n", b"\r\n"), (b'mc="', b"mc='"), (b"</SongDa", b" </SongDa")]
)
def test_a_signature_over_other_bytes_is_none(court, change):
    """Every byte is covered, blanks and quotes too."""
    request = _sealed(BODY)
    inbound = court.read(replace(request, body=BODY.replace(*change)), NOW)
    assert inbound.command.problem is Problem.SIGNATURE


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [(0, None), (300, None), (-300, None), (300.001, Problem.TIMESTAMP), (-300.001, Problem.TIMESTAMP)],
)
def test_the_time_must_be_near(court, seconds, problem):
    """300 s either way, checked after the signature."""
    inbound = court.read(_sealed(BODY), NOW + timedelta(seconds=seconds))
    found = inbound.command.problem if isinstance(inbound.command, Denied) else None
    assert found == problem


def test_any_of_the_courts_keys_will_do(court):
    """Each under its own name."""
    request = _sealed(BODY, cert="CQFY-2", key=KEYS["portal"]["private"])
    assert isinstance(court.read(request, NOW).command, Batch)


def test_a_repeat_is_the_same_time_and_the_same_bytes(court):
    """Another batch that was signed in the same millisecond is no repeat, and no replay: the seal covers both."""
    first, again, other = (_read(court, body) for body in (BODY, BODY, _batch(_task())))
    second_key = _read(court, BODY, cert="CQFY-2", key=KEYS["portal"]["private"])
    assert (first.nonce, first.nonce_digest) == (again.nonce, again.nonce_digest)
    assert len({first.nonce, other.nonce, second_key.nonce}) == 3
    assert isinstance(other.command, Batch)


@pytest.mark.parametrize(("path", "method"), [("/portals/court_waybill/batch", "POST"), (BATCHES, "GET")])
def test_there_is_one_call(court, path, method):
    """Anything else is invalid."""
    assert _read(court, BODY, path=path, method=method).command == Denied(Problem.INVALID, "there is no such call")


# --- Batches ---


@pytest.mark.parametrize(("number", "denied"), [(1, 0), (2, 0), (3, 2)])
def test_every_sample_batch_is_read(court, number, denied):
    """Frames and tasks fit the schemas; only impossible case numbers are denied, each alone."""
    body = (DATA / f"court_waybill_batch_{number}.xml").read_bytes()
    root = etree.fromstring(body)
    batch = _read(court, body).command
    assert FRAME.validate(root)
    assert all(TASK.validate(task) for task in root)
    assert len(batch.commands) == len(root)
    for task, command in zip(root, batch.commands, strict=True):
        case_no = task.findtext(f"{NS}AnHao")
        if isinstance(command, Denied):
            assert (command.field, case_no) == ("AnHao", "2023渝民初")
        else:
            assert (command.order.portal_ref, command.order.extras) == (task.get("rwid"), {})
            assert command.order.matter.case_ref == case_no
    assert sum(isinstance(command, Denied) for command in batch.commands) == denied


@pytest.mark.parametrize("name", ["person", "organization", "no_receipt", "unknown_members"])
def test_the_samples_go_both_ways(court, name):
    """The pairs beside the wire contract hold, and nothing of them is lost."""
    body = (WIRE / "samples" / f"{name}.wire.xml").read_bytes()
    expected = json.loads((WIRE / "samples" / f"{name}.order.json").read_text("utf-8"))
    (place,) = _read(court, body).command.commands
    assert place.order.model_dump(mode="json", exclude_none=True) == expected
    written = order_to_wire(FIELDS, place.order, keep_extras=True)
    assert written.pop("tjsj") == "2023-12-01T08:30:00+08:00"
    assert written == place.content


def test_a_task_says_who_may_sign_and_who_may_not(court):
    """Designated recipients, opposing parties, the confirmed address, the receipt that is wanted, the court itself."""
    order = _one(court).order
    assert [(who.name, who.relation, who.phone) for who in order.may_sign] == [("陶雨芳", "配偶", "17134182391")]
    assert [who.name for who in order.may_not_sign] == ["欧阳若䶮"]
    assert (order.recipient.kind, order.recipient.address.is_confirmed) == (PartyKind.PERSON, True)
    assert (order.proof_wanted, order.promise.within_days) == ({ProofKind.RECEIPT}, 10)
    assert (order.sender.organization, order.sender.name) == ("重庆市巴南区人民法院", "赵青山")
    assert (order.matter.authority.code, order.matter.authority.name) == ("渝0113", "重庆市巴南区人民法院")
    assert "陶雨芳" not in repr(order)


@pytest.mark.parametrize(
    "changes",
    [
        {"ShouSongDaRen.xzqh": None, "ShouSongDaRen.yb": None},
        {"ShouSongDaRen.xzqh": "", "ShouSongDaRen.yb": ""},
        {"ShouSongDaRen.xzqh": "999999"},
        {"ShouSongDaRen.zjlx": None, "ShouSongDaRen.zjhm": None},
        {"ShouSongDaRen.zjlx": "", "ShouSongDaRen.zjhm": ""},
        {"DaiShouRen.gx": "", "DaiShouRen.dh": None},
        {"drop": ("DaiShouRen", "DuiFangDangShiRen")},
        {"HuiZhi.qixian": None},
        {"HuiZhi.qixian": ""},
        {"HuiZhi.xuyao": "0", "ShouSongDaRen.querenshu": "1"},
    ],
)
def test_what_is_optional_may_be_missing(court, changes):
    """Or empty; an unknown division is no reason to refuse."""
    assert isinstance(_one(court, **changes), Place)


REQUIRED = [
    "AnHao",
    "AnYou",
    *(f"WenShu.{name}" for name in ("lb", "mc", "fs")),
    *(f"ShouSongDaRen.{name}" for name in ("xm", "dh", "dz", "lx", "querenshu")),
    "DaiShouRen.xm",
    "DuiFangDangShiRen.xm",
    *(f"JiJianRen.{name}" for name in ("mc", "lxr", "dh", "dz")),
    "HuiZhi.xuyao",
]


def _field(path):
    """Name a place as a refusal does: items of lists by number."""
    return re.sub(r"^(WenShu|DaiShouRen|DuiFangDangShiRen)\.", r"\1[0].", path)


@pytest.mark.parametrize("path", REQUIRED)
def test_every_required_member_is_required(court, path):
    """Missing, empty, blank or much too long: refused by name, and never quoted."""
    for value in (None, "", "  ", "龙" * 300):
        denied = _one(court, **{path: value})
        assert isinstance(denied, Denied), value
        assert _field(path).startswith(denied.field), value
        assert "龙" not in repr(denied)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"AnHao": "2023渝民初"}, "AnHao"),
        ({"AnHao": "（2023）渝0113民初号"}, "AnHao"),
        ({"drop": ("WenShu",)}, "WenShu"),
        ({"WenShu.lb": "XX"}, "WenShu[0].lb"),
        ({"WenShu.fs": "0"}, "WenShu[0].fs"),
        ({"WenShu.fs": "1000"}, "WenShu[0].fs"),
        ({"WenShu.fs": "1.0"}, "WenShu[0].fs"),
        ({"WenShu.fs": "１"}, "WenShu[0].fs"),
        ({"ShouSongDaRen.dh": "12345678901"}, "ShouSongDaRen.dh"),
        ({"ShouSongDaRen.zjhm": "500108196905244644"}, "ShouSongDaRen.zjhm"),
        ({"ShouSongDaRen.zjhm": None}, "ShouSongDaRen.zjhm"),
        ({"ShouSongDaRen.zjlx": None}, "ShouSongDaRen.zjlx"),
        ({"ShouSongDaRen.xzqh": "50011"}, "ShouSongDaRen.xzqh"),
        ({"ShouSongDaRen.yb": "4013"}, "ShouSongDaRen.yb"),
        ({"ShouSongDaRen.lx": "QT"}, "ShouSongDaRen.lx"),
        ({"ShouSongDaRen.querenshu": "yes"}, "ShouSongDaRen.querenshu"),
        ({"DaiShouRen.dh": "1"}, "DaiShouRen[0].dh"),
        ({"JiJianRen.dh": "1"}, "JiJianRen.dh"),
        ({"HuiZhi.qixian": "0"}, "HuiZhi.qixian"),
        ({"HuiZhi.qixian": "366"}, "HuiZhi.qixian"),
        ({"rwid": "x" * 65}, "rwid"),
        ({"rwid": "a b"}, "rwid"),
        ({"rwid": None}, "rwid"),
        ({"insert": "<AnHao>(2023)渝0113民初1号</AnHao>"}, "AnHao"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(court, changes, field):
    """Each member's own rule, and a member that is there twice."""
    denied = _one(court, **changes)
    assert (denied.problem, denied.field) == (Problem.INVALID, field)


@pytest.mark.parametrize("late", ['<WenShu lb="CP" mc="传票" fs="1"/>', '<DaiShouRen xm="甲"/>', "<BeiZhu/>"])
def test_elements_stand_in_their_order(court, late):
    """What only the schema knows the schema refuses: a known element that comes too late, an unknown one too early."""
    (denied,) = _read(court, _batch(_task().replace("<HuiZhi", f"{late}<HuiZhi"))).command.commands
    assert denied == Denied(Problem.INVALID, "does not fit task.xsd", "RenWu")


@pytest.mark.parametrize(("count", "is_taken"), [(20, True), (21, False)])
def test_a_task_has_twenty_documents_at_most(court, count, is_taken):
    """One more is refused."""
    task = _task().replace("<ShouSong", '<WenShu lb="QT" mc="其他" fs="1"/>' * (count - 1) + "<ShouSong")
    (command,) = _read(court, _batch(task)).command.commands
    assert isinstance(command, Place) == is_taken
    assert is_taken or command.field == "WenShu"


def test_a_bad_task_does_not_sink_its_batch(court):
    """Those around it are placed, in their order."""
    batch = _read(court, _batch(_task("A"), _task("B", AnHao="x"), "<RenWu/>", _task("D"))).command
    assert [type(command) for command in batch.commands] == [Place, Denied, Denied, Place]
    assert [batch.commands[number].order.portal_ref for number in (0, 3)] == ["A", "D"]


def test_two_tasks_of_one_name_are_both_handed_on(court):
    """Whether they say the same is the ledger's to see."""
    same, other = (
        _read(court, _batch(_task("A"), task)).command for task in (_task("A"), _task("A", AnYou="离婚纠纷"))
    )
    assert same.commands[0].content == same.commands[1].content
    assert other.commands[0].content != other.commands[1].content


def test_the_digest_is_of_what_a_batch_says(court):
    """Not of when, in what blanks and order of attributes; of each task, bad ones too, in their order."""
    first = _read(court, _batch(_task("A"), _task("B", AnHao="x"))).command
    same = _read(
        court, _batch("\n", _task("A", **{"RenWu.x": ""}), _task("B", AnHao="x"), tjsj="2023-12-02T00:00:00Z")
    ).command
    assert (first.batch_no, first.digest) == (same.batch_no, same.digest)
    swapped = _task("A").replace('lb="CP" mc="传票"', 'mc="传票" lb="CP"')
    assert _read(court, _batch(swapped, _task("B", AnHao="x"))).command.digest == first.digest
    for tasks in ((_task("B", AnHao="x"), _task("A")), (_task("A"), _task("B", AnHao="y")), (_task("A"),)):
        assert _read(court, _batch(*tasks)).command.digest != first.digest
    assert _read(court, _batch(_task("A"), _task("B", AnHao="x"), fydm="渝01")).command.digest != first.digest


def test_content_is_a_tasks_own(court):
    """Neither the batch it came in nor the time; unknown members and whose court it is belong to it."""
    one = _read(court, _batch(_task("A"))).command.commands[0]
    again = _read(court, _batch(_task("B"), _task("A"), pch="2", tjsj="2023-12-09T08:30:00")).command.commands[1]
    assert (one.content, one.order.submitted_at) == (again.content, datetime(2023, 12, 1, 0, 30, tzinfo=UTC))
    assert again.order.submitted_at == datetime(2023, 12, 9, 0, 30, tzinfo=UTC)
    assert one.content["fydm"] == "渝0113"
    for other in (
        _batch(_task("A", **{"RenWu.x": "1"})),
        _batch(_task("A"), more=' x="1"'),
        _batch(_task("A"), fydm="渝01"),
    ):
        assert _read(court, other).command.commands[0].content != one.content


def _denied(court, body):
    inbound = _read(court, body)
    assert inbound.nonce is not None
    return inbound


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (_batch(), "RenWu"),
        (_batch(*["<RenWu/>"] * 501), "RenWu"),
        (_batch(_task(), pch=""), "pch"),
        (_batch(_task(), pch="x" * 65), "pch"),
        (_batch(_task(), pch="a b"), "pch"),
        (_batch(_task(), fydm=""), "fydm"),
        (_batch(_task(), tjsj="2023-12-01 08:30:00"), "tjsj"),
        (_batch(_task(), tjsj="2023-13-01T08:30:00+08:00"), "tjsj"),
        (_batch(_task(), "<QiTa/>"), "SongDaPiCi"),
        (_batch(_task()).replace(b"SongDaPiCi", b"SongDa"), None),
        (_batch(_task()).replace(b"court-waybill:1", b"court-waybill:2"), None),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_whole(court, body, field):
    """Invalid frame (4), with the member at fault; the caller is proven, so the nonce counts."""
    inbound = _denied(court, body)
    assert (inbound.command.problem, inbound.command.field) == (Problem.INVALID, field)
    assert _opened(court.answer(inbound, inbound.command)).get("dm") == "4"


def test_500_tasks_are_a_batch(court):
    """As many as there may be."""
    batch = _read(court, _batch(*(_task(f"FY-{number}") for number in range(500)))).command
    assert [command.order.portal_ref for command in batch.commands] == [f"FY-{number}" for number in range(500)]


HEAD = b'<?xml version="1.0" encoding="GB18030"?>'
HOSTILE = {
    "DTD": (BODY.replace(b"?>", b"?><!DOCTYPE SongDaPiCi>", 1), "a document type"),
    "external entity": (
        HEAD + b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "a document type",
    ),
    "expansion": (HEAD + b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a>&c;</a>', "a document type"),
    "10,000 deep": (_batch("<RenWu>" * 10_000 + "</RenWu>" * 10_000), "nested deeper than 32"),
    "declared UTF-8": (BODY.replace(b"GB18030", b"UTF-8"), "not declared to be GB18030"),
    "a mark": (b"\xef\xbb\xbf" + BODY, "does not begin"),
    "invalid GB18030": (BODY.replace("离".encode("gb18030"), b"\xff\xff"), "is not GB18030"),
    "one byte too many": (BODY + b" " * (16 * 1024 * 1024 + 1 - len(BODY)), "larger than 16777216 bytes"),
    "nothing": (b"", "does not begin"),
    "JSON": (b"{}", "does not begin"),
}


@pytest.mark.parametrize(("body", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_xml_is_refused_as_a_frame(court, body, reason):
    """Invalid (4), without a number to echo; what is refused is never quoted."""
    inbound = _denied(court, body)
    root = _opened(court.answer(inbound, inbound.command))
    assert (root.get("dm"), root.get("pch")) == ("4", "")
    assert reason in root.get("xx")


def test_the_door_and_the_adapter_keep_the_same_limit(court):
    """16 MiB are read whole, and only a byte more is refused."""
    assert court.manifest.max_body_bytes == 16 * 1024 * 1024
    body = BODY + b" " * (court.manifest.max_body_bytes - len(BODY))
    assert isinstance(_read(court, body).command, Batch)


# --- Answers to batches ---


def test_each_task_is_answered_in_order(court):
    """Number or reason, and how many there were."""
    inbound = _read(court, _batch(_task("A"), _task("B", AnHao="x"), _task("C")))
    denied = inbound.command.commands[1]
    conflict = Denied(Problem.CONFLICT, "this portal_ref was taken with other content")
    root = _opened(court.answer(inbound, Batched((Placed("A", ORDER_ID), denied, conflict))))
    assert root.attrib == {"pch": "FY-20231201-1", "dm": "0", "zong": "3", "jieshou": "1", "jujue": "2"}
    assert [dict(result.attrib) for result in root] == [
        {"rwid": "A", "dm": "0", "orderId": ORDER_ID},
        {"rwid": "B", "dm": "1", "yuanyin": f"AnHao: {denied.reason}"[:100]},
        {"rwid": "C", "dm": "1", "yuanyin": conflict.reason},
    ]


def test_a_task_without_a_name_is_answered_in_its_place(court):
    """Its name is empty."""
    inbound = _read(court, _batch("<RenWu/>", _task("B")))
    root = _opened(court.answer(inbound, Batched((inbound.command.commands[0], Placed("B", ORDER_ID)))))
    assert [(result.get("rwid"), result.get("dm")) for result in root] == [("", "1"), ("B", "0")]


@pytest.mark.parametrize(
    ("problem", "dm"),
    [
        (Problem.INVALID, "4"),
        (Problem.CONFLICT, "5"),
        (Problem.SIGNATURE, "8"),
        (Problem.TIMESTAMP, "8"),
        (Problem.REPLAYED, "8"),
        (Problem.TRY_AGAIN, "9"),
    ],
)
def test_every_problem_of_a_whole_batch_has_its_code(court, problem, dm):
    """With the number of the batch, and no task."""
    root = _opened(court.answer(_read(court, _batch(_task())), Denied(problem, "why")))
    assert (dict(root.attrib), len(root)) == ({"pch": "FY-20231201-1", "dm": dm, "xx": "why"}, 0)


def test_a_task_that_must_come_again_sends_the_batch_again(court):
    """The court cannot send one task again without its batch; those that were taken are answered alike then."""
    inbound = _read(court, _batch(_task("A"), _task("B")))
    results = Batched((Placed("A", ORDER_ID), Denied(Problem.TRY_AGAIN, "nothing was stored")))
    assert _opened(court.answer(inbound, results)).get("dm") == "9"


def test_the_same_result_is_the_same_answer(court):
    """Only time and signature are made anew."""
    first, again = (_read(court, BODY) for _ in range(2))
    results = Batched((Placed("A", ORDER_ID),) * 3)
    assert court.answer(first, results).body == court.answer(again, results).body


def test_every_reason_is_cut_to_its_length(court):
    """100 characters."""
    inbound = _read(court, _batch(_task("A")))
    assert len(_opened(court.answer(inbound, Denied(Problem.INVALID, "x" * 300))).get("xx")) == 100
    answered = _opened(court.answer(inbound, Batched((Denied(Problem.INVALID, "x" * 300),))))
    assert len(answered[0].get("yuanyin")) == 100


def test_nothing_else_is_answered(court):
    """A court asks for nothing but batches."""
    with pytest.raises(TypeError, match="Placed"):
        court.answer(_read(court, BODY), Placed("A", ORDER_ID))


# --- What a court is told ---


def _order(*, is_wanted=True, is_confirmed=True):
    (command,) = _read(_build(), _batch(_task("FY-1"))).command.commands
    address = command.order.recipient.address.model_copy(update={"is_confirmed": is_confirmed})
    recipient = command.order.recipient.model_copy(update={"address": address})
    wanted = frozenset({ProofKind.RECEIPT} if is_wanted else ())
    members = {**dict(command.order), "recipient": recipient, "proof_wanted": wanted}
    return Order.model_construct(**members, order_id=ORDER_ID, portal="court_waybill", accepted_at=NOW)


ORDER = _order()


def _event(status, *, days=0, **facts):
    return Event.model_validate(
        {"event_id": f"{status}-{days}", "status": status, "occurred_at": NOW + timedelta(days=days), **facts}
    )


def _owed(status, event=None, *, order=ORDER, before=(), corrects=None, delivery_id=FIRST, waybill_no=WAYBILL):
    event = event or _event(status)
    update = Update(ORDER_ID, event, status, 1, waybill_no, corrects)
    history = before if event.status is None else (*before, event)
    return Owed(delivery_id, DeliveryKind.UPDATE, order, NOW, update, (), tuple(history))


def _yes(dm="0", *qqids, at=NOW, status=200, headers=None, **attributes):
    """Answer as a court."""
    root = etree.Element(f"{NS}YingDa", dm=dm, nsmap={None: NS.strip("{}")}, **attributes)
    for qqid in qqids:
        etree.SubElement(root, f"{NS}Qqid").text = qqid
    body = b'<?xml version="1.0" encoding="GB18030"?>' + etree.tostring(root, encoding="unicode").encode("gb18030")
    return WireReply(status, {**_seal(body, at=at), **(headers or {})}, body)


def _talk(conversation, *replies):
    """Drive a conversation: the requests that it made, and its result; each reply is needed."""
    requests = [next(conversation)]
    try:
        for reply in replies:
            requests += [conversation.send(reply)]
    except StopIteration as end:
        assert len(requests) == len(replies)
        return requests, end.value
    pytest.fail("it asked for more than was answered")


def _told(court, owed):
    """Tell an update to a court that takes everything: what it got."""
    conversation = court.send([court.render(owed)], _source())
    told, reply = [], None
    try:
        request = next(conversation)
        while True:
            told.append(request)
            reply = _yes("0", FIRST_HEX + "-HZ")
            request = conversation.send(reply)
    except StopIteration as end:
        (outcome,) = end.value
    assert outcome.kind is TAKEN
    roots = [etree.fromstring(request.body) for request in told]
    for request, root in zip(told, roots, strict=True):
        assert (request.method, request.url) == ("POST", f"{BASE}/hc")
        assert request.headers["Content-Type"] == "application/xml; charset=GB18030"
        HUICHUAN.assertValid(root)
        assert root.get("rwid") == "FY-1"
    return [root for root in roots if root.find(f"{NS}ChaXun") is None], outcome


def _facts(root):
    """Take what a HuiChuan holds."""
    return root[0].tag.removeprefix(NS), dict(root[0].attrib)


def test_a_number_is_told_with_its_label(court):
    """MianDan alone: the PDF of this order and number, the same bytes each time; no trace before collection."""
    (root,), outcome = _told(court, _owed(Status.NUMBERED))
    again, _ = _told(court, _owed(Status.NUMBERED))
    assert (root.get("qqid"), root.get("yjhm"), outcome.notices) == (f"{FIRST_HEX}-MD", WAYBILL, ())
    assert b64decode(root.findtext(f"{NS}MianDan")) == build_label(ORDER, WAYBILL)
    assert etree.tostring(root) == etree.tostring(again[0])


TRACES = {
    Status.COLLECTED: {"zt": "03", "ms": "邮件已揽收"},
    Status.IN_TRANSIT: {"zt": "04", "ms": "邮件运输中"},
    Status.OUT_FOR_DELIVERY: {"zt": "05", "ms": "邮件派送中", "cs": "1"},
    Status.UNDELIVERED: {"zt": "07", "ms": "邮件未妥投", "yydm": "99", "cs": "1"},
    Status.RETURNING: {"zt": "08", "ms": "邮件退回中"},
    Status.CANCELLED: {"zt": "10", "ms": "邮政已取消寄递"},
    Status.LOST: {"zt": "11", "ms": "邮件丢失"},
}


@pytest.mark.parametrize("status", TRACES)
def test_what_happens_is_told_as_a_trace(court, status):
    """GuiJi alone, in our own sentence."""
    (root,), outcome = _told(court, _owed(status))
    assert (root.get("qqid"), root.get("yjhm"), outcome.notices) == (f"{FIRST_HEX}-GJ", WAYBILL, ())
    assert _facts(root) == ("GuiJi", {"sj": "2023-12-01T08:12:30+08:00", **TRACES[status]})


def test_every_status_that_the_manifest_names_can_be_told(court):
    """And no other."""
    assert court.manifest.tells == {*TRACES, Status.NUMBERED, Status.DELIVERED, Status.RETURNED}
    with pytest.raises(UnsupportedFeatureError):
        court.render(_owed(Status.UNKNOWN))
    with pytest.raises(UnsupportedFeatureError):
        court.render(Owed(FIRST, DeliveryKind.PLACE, ORDER, NOW))


@pytest.mark.parametrize(
    ("reason", "yydm"),
    [("bad_address", "01"), ("unknown_person", "02"), ("unreachable", "03"), ("refused", "04"), ("moved", "05"),
     ("deferred", "06"), ("will_collect", "07"), ("other", "99"), (None, "99")],
)  # fmt: skip
def test_a_failure_says_why(court, reason, yydm):
    """By code, 99 where nobody said."""
    (root,), _ = _told(court, _owed(Status.UNDELIVERED, _event(Status.UNDELIVERED, reason=reason)))
    assert _facts(root)[1]["yydm"] == yydm


def test_a_trace_counts_the_attempts(court):
    """Over the whole history: the second attempt is out on the second day."""
    out = [_event(Status.OUT_FOR_DELIVERY, days=day) for day in range(2)]
    failed = [_event(Status.UNDELIVERED, days=day, reason="unreachable") for day in range(2)]
    (root,), _ = _told(court, _owed(Status.OUT_FOR_DELIVERY, out[1], before=(out[0], failed[0])))
    assert _facts(root)[1]["cs"] == "2"
    returning = _owed(Status.RETURNING, before=(out[0], failed[0], out[1], failed[1]))
    assert _facts(_told(court, returning)[0][0])[1]["cs"] == "2"


def test_a_sentence_is_cut_to_its_length(court):
    """100 characters, however long an office's name is."""
    (root,), _ = _told(court, _owed(Status.IN_TRANSIT, _event(Status.IN_TRANSIT, office={"name": "部" * 100})))
    assert len(_facts(root)[1]["ms"]) == 100


def test_no_foreign_text_is_told(court):
    """Notes and words that we do not know stay here; a control in a name cannot break the wire."""
    event = _event(
        Status.DELIVERED,
        note="投递员赵某某13911112222",
        received_by="family",
        office={"name": "巴南区李家沱揽投部"},
        signer={"name": "王\x01静", "relation": "说是老婆13911112222", "id_no": ADULT_ID},
    )
    (trace, receipt), _ = _told(court, _owed(Status.DELIVERED, event))
    assert _facts(trace)[1]["ms"] == "【巴南区李家沱揽投部】邮件已妥投"
    assert (receipt[0].get("qsr"), receipt[0].get("gx")) == ("王\ufffd静", "同住成年家属")
    assert "139" not in f"{etree.tostring(trace, encoding='unicode')}{etree.tostring(receipt, encoding='unicode')}"


SIGNED = {
    "received_by": "family",
    "signer": {"name": "王静", "relation": "配偶", "id_type": "111", "id_no": ADULT_ID},
    "proof": [
        {"kind": "signature", "media_type": "image/png", "data": b64encode(PNG)},
        {"kind": "receipt", "media_type": "application/pdf", "data": b64encode(b"%PDF-1.3")},
    ],
}


def test_a_valid_signature_is_told_with_the_receipt(court):
    """Trace 06, then YS: date, who signed as what, by which document, and the pictures."""
    (trace, receipt), outcome = _told(court, _owed(Status.DELIVERED, _event(Status.DELIVERED, days=2, **SIGNED)))
    assert [root.get("qqid") for root in (trace, receipt)] == [f"{FIRST_HEX}-GJ", f"{FIRST_HEX}-HZ"]
    assert (_facts(trace)[1]["zt"], _facts(trace)[1]["cs"]) == ("06", "1")
    assert _facts(receipt) == (
        "HuiZhi",
        {
            "jg": "YS",
            "sj": "2023-12-03T08:12:30+08:00",
            "sdrq": "2023-12-03",
            "qsr": "王静",
            "gx": "配偶",
            "zjhm": ADULT_ID,
        },
    )
    assert [(image.get("lx"), b64decode(image.text)) for image in receipt[0]] == [("image/png", PNG)]
    assert outcome.notices == ()


@pytest.mark.parametrize(
    ("handover", "gx"),
    [
        ({"received_by": "family", "signer": {"relation": "母亲"}}, "母亲"),
        ({"received_by": "family", "signer": {"relation": "说是母亲"}}, "同住成年家属"),
        ({"received_by": "family", "signer": {"relation": "本人"}}, "同住成年家属"),
        ({"received_by": "other", "signer": {"name": "陶雨芳"}}, "指定代收人"),
        ({"received_by": "other", "signer": {"name": "陶雨芳", "relation": "配偶"}}, "配偶"),
        ({"received_by": "self", "signer": {"name": "华杰建", "relation": "本人"}}, "本人"),
        ({"received_by": "self", "signer": {"name": "华杰建", "relation": "家属"}}, "本人"),
        ({"received_by": "agent", "signer": {"relation": "律师"}}, "律师"),
        ({"received_by": "agent", "signer": {}}, "代理人"),
    ],
)
def test_a_receipt_says_what_the_signer_is(court, handover, gx):
    """In the courier's word where that is a plain one, else in the law's."""
    signer = {"name": "王静", "id_no": ADULT_ID, **handover["signer"]}
    _, receipt = _told(court, _owed(Status.DELIVERED, _event(Status.DELIVERED, **{**handover, "signer": signer})))[0]
    assert receipt[0].get("gx") == gx


@pytest.mark.parametrize(
    ("handover", "zt", "ms", "notices"),
    [
        (
            {"received_by": "pickup_point"},
            "07",
            "邮件投至代收点，未交有权签收的人，不是送达",
            (Notice.SERVICE_INVALID,),
        ),
        (
            {"received_by": "property", "reason": "moved"},
            "07",
            "邮件交物业代收，物业无权代收，不是送达",
            (Notice.SERVICE_INVALID,),
        ),
        ({"received_by": "unattended"}, "07", "邮件放置门口等处，无人签收，不是送达", (Notice.SERVICE_INVALID,)),
        (
            {"received_by": "other", "signer": {"name": "欧阳若䶮", "id_no": ADULT_ID}},
            "07",
            "邮件由同案对方当事人签收，对方当事人不得代收，不是送达",
            (Notice.SERVICE_INVALID,),
        ),
        ({"received_by": "self", "signer": {"name": "华杰建"}}, "06", "邮件已妥投", (Notice.SERVICE_UNPROVEN,)),
        ({}, "06", "邮件已妥投", (Notice.SERVICE_UNPROVEN,)),
    ],
)
def test_what_is_no_service_has_no_receipt(court, handover, zt, ms, notices):
    """Trace 07 where it is none, 06 where it is not proven; a person is told, and no picture leaves."""
    event = _event(Status.DELIVERED, **{**handover, "proof": SIGNED["proof"]})
    (root,), outcome = _told(court, _owed(Status.DELIVERED, event))
    kind, facts = _facts(root)
    assert (kind, facts["zt"], facts["ms"], outcome.notices) == ("GuiJi", zt, ms, notices)
    assert facts.get("yydm") == ("99" if zt == "07" else None)
    assert not list(root[0])


FAILED = tuple(_event(Status.UNDELIVERED, days=day, reason="unreachable") for day in range(3))
REFUSAL = _event(Status.UNDELIVERED, reason="refused")
WRONG = _event(Status.UNDELIVERED, reason="bad_address")


@pytest.mark.parametrize(
    ("before", "is_confirmed", "jg", "yydm", "sdrq", "notices"),
    [
        ((REFUSAL,), True, "JS", "04", "2023-12-06", ()),
        ((REFUSAL,), False, "JS", "04", "2023-12-06", ()),
        (FAILED, True, "TH", "03", "2023-12-06", ()),
        (FAILED, False, "TH", "03", "", ()),
        ((WRONG,), True, "TH", "01", "2023-12-06", ()),
        ((WRONG,), False, "TH", "01", "", ()),
        (FAILED[:1], True, "TH", "03", "2023-12-06", (Notice.RECEIPT_IN_DOUBT,)),
        ((), False, "TH", "99", "", (Notice.RECEIPT_IN_DOUBT,)),
    ],
)
def test_a_return_is_told_with_the_receipt(court, before, is_confirmed, jg, yydm, sdrq, notices):
    """Trace 09, then JS or TH with the reason and the date of service, where there is one."""
    event = _event(Status.RETURNED, days=5, proof=SIGNED["proof"])
    owed = _owed(Status.RETURNED, event, before=before, order=_order(is_confirmed=is_confirmed))
    (trace, receipt), outcome = _told(court, owed)
    assert _facts(trace)[1]["zt"] == "09"
    expected = {"jg": jg, "sj": "2023-12-06T08:12:30+08:00", "sdrq": sdrq, "yydm": yydm}
    assert _facts(receipt) == ("HuiZhi", expected)
    assert (len(receipt[0]), outcome.notices) == (1, notices)


@pytest.mark.parametrize("before", [(REFUSAL,), FAILED])
def test_no_receipt_leaves_before_the_return(court, before):
    """On its way back nothing is decided."""
    assert [_facts(root)[0] for root in _told(court, _owed(Status.RETURNING, before=before))[0]] == ["GuiJi"]


@pytest.mark.parametrize(
    "event",
    [_event(Status.DELIVERED, **SIGNED), _event(Status.DELIVERED, received_by="self"), _event(Status.RETURNED)],
)
def test_where_no_receipt_is_wanted_none_leaves(court, event):
    """The trace alone, and nobody is bothered about a receipt."""
    roots, outcome = _told(court, _owed(event.status, event, order=_order(is_wanted=False)))
    assert [_facts(root)[0] for root in roots] == ["GuiJi"]
    assert outcome.notices == ()


def test_no_service_is_told_as_such_though_no_receipt_is_wanted(court):
    """What did not happen did not happen."""
    owed = _owed(Status.DELIVERED, _event(Status.DELIVERED, received_by="property"), order=_order(is_wanted=False))
    (root,), outcome = _told(court, owed)
    assert (_facts(root)[1]["zt"], outcome.notices) == ("07", (Notice.SERVICE_INVALID,))


def test_a_cancelled_order_may_have_no_number(court):
    """Then yjhm is empty."""
    (root,), _ = _told(court, _owed(Status.CANCELLED, waybill_no=None))
    assert root.get("yjhm") == ""


def test_what_is_rendered_is_kept_and_sent_byte_for_byte(court):
    """The same document twice is the same bytes under another signature; personal data is not in its repr."""
    document = court.render(_owed(Status.DELIVERED, _event(Status.DELIVERED, **SIGNED)))
    assert document == court.render(_owed(Status.DELIVERED, _event(Status.DELIVERED, **SIGNED)))
    first, _ = _talk(court.send([document], _source()), _yes(), _yes())
    later = NOW + timedelta(hours=3)
    second, _ = _talk(court.send([document], _source(later)), _yes(at=later), _yes(at=later))
    assert [request.body for request in first] == [request.body for request in second]
    assert [request.headers["X-Signature"] for request in first] != [r.headers["X-Signature"] for r in second]
    assert "王静" not in f"{document!r}{first!r}"


# --- Corrections ---

REVOKE = Event(event_id="r1", revokes="delivered-0", occurred_at=NOW + timedelta(days=1))
OUT = _event(Status.OUT_FOR_DELIVERY)


def _correction(status=Status.OUT_FOR_DELIVERY, *, event=REVOKE, before=(OUT,), order=ORDER):
    return _owed(status, event, before=before, corrects=FIRST, delivery_id=SECOND, order=order)


def test_a_signature_that_is_taken_back_withdraws_its_receipt(court):
    """CX names the receipt, then the trace is put right; the court is asked first whether it has that receipt."""
    document = court.render(_correction())
    replies = (_yes("0", f"{FIRST_HEX}-GJ", f"{FIRST_HEX}-HZ"), _yes(), _yes())
    (asked, *told), (outcome,) = _talk(court.send([document], _source()), *replies)
    roots = [etree.fromstring(request.body) for request in told]
    assert etree.fromstring(asked.body)[0].tag == f"{NS}ChaXun"
    assert [root.get("qqid") for root in roots] == [f"{SECOND_HEX}-CX", f"{SECOND_HEX}-GJ"]
    withdrawal = {"jg": "CX", "sj": "2023-12-02T08:12:30+08:00", "cxqqid": f"{FIRST_HEX}-HZ"}
    assert _facts(roots[0]) == ("HuiZhi", withdrawal)
    trace = {"zt": "05", "sj": "2023-12-02T08:12:30+08:00", "ms": "更正：邮件派送中", "cs": "1"}
    assert _facts(roots[1]) == ("GuiJi", trace)
    assert outcome == Outcome(TAKEN, code="0")


def test_where_there_was_no_receipt_none_is_withdrawn(court):
    """A delivery that was no service, taken back: the trace alone."""
    document = court.render(_correction())
    (asked, told), (outcome,) = _talk(court.send([document], _source()), _yes("0", f"{FIRST_HEX}-GJ"), _yes())
    assert [etree.fromstring(request.body)[0].tag for request in (asked, told)] == [f"{NS}ChaXun", f"{NS}GuiJi"]
    assert outcome.kind is TAKEN


def test_where_no_receipt_is_wanted_nobody_is_asked(court):
    """There was none."""
    document = court.render(_correction(order=_order(is_wanted=False)))
    (told,), _ = _talk(court.send([document], _source()), _yes())
    assert etree.fromstring(told.body)[0].tag == f"{NS}GuiJi"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [(_yes("9"), BUSY), (_yes("8"), AUTH), (_yes("2"), REFUSED), (_yes("x"), UNKNOWN), (WireReply(500), UNKNOWN)],
)
def test_a_correction_waits_for_the_answer(court, reply, kind):
    """Nothing is told while it is not known whether there is a receipt to withdraw."""
    _, (outcome,) = _talk(court.send([court.render(_correction())], _source()), reply)
    assert outcome.kind is kind


@pytest.mark.parametrize(("status", "zt"), [(Status.ACCEPTED, "01"), (Status.NUMBERED, "02"), (Status.COLLECTED, "03")])
def test_a_correction_may_go_back_to_the_beginning(court, status, zt):
    """Also where nothing of it was told as a trace before."""
    roots, _ = _told(court, _correction(status, before=()))
    assert _facts(roots[-1])[1]["zt"] == zt
    assert _facts(roots[-1])[1]["ms"].startswith("更正：")


def test_a_revoke_that_says_what_happened_instead_is_two_things(court):
    """First back to before, then what the same event says: only that was an attempt."""
    before = (_event(Status.IN_TRANSIT),)
    event = _event(Status.UNDELIVERED, days=1, reason="refused", revokes="delivered-0")
    correction = _correction(Status.IN_TRANSIT, event=event, before=before)
    news = _owed(Status.UNDELIVERED, event, before=before)
    (_, back), (then,) = (_told(court, owed)[0] for owed in (correction, news))
    assert [(_facts(root)[1]["zt"], _facts(root)[1].get("cs")) for root in (back, then)] == [("04", None), ("07", "1")]


def test_a_return_that_stands_on_less_than_before_is_for_a_person(court):
    """The refusal behind it was taken back: the receipt that went out may say too much."""
    back = _event(Status.RETURNED, days=3)
    roots, outcome = _told(court, _correction(Status.RETURNED, before=(*FAILED, back)))
    assert _facts(roots[-1])[1]["zt"] == "09"
    assert outcome.notices == (Notice.RECEIPT_IN_DOUBT,)


def test_a_delivery_that_stands_stays_what_it_is(court):
    """Something before it was taken back: no service is still none, and a signature still one."""
    invalid = _correction(Status.DELIVERED, before=(OUT, _event(Status.DELIVERED, received_by="property")))
    valid = _correction(Status.DELIVERED, before=(OUT, _event(Status.DELIVERED, **SIGNED)))
    assert [_facts(_told(court, owed)[0][-1])[1]["zt"] for owed in (invalid, valid)] == ["07", "06"]
    assert _facts(_told(court, invalid)[0][-1])[1]["ms"].startswith("更正：邮件交物业代收")
    assert _told(court, valid)[1].notices == ()


# --- Answers of a court ---

SIGNED_OWED = _owed(Status.DELIVERED, _event(Status.DELIVERED, **SIGNED))
UNSIGNED = {"X-Signature": ""}


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (_yes("0"), Outcome(TAKEN, code="0")),
        (_yes("1"), Outcome(TAKEN, code="1")),
        (_yes("2", xx="无此任务"), Outcome(REFUSED, code="2", text="无此任务")),
        (_yes("3", xx="坏"), Outcome(REFUSED, code="3", text="坏", parks_lane=False)),
        (_yes("8"), Outcome(AUTH, code="8")),
        (_yes("9"), Outcome(BUSY, code="9")),
        (_yes("9", headers={"Retry-After": "7"}), Outcome(BUSY, code="9", wait_s=7.0)),
        (_yes("9", status=429, headers={"Retry-After": "7"}), Outcome(BUSY, code="9", wait_s=7.0)),
        (_yes("7"), Outcome(UNKNOWN, code="7")),
        (_yes("王静"), Outcome(UNKNOWN, code="unreadable answer")),
        (_yes("0", status=500), Outcome(UNKNOWN, code="HTTP 500")),
        (_yes("0", headers=UNSIGNED), Outcome(UNKNOWN, code="unverified answer")),
        (_yes("2", headers=UNSIGNED), Outcome(UNKNOWN, code="unverified answer")),
        (_yes("0", at=NOW - timedelta(seconds=301)), Outcome(UNKNOWN, code="unverified answer")),
        (_yes("9", headers=UNSIGNED), Outcome(BUSY, code="9")),
        (_yes("8", headers=UNSIGNED), Outcome(AUTH, code="8")),
        (WireReply(200, {}, b""), Outcome(UNKNOWN, code="unreadable answer")),
        (WireReply(200, {}, b"<YingDa dm='0'/>"), Outcome(UNKNOWN, code="unreadable answer")),
        (WireReply(409, {}, b""), Outcome(UNKNOWN, code="unreadable answer")),
        (WireReply(429, {"Retry-After": "9"}, b""), Outcome(BUSY, code="HTTP 429", wait_s=9.0)),
        (WireReply(401, {}, b""), Outcome(AUTH, code="HTTP 401")),
        (WireReply(404, {}, b"<html/>"), Outcome(OutcomeKind.MISCONFIGURED, code="HTTP 404")),
        (WireReply(502, {}, b"<html/>"), Outcome(UNKNOWN, code="HTTP 502")),
    ],
)
def test_every_answer_is_judged(court, reply, outcome):
    """By dm where it is signed, else by HTTP; what is not signed may send us away and settles nothing."""
    document = court.render(_owed(Status.IN_TRANSIT))
    assert _talk(court.send([document], _source()), reply)[1] == [outcome]


def test_what_follows_what_was_not_taken_is_not_told(court):
    """A receipt waits for its trace; told again, both go, and what it has already is as good as taken."""
    document = court.render(SIGNED_OWED)
    requests, (outcome,) = _talk(court.send([document], _source()), _yes("9"))
    assert (len(requests), outcome.kind) == (1, BUSY)
    requests, (outcome,) = _talk(court.send([document], _source()), _yes("1"), _yes("3"))
    assert (len(requests), outcome) == (2, Outcome(REFUSED, code="3", parks_lane=False))
    requests, (outcome,) = _talk(court.send([document], _source()), _yes("1"), _yes("0"))
    assert (len(requests), outcome) == (2, Outcome(TAKEN, code="0"))


def test_a_notice_comes_only_with_what_was_taken(court):
    """Refused, nobody is bothered twice."""
    document = court.render(_owed(Status.DELIVERED, _event(Status.DELIVERED, received_by="property")))
    assert _talk(court.send([document], _source()), _yes("2"))[1][0].notices == ()
    assert _talk(court.send([document], _source()), _yes("0"))[1][0].notices == (Notice.SERVICE_INVALID,)


def test_several_documents_have_an_outcome_each(court):
    """In their order."""
    documents = [court.render(_owed(status)) for status in (Status.COLLECTED, Status.IN_TRANSIT)]
    _, outcomes = _talk(court.send(documents, _source()), _yes("3"), _yes("0"))
    assert [outcome.kind for outcome in outcomes] == [REFUSED, TAKEN]


def test_what_breaks_is_let_through(court):
    """The relay has a rule for it."""
    lost = BreakageError(Outcome(UNKNOWN, code="timeout"))
    conversation = court.send([court.render(SIGNED_OWED)], _source())
    next(conversation)
    with pytest.raises(BreakageError):
        conversation.throw(lost)


@pytest.mark.parametrize(
    ("owed", "qqid"),
    [
        (_owed(Status.NUMBERED), f"{FIRST_HEX}-MD"),
        (_owed(Status.IN_TRANSIT), f"{FIRST_HEX}-GJ"),
        (SIGNED_OWED, f"{FIRST_HEX}-HZ"),
        (replace(SIGNED_OWED, history=(OUT,)), f"{FIRST_HEX}-HZ"),
        (replace(SIGNED_OWED, order=_order(is_wanted=False)), f"{FIRST_HEX}-GJ"),
        (_owed(Status.RETURNED, before=FAILED), f"{FIRST_HEX}-HZ"),
        (_correction(), f"{SECOND_HEX}-GJ"),
    ],
)
def test_a_probe_asks_for_what_is_told_last(court, owed, qqid):
    """Once that has arrived all has; also where the event was taken back since, and stands in no history."""
    (request,), presence = _talk(court.probe(owed, _source()), _yes("0", "x", qqid))
    root = etree.fromstring(request.body)
    HUICHUAN.assertValid(root)
    assert (root.get("qqid"), root.get("rwid"), _facts(root)) == ("f" * 32, "FY-1", ("ChaXun", {}))
    assert presence is Presence.HAS
    others = {f"{FIRST_HEX}-{kind}" for kind in ("MD", "GJ", "HZ", "CX")} - {qqid}
    assert _talk(court.probe(owed, _source()), _yes("0", *others))[1] is Presence.HAS_NOT


@pytest.mark.parametrize(
    ("reply", "presence"),
    [
        (_yes("0"), Presence.HAS_NOT),
        (_yes("2"), Presence.HAS_NOT),
        (_yes("3"), Presence.CANNOT_TELL),
        (_yes("9"), Presence.CANNOT_TELL),
        (_yes("0", headers=UNSIGNED), Presence.CANNOT_TELL),
        (_yes("2", headers=UNSIGNED), Presence.CANNOT_TELL),
        (_yes("0", status=500), Presence.CANNOT_TELL),
        (WireReply(200, {}, b"<html/>"), Presence.CANNOT_TELL),
        (WireReply(404, {}, b""), Presence.CANNOT_TELL),
    ],
)
def test_a_probe_does_not_guess(court, reply, presence):
    """A court that knows no such task has nothing of it; any odd answer tells nothing."""
    assert _talk(court.probe(_owed(Status.IN_TRANSIT), _source()), reply)[1] is presence


# --- What it is ---


def test_the_adapter_plays_its_roles(court):
    """Receives, informed, and has something to say for people."""
    assert isinstance(court, Receives)
    assert isinstance(court, Outbound)
    assert isinstance(court, Explains)
    assert court.explain(ORDER, (REFUSAL, _event(Status.RETURNED, days=2)))[0].startswith("拒收视为送达")


@pytest.mark.parametrize(
    "changes",
    [
        {"certs": {}},
        {"certs": {"CQFY": "00" * 64}},
        {"certs": {"CQFY": "x"}},
        {"sign_key": "00" * 32},
        {"sign_key": "x"},
        {"sign_cert": ""},
        {"base_url": "http://court.example"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes):
    """By name, and no key is shown."""
    with pytest.raises(ConfigurationError, match=r"\[portals.court_waybill\] ") as caught:
        _build(**changes)
    assert KEYS["gateway_court"]["private"] not in str(caught.value)


def test_an_inbound_shows_nobody(court):
    """Neither what was read nor what was denied."""
    shown = repr(_read(court, _batch(_task(), _task("B", AnHao="华杰建"))))
    assert isinstance(_read(court, BODY), Inbound)
    assert [value for value in ("华杰建", "18333267866", ADULT_ID, "陶雨芳") if value in shown] == []
