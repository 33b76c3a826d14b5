"""A table out of a device's conformance statement, as people paste or upload it.

Vendors' tables differ in everything: separators, quoted cells over several lines, rows that span
lines, SOP Classes by name or by UID, roles as words or as columns of Yes and No, one Transfer
Syntax a row or several in a cell. Nothing here knows what we offer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from pydicom.uid import UID_dictionary

from apps.dicom import sop_classes, transfer_syntaxes
from apps.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

SCU, SCP = "SCU", "SCP"
_MOST_LINES: Final = 20_000
_MOST_WORDS: Final = 14
_LONGEST_CELL: Final = 2000
_STANDARD_ROOT: Final = "1.2.840.10008."
# Bounded, so that a long run of digits and dots costs no more than its length.
_UID: Final = re.compile(r"(?<![\w.])[012](?:\.\d{1,39}){3,30}(?!\.?\w)")
_SPLIT: Final = re.compile(r"[\t;|]|,(?!\s*(?:Non-Hierarchical|First-Order|Hierarchical))")
_COLUMNS: Final = re.compile(r"\s{2,}")
_ROLE: Final = re.compile(r"\b(SCU|SCP|user|provider|both)\b", re.IGNORECASE)
_ROLES_OF: Final = {
    "scu": (SCU,),
    "scp": (SCP,),
    "user": (SCU,),
    "provider": (SCP,),
    "both": (SCU, SCP),
}
_MARKS: Final = {
    **dict.fromkeys(("yes", "y", "x", "✓", "✔", "☒", "supported", "true"), True),
    **dict.fromkeys(
        ("no", "n", "-", "\N{EN DASH}", "\N{EM DASH}", "☐", "not supported", "false"), False
    ),
}
# Spellings of Transfer Syntaxes and of SOP Classes by what they mean; a cell or a run of words.
_ALIASES: Final = {
    "ile": IMPLICIT_VR_LITTLE_ENDIAN,
    "ivle": IMPLICIT_VR_LITTLE_ENDIAN,
    "ivrle": IMPLICIT_VR_LITTLE_ENDIAN,
    "implicit": IMPLICIT_VR_LITTLE_ENDIAN,
    "implicitvrle": IMPLICIT_VR_LITTLE_ENDIAN,
    "implicitlittleendian": IMPLICIT_VR_LITTLE_ENDIAN,
    "littleendianimplicit": IMPLICIT_VR_LITTLE_ENDIAN,
    "dicomimplicitvrlittleendian": IMPLICIT_VR_LITTLE_ENDIAN,
    "ele": EXPLICIT_VR_LITTLE_ENDIAN,
    "evle": EXPLICIT_VR_LITTLE_ENDIAN,
    "evrle": EXPLICIT_VR_LITTLE_ENDIAN,
    "explicit": EXPLICIT_VR_LITTLE_ENDIAN,
    "explicitvrle": EXPLICIT_VR_LITTLE_ENDIAN,
    "explicitlittleendian": EXPLICIT_VR_LITTLE_ENDIAN,
    "littleendianexplicit": EXPLICIT_VR_LITTLE_ENDIAN,
    "dicomexplicitvrlittleendian": EXPLICIT_VR_LITTLE_ENDIAN,
    "ebe": EXPLICIT_VR_BIG_ENDIAN,
    "evbe": EXPLICIT_VR_BIG_ENDIAN,
    "bigendian": EXPLICIT_VR_BIG_ENDIAN,
    "explicitvrbe": EXPLICIT_VR_BIG_ENDIAN,
    "explicitbigendian": EXPLICIT_VR_BIG_ENDIAN,
    "bigendianexplicit": EXPLICIT_VR_BIG_ENDIAN,
    "dicomexplicitvrbigendian": EXPLICIT_VR_BIG_ENDIAN,
    "jpegbaseline": "1.2.840.10008.1.2.4.50",
    "jpegbaselineprocess1": "1.2.840.10008.1.2.4.50",
    "jpegextended": "1.2.840.10008.1.2.4.51",
    "jpegextendedprocess24": "1.2.840.10008.1.2.4.51",
    "jpeglossless": "1.2.840.10008.1.2.4.70",
    "jpeglosslessprocess14": "1.2.840.10008.1.2.4.57",
    "jpeglosslessfirstorderprediction": "1.2.840.10008.1.2.4.70",
    "jpeglosslessnonhierarchicalfirstorderprediction": "1.2.840.10008.1.2.4.70",
    "jpeglsslossless": "1.2.840.10008.1.2.4.80",
    "jpegls": "1.2.840.10008.1.2.4.80",
    "jpeglslossless": "1.2.840.10008.1.2.4.80",
    "jpeg2000lossless": "1.2.840.10008.1.2.4.90",
    "jpeg2000losslessonly": "1.2.840.10008.1.2.4.90",
    "jpeg2000": "1.2.840.10008.1.2.4.91",
    "rle": "1.2.840.10008.1.2.5",
    "deflated": "1.2.840.10008.1.2.1.99",
    "cecho": "1.2.840.10008.1.1",
    "modalityworklist": "1.2.840.10008.5.1.4.31",
    "modalityworklistfind": "1.2.840.10008.5.1.4.31",
    "mwl": "1.2.840.10008.5.1.4.31",
    "basicworklist": "1.2.840.10008.5.1.4.31",
    "mpps": "1.2.840.10008.3.1.2.3.3",
    "modalityperformedprocedurestep": "1.2.840.10008.3.1.2.3.3",
    "storagecommitment": "1.2.840.10008.1.20.1",
    "storagecommitmentpushmodel": "1.2.840.10008.1.20.1",
    "studyrootfind": "1.2.840.10008.5.1.4.1.2.2.1",
    "studyrootmove": "1.2.840.10008.5.1.4.1.2.2.2",
    "studyrootget": "1.2.840.10008.5.1.4.1.2.2.3",
    "studyrootqueryretrievefind": "1.2.840.10008.5.1.4.1.2.2.1",
    "studyrootqueryretrievemove": "1.2.840.10008.5.1.4.1.2.2.2",
    "studyrootqueryretrieveget": "1.2.840.10008.5.1.4.1.2.2.3",
    "patientrootfind": "1.2.840.10008.5.1.4.1.2.1.1",
    "patientrootmove": "1.2.840.10008.5.1.4.1.2.1.2",
    "patientrootget": "1.2.840.10008.5.1.4.1.2.1.3",
    "patientrootqueryretrievefind": "1.2.840.10008.5.1.4.1.2.1.1",
    "patientrootqueryretrievemove": "1.2.840.10008.5.1.4.1.2.1.2",
    "patientrootqueryretrieveget": "1.2.840.10008.5.1.4.1.2.1.3",
}


@dataclass(slots=True)
class Entry:
    """A row: SOP Classes in roles. `transfer_syntaxes` is empty where the table tells none."""

    sop_classes: tuple[str, ...]
    roles: tuple[str, ...]
    transfer_syntaxes: list[str] = field(default_factory=list)


def read_table(text: str) -> tuple[list[Entry], list[str]]:
    """The rows, and the lines nothing could be made of, with their numbers."""
    entries: list[Entry] = []
    problems: list[str] = []
    header: tuple[str, ...] = ()
    for number, line in _lines(text):
        cells = _cells(line)
        columns = _role_columns(cells)
        parsed = _Line(cells, header)
        if parsed.sop_classes:
            entries.append(Entry(tuple(parsed.sop_classes), parsed.roles, parsed.syntaxes))
        elif parsed.syntaxes and entries:
            # A row of the table before that goes on; a role may stand beside each Transfer Syntax.
            entries[-1].transfer_syntaxes += parsed.syntaxes
        elif any(columns):
            header = columns
        elif any(cells):
            problems.append(f"Line {number}: {line.strip()[:80]}")
    return entries, problems


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first: a quoted cell may go over several."""
    kept, since = "", 0
    for number, line in enumerate(text.splitlines()[:_MOST_LINES], 1):
        kept, since = (f"{kept};{line}", since) if kept else (line, number)
        if kept.count('"') % 2 and len(kept) < _LONGEST_CELL:
            continue
        yield since, kept
        kept = ""
    if kept:
        yield since, kept


def _cells(line: str) -> list[str]:
    """Empty ones too, because columns count; without separators two blanks divide."""
    parts = _SPLIT.split(line)
    if len(parts) == 1:
        parts = _COLUMNS.split(line.strip())
    return [part.strip(" \t\"'\N{NO-BREAK SPACE}") for part in parts]


def _role_columns(cells: Sequence[str]) -> tuple[str, ...]:
    """Of a heading the role each column is for, empty where there are not two of them."""
    found = [_column_role(cell) for cell in cells]
    if len(cells) <= 2 and sum(map(bool, found)) < 2:  # noqa: PLR2004 -- SCU and SCP
        words = [_column_role(word) for cell in cells for word in cell.split()]
        found = words if words.count(SCU) == words.count(SCP) == 1 else found
    return tuple(found) if {SCU, SCP} <= set(found) else ()


def _column_role(cell: str) -> str:
    roles = {role for word in _ROLE.findall(cell) for role in _ROLES_OF[word.lower()]}
    return roles.pop() if len(roles) == 1 and not _UID.search(cell) else ""


class _Line:
    """What the cells of one line say; `header` is the role of each column, where one told it."""

    def __init__(self, cells: Sequence[str], header: tuple[str, ...]) -> None:
        self.sop_classes: list[str] = []
        self.syntaxes: list[str] = []
        self._named: list[str] = []
        self._private: list[str] = []
        for cell in cells:
            self._read(cell)
        marked = _marked(cells, header)
        self.roles = tuple(dict.fromkeys(self._named)) if marked is None else marked
        if (self._named or self.syntaxes or marked) and not self.sop_classes:
            self.sop_classes = self._private[:1]
        if not self._named and marked is None:
            self.roles = (SCU,)

    def _read(self, cell: str) -> None:
        uids = _UID.findall(cell)
        for rest in _UID.split(cell[:_LONGEST_CELL]):
            uids += _uids_in_words(rest)
        for uid in uids:
            if uid in transfer_syntaxes.BY_UID:
                self.syntaxes.append(uid)
            elif _is_sop_class(uid):
                if uid not in self.sop_classes:
                    self.sop_classes.append(uid)
            elif not uid.startswith(_STANDARD_ROOT):
                self._private.append(uid)
        for word in _ROLE.findall(_UID.sub(" ", cell)):
            self._named += _ROLES_OF[word.lower()]


def _marked(cells: Sequence[str], header: tuple[str, ...]) -> tuple[str, ...] | None:
    """Roles told by Yes and No under their headings; None where there are no such marks.

    By position where the line has the columns of its heading, else by order.
    """
    if len(header) == len(cells):
        under = [
            (role, _MARKS.get(cell.lower()), cell)
            for role, cell in zip(header, cells, strict=True)
            if role
        ]
        if any(mark is not None for _, mark, _ in under):
            return tuple(role for role, mark, _ in under if mark)
    words = [
        word for cell in cells for word in ([cell] if cell.lower() in _MARKS else cell.split())
    ]
    marks = [_MARKS[word.lower()] for word in words if word.lower() in _MARKS]
    order = [role for role in header if role] or [SCU, SCP]
    if len(marks) < len(order):
        return None
    return tuple(role for role, mark in zip(order, marks[-len(order) :], strict=True) if mark)


def _uids_in_words(cell: str) -> Iterator[str]:
    """The whole cell by a name, else the longest runs of words that are one."""
    whole = _ALIASES.get(_plain(cell)) or _names().get(_plain(cell))
    if whole:
        yield whole
        return
    words = [each for each in re.split(r"[\s/]+", cell) if each]
    place = 0
    while place < len(words):
        for length in range(min(_MOST_WORDS, len(words) - place), 0, -1):
            plain = _plain(" ".join(words[place : place + length]))
            uid = _ALIASES.get(plain) or _names().get(plain)
            if uid:
                yield uid
                place += length - 1
                break
        place += 1


def _plain(text: str) -> str:
    """Letters and digits; words that tables add or leave out are dropped."""
    text = re.sub(r"\([^)]*\)|\b(?:Meta )?SOP Class\b|\bRetired\b", "", text, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _is_sop_class(uid: str) -> bool:
    return uid in sop_classes.BY_UID or uid in _all_names()


@cache
def _all_names() -> dict[str, str]:
    return {uid: row[0] for uid, row in UID_dictionary.items() if "SOP Class" in row[1]}


@cache
def _names() -> dict[str, str]:
    return {name: uid for name, uid in _spellings() if name}


def _spellings() -> Iterator[tuple[str, str]]:
    for uid, name in _all_names().items():
        yield _plain(name), uid
    for row in sop_classes.TABLE:
        yield _plain(row.keyword), row.uid
        yield _plain(row.name), row.uid
        yield _plain(row.name.removesuffix(" Storage")), row.uid
    for syntax in transfer_syntaxes.TABLE:
        yield _plain(syntax.name), syntax.uid
