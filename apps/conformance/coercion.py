"""What may be coerced, and by which rules it is now (PS3.2 A.4.2.1.2, PS3.4 B.4.1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apps.coercion.models import CoercionRule
from apps.conformance.document import Row, Table
from apps.dicom.coercion import ATTRIBUTES, OPERATIONS

COERCION: Final = (
    "Attributes are coerced by the rules of this installation alone, on receipt or for one "
    "destination. The bytes as received are kept and never changed; queries, metadata and every "
    "instance given out have the new values, and an item more in Original Attributes Sequence "
    "(0400,0561), items that came being preserved. C-STORE is answered with 0000 and never B000: "
    "when it is answered nothing has been coerced. STOW-RS answers Warning Reason B000 with the "
    "original attributes. Conditions of commitment are those of the bytes as received."
)


def coercion_tables() -> Iterator[Table]:
    """The closed lists, and the names of the rules in force; no values."""
    yield Table(
        "Attributes that rules may change",
        ("attribute", "how far"),
        tuple(Row((keyword, change.value)) for keyword, change in ATTRIBUTES.items()),
    )
    yield Table(
        "Operations of rules",
        ("operation", "result"),
        tuple(Row((row.name, row.meaning)) for row in OPERATIONS.values()),
    )
    rules = CoercionRule.objects.filter(enabled=True)
    if rules:
        yield Table(
            "Coercion rules in force",
            ("rule", "when", "AE titles"),
            tuple(
                Row((rule.name, rule.get_direction_display(), rule.ae_titles or "any"))
                for rule in rules
            ),
        )
