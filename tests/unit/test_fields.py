"""Field tables: both directions, unknown members, and errors that name the path."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from govpost.adapters.fields import (
    BOOLEAN,
    CodeTable,
    Field,
    build_order,
    counted,
    integer,
    order_to_wire,
    text,
    wire_to_order,
)
from govpost.adapters.protocols.content import drop_empty, order_content
from govpost.adapters.protocols.shanghai import COMPACT, DASHED, RFC3339
from govpost.adapters.yukuaiban.fields import FIELDS as YUKUAIBAN
from govpost.schemas import Direction, Mode, Payer
from govpost.schemas.errors import MappingError, UnsupportedFeatureError

FIELDS = (
    Field("no", "portal_ref", text(10, least=2)),
    Field("way", "direction", CodeTable({"1": Direction.TO_APPLICANT, "2": Direction.ROUND_TRIP})),
    Field("mode", "mode", CodeTable({"D": Mode.DOORSTEP})),
    Field("pay", "payer", CodeTable({"G": Payer.GOVERNMENT})),
    Field("docs[]", "items[]", counted(1, 2)),
    Field("docs[].title", "items[].name"),
    Field("docs[].original", "items[].is_original", BOOLEAN, required=False),
    Field("docs[].n", "items[].copies", integer(1, 9), required=False),
    Field("when.from", "appointment.start_at", DASHED, required=False),
    Field("when.to", "appointment.end_at", DASHED, required=False),
    Field("people.a.name", "sender.name"),
    Field("people.a.tel", "sender.phone"),
    Field("people.a.at", "sender.address.street"),
    Field("people.b.name", "recipient.name"),
    Field("people.b.tel", "recipient.phone"),
    Field("people.b.at", "recipient.address.street"),
    Field("people.b.kind", "recipient.id_document.type", required=False),
    Field("people.b.id", "recipient.id_document.no", required=False),
    Field("matter", "matter.name"),
    Field("hint", "remark", required=False),
)


def _document(**changes):
    return {
        "no": "AB-1",
        "way": "1",
        "mode": "D",
        "pay": "G",
        "docs": [{"title": "执照", "original": True, "n": 2}, {"title": "证明"}],
        "people": {
            "a": {"name": "甲", "tel": "023-66220000", "at": "一号"},
            "b": {"name": "乙", "tel": "13636083778", "at": "二号"},
        },
        "matter": "办理",
        **changes,
    }


def _person(**changes):
    people = _document()["people"]
    return {"people": {**people, "b": {**people["b"], **changes}}}


def test_a_document_becomes_an_order_and_goes_back():
    """Every mapped member survives both ways."""
    window = {"from": "2023-12-01 09:00:00", "to": "2023-12-01 11:00:00"}
    document = _document(when=window, hint="轻放", **_person(kind="111", id="50010320140114857X"))
    order = build_order(FIELDS, document)
    assert order.appointment.start_at == datetime(2023, 12, 1, 1, tzinfo=UTC)
    assert [item.copies for item in order.items] == [2, 1]
    back = order_to_wire(FIELDS, order)
    assert back == {**document, "docs": [document["docs"][0], {"title": "证明", "n": 1}]}
    assert list(back)[:4] == ["no", "way", "mode", "pay"]


def test_what_the_table_does_not_name_is_kept_where_it_stood():
    """Unknown members go to extras under their own paths, and back when asked."""
    document = _document(
        docs=[{"title": "一"}, {"title": "二", "x": [1]}], y={"z": None}, empty="", **_person(nick="小乙")
    )
    order = build_order(FIELDS, document)
    assert order.extras == {"docs": [{}, {"x": [1]}], "y": {"z": None}, "people": {"b": {"nick": "小乙"}}}
    back = order_to_wire(FIELDS, order, keep_extras=True)
    assert back["people"]["b"]["nick"] == "小乙"
    assert back["docs"][1]["x"] == [1]
    assert "y" not in order_to_wire(FIELDS, order)


@pytest.mark.parametrize("value", [None, "", "  "])
@pytest.mark.parametrize("name", ["no", "way", "docs", "people", "matter"])
def test_null_and_empty_count_as_missing(name, value):
    """A required member that holds nothing is missing."""
    with pytest.raises(MappingError) as caught:
        build_order(FIELDS, _document(**{name: value}))
    assert (caught.value.path, caught.value.reason) == (name, "is missing")


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        ({"no": "A"}, "no", "is shorter than 2 characters"),
        ({"no": "A" * 11}, "no", "is longer than 10 characters"),
        ({"no": 12}, "no", "must be text"),
        ({"way": "9"}, "way", "unknown code 9"),
        ({"way": "重庆"}, "way", "unknown code"),
        ({"way": "13636083778"}, "way", "unknown code"),
        ({"way": 1}, "way", "must be a code in text"),
        ({"way": ["1"]}, "way", "must be a code in text"),
        ({"docs": {}}, "docs", "must be a list"),
        ({"docs": []}, "docs", "must have 1 to 2 items"),
        ({"docs": [{"title": "x"}] * 3}, "docs", "must have 1 to 2 items"),
        ({"docs": [{"title": "x"}, 7]}, "docs[1]", "must be an object"),
        ({"docs": [{"title": "x"}, {"n": 1}]}, "docs[1].title", "is missing"),
        ({"docs": [{"title": "x", "n": 0}]}, "docs[0].n", "must be 1 to 9"),
        ({"docs": [{"title": "x", "n": True}]}, "docs[0].n", "must be an integer"),
        ({"docs": [{"title": "x", "n": 1.0}]}, "docs[0].n", "must be an integer"),
        ({"docs": [{"title": "x", "original": "1"}]}, "docs[0].original", "must be true or false"),
        ({"when": "now"}, "when", "must be an object"),
        ({"when": {"from": "2023-12-01 09:00:00"}}, "when.to", "is missing"),
        ({"when": {"from": "2023-02-30 09:00:00"}}, "when.from", "is not a time that exists"),
        ({"when": {"from": "0001-01-01 00:00:00"}}, "when.from", "is not a time that exists"),
        ({"when": {"from": "2023-12-01"}}, "when.from", "is not a time yyyy-MM-dd HH:mm:ss"),
        ({"when": {"from": "2023-12-01 09:00:00", "to": "2023-12-01 09:00:00"}}, "when", "ends before it begins"),
        ({"people": {"a": 1}}, "people.b", "is missing"),
        (_person(tel="12345"), "people.b.tel", None),
        (_person(at="x" * 101), "people.b.at", "is longer than 100 characters"),
        (_person(kind="111"), "people.b.id", "is missing"),
        (_person(id="50010320140114857X"), "people.b.kind", "is missing"),
        (_person(kind="111", id="500103201401148571"), "people.b.id", None),
        (_person(name="乙" * 51), "people.b.name", None),
    ],
)
def test_what_does_not_fit_is_refused_by_its_wire_path(changes, path, reason):
    """The path is the portal's, also where the order's own rules say no; no personal value is quoted."""
    with pytest.raises(MappingError) as caught:
        build_order(FIELDS, _document(**changes))
    assert caught.value.path == path
    assert reason is None or caught.value.reason == reason
    assert not any(value in str(caught.value) for value in ("乙", "13636083778", "5001032014", "12345"))


def test_a_set_field_without_a_word_is_refused_by_name():
    """Nothing is dropped silently; what a contract has no need of is named by the adapter."""
    document = _document(hint="轻放")
    order = build_order(FIELDS, document)
    fewer = tuple(field for field in FIELDS if field.order_path not in {"remark", "items[].is_original"})
    with pytest.raises(UnsupportedFeatureError) as caught:
        order_to_wire(fewer, order)
    assert caught.value.path in {"remark", "items[].is_original"}
    assert "hint" not in order_to_wire(fewer, order, unsaid=("remark", "items"))


def test_a_default_needs_no_word():
    """A value that the order would have anyway, such as one copy, is not a set field."""
    order = build_order(FIELDS, _document(docs=[{"title": "x"}]))
    fewer = tuple(field for field in FIELDS if field.order_path != "items[].copies")
    assert order_to_wire(fewer, order)["docs"] == [{"title": "x"}]


def test_a_word_without_a_code_is_refused_by_name():
    """An order's word that a code table lacks is an unsupported feature of that path."""
    order = build_order(FIELDS, _document()).model_copy(update={"mode": Mode.COUNTER})
    with pytest.raises(UnsupportedFeatureError) as caught:
        order_to_wire(FIELDS, order)
    assert caught.value.path == "mode"


def test_what_the_wire_requires_must_be_in_the_order():
    """A required wire member without a value in the order is refused by the order's path."""
    order = build_order(FIELDS, _document())
    with pytest.raises(MappingError) as caught:
        order_to_wire((*FIELDS, Field("due", "promise.within_days", integer(1, 9))), order)
    assert caught.value.path == "promise.within_days"


def test_the_first_code_of_a_word_is_the_one_we_say():
    """Several codes may mean one word."""
    table = CodeTable({"a": "x", "b": "x", "c": "y"})
    assert (table.decode("b"), table.encode("x"), table.get("q"), table.get([])) == ("x", "a", None, None)


def test_a_table_needs_no_list():
    """Translating alone checks no rule of the order."""
    assert wire_to_order((Field("a.b", "c"),), {"a": {"b": "x"}}) == {"c": "x"}


@pytest.mark.parametrize(
    ("form", "written"),
    [(DASHED, "2023-12-01 08:12:30"), (COMPACT, "20231201081230"), (RFC3339, "2023-12-01T08:12:30+08:00")],
)
def test_times_are_shanghai_on_the_wire_and_utc_inside(form, written):
    """Every form reads and writes the same moment."""
    moment = datetime(2023, 12, 1, 0, 12, 30, tzinfo=UTC)
    assert form.decode(written) == moment
    assert form.decode(written).tzinfo is UTC
    assert form.encode(moment) == written


@pytest.mark.parametrize(
    "written", ["2023-12-01T08:12:30", "2023-12-01 08:12:30Z", "1701389550", 1701389550, "2023-13-01T00:00:00Z"]
)
def test_an_rfc_3339_time_has_an_offset(written):
    """What has none, or is no date, is refused."""
    with pytest.raises(ValueError, match="is not"):
        RFC3339.decode(written)


def test_content_is_what_counts_when_an_order_comes_again():
    """Empty members at any depth and volatile ones at the root do not count; false, zero and empty lists do."""
    document = {
        "a": "",
        "b": None,
        "submitTime": "x",
        "c": {"d": "", "submitTime": "y"},
        "e": [None, {"f": None}],
        "g": 0,
    }
    assert order_content(document) == {"c": {"submitTime": "y"}, "e": [None, {}], "g": 0}


@pytest.mark.parametrize("number", [2**53, -(2**53), 1e300, float("inf"), float("nan")])
def test_a_number_without_a_canonical_form_is_refused(number):
    """RFC 8785 cannot write it, so no fingerprint could be made."""
    with pytest.raises(MappingError, match="number"):
        drop_empty({"a": [number]})


@pytest.mark.parametrize("name", ["deliver", "collect", "round_trip", "unknown_members"])
def test_the_samples_go_both_ways(name):
    """The pairs in schemas/wire/yukuaiban hold."""
    folder = Path(__file__).parents[2] / "schemas" / "wire" / "yukuaiban" / "samples"
    wire = json.loads((folder / f"{name}.wire.json").read_text("utf-8"))
    expected = json.loads((folder / f"{name}.order.json").read_text("utf-8"))
    order = build_order(YUKUAIBAN, wire)
    assert order.model_dump(mode="json", exclude_none=True) == {"extras": {}, **expected}
    assert order_to_wire(YUKUAIBAN, order, keep_extras=True) == drop_empty(wire)
