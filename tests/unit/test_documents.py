"""Strict JSON: what I-JSON forbids is refused, and no refusal quotes the document; compact JSON is written."""

import json

import pytest

from govpost.schemas.documents import MAX_DEPTH, dump_json, parse_json, parse_json_object
from govpost.schemas.errors import UnreadableError


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":[1,2.5,true,null,"\xe5\x91\xa8"]}', {"a": [1, 2.5, True, None, "周"]}),
        (b'"\\ud842\\udfb7"', "𠮷"),
        (b'{"a\\\\u0000":"\\\\ud800"}', {"a\\u0000": "\\ud800"}),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b'"' + b"[" * 100 + b'"', "[" * 100),
    ],
)
def test_good_json_is_read(body, value):
    """Texts with pairs of surrogates, escaped backslashes and brackets are read as they are."""
    assert value is None or parse_json(body) == value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"not json", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":1}{"b":2}', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":"\n"}', "not JSON"),
        (b'{"a":"\xd6\xd8\xc7\xec"}', "not UTF-8"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b'{"a":1,"a":1}', "member twice"),
        (b'[{"b":{"a":1,"\\u0061":2}}]', "member twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\uDFFF":1}', "lone surrogate"),
        (b'["\\udc00\\ud800"]', "lone surrogate"),
        (b'{"a":"x\\u0000"}', "NUL"),
        (b"[" + b"9" * 5000 + b"]", "too large"),
    ],
)
def test_what_i_json_forbids_is_refused(body, says):
    """Each refusal says which rule was broken."""
    with pytest.raises(UnreadableError, match=says):
        parse_json(body)


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null"])
def test_only_objects_are_documents(body):
    """A root that is no object is refused where an object is wanted."""
    with pytest.raises(UnreadableError, match="not a JSON object"):
        parse_json_object(body)


@pytest.mark.parametrize(
    "body", ['{"name":"周怡芳"', '{"name":"周怡芳\\u0000"}', '{"周怡芳":1,"周怡芳":2}', '"周怡芳"']
)
def test_a_refusal_does_not_quote(body):
    """Neither the message nor what the error carries holds a text of the document."""
    with pytest.raises(UnreadableError) as caught:
        parse_json_object(body.encode())
    assert "周怡芳" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    "document",
    [
        {"b": "邮件已揽收", "a": [1, -2, True, False, None, {}, [], ""]},
        {"controls": "".join(map(chr, range(0xA0))), "separators": "\u2028\u2029\ufeff", "astral": "𠮷\U0010ffff"},
        {"weight": [0.5, 1.25, 100.0, -0.001, 123456.789], "large": [2**53 - 1, -(2**53)]},
    ],
)
def test_json_is_written_compactly(document):
    """The same bytes as the standard library writes, which wires and stored bodies have been compared with."""
    assert dump_json(document) == json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def test_half_a_character_is_not_written():
    """What is no text has no bytes."""
    with pytest.raises(ValueError, match="surrogate"):
        dump_json({"a": "\ud800"})
