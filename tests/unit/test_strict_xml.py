"""XML read as strictly as a signed document deserves: all that it may not hold; and how it is written."""

from traceback import format_exception

import pytest

from govpost.adapters.protocols.strict_xml import XmlForm, as_xml_text, dump_xml, parse_xml
from govpost.schemas.errors import UnreadableError

FORM = XmlForm(max_bytes=1_000_000, max_tags=1000)
DECLARATION = b'<?xml version="1.0" encoding="GB18030"?>'
BOMB = (
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;">]>'
    b"<a>&d;</a>"
)


def read(content, *, declaration=DECLARATION, form=FORM):
    """Parse what stands behind a declaration."""
    return parse_xml(declaration + content, form=form)


REFUSED = {
    "nothing": (b"", "does not begin"),
    "no declaration": (b"<a/>", "does not begin"),
    "no encoding declared": (b'<?xml version="1.0"?><a/>', "does not begin"),
    "a blank before": (b" " + DECLARATION + b"<a/>", "does not begin"),
    "UTF-8 with its mark": (b"\xef\xbb\xbf" + DECLARATION + b"<a/>", "does not begin"),
    "a mark in GB18030": (b"\x84\x31\x95\x33" + DECLARATION + b"<a/>", "does not begin"),
    "UTF-16": ('<?xml version="1.0" encoding="GB18030"?><a/>'.encode("utf-16"), "does not begin"),
    "version 1.1": (b'<?xml version="1.1" encoding="GB18030"?><a/>', "does not begin"),
    "declared UTF-8": (b'<?xml version="1.0" encoding="UTF-8"?><a/>', "not declared to be GB18030"),
    "declared GBK": (b'<?xml version="1.0" encoding="gbk"?><a/>', "not declared to be GB18030"),
    "a mark after the declaration": (DECLARATION + b"\x84\x31\x95\x33<a/>", "is not XML"),
    "UTF-8 inside": (DECLARATION + "<a>龙洲大</a>".encode(), "is not GB18030"),
    "half a character": (DECLARATION + b"<a>\x81</a>", "is not GB18030 (byte 43)"),
    "a byte that begins nothing": (DECLARATION + b"<a>\xff</a>", "is not GB18030 (byte 43)"),
    "a document type": (DECLARATION + b"<!DOCTYPE a><a/>", "holds a document type"),
    "an external entity": (
        DECLARATION + b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "holds a document type",
    ),
    "an expansion": (DECLARATION + BOMB, "holds a document type"),
    "a processing instruction": (DECLARATION + b"<a><?php evil ?></a>", "holds a processing instruction"),
    "a style sheet": (DECLARATION + b'<?xml-stylesheet href="x"?><a/>', "holds a processing instruction"),
    "an entity of nobody's": (DECLARATION + b"<a>&b;</a>", "is not XML"),
    "a NUL": (DECLARATION + b"<a>\x00</a>", "is not XML"),
    "a NUL by number": (DECLARATION + b"<a>&#0;</a>", "is not XML"),
    "half a pair by number": (DECLARATION + b"<a>&#xD800;</a>", "is not XML"),
    "no element": (DECLARATION, "is not XML"),
    "two roots": (DECLARATION + b"<a/><b/>", "is not XML"),
    "an end without a beginning": (DECLARATION + b"<a></b>", "is not XML"),
    "the same attribute twice": (DECLARATION + b'<a b="1" b="2"/>', "is not XML"),
    "a prefix of nobody's": (DECLARATION + b"<x:a/>", "is not XML"),
    "text behind the end": (DECLARATION + b"<a/>x", "is not XML"),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_keep_to_the_form_is_refused(body, reason):
    """Each with its own reason, which never quotes the document."""
    with pytest.raises(UnreadableError, match=r"^body ") as caught:
        parse_xml(body, form=FORM)
    assert reason in str(caught.value)


def test_a_reason_does_not_quote_the_document():
    """Names of elements and entities are the sender's words."""
    for content in ("<张三>", "<张三>" * 500, "<a>&张三;</a>", "<a></张三>"):
        with pytest.raises(UnreadableError) as caught:
            read(content.encode("gb18030"))
        assert "张三" not in "".join(format_exception(caught.value))


@pytest.mark.parametrize(("depth", "is_read"), [(31, True), (32, True), (33, False), (10_000, False), (100_000, False)])
def test_nesting_ends_at_32(depth, is_read):
    """One more is refused as such, ten thousand too, whether they are closed or not."""
    form = XmlForm(max_bytes=1_000_000)
    for content in (b"<a>" * depth + b"</a>" * depth, b"<a>" * depth):
        if is_read and content.endswith(b"</a>"):
            assert read(content, form=form).tag == "a"
        else:
            with pytest.raises(UnreadableError, match="is not XML" if is_read else "nested deeper than 32"):
                read(content, form=form)


def test_depth_is_that_of_elements_not_their_number():
    """Many beside one another are no depth."""
    assert len(read(b"<a>" + b"<b><c/></b>" * 400 + b"</a>")) == 400


def test_size_is_judged_before_anything_else():
    """One byte too many is refused unread; exactly as many as there may be are read."""
    padding = b" " * (FORM.max_bytes - len(DECLARATION) - len(b"<a></a>"))
    assert read(b"<a>" + padding + b"</a>").tag == "a"
    with pytest.raises(UnreadableError, match="larger than 1000000 bytes"):
        read(b"<a>" + padding + b" </a>")


def test_elements_are_counted_before_any_is_read():
    """A thousand are allowed here; what is read takes a hundred times its room."""
    assert len(read(b"<a>" + b"<b></b>" * 999 + b"</a>")) == 999
    with pytest.raises(UnreadableError, match="more than 1000 elements"):
        read(b"<a>" + b"<b/>" * 2000 + b"</a>")


@pytest.mark.parametrize(
    "declaration",
    [
        b'<?xml version="1.0" encoding="gb18030"?>',
        b"<?xml version='1.0' encoding='GB18030' standalone='yes' ?>",
        b'<?xml\nversion = "1.0"\n encoding = "GB18030"?>\n',
    ],
)
def test_a_declaration_may_be_written_in_several_ways(declaration):
    """Case, quotes and blanks are free."""
    assert read("<a>渝0113</a>".encode("gb18030"), declaration=declaration).text == "渝0113"


def test_lines_are_counted_from_the_top():
    """Also where the declaration takes several."""
    with pytest.raises(UnreadableError, match="line 4,"):
        read(b"\n<a>\n</b>", declaration=b'<?xml version="1.0"\nencoding="GB18030"?>')


def test_every_character_is_read():
    """Two bytes, four bytes, beyond the basic plane, by number, in CDATA; comments are left out."""
    root = read('<a b="&#x4DAE;&quot;">䶮𠮷<!-- 无 -->&amp;<![CDATA[<龙>]]></a>'.encode("gb18030"))
    assert (root.text, root.get("b")) == ("䶮𠮷&<龙>", '䶮"')


def test_another_wire_may_have_another_encoding():
    """The form says which."""
    form = XmlForm(max_bytes=1000, encoding="UTF-8")
    assert parse_xml('<?xml version="1.0" encoding="utf-8"?><a>渝</a>'.encode(), form=form).text == "渝"


def test_what_is_written_is_read_again():
    """One line with its declaration, and the same text on the other side."""
    root = read('<a b="一&#10;二"><c>䶮𠮷&lt;</c></a>'.encode("gb18030"))
    written = dump_xml(root)
    assert written == '<?xml version="1.0" encoding="GB18030"?><a b="一&#10;二"><c>䶮𠮷&lt;</c></a>'.encode("gb18030")
    assert dump_xml(parse_xml(written, form=FORM)) == written


def test_what_xml_cannot_hold_is_replaced():
    """Controls may come in JSON; a tab, a line end and every other character stay."""
    text = "张\x01三\ufffe\tX\n𠮷\ud800"
    assert as_xml_text(text) == "张\ufffd三\ufffd\tX\n𠮷\ufffd"
