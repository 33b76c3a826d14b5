"""What a conformance statement is made of: sections of text and tables, with claims in their rows.

A claim is one sentence that a test can prove. Its id stays the same when its text changes, which is
how versions are compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apps.conformance.data_flow import Diagram


@dataclass(frozen=True, slots=True)
class Claim:
    """`kind` says which self-test proves it; `facts` are what that test needs."""

    id: str
    text: str
    kind: str
    facts: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of a table; its claim, where it is one."""

    cells: tuple[str, ...]
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One heading of PS3.2; `number` is its own, such as `4.2.1.3`."""

    number: str
    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    parts: tuple[Section, ...] = ()
    diagram: Diagram | None = None

    @property
    def level(self) -> int:
        """Depth of the heading, 1 for the top."""
        return self.number.count(".") + 1

    def flat(self) -> Iterator[Section]:
        """This section and all below it, in reading order."""
        yield self
        for part in self.parts:
            yield from part.flat()


@dataclass(frozen=True, slots=True)
class Statement:
    title: str
    sections: tuple[Section, ...]

    def all_sections(self) -> Iterator[Section]:
        """Every section in reading order."""
        for section in self.sections:
            yield from section.flat()

    def claims(self) -> dict[str, Claim]:
        """Every claim by its id, in reading order."""
        rows = (row for part in self.all_sections() for table in part.tables for row in table.rows)
        return {row.claim.id: row.claim for row in rows if row.claim is not None}

    def claims_of(self, kind: str) -> list[Claim]:
        """Those that one test proves, in reading order."""
        return [each for each in self.claims().values() if each.kind == kind]

    def said(self) -> dict[str, str]:
        """Every sentence and row by what it is about: the claims, and what no test can prove.

        Versions are compared by it. Headings tell them apart, not numbers, which shift.
        """
        found = {}
        for section in self.all_sections():
            for place, text in enumerate(section.text):
                found[f"{section.title}: {place}"] = text
            for table in section.tables:
                for row in table.rows:
                    key, text = _said(section, table, row)
                    while key in found:
                        key += "'"
                    found[key] = text
        return found

    @property
    def digest(self) -> str:
        """SHA-256 over all that is said: equal for statements that say the same."""
        return hashlib.sha256(json.dumps(self.said(), sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The whole statement as plain values."""
        return {"title": self.title, "sections": [_section(each) for each in self.sections]}


def _said(section: Section, table: Table, row: Row) -> tuple[str, str]:
    if row.claim is not None:
        return row.claim.id, row.claim.text
    key = f"{section.title}: {table.caption}: {row.cells[0]}"
    return key, f"{section.title}, {table.caption}: {'; '.join(row.cells)}"


def _section(section: Section) -> dict[str, Any]:
    return {
        "number": section.number,
        "title": section.title,
        "text": list(section.text),
        "tables": [
            {
                "caption": table.caption,
                "head": list(table.head),
                "rows": [
                    {"cells": list(row.cells), "claim": row.claim.id if row.claim else None}
                    for row in table.rows
                ],
            }
            for table in section.tables
        ],
        "parts": [_section(each) for each in section.parts],
    }
