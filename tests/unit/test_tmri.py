"""TMRI's documents: written as the example is, any text there and back, what is wrong with a value or with all."""

import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest

from govpost.adapters.protocols.tmri import MAX_RECORDS, Answer, build_document, parse_answer
from govpost.schemas.errors import UnreadableError

EXAMPLE = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_text("utf-8"))["vehicle_admin"]
PROLOG = '<?xml version="1.0" encoding="GBK"?>'

TEXTS = [
    "重庆市丰都县龙海大道749号14栋18-3",
    "阿依古丽·艾合买提",
    "𠮷田㛃䶮",  # one of them outside the BMP, two outside GBK
    "A&B <C> \"D\" 'E' 100%+1 ~*",
    "2023-12-01 08:00:00",
    "é ü ① ㎡ 　",
    "&amp;lt;",
    "换\n行",
]


def _answer(records="", head="<code>1</code>"):
    return f"{PROLOG}<root><head>{head}</head><body>{records}</body></root>"


def _value(written):
    """Read one value, as it was written, in a record of its own."""
    (record,) = parse_answer(_answer(f'<REC id="0"><xm>{written}</xm></REC>')).records
    return record


# --- Writing ---


def test_the_worked_query_is_reproduced():
    """The example, byte for byte."""
    values = {"glbm": "500113000400", "kssj": "2023-12-01 08:00:00", "jssj": "2023-12-01 09:00:00", "yjzt": "0"}
    assert build_document("QueryCondition", values) == EXAMPLE["query_doc"].encode("ascii")


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_ascii_on_the_wire(text):
    """The prolog says GBK, and the bytes are the same in GBK and in UTF-8."""
    document = build_document("X", {"xm": text})
    assert document == f"{PROLOG}<root><X><xm>{quote(text, safe='')}</xm></X></root>".encode("gbk")


# --- Reading ---


def test_the_worked_answer_is_read():
    """The example's string gives its records."""
    answer = parse_answer(EXAMPLE["reply_string"])
    assert (answer.code, answer.message, answer.rownum) == ("1", "数据下载成功！", 2)
    assert [record.fields for record in answer.records] == EXAMPLE["reply_decoded_records"]
    assert [record.fault for record in answer.records] == [None, None]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    "write",
    [
        lambda text: quote(escape(text), safe=""),
        lambda text: quote_plus(escape(text)),
        lambda text: re.sub("%..", lambda found: found[0].lower(), quote(escape(text), safe="")),
        lambda text: quote(escape(text).encode("gbk", "xmlcharrefreplace").decode("gbk"), safe=""),
    ],
    ids=["as contracted", "as Java does", "lower case", "as who believes the prolog does"],
)
def test_any_text_is_read(text, write):
    """URL-decoded and then parsed, whoever encoded it: spaces around it are left out."""
    assert _value(write(text)).fields == {"xm": text.strip()}


def test_plain_chinese_is_read_as_it_stands():
    """Some relays decode before they answer."""
    assert _value("张三").fields == {"xm": "张三"}


def test_a_string_that_is_encoded_as_a_whole_is_decoded_once():
    """Its values are not decoded again."""
    whole = quote(_answer("<REC><xm>50%41 A+B 张三</xm></REC>"), safe="")
    assert [record.fields for record in parse_answer(whole).records] == [{"xm": "50%41 A+B 张三"}]


@pytest.mark.parametrize("text", ["$E接口序列号无效", "$E", "  $E01:x ", "%24E%E6%8E%A5", quote("$E接口", safe="$")])
def test_a_failure_is_no_document(text):
    """Its code is $E, and its words are decoded."""
    answer = parse_answer(text)
    assert (answer.code, answer.records) == ("$E", ())
    assert answer.message.startswith("$E")
    assert "%" not in answer.message


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("<code>1</code>", Answer("1")),
        ("<code> 2 </code><message/>", Answer("2")),
        ("<code>1</code><rownum>7</rownum>", Answer("1", rownum=7)),
        ("<code>1</code><rownum>many</rownum>", Answer("1")),
        ("<code>1</code><rownum>-1</rownum>", Answer("1")),
        ("<code>1</code><rownum>٣</rownum>", Answer("1")),
        ("<code>0</code><message>%E5%B7%</message>", Answer("0", "�%")),
        ("<!-- x --><code>1</code><x/>", Answer("1")),
    ],
)
def test_a_head_may_be_terse_or_odd(head, expected):
    """Only its code must be there."""
    assert parse_answer(f"{PROLOG}<root><head>{head}</head></root>") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK",
        "<root/>",
        f"{PROLOG}<root><body><REC><lsh>1</lsh></REC></body></root>",
        f"{PROLOG}<root><head/></root>",
        f"{PROLOG}<root><head><code/></head></root>",
        f"{PROLOG}<ROOT><head><code>1</code></head></ROOT>",
        EXAMPLE["reply_string"][:-10],
        EXAMPLE["reply_string"][: len(EXAMPLE["reply_string"]) // 2],
        '<!DOCTYPE root [<!ENTITY x "y">]><root><head><code>1</code></head></root>',
        "<root xmlns='urn:x'><head><code>1</code></head></root>",
        "<html><body>Bad Gateway</body></html>",
        "%3Croot%3E",
        "<root><head><code>\x001</code></head></root>",
    ],
)
def test_what_is_no_answer_is_not_read(text):
    """Without a head, truncated, another document, hostile."""
    with pytest.raises(UnreadableError) as raised:
        parse_answer(text)
    assert "REC" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("%E9%92%B", "is not URL-encoded"),
        ("100%", "is not URL-encoded"),
        ("%zz", "is not URL-encoded"),
        ("%E9%92", "is not URL-encoded UTF-8"),
        (quote("钱琪桐", safe="", encoding="gbk"), "is not URL-encoded UTF-8"),
        ("%ED%A0%80", "is not URL-encoded UTF-8"),
        ("a%00b", "holds a control character"),
        ("a%1Bb", "holds a control character"),
        ("%26%23xD800%3B", "names a character that does not exist"),
        ("%26%231114112%3B", "names a character that does not exist"),
        ("<b>x</b>", "must be text"),
    ],
)
def test_a_value_that_is_none_is_said_with_its_record(written, reason):
    """By name, without the value; the record keeps what came, and the others are read."""
    broken = f"<REC><lsh>1</lsh><xm>{written}</xm><yzbm>400000</yzbm></REC>"
    first, second = parse_answer(_answer(f"{broken}<REC><lsh>2</lsh></REC>")).records
    assert str(first.fault) == f"xm: {reason}"
    assert (first.fields["lsh"], first.fields["yzbm"]) == ("1", "400000")
    assert (second.fields, second.fault) == ({"lsh": "2"}, None)


def test_an_element_that_comes_twice_is_said():
    """The first one is kept."""
    record = _value("甲</xm><xm>乙")
    assert (str(record.fault), record.fields) == ("xm: comes twice", {"xm": "甲"})


def test_a_foreign_tag_is_not_repeated():
    """An element's name is anybody's word, perhaps somebody's."""
    (record,) = parse_answer(_answer("<REC><张三>%</张三></REC>")).records
    assert str(record.fault) == "an element: is not URL-encoded"


@pytest.mark.parametrize("text", ["张三", "A座 3-1", "钱"])
def test_what_is_encoded_twice_spoils_the_answer(text):
    """It was the relay's doing, and no record is at fault."""
    twice = quote(quote(text, safe=""), safe="")
    with pytest.raises(UnreadableError, match="twice"):
        _value(twice)
    with pytest.raises(UnreadableError, match="twice"):
        parse_answer(quote(_answer(f"<REC><xm>{quote(text)}</xm></REC>"), safe=""))


@pytest.mark.parametrize("text", ["满意度%E5以上", "100%25", "%41%42", "a+b"])
def test_a_percent_sign_in_a_text_is_just_that(text):
    """Only what is nothing but URL-encoding with Chinese in it was encoded twice."""
    assert _value(quote(text, safe="")).fields == {"xm": text}


def test_so_many_records_are_not_believed():
    """Ten times what the contract allows."""
    assert len(parse_answer(_answer("<REC/>" * MAX_RECORDS)).records) == MAX_RECORDS
    with pytest.raises(UnreadableError, match="records"):
        parse_answer(_answer("<REC/>" * (MAX_RECORDS + 1)))


def test_nobodys_data_is_in_a_repr():
    """Neither of an answer nor of a record."""
    assert "钱琪桐" not in repr(parse_answer(EXAMPLE["reply_string"]))
