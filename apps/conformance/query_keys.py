"""Keys of queries and what is negotiated about them, as sections and tables of the statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from apps.conformance import claims
from apps.conformance.document import Row, Section, Table
from apps.dicom.attributes import UNIQUE_KEYS, Entity
from apps.dicom.worklist import TABLE as WORKLIST
from apps.network.peers import Right


def query_retrieve(number: int) -> Section:
    """What all Query/Retrieve services share."""
    rows = tuple(Row((claim.text,), claim) for claim in claims.extended())
    return Section(
        f"4.2.1.{number}",
        "Query/Retrieve: keys and extended negotiation",
        tables=(Table("Extended negotiation", ("SOP Class and options",), rows), *_keys()),
    )


def _keys() -> Iterator[Table]:
    by_level: dict[Entity, list[Row]] = {entity: [] for entity in claims.QUERY_ENTITIES}
    for row, claim in claims.query_keys():
        unique = " (unique)" if UNIQUE_KEYS[row.entity] == row.keyword else ""
        tag = f"({row.tag_hex[:4]},{row.tag_hex[4:]})"
        cells = (row.keyword + unique, tag, row.vr, row.ps3_4 or "O", row.matching.value)
        by_level[row.entity].append(Row(cells, claim))
    for entity, rows in by_level.items():
        yield Table(
            f"Matching and return keys at level {entity.value}",
            ("attribute", "tag", "VR", "type", "matching"),
            tuple(rows),
        )


def _worklist_keys() -> Iterator[Table]:
    yield Table(
        "Matching and return keys of the worklist",
        ("attribute", "tag", "VR", "type", "matching", "module"),
        tuple(
            Row(
                (
                    each.keyword,
                    f"({each.tag_hex[:4]},{each.tag_hex[4:]})",
                    each.vr,
                    each.ps3_4 or "O",
                    each.matching.value,
                    each.entity.value.capitalize(),
                ),
                claims.worklist_key(each),
            )
            for each in WORKLIST
        ),
    )


def _work_item_keys() -> Iterator[Table]:
    yield Table(
        "Matching and return keys of the UPS",
        ("attribute", "matching"),
        (
            Row(("every standard attribute, also inside sequences", "by its VR, PS3.4 C.2.2.2")),
            Row(("Transaction UID", "never matched and never returned")),
        ),
    )


def no_keys() -> Iterator[Table]:
    yield from ()


# TABLE: the keys of a service's C-FIND, by the right it needs.
KEYS_OF: Final[dict[Right | None, Callable[[], Iterator[Table]]]] = {
    Right.WORKLIST: _worklist_keys,
    Right.UPS: _work_item_keys,
}
