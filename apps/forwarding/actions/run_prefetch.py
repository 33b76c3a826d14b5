"""Ask a peer for the earlier studies of one patient, and have the wanted ones fetched."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.access.principals import system_principal
from apps.archive.models import Study
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.identifiers import Identifier
from apps.errors import InvalidRequest, PacsError
from apps.forwarding.models import Prefetch, PrefetchRule
from apps.network import scu
from apps.transfers.actions.request_transfer import fetch_instances
from apps.transfers.models import Transfer
from apps.transfers.remote import remote_for

_MOST_ANSWERS: Final = 200
_MOST_ATTEMPTS: Final = 5
_LEASE: Final = timedelta(minutes=5)
_KEPT: Final = timedelta(days=7)
_ASKED: Final = (
    "PatientID",
    "PatientBirthDate",
    "StudyInstanceUID",
    "StudyDate",
    "ModalitiesInStudy",
)
# Text with these would match other patients too (PS3.4 C.2.2.2.4).
_WILD: Final = frozenset("*?\\")


def run_due_prefetches(most: int = 10) -> int:
    """Runs what is due; how many studies are to be fetched. Several workers may run it at once."""
    fetched = 0
    for _ in range(most):
        job = _claim()
        if job is None:
            break
        fetched += run_prefetch(job)
    Prefetch.objects.filter(asked_at__lt=timezone.now() - _KEPT).delete()
    return fetched


def run_prefetch(job: Prefetch) -> int:
    """One patient. A peer that does not answer is asked again, with growing pauses."""
    try:
        wanted = _priors(job)
    except PacsError as error:
        final = isinstance(error, InvalidRequest) or job.attempts >= _MOST_ATTEMPTS
        job.state = Prefetch.State.FAILED if final else Prefetch.State.WAITING
        job.not_before = timezone.now() + timedelta(minutes=2**job.attempts)
        job.detail = error.message[:200]
        job.save()
        PrefetchRule.objects.filter(pk=job.rule_id).update(last_problem=job.detail)
        return 0
    with transaction.atomic():
        for uid in wanted:
            fetch_instances(
                system_principal(f"rule {job.rule.name}"),
                peer=job.rule.peer,
                level="STUDY",
                keys={"StudyInstanceUID": uid},
            )
        job.state, job.fetched, job.detail = Prefetch.State.DONE, len(wanted), ""
        job.save()
        PrefetchRule.objects.filter(pk=job.rule_id).exclude(last_problem="").update(last_problem="")
    return len(wanted)


def _claim() -> Prefetch | None:
    """A job that is due, leased: another worker sees it again when this one has died."""
    now = timezone.now()
    due = Prefetch.objects.filter(
        state=Prefetch.State.WAITING, not_before__lte=now, rule__enabled=True
    )
    for job in due.select_related("rule__peer").order_by("not_before", "pk")[:10]:
        leased = Prefetch.objects.filter(
            pk=job.pk, state=Prefetch.State.WAITING, not_before=job.not_before
        ).update(not_before=now + _LEASE, attempts=job.attempts + 1)
        if leased:
            job.refresh_from_db(fields=["not_before", "attempts"])
            return job
    return None


def _priors(job: Prefetch) -> list[str]:
    """Study Instance UIDs the peer has, we have not, and the rule wants; the newest first."""
    peer = job.rule.peer
    if not peer.enabled or not peer.host or not peer.port:
        raise InvalidRequest(f"{peer.title} is switched off, or where it listens is not known.")
    if _WILD & set(job.patient_id):
        raise InvalidRequest("The Patient ID would match other patients too.")
    keys = {BY_KEYWORD[keyword].tag: "" for keyword in _ASKED}
    keys[BY_KEYWORD["PatientID"].tag] = job.patient_id
    answers = scu.find(remote_for(peer), "STUDY", keys, _MOST_ANSWERS)
    found = dict(_wanted(job, answers))
    held = Study.objects.filter(study_instance_uid__in=found)
    asked = Transfer.objects.filter(
        kind=Transfer.Kind.PULL, peer=peer, keys__StudyInstanceUID__in=list(found)
    ).exclude(state__in=[Transfer.State.FAILED, Transfer.State.CANCELLED])
    known = set(held.values_list("study_instance_uid", flat=True))
    known |= {each.keys.get("StudyInstanceUID", "") for each in asked}
    newest = sorted(found.items(), key=lambda each: each[1], reverse=True)
    return [uid for uid, _ in newest if uid not in known][: job.rule.most]


def _wanted(job: Prefetch, answers: Iterable[Identifier]) -> Iterable[tuple[str, str]]:
    """UID and date of the answers that are about this patient and within the rule."""
    oldest = (timezone.now() - timedelta(days=365 * job.rule.years)).strftime("%Y%m%d")
    modalities = {part.strip() for part in job.rule.modalities.split(",") if part.strip()}
    for answer in answers:
        text = {keyword: answer.texts.get(BY_KEYWORD[keyword].tag, "") for keyword in _ASKED}
        born = text["PatientBirthDate"].strip()
        # Some peers match more than they were asked for; a wrong patient is worse than no prior.
        if text["PatientID"].strip() != job.patient_id.strip():
            continue
        if born and job.patient_birth_date and born != job.patient_birth_date:
            continue
        has = set(text["ModalitiesInStudy"].split("\\"))
        if text["StudyDate"] < oldest or (modalities and not modalities & has):
            continue
        if text["StudyInstanceUID"]:
            yield text["StudyInstanceUID"].strip("\0 "), text["StudyDate"]
