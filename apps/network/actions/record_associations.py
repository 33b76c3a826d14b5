"""Write down what associations negotiated, did and ended with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.network.association_note import AssociationNote, negotiation
from apps.network.models import AssociationRecord, NegotiationRecord
from apps.network.selectors import network_policy

_KEYS: Final = frozenset({"id", "name"})
_CHANGING: Final = tuple(
    each.name for each in AssociationRecord._meta.concrete_fields if each.name not in _KEYS
)


def record_associations(notes: Sequence[AssociationNote]) -> None:
    """Inserts or updates by name: five statements for any number. No event: each row is one.

    Nothing where the policy wants no records. Raises the database's errors.
    """
    if not network_policy().record_associations:
        return
    now = timezone.now()
    newest = {note.name: note for note in notes}
    with transaction.atomic():
        negotiations = _negotiations(list(newest.values()))
        rows = []
        for note in newest.values():
            digest = negotiation(note.contexts)[0] if note.contexts else ""
            rows.append(_row(note))
            rows[-1].written_at = now
            rows[-1].negotiation_id = negotiations.get(digest)
        AssociationRecord.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["name"], update_fields=_CHANGING
        )


def _negotiations(notes: list[AssociationNote]) -> dict[str, int]:
    """Digest to primary key; negotiations not seen before are added."""
    wanted = dict(negotiation(note.contexts) for note in notes if note.contexts)
    table = NegotiationRecord.objects.filter(digest__in=wanted)
    known = dict(table.values_list("digest", "pk"))
    missing = wanted.keys() - known.keys()
    if missing:
        NegotiationRecord.objects.bulk_create(
            [NegotiationRecord(digest=each, contexts=wanted[each]) for each in missing],
            ignore_conflicts=True,
        )
        known = dict(table.values_list("digest", "pk"))
    return known


def _row(note: AssociationNote) -> AssociationRecord:
    """Every text fits its column; what a peer sends may be longer, or hold a NUL."""
    texts = {
        name: getattr(note, name).replace("\0", "")[: _length(name)]
        for name in (
            "address",
            "calling_ae_title",
            "called_ae_title",
            "tls",
            "certificate",
            "user",
            "implementation_class_uid",
            "implementation_version_name",
            "reason",
        )
    }
    return AssociationRecord(
        name=note.name,
        direction=note.direction,
        port=note.port,
        maximum_length=note.maximum_length,
        started_at=note.started_at,
        ended_at=note.ended_at,
        ending=note.ending,
        connections=note.connections,
        operations={name: dict(counts) for name, counts in list(note.operations.items())},
        received_bytes=note.received_bytes,
        sent_bytes=note.sent_bytes,
        refused=[list(each) for each in note.refused],
        **texts,
    )


def _length(name: str) -> int:
    return int(getattr(AssociationRecord._meta.get_field(name), "max_length", 0))
