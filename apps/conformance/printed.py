"""The statement as a PDF for a tender's file: title page, contents with page numbers, tables.

The only importer of reportlab. Everything drawn comes from the document; text is escaped, because
AE titles and names of rules are what people typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Line, Polygon, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Frame,
    LongTable,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus.tableofcontents import TableOfContents

from apps.conformance.data_flow import WIDTH, Diagram
from apps.conformance.document import Row, Section, Statement, Table

_MARGIN: Final = 20 * mm
_BROAD: Final = A4[0] - 2 * _MARGIN
_SIZE: Final = 7.5
_PADDING: Final = 3.0
_INK, _QUIET, _LINE = (
    colors.HexColor("#14181d"),
    colors.HexColor("#4c5863"),
    colors.HexColor("#c3cad2"),
)
_HEAD: Final = colors.HexColor("#eef1f4")


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    told = {"fontName": "Helvetica", "leading": size * 1.35, "textColor": _INK} | more
    return ParagraphStyle(name, fontSize=size, **told)


_TEXT: Final = _style("text", 9.5, spaceAfter=6)
_CELL: Final = _style("cell", _SIZE, splitLongWords=1)
_TOP_CELL: Final = _style("top", _SIZE, fontName="Helvetica-Bold", textColor=_QUIET)
_CAPTION: Final = _style("caption", 8.5, fontName="Helvetica-Bold", spaceBefore=8, spaceAfter=3)
_HEADINGS: Final = tuple(
    _style(f"heading{level}", size, fontName="Helvetica-Bold", spaceBefore=size, spaceAfter=5,
           keepWithNext=1)
    for level, size in ((1, 16.0), (2, 13.0), (3, 11.0), (4, 10.0))
)  # fmt: skip
_CONTENTS: Final = tuple(
    _style(f"contents{level}", 9.5 if level else 10.0, leftIndent=12 * level,
           fontName="Helvetica" if level else "Helvetica-Bold")
    for level in range(4)
)  # fmt: skip


# Headings are not left alone at the foot of a page; a chapter has at least half of one.
_HEADING_NEEDS: Final = (110 * mm, 60 * mm, 45 * mm, 35 * mm)


@dataclass(frozen=True, slots=True)
class Edition:
    """What the title page says beside the document; `marks` are the self-tests in words by claim.

    `revisions` are version, moment and what changed, the newest first.
    """

    ae_title: str
    product: str
    version: str
    in_force_since: str
    tested: str
    marks: Mapping[str, str]
    revisions: Sequence[tuple[str, str, str]]


def printed(statement: Statement, edition: Edition) -> bytes:
    """The whole PDF. It is laid out until page numbers in the contents are right."""
    out = BytesIO()
    document = BaseDocTemplate(
        out,
        pagesize=A4,
        title=statement.title,
        author=edition.product,
        subject=f"Version {edition.version}",
    )
    frame = Frame(_MARGIN, _MARGIN, _BROAD, A4[1] - 2 * _MARGIN, 0, 0, 0, 0)
    pages = _Pages(statement.title, edition)
    document.addPageTemplates(
        [
            PageTemplate("title", [frame]),
            PageTemplate("page", [frame], onPageEnd=pages.draw),
        ]
    )
    document.afterFlowable = _noting(document)
    contents = TableOfContents(levelStyles=list(_CONTENTS), dotsMinLevel=0)
    story = [*_title_page(statement, edition), *_front(contents, edition)]
    for section in statement.all_sections():
        story += _section(section, edition.marks)
    document.multiBuild(story)
    return out.getvalue()


class _Pages:
    """Header and footer. The number of pages is known from the pass before."""

    def __init__(self, title: str, edition: Edition) -> None:
        self._title = title
        self._words = f"Version {edition.version}, in force since {edition.in_force_since}"
        self._last = 0

    def draw(self, canvas: Any, _document: Any) -> None:
        """Called at the end of each page but the first."""
        number = canvas.getPageNumber()
        self._last = max(self._last, number)
        canvas.saveState()
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(_QUIET)
        canvas.setStrokeColor(_LINE)
        right = A4[0] - _MARGIN
        canvas.drawString(_MARGIN, A4[1] - 13 * mm, self._title)
        canvas.line(_MARGIN, A4[1] - 15 * mm, right, A4[1] - 15 * mm)
        canvas.drawString(_MARGIN, 12 * mm, self._words)
        canvas.drawRightString(right, 12 * mm, f"Page {number} of {self._last}")
        canvas.restoreState()


def _noting(document: Any) -> Callable[[Any], None]:
    """Tells contents and outline of each heading as it is placed."""

    def note(flowable: Any) -> None:
        number = getattr(flowable, "section", "")
        if not number:
            return
        level = min(number.count("."), 3)
        words, key = flowable.getPlainText(), f"s{number}"
        document.canv.bookmarkPage(key)
        document.canv.addOutlineEntry(words, key, level, closed=level > 0)
        document.notify("TOCEntry", (level, escape(words), document.page, key))

    return note


def _title_page(statement: Statement, edition: Edition) -> Iterator[Any]:
    big = _style("big", 28, fontName="Helvetica-Bold")
    fact = _style("fact", 11)
    yield Spacer(1, 60 * mm)
    yield Paragraph("DICOM Conformance Statement", big)
    yield Spacer(1, 8 * mm)
    rows = (
        ("Product", edition.product),
        ("Application Entity", edition.ae_title),
        ("Version of this statement", edition.version),
        ("In force since", edition.in_force_since),
        ("Self-test", edition.tested),
    )
    cells = [[_paragraph(name, _TEXT), _paragraph(value, fact)] for name, value in rows]
    yield LongTable(cells, colWidths=[55 * mm, _BROAD - 55 * mm], hAlign="LEFT", style=[
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
    ])  # fmt: skip
    yield Spacer(1, 12 * mm)
    yield _paragraph(
        f"{statement.title}. Generated from the configuration in force and from the tables the "
        "program itself works by.",
        _TEXT,
    )
    yield NextPageTemplate("page")
    yield PageBreak()


def _front(contents: Any, edition: Edition) -> Iterator[Any]:
    yield Paragraph("2 Contents", _HEADINGS[0])
    yield contents
    rows = tuple(Row(each) for each in edition.revisions)
    yield from _table(Table("Revision history", ("version", "since", "changed"), rows), {})
    yield PageBreak()


def _section(section: Section, marks: Mapping[str, str]) -> Iterator[Any]:
    style = _HEADINGS[min(section.level, 4) - 1]
    heading = _paragraph(f"{section.number} {section.title}", style)
    heading.section = section.number
    yield CondPageBreak(_HEADING_NEEDS[min(section.level, 4) - 1])
    yield heading
    for text in section.text:
        yield _paragraph(text, _TEXT)
    if section.diagram is not None:
        yield _drawing(section.diagram)
    for table in section.tables:
        yield from _table(table, marks)


def _table(table: Table, marks: Mapping[str, str]) -> Iterator[Any]:
    """Claims get a column that says how they were proved."""
    proved = any(row.claim is not None for row in table.rows)
    head = (*table.head, "self-test") if proved else table.head
    rows = [_cells(row, marks) if proved else row.cells for row in table.rows]
    if not rows:
        return
    yield CondPageBreak(25 * mm)
    yield _paragraph(table.caption, _CAPTION)
    cells = [[_paragraph(cell, _TOP_CELL) for cell in head]]
    cells += [[_paragraph(cell, _CELL) for cell in row] for row in rows]
    yield LongTable(cells, colWidths=column_widths((head, *rows)), repeatRows=1, hAlign="LEFT",
                    style=[
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
        ("LEFTPADDING", (0, 0), (-1, -1), _PADDING), ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
        ("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ])  # fmt: skip
    yield Spacer(1, 6)


def _cells(row: Row, marks: Mapping[str, str]) -> tuple[str, ...]:
    mark = marks.get(row.claim.id, "not tested yet") if row.claim is not None else ""
    return (*row.cells, mark)


def column_widths(rows: Iterable[Sequence[str]]) -> list[float]:
    """Points for each column: never less than its longest word, as far as the page allows.

    What is left goes to the columns whose text is long.
    """
    least: list[float] = []
    most: list[float] = []
    for row in rows:
        least += [0.0] * (len(row) - len(least))
        most += [0.0] * (len(row) - len(most))
        for place, text in enumerate(row):
            words = [_width(word) for word in text.split(" ")]
            least[place] = max(least[place], *words)
            most[place] = max(most[place], _width(text))
    room = _BROAD
    if sum(most) <= room:
        return [each * room / sum(most) for each in most] if sum(most) > room / 2 else most
    cap = room / len(least) * 1.4
    least = [min(each, cap) for each in least]
    if sum(least) >= room:
        return [each * room / sum(least) for each in least]
    wants = [top - low for top, low in zip(most, least, strict=True)]
    free = room - sum(least)
    return [low + free * want / sum(wants) for low, want in zip(least, wants, strict=True)]


def _width(text: str) -> float:
    return float(stringWidth(text, "Helvetica-Bold", _SIZE)) + 2 * _PADDING + 1


def _drawing(diagram: Diagram) -> Any:
    """The data flow; reportlab counts from below."""
    scale = _BROAD / WIDTH
    drawing = Drawing(_BROAD, diagram.height * scale)
    drawing.scale(scale, scale)
    top = diagram.height
    drawing.add(Line(diagram.border_x, 0, diagram.border_x, top - 8, strokeColor=_QUIET,
                     strokeDashArray=[3, 3], strokeWidth=0.6))  # fmt: skip
    for box in diagram.boxes:
        low = top - box.y - box.height
        drawing.add(Rect(box.x, low, box.width, box.height, strokeColor=_QUIET, strokeWidth=0.6,
                         fillColor=_HEAD if box.is_entity else None))  # fmt: skip
        x, y = box.middle
        size = min(7.5, 7.5 * (box.width - 6) / max(_width(box.words), 1))
        drawing.add(String(x, top - y - size / 3, _drawable(box.words), fontSize=size,
                           fontName="Helvetica", textAnchor="middle", fillColor=_INK))  # fmt: skip
    for arrow in diagram.arrows:
        y = top - arrow.y
        drawing.add(Line(arrow.start, y, arrow.end, y, strokeColor=_INK, strokeWidth=0.6))
        corners = [value for x, below in arrow.head for value in (x, top - below)]
        drawing.add(Polygon(corners, fillColor=_INK, strokeColor=_INK, strokeWidth=0))
    return drawing


def _paragraph(text: str, style: ParagraphStyle) -> Any:
    return Paragraph(escape(_drawable(text)), style)


def _drawable(text: str) -> str:
    """Letters the standard fonts have; others show as a question mark."""
    return text.encode("cp1252", "replace").decode("cp1252")
