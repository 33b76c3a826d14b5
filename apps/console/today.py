"""What an administrator wants to know first: does it run, is there room, does anything wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Sum
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.access.audit import ANSWER_CUT_OFF
from apps.archive.models import Instance, Study
from apps.commitment.models import CommitmentInquiry, CommitmentRequest
from apps.commitment.selectors import damaged_instances, latest_scrub
from apps.events.models import Event
from apps.ingest.inbox import depth
from apps.ingest.models import ImportJob, QuarantinedInstance
from apps.network.models import AssociationRecord
from apps.polarity.models import PolarityFinding
from apps.polarity.selectors import said_of
from apps.storage.capacity import capacity
from apps.transfers.models import Transfer
from apps.worklist.models import Delivery, UnlinkedStudy

_LATE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the page: what, how much, whether it needs somebody, and where to look."""

    label: str
    value: str
    tone: str = "calm"
    note: str = ""
    link: str = ""


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 -- decimal units, as disks are sold
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _health() -> Figure:
    """Whether every part of the product serves, as `/readyz` says."""
    parts = import_string(settings.READINESS_PARTS)()
    silent = [part for part in parts if not part.serves]
    return Figure(
        "Health",
        f"{len(silent)} of {len(parts)} parts do not serve" if silent else "every part serves",
        "danger" if silent else "calm",
        ", ".join(f"{part.name}: {part.state}" for part in silent),
        "/readyz",
    )


def _jobs() -> Figure:
    """Imports and transfers of the last week that did not come through."""
    since = timezone.now() - timedelta(days=7)
    imports = ImportJob.objects.filter(state=ImportJob.State.FAILED, started_at__gte=since)
    transfers = Transfer.objects.filter(
        state__in=(Transfer.State.FAILED, Transfer.State.PARTLY), created_at__gte=since
    )
    counts = (("imports", imports.count()), ("transfers", transfers.count()))
    note = ", ".join(f"{count} {name}" for name, count in counts if count)
    failed = sum(count for _, count in counts)
    page = "ingest_importjob" if imports.exists() else "transfers_transfer"
    return Figure(
        "Failed jobs",
        f"{failed} in the last 7 days" if failed else "none in the last 7 days",
        "attention" if failed else "calm",
        note,
        _page(page),
    )


def _page(name: str) -> str:
    try:
        return reverse(f"admin:{name}_changelist")
    except NoReverseMatch:
        return ""


def _disk() -> Figure:
    state = capacity()
    tone = "calm" if state.accepts_associations else "attention"
    if not state.accepts_instances:
        tone = "danger"
    return Figure(
        "Disk for images",
        f"{_size(state.free_bytes)} free ({state.free_percent:.0f} %)",
        tone,
        state.message,
        reverse("admin:storage_storagepolicy_changelist"),
    )


def _inbox() -> Figure:
    waiting = depth()
    late = waiting.oldest_seconds > _LATE_SECONDS
    note = "The oldest waits longer than a minute: the index worker may be stopped." if late else ""
    return Figure("Inbox", f"{waiting.files} waiting", "attention" if late else "calm", note)


def _quarantine() -> Figure:
    waiting = QuarantinedInstance.objects.filter(state=QuarantinedInstance.State.WAITING).count()
    link = reverse("admin:ingest_quarantinedinstance_changelist") + "?state__exact=waiting"
    return Figure(
        "Quarantine",
        f"{waiting} to decide",
        "attention" if waiting else "calm",
        "",
        link,
    )


def _received() -> Figure:
    since = timezone.now() - timedelta(hours=24)
    studies = Study.objects.filter(received_at__gte=since).count()
    return Figure("Studies in the last 24 h", str(studies))


def _held() -> Figure:
    newest = Instance.objects.order_by("-pk").values_list("pk", flat=True).first()
    size = Study.objects.aggregate(total=Sum("size_bytes"))["total"] or 0
    count = Study.objects.aggregate(total=Sum("number_of_study_related_instances"))["total"] or 0
    return Figure("Held", f"{count} instances, {_size(size)}" if newest else "nothing yet")


def _associations() -> Figure:
    since = timezone.now() - timedelta(hours=24)
    # A connection that said nothing (a monitor, a port scan) is no association.
    silent = AssociationRecord.Ending.SILENT
    recent = AssociationRecord.objects.filter(started_at__gte=since).exclude(ending=silent)
    rejected = recent.filter(ending=AssociationRecord.Ending.REJECTED).count()
    link = reverse("admin:network_associationrecord_changelist")
    value = f"{recent.count()}"
    if not rejected:
        return Figure("Associations in the last 24 h", value, link=link)
    return Figure(
        "Associations in the last 24 h",
        value,
        "attention",
        f"{rejected} rejected",
        f"{link}?ending__exact={AssociationRecord.Ending.REJECTED}",
    )


def _stored_bytes() -> Figure:
    """The last check of everything, and what is known to be damaged."""
    damaged = damaged_instances()
    last = latest_scrub()
    link = reverse("admin:commitment_scrubrun_changelist")
    note = ""
    if last is not None:
        since = f"since {last.started_at:%Y-%m-%d}"
        note = f"{last.checked} instances read back {since}, {last.get_state_display()}"
    if damaged:
        return Figure("Stored bytes", f"{damaged} damaged", "danger", note, link)
    return Figure("Stored bytes", "no damage known", "calm", note, link)


def _cut_off() -> Figure:
    """Answers that failed after they had begun: somebody did not get what was asked for."""
    since = timezone.now() - timedelta(days=7)
    recent = Event.objects.filter(kind=ANSWER_CUT_OFF, occurred_at__gte=since)
    count = recent.count()
    newest = recent.order_by("-sequence").first()
    link = reverse("admin:events_event_changelist") + f"?kind__exact={ANSWER_CUT_OFF}"
    return Figure(
        "Answers cut off",
        f"{count} in the last 7 days" if count else "none in the last 7 days",
        "attention" if count else "calm",
        f"The latest to {newest.actor_name}: {newest.payload.get('path', '')}" if newest else "",
        link,
    )


def _commitment() -> Figure:
    """Reports and questions that do not get through, and why the latest does not."""
    late = CommitmentRequest.objects.filter(
        state__in=(CommitmentRequest.State.VERIFIED, CommitmentRequest.State.GIVEN_UP)
    ).exclude(problem="")
    unheard = CommitmentInquiry.objects.filter(
        state__in=(CommitmentInquiry.State.FAILED, CommitmentInquiry.State.GIVEN_UP)
    )
    waiting = late.count() + unheard.count()
    newest = late.order_by("-received_at").first() or unheard.order_by("-created_at").first()
    page = "commitmentrequest" if late.exists() else "commitmentinquiry"
    return Figure(
        "Storage commitment",
        f"{waiting} not settled" if waiting else "nothing open",
        "attention" if waiting else "calm",
        newest.problem if newest else "",
        reverse(f"admin:commitment_{page}_changelist"),
    )


def _polarity() -> Figure:
    """Sources whose images appear with black and white exchanged."""
    waiting = PolarityFinding.objects.filter(state=PolarityFinding.State.OPEN)
    count = waiting.count()
    first = waiting.first()
    link = reverse("admin:polarity_polarityfinding_changelist") + "?state__exact=open"
    tone = "attention" if count else "calm"
    return Figure(
        "Inverted images",
        f"{count} source{'' if count == 1 else 's'} to decide",
        tone,
        said_of(first) if first else "",
        link,
    )


def _without_order() -> Figure:
    waiting = UnlinkedStudy.objects.filter(state=UnlinkedStudy.State.WAITING).count()
    link = reverse("admin:worklist_unlinkedstudy_changelist") + "?state__exact=waiting"
    tone = "attention" if waiting else "calm"
    return Figure("Studies without order", f"{waiting} to assign", tone, "", link)


def _messages() -> Figure:
    """What other systems have not been told, although it was tried."""
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING, attempts__gt=1).count()
    refused = Delivery.objects.filter(state=Delivery.State.REFUSED).count()
    note = f"{refused} were refused there." if refused else ""
    tone = "attention" if waiting or refused else "calm"
    link = reverse("admin:worklist_delivery_changelist")
    return Figure("Messages to other systems", f"{waiting} waiting", tone, note, link)


def today() -> list[Figure]:
    """The figures of the first page, in the order an administrator reads them."""
    return [
        _health(),
        _disk(),
        _inbox(),
        _quarantine(),
        _jobs(),
        _stored_bytes(),
        _cut_off(),
        _commitment(),
        _polarity(),
        _without_order(),
        _messages(),
        _received(),
        _held(),
        _associations(),
    ]
