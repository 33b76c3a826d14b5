"""note_committed, note_copied: the receipts learn that a peer was told, or told us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from apps.archive.models import Instance, Receipt
from apps.commitment.models import CommitmentRequest
from apps.commitment.references import unpacked

_REQUESTS_AT_ONCE: Final = 50
_AT_ONCE: Final = 500
_LONGEST_TITLES: Final = 255


def note_committed() -> None:
    """For every report that was delivered and not noted yet; harmless to repeat.

    By the row of references, each in a transaction of its own: a report about 100,000 instances
    must not keep the indexer waiting.
    """
    due = CommitmentRequest.objects.filter(state=CommitmentRequest.State.REPORTED, noted=False)
    for request in due.order_by("pk")[:_REQUESTS_AT_ONCE]:
        assert request.reported_at is not None
        rows = request.references.exclude(outcomes=None).order_by("number")
        for packed, outcomes in rows.values_list("packed", "outcomes").iterator(chunk_size=1):
            good = [
                each.sop_instance_uid
                for each in unpacked(bytes(packed), bytes(outcomes or b""))
                if not each.failure
            ]
            _note(good, "committed", request.calling_ae_title, request.reported_at)
        CommitmentRequest.objects.filter(pk=request.pk).update(noted=True)


def note_copied(sop_instance_uids: Sequence[str], title: str, at: datetime) -> None:
    """A peer has committed to its copies of these."""
    for start in range(0, len(sop_instance_uids), _AT_ONCE):
        part = sop_instance_uids[start : start + _AT_ONCE]
        Receipt.objects.bulk_create(
            [
                Receipt(instance_id=pk)
                for pk in Instance.objects.filter(sop_instance_uid__in=part).values_list(
                    "pk", flat=True
                )
            ],
            ignore_conflicts=True,
        )
    _note(sop_instance_uids, "copied", title, at)


def _note(uids: Sequence[str], what: str, title: str, at: datetime) -> None:
    for start in range(0, len(uids), _AT_ONCE):
        part = uids[start : start + _AT_ONCE]
        receipts = Receipt.objects.filter(instance__sop_instance_uid__in=part)
        for told in set(receipts.values_list(f"{what}_to", flat=True)):
            receipts.filter(**{f"{what}_to": told}).update(
                **{f"{what}_at": at, f"{what}_to": with_title(told, title)}
            )


def with_title(titles: str, title: str) -> str:
    """The list with one more member, last; the oldest go where it would be too long."""
    members = [each for each in titles.split("\\") if each and each != title]
    while members and len("\\".join([*members, title])) > _LONGEST_TITLES:
        members.pop(0)
    return "\\".join([*members, title])
