"""What an e-waybill to print costs."""

import time
from collections.abc import Callable
from io import BytesIO

from reportlab.graphics.barcode.code128 import Code128Auto
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from benchmarks.far_side import order_of, samples
from benchmarks.report import Figure, middle
from govpost.adapters.label import build_label
from govpost.mocks._synthetic import s10_number

__all__ = ["labels"]

_SIZE = (100 * mm, 150 * mm)


def labels(*, is_quick: bool) -> list[Figure]:
    """Measure labels a processor second, beside pages of the same library with the bars and the number alone."""
    number, rounds = (5, 1) if is_quick else (100, 5)
    orders = [order_of("court_waybill", content) for content in samples("court_waybill", "order")]

    def label(serial: int) -> bytes:
        return build_label(orders[serial % len(orders)], s10_number("EA", serial))

    label(0)
    _page(0)
    ours, bare, sizes = [], [], []
    for _ in range(rounds):
        cpu_s, size = _measure(label, number)
        ours.append(number / cpu_s)
        sizes.append(size / number)
        bare.append(number / _measure(_page, number)[0])
    return [
        Figure("per_cpu_s", middle(ours), "labels a processor second", at_least=50, bare=middle(bare)),
        Figure("size_kib", middle(sizes) / 1024, "size of a label, KiB; the letters it uses are in it"),
        Figure("labels", float(number * rounds), "labels made in all"),
    ]


def _measure(make: Callable[[int], bytes], number: int) -> tuple[float, int]:
    """Make so many; returns processor seconds and bytes."""
    begun = time.process_time()
    size = sum(len(make(serial)) for serial in range(number))
    return time.process_time() - begun, size


def _page(serial: int) -> bytes:
    """Make a page with the bars and the number, in a font that every reader has."""
    out = BytesIO()
    canvas = Canvas(out, _SIZE, pageCompression=1)
    text = s10_number("EA", serial)
    Code128Auto(text, barHeight=15 * mm, barWidth=0.3 * mm).drawOn(canvas, 10 * mm, 110 * mm)
    canvas.drawString(10 * mm, 105 * mm, text)
    canvas.save()
    return out.getvalue()
