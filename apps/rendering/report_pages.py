"""Structured reports as pages for people: HTML, XHTML and plain text (PS3.18 table 8.7.4-1).

Whatever the object says is escaped; a page holds no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, Final

from apps.dicom.content_items import ContentItem
from apps.dicom.json_values import readable_date, readable_name, text_of
from apps.dicom.structured_report import Report, outline

HTML, TEXT, XML = "text/html", "text/plain", "text/xml"
REPORT_TYPES: Final = (HTML, TEXT, XML)
"""What a report can be rendered to, the default first; the standard requires all three."""

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "dt{font-weight:600}dd{margin:0 0 .5rem 1rem}section{margin-left:1rem}"
)
_DEEPEST_HEADING: Final = 6
# Characters that XML 1.0 cannot carry, not even escaped.
_UNSENDABLE: Final = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"
)


def report_page(dataset: dict[str, Any], media_type: str) -> bytes:
    """The report in UTF-8, as one of `REPORT_TYPES`."""
    report = outline(dataset)
    head = _head(dataset, report)
    if media_type == TEXT:
        return "\n".join(_text(report, head)).encode("utf-8", "replace")
    body = "".join(_html(report, head))
    title = _safe(report.title.meaning or report.sop_class_name)
    if media_type == HTML:
        start, meta = '<!DOCTYPE html><html lang="en">', '<meta charset="utf-8"/>'
    else:
        start = '<?xml version="1.0" encoding="UTF-8"?><html xmlns="http://www.w3.org/1999/xhtml">'
        meta = ""
    page = (
        f"{start}<head>{meta}<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )
    return page.encode("utf-8", "replace")


def _safe(text: str) -> str:
    return escape(text.translate(_UNSENDABLE))


def _head(dataset: dict[str, Any], report: Report) -> list[tuple[str, str]]:
    verified = "; ".join(
        " ".join(filter(None, (each.name, each.organization, each.verified_at)))
        for each in report.verifications
    )
    observers = "; ".join(filter(None, (each.name for each in report.observers)))
    lines = (
        ("Patient", readable_name(text_of(dataset, "00100010"))),
        ("Patient ID", text_of(dataset, "00100020")),
        ("Birth date", readable_date(text_of(dataset, "00100030"))),
        ("Accession number", text_of(dataset, "00080050")),
        ("Written", f"{report.content_date} {report.content_time}".strip()),
        ("Observer", observers),
        ("Completion", report.completion.capitalize()),
        ("Verification", verified or report.verification.capitalize()),
    )
    return [(name, value) for name, value in lines if value]


def _html(report: Report, head: list[tuple[str, str]]) -> Iterator[str]:
    yield f"<h1>{_safe(report.title.meaning or report.sop_class_name)}</h1><dl>"
    for name, value in head:
        yield f"<dt>{_safe(name)}</dt><dd>{_safe(value)}</dd>"
    yield "</dl>"
    for item in report.content:
        yield from _html_item(item, 2)


def _html_item(item: ContentItem, depth: int) -> Iterator[str]:
    name, value = _safe(item.concept.meaning), _safe(_value(item)).replace("\n", "<br/>")
    if item.role == "heading":
        level = min(depth, _DEEPEST_HEADING)
        yield f"<section><h{level}>{name or '&#8212;'}</h{level}>"
    else:
        yield f"<section><p><strong>{name}</strong>{': ' if name else ''}{value}</p>"
    for child in item.children:
        yield from _html_item(child, depth + 1)
    yield "</section>"


def _text(report: Report, head: list[tuple[str, str]]) -> Iterator[str]:
    title = report.title.meaning or report.sop_class_name
    yield title
    yield "=" * max(len(title), 1)
    for name, value in head:
        yield f"{name}: {value}"
    yield ""
    for item in report.content:
        yield from _text_item(item, "")
    yield ""


def _text_item(item: ContentItem, indent: str) -> Iterator[str]:
    name = item.concept.meaning
    value = _value(item).replace("\n", f"\n{indent}  ")
    yield f"{indent}{name}{': ' if name and value else ''}{value}".rstrip()
    for child in item.children:
        yield from _text_item(child, indent + "  ")


def _value(item: ContentItem) -> str:
    """The item's value in words; a reference names the object."""
    words = item.text.replace("\r\n", "\n").replace("\r", "\n")
    if words or item.role == "heading":
        return words
    return ", ".join(
        each.kind or each.sop_instance_uid for each in item.references if each.sop_instance_uid
    )
