"""Questions about commitments, checks and the policy that both follow."""

from __future__ import annotations

from collections.abc import Iterator

from apps.archive.models import Receipt
from apps.commitment.models import CommitmentPolicy, CommitmentRequest, ScrubRun
from apps.commitment.references import unpacked
from apps.dicom.storage_commitment import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    Reference,
    event_information,
)


def commitment_policy() -> CommitmentPolicy:
    """The one row, or its defaults where nobody has saved one."""
    return CommitmentPolicy.objects.filter(pk=1).first() or CommitmentPolicy(pk=1)


def outcomes_of(request: CommitmentRequest) -> Iterator[Reference]:
    """Every instance asked for, once, with what became of it; a thousand in memory."""
    rows = request.references.exclude(outcomes=None).order_by("number")
    for packed, outcomes in rows.values_list("packed", "outcomes").iterator(chunk_size=1):
        yield from unpacked(bytes(packed), bytes(outcomes or b""))


def event_type_of(request: CommitmentRequest) -> int:
    """Event Type ID of the report (PS3.4 J.3.3.1.1)."""
    return FAILURES_EXIST if request.failed else ALL_COMMITTED


def information_of(request: CommitmentRequest, *, implicit: bool) -> bytes:
    """Encoded Event Information of the report: every instance once (PS3.4 table J.3-2)."""
    return event_information(
        request.transaction_uid, request.called_ae_title, outcomes_of(request), implicit=implicit
    )


def damaged_instances() -> int:
    """How many instances were missing or altered when they were last read back."""
    damaged = (Receipt.Verdict.MISSING, Receipt.Verdict.ALTERED)
    return Receipt.objects.filter(verdict__in=damaged).count()


def latest_scrub() -> ScrubRun | None:
    """The newest check of the whole archive, running or not."""
    runs = ScrubRun.objects.filter(scope=ScrubRun.Scope.ALL)
    return runs.order_by("-started_at").first()
