"""The webhook backend: byte-exact signatures, CloudEvents, outcomes, and events read back."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from govpost.adapters.base import DeliveryKind, Document, Owed
from govpost.adapters.protocols import standard_webhooks
from govpost.adapters.registry import load_adapter
from govpost.adapters.webhook.events import parse_event, parse_listed_event
from govpost.schemas import Order, OutcomeKind, Presence, Reason, Source, Status, WireReply
from govpost.schemas.errors import ConfigurationError, MappingError, UnsupportedFeatureError

ROOT = Path(__file__).parents[2]
EXAMPLE = json.loads((ROOT / "tests" / "data" / "examples.json").read_text("utf-8"))["webhook"]
SAMPLES = ROOT / "schemas" / "wire" / "webhook" / "samples"
NOW = datetime.fromtimestamp(int(EXAMPLE["webhook-timestamp"]), UTC)
SOURCE = Source(now=lambda: NOW, token=lambda: "ab" * 16)
ORDER_ID = "01HGGY4B5R0000000000000AB1"
PNG = b"\x89PNG\r\n\x1a\nrest"


def _backend(secret=EXAMPLE["secret"]):
    settings = {"url": "http://127.0.0.1:9002/orders", "secret": secret}
    return load_adapter("webhook").build(settings, section="backends.post")


def _sample(name):
    return json.loads((SAMPLES / name).read_text("utf-8"))


def _sent(reply, backend=None):
    document = Document("cn.govpost.order.placed", EXAMPLE["body"].encode(), EXAMPLE["webhook-id"])
    conversation = (backend or _backend()).send([document], SOURCE)
    request = next(conversation)
    with pytest.raises(StopIteration) as stop:
        conversation.send(reply)
    return request, stop.value.value[0]


def test_the_worked_example_is_reproduced():
    """Headers and body as the contract's example has them."""
    request, outcome = _sent(WireReply(202))
    assert request.method == "POST"
    assert request.url == "http://127.0.0.1:9002/orders"
    assert request.body.decode() == EXAMPLE["body"]
    assert dict(request.headers) == {
        "Content-Type": "application/cloudevents+json",
        "webhook-id": "msg_1",
        "webhook-timestamp": EXAMPLE["webhook-timestamp"],
        "webhook-signature": EXAMPLE["webhook-signature"],
        "Idempotency-Key": "msg_1",
    }
    assert outcome.kind is OutcomeKind.TAKEN


def test_every_live_secret_signs():
    """During rotation both signatures are sent, and either key verifies."""
    fresh = "whsec_" + b64encode(b"fresh key").decode()
    request, _ = _sent(WireReply(200), _backend(f"{EXAMPLE['secret']} {fresh}"))
    signature = request.headers["webhook-signature"]
    assert signature.split()[0] == EXAMPLE["webhook-signature"]
    facts = {"message_id": "msg_1", "timestamp": EXAMPLE["webhook-timestamp"], "body": EXAMPLE["body"].encode()}
    assert standard_webhooks.verify([b"fresh key"], signature, **facts)
    assert standard_webhooks.verify([b"other", EXAMPLE["secret"].encode()], signature, **facts)
    assert not standard_webhooks.verify([b"other"], signature, **facts)
    assert not standard_webhooks.verify([b"fresh key"], signature, **{**facts, "body": b"{}"})
    assert not standard_webhooks.verify([b"fresh key"], "v1,ü", **facts)


@pytest.mark.parametrize("secret", ["", " ", "whsec_", "whsec_!!", "good whsec_?"])
def test_a_secret_that_is_no_key_is_refused(secret):
    """At the start, by name, and without showing it."""
    with pytest.raises(ConfigurationError, match=r"backends\.post.*secret") as caught:
        _backend(secret)
    assert "whsec_!!" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [("placed", DeliveryKind.PLACE, 1), ("amended", DeliveryKind.AMEND, 2), ("cancelled", DeliveryKind.CANCEL, 3)],
)
def test_orders_become_cloud_events(name, kind, number):
    """The pairs in schemas/wire/webhook hold, and rendering twice gives the same bytes."""
    order = Order.model_validate(_sample(f"{name}.order.json"))
    owed = Owed(f"01HGGY4B5R0000000000000CD{number}", kind, order, datetime(2023, 12, 1, 0, 30, 20, tzinfo=UTC))
    document = _backend().render(owed)
    assert json.loads(document.body) == _sample(f"{name}.wire.json")
    assert _backend().render(owed) == document
    assert Order.model_validate(json.loads(document.body)["data"]) == order


def test_a_backend_is_not_told_updates():
    """What happened to an item is the portals' business."""
    order = Order.model_validate(_sample("placed.order.json"))
    with pytest.raises(UnsupportedFeatureError):
        _backend().render(Owed("0" * 26, DeliveryKind.UPDATE, order, NOW))


def test_the_wire_has_no_probe():
    """The conversation asks nothing."""
    with pytest.raises(StopIteration) as stop:
        next(_backend().probe(Owed("0" * 26, DeliveryKind.PLACE, None, NOW), SOURCE))
    assert stop.value.value is Presence.CANNOT_TELL


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((200, 201, 202, 204, 409), OutcomeKind.TAKEN),
        ((401, 403), OutcomeKind.AUTH),
        ((301, 302, 304, 308, 404, 405, 410), OutcomeKind.MISCONFIGURED),
        ((400, 413, 422), OutcomeKind.REFUSED),
        ((408, 425, 429), OutcomeKind.BUSY),
        ((500, 502, 503, 504, 599, 418, 402, 101), OutcomeKind.UNKNOWN),
    ],
)
def test_statuses_become_outcomes(statuses, kind):
    """Exactly the contract's list; any other status may mean anything."""
    assert {_sent(WireReply(status))[1].kind for status in statuses} == {kind}


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        ("Fri, 01 Dec 2023 00:13:30 GMT", 60.0),
        ("Fri, 01 Dec 2023 00:00:00 GMT", 0.0),
        ("-5", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Fri, 99 Dec 2023 00:00:00 GMT", None),
    ],
)
def test_busy_may_say_for_how_long(header, wait_s):
    """Seconds or a date; what is neither counts as not said."""
    assert _sent(WireReply(429, {"Retry-After": header}))[1].wait_s == wait_s


@pytest.mark.parametrize("status", [200, 409])
def test_an_answer_may_bring_waybills(status):
    """Both numbers of a round trip, also where the backend had the order already."""
    body = b'{"waybill_no":"EA969294768CN","return_waybill_no":"1234567890123"}'
    _, outcome = _sent(WireReply(status, {}, body))
    assert (outcome.waybill_no, outcome.return_waybill_no) == ("EA969294768CN", "1234567890123")


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'{"waybill_no":"EA969294768XX9"}', b'{"waybill_no":7}', b'{"waybill_no":"EA969294769CN"}'],
)
def test_an_answer_that_cannot_be_read_is_still_taken(body):
    """The status says so; that a number was lost is noted."""
    _, outcome = _sent(WireReply(200, {}, body))
    assert (outcome.kind, outcome.code, outcome.waybill_no) == (OutcomeKind.TAKEN, "HTTP 200, waybill unreadable", None)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"waybill_no":null}', b'{"waybill_no":""}'])
def test_an_answer_needs_no_waybill(body):
    """The number may come later, with an event."""
    _, outcome = _sent(WireReply(200, {}, body))
    assert (outcome.code, outcome.waybill_no) == ("HTTP 200", None)


# --- Events ---


def _event(**changes):
    return {"event_id": "e1", "status": "delivered", "occurred_at": "2023-12-02T10:15:00+08:00", **changes}


def test_an_event_is_read():
    """The sample, its time in UTC."""
    event = parse_event(_sample("delivered.event.json"))
    assert (event.status, event.leg, event.signer.relation) == (Status.DELIVERED, 1, "本人")
    assert event.occurred_at == datetime(2023, 12, 2, 2, 15, tzinfo=UTC)
    assert parse_event(_sample("revoked.event.json")).status is None


def test_an_unknown_status_is_kept_and_known_as_such():
    """It becomes unknown with its code, and will move nothing."""
    event = parse_event(_event(status="teleported"))
    assert (event.status, event.raw_code) == (Status.UNKNOWN, "teleported")


def test_null_and_empty_members_count_as_missing():
    """As everywhere."""
    assert parse_event(_event(office=None, note="", reason="")) == parse_event(_event())
    assert parse_event(_event(reason="moved")).reason is Reason.MOVED


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"event_id": None}, "event_id"),
        ({"event_id": 7}, "event_id"),
        ({"event_id": "x" * 129}, "event_id"),
        ({"status": None}, "status"),
        ({"status": 7}, "status"),
        ({"status": "x" * 101}, "status"),
        ({"occurred_at": None}, "occurred_at"),
        ({"occurred_at": "2023-12-02T10:15:00"}, "occurred_at"),
        ({"occurred_at": 1701389550}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"leg": 3}, "leg"),
        ({"leg": "1"}, "leg"),
        ({"waybill_no": "EA969294769CN"}, "waybill_no"),
        ({"office": "营业部"}, "office"),
        ({"office": {"code": "1"}}, "office.name"),
        ({"office": {"name": "x", "phone": "13800000000"}}, "office.phone"),
        ({"reason": "rain"}, "reason"),
        ({"received_by": "dog"}, "received_by"),
        ({"signer": {"name": "张三" * 26}}, "signer.name"),
        ({"proof": {}}, "proof"),
        ({"proof": ["x"]}, "proof[0]"),
        ({"proof": [{"kind": "photo", "media_type": "image/png", "data": "a!b="}]}, "proof[0].data"),
        ({"proof": [{"kind": "video", "media_type": "image/png", "data": "AAAA"}]}, "proof[0].kind"),
        ({"proof": [{"kind": "photo", "media_type": "image/png"}]}, "proof[0].data"),
        ({"note": "张三" * 1001}, "note"),
        ({"cause": "portal"}, "cause"),
        ({"raw_code": "704"}, "raw_code"),
        ({"revokes_code": "704"}, "revokes_code"),
        ({"kept_proof": []}, "kept_proof"),
        ({"colour": "red"}, "colour"),
        ({"order_id": ORDER_ID}, "order_id"),
    ],
)
def test_what_is_no_event_is_refused_by_path(changes, path):
    """The member is named and nothing personal is quoted."""
    with pytest.raises(MappingError) as caught:
        parse_event(_event(**changes))
    assert caught.value.path == path
    assert "张三" not in str(caught.value)
    assert "13800000000" not in str(caught.value)


def test_proof_is_decoded():
    """Evidence arrives as bytes."""
    event = parse_event(_event(proof=[_proof("image/png", PNG)]))
    assert event.proof[0].data == PNG


@pytest.mark.parametrize(
    ("media_type", "data", "path"),
    [
        ("image/jpeg", PNG, "proof[0]"),
        ("image/png", b"\xff\xd8\xff", "proof[0]"),
        ("application/pdf", b"<html>", "proof[0]"),
        ("image/gif", b"GIF89a", "proof[0].media_type"),
        ("text/html", b"<html>", "proof[0].media_type"),
        ("image/png", PNG + bytes(4 * 1024 * 1024), "proof[0]"),
    ],
)
def test_proof_is_what_it_says(media_type, data, path):
    """A picture or a scan by its content, whatever it is called, and of 4 MiB at most."""
    with pytest.raises(MappingError) as caught:
        parse_event(_event(proof=[_proof(media_type, data)]))
    assert caught.value.path == path


def _proof(media_type, data):
    return {"kind": "photo", "media_type": media_type, "data": b64encode(data).decode()}


def test_an_item_of_a_list_says_its_order():
    """Order and event come apart."""
    assert parse_listed_event({**_event(), "order_id": ORDER_ID}) == (ORDER_ID, parse_event(_event()))


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (7, ""),
        (None, ""),
        ({}, "order_id"),
        ({"order_id": 7}, "order_id"),
        ({"order_id": "x"}, "order_id"),
        ({"order_id": ORDER_ID}, "event_id"),
    ],
)
def test_an_item_that_is_no_event_is_refused(item, path):
    """By path, as a single event is."""
    with pytest.raises(MappingError) as caught:
        parse_listed_event(item)
    assert caught.value.path == path


# --- The batched form ---


def _batch(*ids):
    bodies = {each: json.dumps({"specversion": "1.0", "id": each}).encode() for each in ids}
    return [Document("cn.govpost.order.placed", body, each) for each, body in bodies.items()]


def _sent_together(reply, *ids):
    settings = {"url": "http://127.0.0.1:9002/orders", "secret": EXAMPLE["secret"], "batch_size": 100}
    backend = load_adapter("webhook").build(settings, section="backends.post")
    conversation = backend.send(_batch(*ids), SOURCE)
    request = next(conversation)
    with pytest.raises(StopIteration) as stop:
        conversation.send(reply)
    return request, stop.value.value


def _listed(*answers):
    return WireReply(200, {}, json.dumps(answers).encode())


def test_a_batch_is_signed_as_one():
    """A list of the events as they were rendered, under a fresh id, without an idempotency key."""
    request, _ = _sent_together(_listed(), "m1", "m2")
    assert request.body == b"[" + b",".join(document.body for document in _batch("m1", "m2")) + b"]"
    assert request.headers["Content-Type"] == "application/cloudevents-batch+json"
    assert request.headers["webhook-id"] == "ab" * 16
    assert "Idempotency-Key" not in request.headers
    facts = {
        "message_id": request.headers["webhook-id"],
        "timestamp": request.headers["webhook-timestamp"],
        "body": request.body,
    }
    assert standard_webhooks.verify([EXAMPLE["secret"].encode()], request.headers["webhook-signature"], **facts)


def test_each_event_of_a_batch_has_its_own_answer():
    """Found by its id, in whatever order; one that is not answered is unknown."""
    reply = _listed(
        {"id": "m3", "status": 422},
        {"id": "m1", "status": 200, "waybill_no": "EA000000014CN"},
        {"id": "m2", "status": 409, "waybill_no": "EA000000028CN"},
        {"id": "m5", "status": "200"},
        {"id": "m6", "status": 200, "waybill_no": "no number"},
        "m7",
    )
    _, outcomes = _sent_together(reply, "m1", "m2", "m3", "m4", "m5", "m6", "m7")
    assert [(outcome.kind, outcome.waybill_no) for outcome in outcomes] == [
        (OutcomeKind.TAKEN, "EA000000014CN"),
        (OutcomeKind.TAKEN, "EA000000028CN"),
        (OutcomeKind.REFUSED, None),
        (OutcomeKind.UNKNOWN, None),
        (OutcomeKind.UNKNOWN, None),
        (OutcomeKind.TAKEN, None),
        (OutcomeKind.UNKNOWN, None),
    ]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (WireReply(503), OutcomeKind.UNKNOWN),
        (WireReply(401), OutcomeKind.AUTH),
        (WireReply(429, {"Retry-After": "7"}), OutcomeKind.BUSY),
        (WireReply(200, {}, b"<html>"), OutcomeKind.UNKNOWN),
        (WireReply(200, {}, b"{}"), OutcomeKind.UNKNOWN),
        (WireReply(204), OutcomeKind.UNKNOWN),
    ],
)
def test_what_befalls_a_batch_befalls_each(reply, kind):
    """Nothing is taken that was not answered by name."""
    _, outcomes = _sent_together(reply, "m1", "m2")
    assert [outcome.kind for outcome in outcomes] == [kind, kind]


@pytest.mark.parametrize(("size", "batches"), [(1, set()), (2, {2}), (100, {100})])
def test_batches_are_as_large_as_the_settings_say(size, batches):
    """None unless they are asked for."""
    settings = {"url": "http://127.0.0.1:9002/orders", "secret": "s", "batch_size": size}
    backend = load_adapter("webhook").build(settings, section="backends.post")
    assert set(backend.manifest.batches.values()) == batches


@pytest.mark.parametrize("size", [0, 101])
def test_a_batch_has_its_bounds(size):
    """1 to 100 events."""
    with pytest.raises(ConfigurationError, match="batch_size"):
        load_adapter("webhook").build({"url": "http://127.0.0.1:1", "secret": "s", "batch_size": size}, section="b")
