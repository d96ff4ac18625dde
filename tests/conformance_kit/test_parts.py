"""The kit's own parts: numbering of samples, and what it makes of requests that are lost."""

import pytest

from govpost.schemas import Outcome, OutcomeKind, WireReply, WireRequest
from govpost.schemas.errors import BreakageError, MappingError, UnreadableError
from govpost.tests.conformance.bench import converse
from govpost.tests.conformance.subject import Contract, Finding, Sample, load_subject
from govpost.tests.conformance.variations import relabelled, retold

REQUEST = WireRequest("POST", "http://127.0.0.1:9/")
LOST = Outcome(OutcomeKind.UNKNOWN, code="timeout")


@pytest.mark.parametrize(
    ("ref", "document", "expected"),
    [
        ("K-0000001", {"no": "K-0000001", "to": {"name": "K-0000001x"}}, ("K-0000907", {"no": "K-0000907"})),
        (
            "500113-1231201000023",
            {"office": "500113", "no": "1231201000023"},
            ("500113-1231201000907", {"no": "1231201000907"}),
        ),
    ],
    ids=["whole", "composed"],
)
def test_a_numbered_sample_is_another_order(ref, document, expected):
    """The reference gets another end, and so does what it is, or ends in, on the wire; nothing else changes."""
    order = load_subject("yukuaiban").samples[0].order.model_copy(update={"portal_ref": ref})
    numbered = Sample("a", document, order).numbered(7)
    assert (numbered.order.portal_ref, numbered.document) == (expected[0], {**document, **expected[1]})


def _telling(replies):
    """Send once, and once more for each breakage that is swallowed."""
    try:
        replies.append((yield REQUEST))
    except BreakageError:
        replies.append((yield REQUEST))
    return [Outcome(OutcomeKind.TAKEN)]


def test_a_conversation_that_goes_on_after_a_breakage_is_noticed():
    """What the driver throws in is seen, and so is what follows."""
    answers = iter([BreakageError(LOST), WireReply(200)])

    def door(_):
        answer = next(answers)
        if isinstance(answer, BreakageError):
            raise answer
        return answer

    talk = converse(_telling([]), door)
    assert (talk.went_on, len(talk.requests), talk.outcome.kind) == (True, 2, OutcomeKind.TAKEN)


@pytest.mark.parametrize(("error", "code"), [(BreakageError(LOST), "timeout"), (UnreadableError("?"), "unreadable")])
def test_what_a_conversation_lets_through_is_the_outcome_of_each(error, code):
    """As the relay has it."""

    def conversation():
        yield REQUEST
        raise error

    talk = converse(conversation(), lambda _: WireReply(200))
    assert [outcome.code for outcome in talk.outcomes(2)] == [code, code]


def test_any_other_error_of_a_telling_is_a_finding():
    """No adapter may raise it once it sends."""

    def conversation():
        yield REQUEST
        raise MappingError("a", "b")

    with pytest.raises(Finding, match="send raised MappingError"):
        converse(conversation(), lambda _: WireReply(200)).outcomes(1)


def test_rules_are_found_through_references_lists_and_parts():
    """Where a place of the contract is described, however it is put together."""
    text = {"type": "string", "maxLength": 3}
    schemas = {
        "Item": {"properties": {"name": {"$ref": "#/components/schemas/Text"}}},
        "Text": text,
        "Base": {"properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}}},
        "Order": {"allOf": [{"$ref": "#/components/schemas/Base"}], "properties": {"way": {"enum": ["A", "B"]}}},
    }
    contract = Contract({"x-govpost-samples": {"place": "Order"}, "components": {"schemas": schemas}})
    assert contract.rules("Order", "items[].name") == text
    assert contract.codes("Order", "way") == {"A", "B"}
    assert contract.codes("Order", "items[].name") is None
    assert (contract.schema_of("placed"), contract.schema_of("cancelled")) == ("Order", "")
    assert contract.unfit("Order", {"way": "C"}) == "$.way breaks the rule 'enum'"
    assert contract.unfit("Nothing", {}) == "the contract has no schema 'Nothing'"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"code":"1","data":[{"n":2}]}', b'{"code": "odd", "data": [{"n": "odd"}]}'),
        (b"<a><b>1</b><c/></a>", b"<a><b>odd</b><c/></a>"),
        (b"<a>&lt;?xml?&gt;&lt;b&gt;%E5%A5%BD&lt;/b&gt;</a>", b"<a>&lt;?xml?&gt;&lt;b&gt;odd&lt;/b&gt;</a>"),
        (b"", None),
        (b"ok", None),
        (b"{}", None),
    ],
)
def test_a_reply_retold_has_another_value_in_every_place(body, expected):
    """Of JSON and of XML, and of XML within a text of XML; what holds no values is left alone."""
    assert retold(body, "odd") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'<?xml version="1.0" encoding="GB18030"?><a xmlns="urn:a" dm="0" xx=\'ok\'/>',
            b'<?xml version="1.0" encoding="GB18030"?><a xmlns="urn:a" dm="odd" xx=\'odd\'/>',
        ),
        (b'<s:a xmlns:s="urn:s" s:b="x" c="y"/>', b'<s:a xmlns:s="urn:s" s:b="x" c="odd"/>'),
        (b'<a b=""><c>d="1"</c></a>', b'<a b="odd"><c>d="1"</c></a>'),
        (b"<a/>", None),
        (b'{"a":"b"}', None),
        (b"", None),
    ],
)
def test_a_reply_relabelled_has_another_value_in_every_attribute(body, expected):
    """Namespaces, what stands in one, and the declaration stay, so that it can still be read."""
    assert relabelled(body, "odd") == expected
