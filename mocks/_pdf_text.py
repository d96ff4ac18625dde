"""What a PDF says, as far as that can be told without drawing it: enough to find a text that should not be there."""

import base64
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["read_texts"]

_MOST = 16 << 20
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_STRING = re.compile(rb"\(((?:[^()\\]|\\.)*)\)|<([0-9A-Fa-f\s]+)>", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|\r?\n|.)", re.DOTALL)
_OCTAL = frozenset(b"%d" % digit for digit in range(8))
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r\n": b""}
_SECTION = re.compile(rb"beginbf(char|range)(.*?)endbf", re.DOTALL)
#: In a section of characters a code and what it means; in one of ranges two codes and what the first means.
_ENTRY = {
    b"char": re.compile(rb"<(?P<first>(?P<last>[0-9A-Fa-f]+))>\s*<(?P<means>[0-9A-Fa-f]+)>"),
    b"range": re.compile(rb"<(?P<first>[0-9A-Fa-f]+)>\s*<(?P<last>[0-9A-Fa-f]+)>\s*<(?P<means>[0-9A-Fa-f]+)>"),
}


def read_texts(document: bytes) -> Iterator[str]:
    """Give what the strings of a document say, in each way in which a font may have them meant."""
    streams = [_unpack(match[1]) for match in _STREAM.finditer(document)]
    maps = [found for stream in streams if (found := _read_map(stream)).characters]
    for part in (_STREAM.sub(b"", document), *streams):
        shown = b"".join(_string(match) for match in _STRING.finditer(part))
        yield from (shown.decode(encoding, "ignore") for encoding in ("utf-8", "gb18030", "utf-16-be"))
        yield from (known.apply(shown) for known in maps)


def _unpack(stream: bytes) -> bytes:
    """Undo the filters that writers of PDFs use; what is packed in another way stays as it is."""
    packed = stream
    if stream.rstrip().endswith(b"~>"):
        with suppress(ValueError):
            packed = base64.a85decode(stream.strip().removesuffix(b"~>"))
    try:
        return zlib.decompressobj().decompress(packed, _MOST)
    except zlib.error:
        return packed


def _string(match: re.Match[bytes]) -> bytes:
    literal, digits = match.groups()
    if literal is not None:
        return _ESCAPE.sub(lambda escape: _unescape(escape[1]), literal)
    packed = b"".join(digits.split())
    return bytes.fromhex((packed + b"0" * (len(packed) % 2)).decode())


def _unescape(escaped: bytes) -> bytes:
    if escaped[:1] in _OCTAL:
        return bytes([int(escaped, 8) % 256])
    return _ESCAPED.get(escaped, escaped)


@dataclass(slots=True)
class _Map:
    """A font's table from codes to characters (ToUnicode)."""

    #: Bytes of a code.
    width: int = 1
    characters: dict[int, str] = field(default_factory=dict)

    def apply(self, shown: bytes) -> str:
        """Read codes; those that the font does not have are nothing."""
        places = range(0, len(shown) - self.width + 1, self.width)
        codes = (int.from_bytes(shown[place : place + self.width], "big") for place in places)
        return "".join(self.characters.get(code, "") for code in codes)


def _read_map(stream: bytes) -> _Map:
    known = _Map()
    for kind, section in _SECTION.findall(stream):
        for entry in _ENTRY[kind].finditer(section):
            known.width = (len(entry["first"]) + 1) // 2
            known.characters |= _range(*(int(entry[name], 16) for name in ("first", "last", "means")))
    return known


def _range(first: int, last: int, means: int) -> dict[int, str]:
    """Count from a character on; what a ligature or a rare character stands for is not said."""
    size = min(last - first, 0xFFFF - means) + 1
    return {first + step: chr(means + step) for step in range(size)}
