"""A page to be printed: text that fits its box, frames, lines and bars, in millimetres from the top left corner.

The font is embedded, so that a page looks the same everywhere (fonts/README.md says where it comes from). A character
that it does not have is shown as 〓, the printers' sign for a missing type: it never vanishes.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from io import BytesIO
from threading import Lock
from typing import Any

from reportlab.graphics.barcode.code128 import Code128Auto
from reportlab.lib.textsplit import dumbSplit
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

__all__ = ["Box", "Sheet", "Text", "build_sheet"]

_FONT = "GovpostLabel"
_MISSING = "〓"
#: From one line to the next, and from a line's top to the feet of its letters, in sizes of the font.
_LEADING = 1.22
_BASELINE = 0.98
#: A bold letter is one whose outline is drawn too, this thick.
_BOLD = 0.035
#: By how many points text is made smaller until it fits.
_STEP = 0.5

#: The library reads all glyphs through one position in the font, so pages are made one at a time.
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True, slots=True)
class Box:
    """Where something stands, in mm from the top left corner of the page."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, and its size in points where there is room."""

    text: str
    size: float
    bold: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    size: float
    bold: bool


class Sheet:
    """One page, drawn upon."""

    def __init__(self, canvas: Canvas, *, height: float) -> None:
        self._canvas = canvas
        self._height = height
        canvas.setLineJoin(1)

    def write(self, box: Box, *texts: Text, least: float = 5, align: float = 0, ink: float = 0) -> None:
        """Write paragraphs into the middle of a box's height, wrapped, and smaller down to `least` until they fit.

        What does not fit even then ends in …. `align` is where lines stand in the width: 0 left, 0.5 middle, 1 right;
        `ink` is a shade of grey: 0 black, 1 white.
        """
        lines = _fit(box, [_shown(text) for text in texts], least=least)
        canvas, top = self._canvas, (self._height - box.y) * mm - (box.height * mm - _height(lines)) / 2
        canvas.setFillGray(ink)
        canvas.setStrokeGray(ink)
        for line in lines:
            canvas.setFont(_FONT, line.size)
            canvas.setLineWidth(line.size * _BOLD)
            left = align * max(0, box.width * mm - _width(line.text, line.size))
            canvas.drawString(box.x * mm + left, top - line.size * _BASELINE, line.text, mode=2 * line.bold)
            top -= line.size * _LEADING

    def fits(self, box: Box, *texts: Text, least: float) -> bool:
        """Say whether `write` would show all of these paragraphs."""
        return _has_room(box, _wrap(box, [_shown(text) for text in texts], most=least))

    def frame(self, box: Box, *, line: float = 0.2, is_filled: bool = False) -> None:
        """Draw a rectangle; `line` is how thick, in mm."""
        canvas, bottom = self._canvas, self._height - box.y - box.height
        self._set_pen(line)
        canvas.rect(box.x * mm, bottom * mm, box.width * mm, box.height * mm, fill=is_filled)

    def rule(self, x: float, y: float, *, width: float = 0, height: float = 0, dash: float = 0) -> None:
        """Draw a line to the right or down; `dash` is the length of its dashes in mm."""
        canvas, top = self._canvas, self._height - y
        self._set_pen(0.2)
        canvas.setDash([dash * mm] if dash else [])
        canvas.line(x * mm, top * mm, (x + width) * mm, (top - height) * mm)
        canvas.setDash([])

    def _set_pen(self, line: float) -> None:
        self._canvas.setStrokeGray(0)
        self._canvas.setFillGray(0)
        self._canvas.setLineWidth(line * mm)

    def barcode(self, box: Box, value: str, *, module: float) -> None:
        """Draw a Code 128 into the middle of a box; `module` is the width of its narrowest bar, in mm."""
        bars = Code128Auto(value, barHeight=box.height * mm, barWidth=module * mm, quiet=False)
        # At a whole number of modules, so that a printer whose dots divide them draws all bars equally wide.
        left = round((box.x + (box.width - bars.width / mm) / 2) / module) * module
        self._canvas.setFillGray(0)
        bars.drawOn(self._canvas, left * mm, (self._height - box.y - box.height) * mm)


def build_sheet(draw: Callable[[Sheet], None], *, width: float, height: float, title: str) -> bytes:
    """Make a PDF of one page; the same drawing gives the same bytes."""
    out = BytesIO()
    with _ONE_AT_A_TIME:
        _face()
        size = (width * mm, height * mm)
        canvas = Canvas(out, size, initialFontName=_FONT, invariant=1, pageCompression=1, lang="zh-CN")
        canvas.setTitle(title)
        canvas.setAuthor("govpost")
        draw(Sheet(canvas, height=height))
        canvas.save()
    return out.getvalue()


@cache
def _face() -> Any:
    """Load the font, once a process, when the first page is made."""
    data = resources.files("govpost.adapters").joinpath("fonts", f"{_FONT}.ttf").read_bytes()
    font = TTFont(_FONT, BytesIO(data), asciiReadable=False)
    pdfmetrics.registerFont(font)
    return font.face


def _shown(text: Text) -> Text:
    """Put a paragraph into characters of the font: one line, no controls, 〓 for each that it lacks."""
    known = _face().charToGlyph
    spaced = (" " if char in "\t\n\r" else char for char in unicodedata.normalize("NFC", text.text))
    visible = (char for char in spaced if not _is_invisible(char))
    return replace(text, text="".join(char if ord(char) in known else _MISSING for char in visible))


def _is_invisible(char: str) -> bool:
    """Tell what has no look of its own: controls, direction marks, joiners, selectors of a variant."""
    return unicodedata.category(char) in {"Cc", "Cf"} or unicodedata.name(char, "").startswith("VARIATION SELECTOR")


def _fit(box: Box, texts: Sequence[Text], *, least: float) -> Sequence[_Line]:
    """Break paragraphs into lines of the largest sizes that fit; at the least one, cut what is too much."""
    largest = max(text.size for text in texts)
    sizes = [largest - step * _STEP for step in range(1 + max(0, int((largest - least) / _STEP)))]
    first = bisect_left(sizes, x=True, key=lambda most: _has_room(box, _wrap(box, texts, most=most)))
    lines = _wrap(box, texts, most=sizes[min(first, len(sizes) - 1)])
    while not _has_room(box, lines) and len(lines) > 1:
        lines = [*lines[:-2], _cut(lines[-2], width=box.width * mm)]
    return lines


def _has_room(box: Box, lines: Sequence[_Line]) -> bool:
    return _height(lines) <= box.height * float(mm)


def _height(lines: Sequence[_Line]) -> float:
    return sum(line.size for line in lines) * _LEADING


def _width(text: str, size: float) -> float:
    return sum(_widths(text, size))


def _widths(text: str, size: float) -> Sequence[float]:
    of_code = _face().charWidths
    return [of_code[ord(char)] * size / 1000 for char in text]


def _wrap(box: Box, texts: Sequence[Text], *, most: float) -> Sequence[_Line]:
    return [
        _Line(line, size, text.bold)
        for text in texts
        for size in (min(text.size, most),)
        for line in _break(text.text, box.width * mm, size)
    ]


def _break(text: str, width: float, size: float) -> Sequence[str]:
    widths = _widths(text, size)
    if sum(widths) <= width:
        return [text]
    # A mark that may not begin a line hangs out of the one before: half of it is blank.
    return [line for _, line in dumbSplit(text, widths, width - size / 2)]


def _cut(line: _Line, *, width: float) -> _Line:
    text = line.text
    while text and _width(text + "…", line.size) > width:
        text = text[:-1]
    return _Line(text + "…", line.size, line.bold)
