"""import_files: files, folders and archives into the inbox, resumable, with a report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.dicom.part10 import HEAD_LENGTH, Provenance, read_file_meta
from apps.errors import InvalidRequest, PacsError, UnreadableInstance
from apps.events.log import NewEvent, record
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.models import ImportJob, ImportRefusal
from apps.ingest.receiving import receive_part10
from apps.ingest.sources import Found, Place, Refused, found_in, readable
from apps.ingest.spool import waiting

_DEEP: Final = 2000
_SHALLOW: Final = 500
_PATIENCE_SECONDS: Final = 3.0
_SAVED_EVERY: Final = 100
_CHUNK: Final = 1 << 20
_DICOMDIR: Final = "1.2.840.10008.1.3.10"

Progress = Callable[[ImportJob], None]


def import_files(
    principal: Principal,
    paths: list[Path],
    *,
    restart: bool = False,
    progress: Progress = lambda _job: None,
) -> ImportJob:
    """Hands every DICOM file below the paths to the inbox; returns the finished job.

    An import of the same paths that was cut short is taken up behind the last file it finished,
    unless `restart` says otherwise. Files that are no DICOM are refused with a reason; what is
    DICOM and cannot be indexed is quarantined like anything that arrives. Raises NotPermitted,
    InvalidRequest, OutOfResources, Unavailable; the job then says how far it came.
    """
    permit(principal, Permission.STORE_INSTANCES)
    missing = [path for path in paths if not path.exists()]
    if missing or not paths:
        raise InvalidRequest(f"There is no file or folder {', '.join(map(readable, missing))}.")
    job = _job(principal, paths, restart=restart)
    importer = _Importer(job, principal, progress)
    try:
        importer.run(paths)
    except KeyboardInterrupt:
        importer.finish(ImportJob.State.CANCELLED)
        raise
    except PacsError:
        importer.finish(ImportJob.State.FAILED)
        raise
    importer.finish(ImportJob.State.DONE)
    return job


def _job(principal: Principal, paths: list[Path], *, restart: bool) -> ImportJob:
    path = json.dumps([readable(each.resolve()) for each in paths])
    if not restart:
        last = ImportJob.objects.filter(path=path).order_by("-pk").first()
        if last is not None and last.state != ImportJob.State.DONE:
            last.state = ImportJob.State.RUNNING
            last.save()
            return last
    with transaction.atomic():
        job = ImportJob.objects.create(
            path=path, started_at=timezone.now(), started_by=principal.name[:256]
        )
        record([NewEvent("ImportStarted", actor_of(principal), payload={"import": job.pk})])
    return job


class _Importer:
    """One run of a job: counts, remembers how far it came, keeps the inbox shallow."""

    def __init__(self, job: ImportJob, principal: Principal, progress: Progress) -> None:
        self.job = job
        self._principal = principal
        self._progress = progress
        self._refusals: list[ImportRefusal] = []
        self._since_saved = 0
        self._provenance = Provenance(
            door="import",
            receiving_ae_title=settings.PACSWEB.ae_title,
            source_address=principal.address,
            user=principal.name,
        )

    def run(self, paths: list[Path]) -> None:
        done: Place = tuple(json.loads(self.job.cursor)) if self.job.cursor else ()
        for found in found_in(paths):
            if found.place <= done:
                continue
            refusal = found.refusal or self._take(found)
            self.job.found += 1
            if refusal:
                self.job.refused += 1
                self._refusals.append(ImportRefusal(job=self.job, path=found.name, reason=refusal))
            else:
                self.job.accepted += 1
            self.job.cursor = json.dumps(found.place)
            self._since_saved += 1
            if self._since_saved >= _SAVED_EVERY:
                self._save()
                self._hold_back()
            self._progress(self.job)

    def _take(self, found: Found) -> str:
        """Why it is refused, or nothing when it is in the inbox."""
        assert found.open is not None
        try:
            body = found.open()
            try:
                head = _read(body, HEAD_LENGTH)
                refusal = _no_instance(head)
                if not refusal:
                    receive_part10(self._provenance, head, _chunks(body))
            finally:
                body.close()
        except Refused as refused:
            return str(refused)
        except OSError as error:
            return f"It cannot be read: {error.strerror}."
        return refusal

    def _hold_back(self) -> None:
        """Waits while the inbox is deep; works it off ourselves where nobody else does."""
        before = len(waiting())
        if before < _DEEP:
            return
        since = time.monotonic()
        while (now := len(waiting())) > _SHALLOW:
            if now < before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > _PATIENCE_SECONDS:
                drain_inbox(_PATIENCE_SECONDS)
            else:
                time.sleep(0.1)

    def _save(self) -> None:
        with transaction.atomic():
            ImportRefusal.objects.bulk_create(self._refusals)
            self.job.save()
        self._refusals.clear()
        self._since_saved = 0

    def finish(self, state: ImportJob.State) -> None:
        self.job.state = state
        self.job.finished_at = timezone.now()
        with transaction.atomic():
            self._save()
            record(
                [
                    NewEvent(
                        "ImportFinished",
                        actor_of(self._principal),
                        payload={
                            "import": self.job.pk,
                            "state": str(state),
                            "accepted": self.job.accepted,
                            "refused": self.job.refused,
                        },
                    )
                ]
            )
        self._progress(self.job)


def _no_instance(head: bytes) -> str:
    """Why these first bytes are those of no instance; nothing when they may be."""
    if not head:
        return "The file is empty."
    try:
        meta = read_file_meta(head)
    except UnreadableInstance as error:
        # With a DICOM prefix it claims to be one: the indexer quarantines it with a reason.
        return "" if b"DICM" in (head[128:132], head[:4]) else error.message
    if meta.sop_class_uid == _DICOMDIR:
        return "A DICOMDIR is a list of files; the files themselves are imported."
    return ""


def _read(body: BinaryIO, length: int) -> bytes:
    parts = []
    while length and (part := body.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _chunks(body: BinaryIO) -> Iterator[bytes]:
    while chunk := body.read(_CHUNK):
        yield chunk
