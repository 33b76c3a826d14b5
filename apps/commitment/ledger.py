"""The receipt ledger: what can be said of the bytes of a study, an association, a sender.

received (durable, its hash written down) → indexed → read back and compared → committed → copied.
Every answer is counted from the rows, so it is true at the moment it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from apps.access.principals import Principal
from apps.archive.models import Instance, Receipt, Study
from apps.archive.selectors import scope_of, study_of
from apps.errors import NotFound
from apps.ingest.models import QuarantinedInstance
from apps.network.models import AssociationRecord

PAGE: Final = 50
_LARGEST_KEY: Final = 2**63 - 1
_GOOD: Final = Q(receipt__verdict=Receipt.Verdict.GOOD)
_DAMAGED: Final = Q(receipt__verdict__in=(Receipt.Verdict.MISSING, Receipt.Verdict.ALTERED))
_COUNTS: Final[dict[str, Any]] = {
    "instances": Count("pk"),
    "size_bytes": Sum("size_bytes"),
    "first_received_at": Min("received_at"),
    "last_received_at": Max("received_at"),
    "indexed_at": Max("indexed_at"),
    "verified": Count("pk", filter=_GOOD),
    "verified_from": Min("receipt__verified_at", filter=_GOOD),
    "verified_to": Max("receipt__verified_at", filter=_GOOD),
    "damaged": Count("pk", filter=_DAMAGED),
    "committed": Count("receipt__committed_at"),
    "committed_at": Max("receipt__committed_at"),
    "copied": Count("receipt__copied_at"),
    "copied_at": Max("receipt__copied_at"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """What the receipts say of some instances. Times are of the earliest and the latest.

    `quarantined` objects were received too and wait for a decision; `acknowledged` is how many
    C-STORE were answered with success, where that is known.
    """

    instances: int = 0
    size_bytes: int = 0
    first_received_at: datetime | None = None
    last_received_at: datetime | None = None
    indexed_at: datetime | None = None
    verified: int = 0
    verified_from: datetime | None = None
    verified_to: datetime | None = None
    damaged: int = 0
    committed: int = 0
    committed_at: datetime | None = None
    copied: int = 0
    copied_at: datetime | None = None
    quarantined: int = 0
    acknowledged: int | None = None

    @property
    def safe(self) -> bool:
        """Everything was read back as it was received, and nothing waits for a decision."""
        return (
            self.instances > 0
            and self.verified == self.instances
            and not self.quarantined
            and (self.acknowledged is None or self.acknowledged <= self.instances)
        )

    @property
    def sentence(self) -> str:
        """The answer in one sentence, for whoever stands at the scanner."""
        if not self.instances:
            return "Nothing of this is stored."
        if self.damaged:
            return f"Do not delete: {self.damaged} of {_images(self.instances)} are damaged here."
        if self.quarantined:
            return (
                f"Do not delete: {self.quarantined} more were received and wait in quarantine "
                "for a decision."
            )
        if self.acknowledged is not None and self.acknowledged > self.instances:
            return (
                f"Do not delete: {self.acknowledged} were acknowledged and {self.instances} are "
                "found under this association."
            )
        if self.verified < self.instances:
            return (
                f"Not yet: {self.verified} of {_images(self.instances)} have been read back and "
                "compared so far."
            )
        one = self.instances == 1
        return (
            f"{_images(self.instances)} {'is' if one else 'are'} safe: "
            f"the sender may delete {'it' if one else 'them'}."
        )


def _images(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


@dataclass(frozen=True, slots=True)
class StudyAccount:
    """One study with its account, and the same by sender."""

    study: Study
    account: Account
    senders: tuple[tuple[str, Account], ...]


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Studies, the latest arrival first; `next` is where to go on, "" at the end."""

    studies: tuple[StudyAccount, ...]
    next: str


def ledger_page(
    principal: Principal, *, sender: str = "", since: datetime | None = None, cursor: str = ""
) -> LedgerPage:
    """A page of studies with their accounts; a handful of queries whatever it holds.

    `sender` is an AE title any of the study's instances came from. Raises NotPermitted.
    """
    rows = Study.objects.filter(scope_of(principal), number_of_study_related_instances__gt=0)
    if sender:
        own = Instance.objects.filter(study=OuterRef("pk"), source_ae_title=sender)
        rows = rows.filter(Exists(own))
    if since is not None:
        rows = rows.filter(last_received_at__gte=since)
    place = _place(cursor)
    if place is not None:
        at, pk = place
        rows = rows.filter(Q(last_received_at__lt=at) | Q(last_received_at=at, pk__lt=pk))
    studies = list(rows.order_by("-last_received_at", "-pk")[: PAGE + 1])
    more = len(studies) > PAGE
    studies = studies[:PAGE]
    following = f"{studies[-1].last_received_at.isoformat()} {studies[-1].pk}" if more else ""
    return LedgerPage(tuple(_accounts(studies)), following)


def study_account(principal: Principal, study_instance_uid: str) -> StudyAccount:
    """One study's account. Raises NotFound, NotPermitted."""
    return _accounts([study_of(study_instance_uid, principal)])[0]


def association_account(
    principal: Principal, association_id: int
) -> tuple[AssociationRecord, Account]:
    """What came by one association and is stored now, against what we acknowledged.

    Instances that were stored before, and were sent once more, do not count as found: then the
    answer is no, and each study's own account has the truth. Raises NotFound, NotPermitted.
    """
    visible = scope_of(principal, "study__")
    record = AssociationRecord.objects.filter(
        pk=association_id, direction=AssociationRecord.Direction.IN
    ).first()
    if record is None:
        raise NotFound("There is no such association.")
    end = record.ended_at or timezone.now()
    rows = Instance.objects.filter(
        visible,
        study__last_received_at__gte=record.started_at,
        study__received_at__lte=end,
        received_at__range=(record.started_at, end),
        source_ae_title=record.calling_ae_title,
        source_address=record.address,
    )
    quarantined = QuarantinedInstance.objects.filter(
        received_at__range=(record.started_at, end),
        source_ae_title=record.calling_ae_title,
        source_address=record.address,
        state=QuarantinedInstance.State.WAITING,
    ).count()
    stored = record.operations.get("C-STORE", {}).get("0000", 0)
    counts = rows.aggregate(**_COUNTS)
    return record, _account(counts, quarantined=quarantined, acknowledged=int(stored))


def _place(cursor: str) -> tuple[datetime, int] | None:
    moment, _, pk = cursor.partition(" ")
    try:
        place = datetime.fromisoformat(moment).astimezone(UTC), int(pk)
    except (ValueError, OverflowError):
        return None
    return place if 0 <= place[1] <= _LARGEST_KEY else None


def _accounts(studies: list[Study]) -> list[StudyAccount]:
    """Three queries for any number of studies."""
    keys = [study.pk for study in studies]
    rows: QuerySet[Instance] = Instance.objects.filter(study_id__in=keys)
    whole: dict[int, Any] = {
        row["study_id"]: row for row in rows.values("study_id").annotate(**_COUNTS)
    }
    senders: dict[int, list[tuple[str, Account]]] = {}
    columns = ("study_id", "source_ae_title", "source_door")
    by_sender: Iterable[Any] = rows.values(*columns).annotate(**_COUNTS).order_by(*columns)
    for row in by_sender:
        name = row["source_ae_title"] or row["source_door"] or "unknown"
        senders.setdefault(row["study_id"], []).append((name, _account(row)))
    waiting = _waiting(study.study_instance_uid for study in studies)
    return [
        StudyAccount(
            study,
            _account(whole.get(study.pk, {}), quarantined=waiting.get(study.study_instance_uid, 0)),
            tuple(senders.get(study.pk, ())),
        )
        for study in studies
    ]


def _waiting(study_uids: Iterable[str]) -> dict[str, int]:
    cases = QuarantinedInstance.objects.filter(
        study_instance_uid__in=list(study_uids), state=QuarantinedInstance.State.WAITING
    )
    return dict(cases.values_list("study_instance_uid").annotate(Count("pk")))


def _account(
    row: dict[str, Any], *, quarantined: int = 0, acknowledged: int | None = None
) -> Account:
    counts = {name: row[name] for name in _COUNTS if row.get(name) is not None}
    return Account(**counts, quarantined=quarantined, acknowledged=acknowledged)
