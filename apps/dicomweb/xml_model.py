"""Native DICOM Model in XML (PS3.19 A.1) from DICOM JSON (PS3.18 Annex F)."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pydicom.datadict import keyword_for_tag

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<NativeDicomModel xml:space="preserve" xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">'
)
_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
# Characters that XML 1.0 cannot carry, not even escaped.
_UNSENDABLE = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"
)


def native_dicom_model(dataset: dict[str, Any]) -> bytes:
    """One data set as a complete XML document in UTF-8."""
    out = [_HEAD]
    _attributes(dataset, out)
    out.append("</NativeDicomModel>")
    return "".join(out).encode("utf-8", "replace")


def _attributes(dataset: dict[str, Any], out: list[str]) -> None:
    for tag, element in dataset.items():
        creator = _creator_of(tag, dataset) if int(tag[3], 16) & 1 else ""
        if creator:
            # Which block a creator has is the data set's own matter and not said.
            named, shown = f" privateCreator={_quoted(creator)}", f"{tag[:4]}00{tag[6:]}"
        else:
            keyword = keyword_for_tag(int(tag, 16))
            named, shown = f" keyword={quoteattr(keyword)}" if keyword else "", tag
        out.append(f'<DicomAttribute tag="{shown}" vr={quoteattr(element["vr"])}{named}>')
        _content(element, out)
        out.append("</DicomAttribute>")


def _creator_of(tag: str, dataset: dict[str, Any]) -> str:
    """Who reserved the block of a private element (PS3.5 7.8.1); empty for the creators."""
    values = dataset.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value")
    return str(values[0] or "") if tag[4:6] != "00" and values else ""


def _content(element: dict[str, Any], out: list[str]) -> None:
    if "BulkDataURI" in element:
        out.append(f"<BulkData uri={quoteattr(element['BulkDataURI'])}/>")
        return
    if "InlineBinary" in element:
        out.append(f"<InlineBinary>{element['InlineBinary']}</InlineBinary>")
        return
    for number, value in enumerate(element.get("Value", ()), start=1):
        if element["vr"] == "SQ":
            out.append(f'<Item number="{number}">')
            _attributes(value or {}, out)
            out.append("</Item>")
        elif element["vr"] == "PN":
            out.append(f'<PersonName number="{number}">')
            _name(value or {}, out)
            out.append("</PersonName>")
        else:
            out.append(f'<Value number="{number}">{"" if value is None else _text(value)}</Value>')


def _name(groups: dict[str, str], out: list[str]) -> None:
    for group in _NAME_GROUPS:
        if group not in groups:
            continue
        out.append(f"<{group}>")
        for part, text in zip(_NAME_PARTS, groups[group].split("^"), strict=False):
            if text:
                out.append(f"<{part}>{_text(text)}</{part}>")
        out.append(f"</{group}>")


def _text(value: object) -> str:
    """A carriage return would be read as a line feed if it stood there as it is (XML 2.11)."""
    return escape(str(value).translate(_UNSENDABLE), {"\r": "&#13;"})


def _quoted(text: str) -> str:
    return quoteattr(text.translate(_UNSENDABLE))
