"""STOW-RS to another archive: every part is sent on, and answered as that archive answered it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.dicom import uids
from apps.dicom.multipart import Part, PartCutOff
from apps.dicom.part10 import read_file_meta
from apps.dicom.part_uids import Uids, uids_in
from apps.dicom.reader import InstanceReader
from apps.dicom.sub_operations import SUCCESS, is_warning
from apps.dicomweb.negotiation import DICOM
from apps.dicomweb.remotes.search import remote_url
from apps.dicomweb.status import UnsupportedMediaType
from apps.dicomweb.stow_rs.outcome import CANNOT_UNDERSTAND, MISMATCH
from apps.dicomweb.stow_rs.receiving import parts_of
from apps.dicomweb.stow_rs.views import Report, Stored, report_response
from apps.errors import InvalidRequest, OutOfResources, PacsError, UnreadableInstance
from apps.events.log import NewEvent, record
from apps.network.models import ApplicationEntity
from apps.storage.capacity import capacity
from apps.storage.durable import as_pacs_error
from apps.storage.filesystem import OpenFile
from apps.storage.scratch import scratch_file
from apps.transfers.gateway_peers import gateway_peer
from apps.transfers.gateway_store import LOST, Parcel, Relay

_HEAD: Final = 64 << 10
_LONGEST_HEAD: Final = 4 << 20


def store_instances(
    request: HttpRequest, principal: Principal, remote: str, study: str | None = None
) -> HttpResponseBase:
    """Sends every instance of the body on; success is what the other archive called so."""
    permit(principal, Permission.STORE_INSTANCES)
    peer = gateway_peer(principal, remote)
    if study is not None and not uids.is_valid(study):
        raise InvalidRequest("The path holds something that is no UID.")
    with Relay(peer) as relay:
        report = _Report(relay, study)
        try:
            _send_each(report, _parts(request))
        finally:
            _record(principal, peer, report)
    if not report.stored and not report.failed:
        raise InvalidRequest("The body holds no instance.")
    named = study or (report.studies.pop() if len(report.studies) == 1 else None)
    return report_response(request, report, remote_url(request, peer), named)


def _parts(request: HttpRequest) -> Iterator[Part]:
    length = int(request.headers.get("Content-Length") or 0)
    room = capacity()
    if not room.has_room_for(length, instances=True):
        raise OutOfResources(room.message or "There is no room to pass on as much at once.")
    part_type, parts = parts_of(request)
    if part_type != DICOM:
        raise UnsupportedMediaType(
            "To another archive instances are sent as application/dicom, alone or as "
            'multipart/related; type="application/dicom".'
        )
    return iter(parts)


def _send_each(report: _Report, parts: Iterator[Part]) -> None:
    try:
        for number, part in enumerate(parts, start=1):
            with scratch_file() as file:
                with as_pacs_error("passing an instance on"):
                    for chunk in part.chunks:
                        file.write(chunk)
                if part.open_ended:
                    _check_whole(file)
                report.take(number, file)
    except PartCutOff:
        raise InvalidRequest(
            f"The body ended too early. {len(report.stored)} instances before that were stored "
            "by the other archive."
        ) from None


def _check_whole(file: IO[bytes]) -> None:
    """Raises PartCutOff; what cannot be read is refused for that."""
    file.flush()
    with suppress(UnreadableInstance):
        if not InstanceReader(OpenFile(file.fileno())).is_whole():
            raise PartCutOff("The body ended inside the object.")


class _Report(Report):
    """What the other archive said of each part."""

    def __init__(self, relay: Relay, study: str | None) -> None:
        super().__init__()
        self.studies: set[str] = set()
        self._relay = relay
        self._study = study

    def take(self, number: int, file: IO[bytes]) -> None:
        """Sends one part on. Raises where the archive cannot be called and nothing was sent."""
        length = file.tell()
        named = _uids(file)
        if self._study is not None and named.study_instance_uid not in {"", self._study}:
            return self._failed(
                number, named, MISMATCH, "The instance belongs to another study than the URL."
            )
        try:
            parcel = _parcel(file, length, named)
        except UnreadableInstance as error:
            return self._failed(number, named, CANNOT_UNDERSTAND, error.message)
        try:
            status, words = self._relay.send(parcel)
        except PacsError as error:
            if not self.stored and not self.failed:
                raise
            status, words = LOST, error.message
        return self._answered(number, named, status, words)

    def _answered(self, number: int, named: Uids, status: int, words: str) -> None:
        if status != SUCCESS and not is_warning(status):
            return self._failed(number, named, status, f"{words} ({status:04X})")
        if uids.is_valid(named.study_instance_uid):
            self.studies.add(named.study_instance_uid)
        warning = "" if status == SUCCESS else f"stored with a warning: {words} ({status:04X})"
        self.stored.append(Stored(named, "", warning, status))
        if warning:
            self.sentences.append(f"Part {number}: {warning}")
        return None

    def _failed(self, number: int, named: Uids, reason: int, words: str) -> None:
        self.failed.append((named, reason))
        self.sentences.append(f"Part {number}: {words}")


def _uids(file: IO[bytes]) -> Uids:
    """As the data set has them, from as much of it as it takes."""
    file.seek(0)
    named = uids_in(file.read(_HEAD))
    if not named.study_instance_uid:
        file.seek(0)
        named = uids_in(file.read(_LONGEST_HEAD))
    return named


def _parcel(file: IO[bytes], length: int, named: Uids) -> Parcel:
    """Raises UnreadableInstance."""
    file.seek(0)
    meta = read_file_meta(file.read(_HEAD))
    said = (named.sop_class_uid, named.sop_instance_uid, meta.transfer_syntax_uid)
    if not all(map(uids.is_valid, said)):
        raise UnreadableInstance("The part does not say what it is.")
    if length <= meta.dataset_offset:
        raise UnreadableInstance("The part holds no data set.")
    return Parcel(
        named.sop_class_uid,
        named.sop_instance_uid,
        meta.transfer_syntax_uid,
        file,
        meta.dataset_offset,
        length - meta.dataset_offset,
    )


def _record(principal: Principal, peer: ApplicationEntity, report: _Report) -> None:
    """What left this house by whom, like any transfer."""
    if report.stored or report.failed:
        payload = {
            "peer": peer.title,
            "completed": len(report.stored),
            "failed": len(report.failed),
        }
        studies = sorted(report.studies)
        study = studies[0] if len(studies) == 1 else ""
        record([NewEvent("InstancesSentOn", actor_of(principal), study, payload=payload)])
