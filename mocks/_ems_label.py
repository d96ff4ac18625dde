"""A label as EMS gives it: a PDF of one page in the template's size, with the number on it."""

__all__ = ["build_label"]

_POINTS_PER_MM = 72 / 25.4
#: Template → width and height of the label in mm.
_SIZES = {"129": (76, 129), "149": (76, 149), "179": (100, 179)}


def build_label(waybill_no: str, template: str) -> bytes:
    """Build the PDF, the same bytes for the same number and template. KeyError for an unknown template."""
    width, height = (round(side * _POINTS_PER_MM) for side in _SIZES[template])
    content = f"BT /F1 12 Tf 12 {height - 24} Td ({waybill_no}) Tj ET"
    return _build_pdf(
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(content)}>>\nstream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Courier>>",
    )


def _build_pdf(*objects: str) -> bytes:
    """Write numbered objects, the first of them the catalogue, and the table that says where each begins."""
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode()
    size = len(objects) + 1
    entries = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    table = f"xref\n0 {size}\n0000000000 65535 f \n{entries}trailer\n<</Size {size}/Root 1 0 R>>\n"
    return body + f"{table}startxref\n{len(body)}\n%%EOF\n".encode()
