"""`/metrics` in Prometheus' text format, computed when somebody asks.

Every figure comes from the database, the inbox or the disk, so each web worker answers alike.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterable, Iterator

from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from apps.access.addresses import client_address
from apps.access.audit import ANSWER_CUT_OFF
from apps.access.authentication import principal_of
from apps.access.principals import Permission, permit
from apps.archive.models import Patient, Series, Study
from apps.commitment.models import CommitmentInquiry, CommitmentRequest
from apps.commitment.selectors import damaged_instances, latest_scrub
from apps.errors import NotAuthenticated, PacsError
from apps.events.log import latest_sequence
from apps.events.models import Event
from apps.ingest.inbox import depth
from apps.ingest.models import QuarantinedInstance
from apps.rendering.stored import older_left, thumbnails_held
from apps.storage.capacity import capacity
from pacsweb import __version__
from pacsweb.readiness import parts

# Counting a large archive takes tens of milliseconds; scrapes come every few seconds.
_REMEMBER_SECONDS = 5.0


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"pacsweb_{name}", text, value=value)


def _archive() -> Iterator[Metric]:
    total = Study.objects.aggregate(
        studies=Count("pk"),
        instances=Sum("number_of_study_related_instances"),
        size=Sum("size_bytes"),
    )
    yield _gauge("patients", "Patients in the archive.", Patient.objects.count())
    yield _gauge("studies", "Studies in the archive.", total["studies"])
    yield _gauge("series", "Series in the archive.", Series.objects.count())
    yield _gauge("instances", "Instances in the archive.", total["instances"] or 0)
    yield _gauge("stored_bytes", "Bytes of the instances in the archive.", total["size"] or 0)
    yield CounterMetricFamily("pacsweb_events", "Events recorded.", value=latest_sequence())
    yield CounterMetricFamily(
        "pacsweb_answers_cut_off",
        "Answers that failed after they had begun.",
        value=Event.objects.filter(kind=ANSWER_CUT_OFF).count(),
    )


def _quarantine() -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "pacsweb_quarantine_waiting",
        "Quarantined instances that wait for a decision.",
        labels=["reason"],
    )
    waiting = QuarantinedInstance.objects.filter(state=QuarantinedInstance.State.WAITING)
    counts = dict(waiting.values_list("reason").annotate(Count("pk")))
    for reason in QuarantinedInstance.Reason.values:
        family.add_metric([reason], counts.get(reason, 0))
    yield family


def _receipts() -> Iterator[Metric]:
    yield _gauge("damaged_instances", "Instances missing or altered.", damaged_instances())
    for name, text, model in (
        ("commitment_requests", "Storage commitment asked of us.", CommitmentRequest),
        ("commitment_inquiries", "Storage commitment we asked for.", CommitmentInquiry),
    ):
        family = GaugeMetricFamily(f"pacsweb_{name}", text, labels=["state"])
        counts = dict(model._default_manager.values_list("state").annotate(Count("pk")))
        for state in model.State.values:
            family.add_metric([state], counts.get(state, 0))
        yield family
    last = latest_scrub()
    if last is not None:
        yield _gauge("scrub_checked", "Instances the last scrub read back.", last.checked)
        yield _gauge("scrub_started", "When it began, Unix time.", last.started_at.timestamp())


def _thumbnails() -> Iterator[Metric]:
    held = thumbnails_held()
    yield _gauge("thumbnails", "Series whose thumbnail was made ahead.", held.count)
    yield _gauge("thumbnails_older_left", "Older series not looked at yet.", older_left())
    yield _gauge("thumbnail_bytes", "Bytes of these thumbnails in the database.", held.bytes)


def _inbox_and_space() -> Iterator[Metric]:
    waiting = depth()
    room = capacity()
    yield _gauge("inbox_files", "Instances that wait to be indexed.", waiting.files)
    yield _gauge("inbox_bytes", "Bytes that wait to be indexed.", waiting.bytes)
    yield _gauge("inbox_oldest_seconds", "Age of the oldest that waits.", waiting.oldest_seconds)
    yield _gauge("disk_total_bytes", "Size of the fullest disk in use.", room.total_bytes)
    yield _gauge("disk_free_bytes", "Free room on that disk.", room.free_bytes)
    yield _gauge(
        "accepts_associations",
        "1 while new associations that store are accepted.",
        room.accepts_associations,
    )
    yield _gauge("accepts_instances", "1 while instances are accepted.", room.accepts_instances)


def _parts() -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "pacsweb_part_serves", "1 while the part of the product serves.", labels=["part"]
    )
    for part in parts():
        family.add_metric([part.name], part.serves)
    yield family
    yield InfoMetricFamily("pacsweb", "The running version.", value={"version": __version__})


class _ProductCollector(Collector):
    def collect(self) -> Iterable[Metric]:
        """Everything, freshly counted."""
        for source in (
            _archive,
            _quarantine,
            _receipts,
            _thumbnails,
            _inbox_and_space,
            _parts,
        ):
            yield from source()


class _Remembered:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._text = b""

    def text(self) -> bytes:
        with self._lock:
            if time.monotonic() >= self._until:
                registry = CollectorRegistry(auto_describe=False)
                registry.register(_ProductCollector())
                self._text = generate_latest(registry)
                self._until = time.monotonic() + _REMEMBER_SECONDS
            return self._text


_remembered = _Remembered()


def _is_local(request: HttpRequest) -> bool:
    """A caller on this machine. What a proxy hands on is never local, trusted or not."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(client_address(request)).is_loopback
    except ValueError:
        return False


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For callers on this machine, and for principals that may read metrics."""
    if not _is_local(request):
        try:
            permit(principal_of(request, "metrics"), Permission.READ_METRICS)
        except NotAuthenticated as problem:
            answer = HttpResponse(problem.message, status=401, content_type="text/plain")
            answer["WWW-Authenticate"] = 'Bearer realm="pacsweb"'
            return answer
        except PacsError as problem:
            return HttpResponse(problem.message, status=403, content_type="text/plain")
    return HttpResponse(_remembered.text(), content_type=CONTENT_TYPE_LATEST)
