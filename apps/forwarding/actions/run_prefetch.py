"""Ask another archive for the earlier studies of one patient, and have the wanted ones fetched."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Final

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from apps.access.principals import system_principal
from apps.archive.models import Study
from apps.dicom import uids
from apps.dicom.query import Level
from apps.errors import InvalidRequest, NotAcceptable, PacsError, Unavailable
from apps.forwarding.models import Prefetch, PrefetchRule
from apps.transfers.actions.request_transfer import fetch_from_other
from apps.transfers.models import Transfer
from apps.transfers.searched import searched

logger = logging.getLogger(__name__)

_MOST_ANSWERS: Final = 200
_MOST_ATTEMPTS: Final = 5
_LEASE: Final = timedelta(minutes=5)
_KEPT: Final = timedelta(days=7)
_PATIENCE_SECONDS: Final = 120.0
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
    """One patient. An archive that does not answer is asked again, with growing pauses."""
    try:
        return _fetch(job, _priors(job))
    except PacsError as error:
        _note_failure(job, error.message, final=isinstance(error, InvalidRequest | NotAcceptable))
    except (OperationalError, InterfaceError):
        raise  # the database is away: the lease runs out, and it is looked at again
    except Exception as error:  # noqa: BLE001 - none may end the run for the others
        # What nobody foresaw is an attempt too, or it would come again for a week and keep the
        # others from their turn. Its text may name patients.
        place = "".join(traceback.format_tb(error.__traceback__))
        logger.error("A prefetch failed: %s\n%s", type(error).__name__, place)  # noqa: TRY400 - no text
        _note_failure(job, f"Something unforeseen ended it ({type(error).__name__}).", final=False)
    return 0


def _note_failure(job: Prefetch, problem: str, *, final: bool) -> None:
    final = final or job.attempts >= _MOST_ATTEMPTS
    job.state = Prefetch.State.FAILED if final else Prefetch.State.WAITING
    job.not_before = timezone.now() + timedelta(minutes=2**job.attempts)
    job.detail = problem[:200]
    job.save()
    PrefetchRule.objects.filter(pk=job.rule_id).update(last_problem=job.detail)


def _fetch(job: Prefetch, wanted: Sequence[str]) -> int:
    with transaction.atomic():
        for uid in wanted:
            fetch_from_other(
                system_principal(f"rule {job.rule.name}"),
                other=job.rule.source,
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
    for job in due.select_related("rule__peer", "rule__archive").order_by("not_before", "pk")[:10]:
        leased = Prefetch.objects.filter(
            pk=job.pk, state=Prefetch.State.WAITING, not_before=job.not_before
        ).update(not_before=now + _LEASE, attempts=job.attempts + 1)
        if leased:
            job.refresh_from_db(fields=["not_before", "attempts"])
            return job
    return None


def _priors(job: Prefetch) -> list[str]:
    """Study Instance UIDs that are there, not here, and that the rule wants; the newest first."""
    source = searched(job.rule.source)
    if _WILD & set(job.patient_id):
        raise InvalidRequest("The Patient ID would match other patients too.")
    until = time.monotonic() + _PATIENCE_SECONDS
    keys = {"PatientID": job.patient_id}
    with closing(source):
        found = dict(
            _wanted(
                job,
                source.answers(Level.STUDY, keys, _MOST_ANSWERS, lambda: time.monotonic() > until),
            )
        )
    if time.monotonic() > until:
        raise Unavailable(f"{source.title} has not ended the search in 2 minutes.")
    held = Study.objects.filter(study_instance_uid__in=found)
    asked = Transfer.objects.filter(
        kind=Transfer.Kind.PULL,
        peer=job.rule.peer,
        archive=job.rule.archive,
        keys__StudyInstanceUID__in=list(found),
    ).exclude(state__in=[Transfer.State.FAILED, Transfer.State.CANCELLED])
    known = set(held.values_list("study_instance_uid", flat=True))
    known |= {each.keys.get("StudyInstanceUID", "") for each in asked}
    newest = sorted(found.items(), key=lambda each: each[1], reverse=True)
    return [uid for uid, _ in newest if uid not in known][: job.rule.most]


def _wanted(job: Prefetch, answers: Iterable[Mapping[str, str]]) -> Iterable[tuple[str, str]]:
    """UID and date of the answers that are about this patient and within the rule."""
    oldest = (timezone.now() - timedelta(days=365 * job.rule.years)).strftime("%Y%m%d")
    modalities = {part.strip() for part in job.rule.modalities.split(",") if part.strip()}
    for answer in answers:
        born = answer.get("PatientBirthDate", "").strip()
        # Some archives match more than they were asked for; a wrong patient is worse than no prior.
        if answer.get("PatientID", "").strip() != job.patient_id.strip():
            continue
        if born and job.patient_birth_date and born != job.patient_birth_date:
            continue
        has = set(answer.get("ModalitiesInStudy", "").split("\\"))
        day = answer.get("StudyDate", "")
        if day < oldest or (modalities and not modalities & has):
            continue
        uid = answer.get("StudyInstanceUID", "").strip("\0 ")
        if uids.is_valid(uid):
            yield uid, day
