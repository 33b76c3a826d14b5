"""STOW-RS (PS3.18 10.5): store instances, and say truthfully what became of each."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.fragments import plain
from apps.archive.models import Amendment, Instance, NonPatientInstance
from apps.dicom.multipart import PartCutOff
from apps.dicom.part_uids import Uids
from apps.dicom.uids import in_path
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import DICOM_JSON, DICOM_XML, Offer, acceptable, choose
from apps.dicomweb.stow_rs.outcome import (
    CANNOT_UNDERSTAND,
    COERCED,
    DUPLICATE_INSTANCE,
    MISMATCH,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    Handled,
)
from apps.dicomweb.stow_rs.receiving import receive_parts
from apps.dicomweb.xml_model import native_dicom_model
from apps.errors import InvalidRequest, NotAcceptable, NotFound, OutOfResources
from apps.events.log import NewEvent, record
from apps.ingest import inbox
from apps.ingest.inbox import Fate, Outcome, Place
from apps.ingest.models import QuarantinedInstance
from apps.storage.capacity import capacity
from apps.storage.reservations import release, reserve

INDEX_SECONDS: Final = 20.0
"""How long an answer waits for the indexer; what is not indexed by then is safe all the same."""

_COERCED_WORDS: Final = "Attributes were changed by rules of this archive."
_HELD_SECONDS: Final = 3600.0
_SMALL: Final = 1 << 20
_MOST_WARNINGS: Final = 20
_REASONS: Final = {
    QuarantinedInstance.Reason.UNREADABLE.value: CANNOT_UNDERSTAND,
    QuarantinedInstance.Reason.MISSING_UID.value: CANNOT_UNDERSTAND,
    QuarantinedInstance.Reason.OTHER_BYTES.value: DUPLICATE_INSTANCE,
    QuarantinedInstance.Reason.OTHER_SERIES.value: MISMATCH,
    QuarantinedInstance.Reason.OTHER_PATIENT.value: MISMATCH,
    QuarantinedInstance.Reason.FAILED.value: PROCESSING_FAILURE,
}


def store_instances(
    request: HttpRequest, principal: Principal, study: str | None = None
) -> HttpResponseBase:
    """Stores every instance of the body; what is answered as stored is found from then on."""
    permit(principal, Permission.STORE_INSTANCES)
    room = capacity()
    if not room.accepts_instances:
        raise OutOfResources(room.message)
    began = time.monotonic()
    with _room_for(request, principal):
        response = _store(request, principal, study)
    # Where nobody had to wait for the indexer, senders still must not outrun it.
    inbox.give_way(time.monotonic() - began)
    return response


@contextmanager
def _room_for(request: HttpRequest, principal: Principal) -> Iterator[None]:
    """Holds room for a body whose length is known, so that no other sender counts with it too.

    All that a machine takes of small ones at once is less than the watermarks are exact to.
    """
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length <= _SMALL:
        yield
        return
    held = reserve(length, principal.name, _HELD_SECONDS, instances=True)
    try:
        yield
    finally:
        with suppress(NotFound):
            release(held.identifier)


def _store(request: HttpRequest, principal: Principal, study: str | None) -> HttpResponseBase:
    handled: list[Handled] = []
    try:
        for part in receive_parts(request, principal, study):
            handled.append(part)  # noqa: PERF402  what came before a break must not be lost
    except PartCutOff:
        _record_cut_off(principal, handled, study)
        raise InvalidRequest(
            f"The body ended too early. {len(handled)} complete parts before that were kept."
        ) from None
    if not handled:
        raise InvalidRequest("The body holds no instance.")
    if all(each.failure_reason == OUT_OF_RESOURCES for each in handled):
        raise OutOfResources(handled[0].explanation)
    return report_response(request, IndexedReport(handled), base_url(request), study)


def _record_cut_off(principal: Principal, handled: Sequence[Handled], study: str | None) -> None:
    inbox.ring()
    payload = {"complete_parts": sum(1 for each in handled if each.inbox_name)}
    record([NewEvent("StoreInterrupted", actor_of(principal), study or "", payload=payload)])


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that is kept, and where it can be retrieved once it is indexed."""

    uids: Uids
    path: str
    warning: str = ""
    warning_reason: int = COERCED
    originals: Sequence[Any] = ()
    """Items of its Original Attributes Sequence, where rules of ours changed it."""


class Report:
    """What became of every part."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.failed: list[tuple[Uids, int]] = []
        self.sentences: list[str] = []
        self.waiting = 0

    @property
    def status(self) -> int:
        """200 all stored, 202 some, 409 none (PS3.18 10.5.3.1)."""
        if not self.stored:
            return 409
        warned = any(each.warning for each in self.stored)
        return 202 if self.failed or self.waiting or warned else 200

    @property
    def warnings(self) -> list[str]:
        """Plain sentences for the Warning header, the first few of them."""
        sentences = self.sentences[:_MOST_WARNINGS]
        if self.waiting:
            sentences.append(f"{self.waiting} instances are kept and will be searchable soon.")
        return sentences

    def dataset(self, base: str, study: str | None) -> dict[str, Any]:
        """The Store Instances Response Module (PS3.18 table I.1-1) in DICOM JSON."""
        studies = {
            each.path.split("/series/")[0]
            for each in self.stored
            if each.path.startswith("/studies/")
        }
        if study is not None:
            studies = {f"/studies/{in_path(study)}"}
        answer: dict[str, Any] = {}
        if len(studies) == 1:
            answer["00081190"] = {"vr": "UR", "Value": [base + studies.pop()]}
        else:
            answer["00081190"] = {"vr": "UR"}
        if self.failed:
            answer["00081198"] = {"vr": "SQ", "Value": [_failed(*each) for each in self.failed]}
        if self.stored:
            answer["00081199"] = {
                "vr": "SQ",
                "Value": [_stored(base, each) for each in self.stored],
            }
        return answer


class IndexedReport(Report):
    """What became of parts of our own, after the indexer has spoken."""

    def __init__(self, handled: Sequence[Handled]) -> None:
        super().__init__()
        outcomes = {
            each.inbox_name: Outcome(Fate.STORED, place=each.place)
            for each in handled
            if each.place is not None
        }
        names = [each.inbox_name for each in handled if each.inbox_name and not each.place]
        if names:
            outcomes |= inbox.outcome_of(names, INDEX_SECONDS)
        untold, changed = _to_look_up(handled, outcomes)
        self._places = _places(untold) if untold else {}
        self._originals = _originals(changed) if changed else {}
        for number, each in enumerate(handled, start=1):
            self._add(number, each, outcomes.get(each.inbox_name))

    def _add(self, number: int, each: Handled, outcome: Outcome | None) -> None:
        if outcome is None:
            self.failed.append((each.uids, each.failure_reason))
            self.sentences.append(f"Part {number}: {each.explanation}")
        elif outcome.fate is Fate.QUARANTINED:
            self.failed.append((each.uids, _REASONS.get(outcome.reason, PROCESSING_FAILURE)))
            self.sentences.append(f"Part {number} was set aside: {outcome.explanation}")
        else:
            uid = each.uids.sop_instance_uid
            path = path_of(outcome.place) if outcome.place else self._places.get(uid, "")
            originals = self._originals.get(_key(each, outcome), ())
            warning = each.warning or (_COERCED_WORDS if originals else "")
            self.stored.append(Stored(each.uids, path, warning, originals=originals))
            if warning:
                self.sentences.append(f"Part {number}: {warning}")
            self.waiting += outcome.fate is Fate.WAITING


def _key(each: Handled, outcome: Outcome) -> str:
    """The SOP Instance UID under which the part's instance is stored."""
    return outcome.place.instance if outcome.place else each.uids.sop_instance_uid


def _to_look_up(
    handled: Sequence[Handled], outcomes: Mapping[str, Outcome]
) -> tuple[set[str], set[str]]:
    """UIDs of which the database must say where they are, and of which what rules changed."""
    untold, changed = set(), set()
    for each in handled:
        outcome = outcomes.get(each.inbox_name)
        if outcome is None or outcome.fate is Fate.QUARANTINED:
            continue
        if outcome.place is None:
            untold.add(each.uids.sop_instance_uid)
        if outcome.place is None or outcome.place.coerced:
            changed.add(_key(each, outcome))
    return untold, changed


def path_of(place: Place) -> str:
    """Where the instance is, below the service's base URL."""
    if place.resource:
        return f"/{place.resource}/{in_path(place.instance)}"
    return _path_below_study(place.study, place.series, place.instance)


def _path_below_study(*uids: str) -> str:
    study, series, instance = map(in_path, uids)
    return f"/studies/{study}/series/{series}/instances/{instance}"


def _places(uids: Collection[str]) -> dict[str, str]:
    """The path of each instance that is indexed, by SOP Instance UID."""
    rows = Instance.objects.filter(sop_instance_uid__in=list(uids)).values_list(
        "study__study_instance_uid", "series__series_instance_uid", "sop_instance_uid"
    )
    places = {sop: _path_below_study(study, series, sop) for study, series, sop in rows}
    apart = NonPatientInstance.objects.filter(sop_instance_uid__in=list(uids))
    for resource, sop in apart.values_list("resource", "sop_instance_uid"):
        places[sop] = f"/{resource}/{in_path(sop)}"
    return places


def _originals(uids: Collection[str]) -> dict[str, Sequence[Any]]:
    """Original Attributes of the instances that rules have changed, by SOP Instance UID."""
    rows = Amendment.objects.filter(instance__sop_instance_uid__in=list(uids)).values_list(
        "instance__sop_instance_uid", "instance__metadata__fragment"
    )
    return {
        uid: orjson.loads(plain(bytes(fragment))).get("04000561", {}).get("Value", ())
        for uid, fragment in rows
    }


def _reference(uids: Uids) -> dict[str, Any]:
    item: dict[str, Any] = {"00081150": {"vr": "UI"}, "00081155": {"vr": "UI"}}
    if uids.sop_class_uid:
        item["00081150"]["Value"] = [uids.sop_class_uid]
    if uids.sop_instance_uid:
        item["00081155"]["Value"] = [uids.sop_instance_uid]
    return item


def _failed(uids: Uids, reason: int) -> dict[str, Any]:
    return {**_reference(uids), "00081197": {"vr": "US", "Value": [reason]}}


def _stored(base: str, each: Stored) -> dict[str, Any]:
    item = _reference(each.uids)
    if each.path:
        item["00081190"] = {"vr": "UR", "Value": [base + each.path]}
    if each.warning:
        item["00081196"] = {"vr": "US", "Value": [each.warning_reason]}
    if each.originals:
        item["04000561"] = {"vr": "SQ", "Value": list(each.originals)}
    return item


def report_response(
    request: HttpRequest, report: Report, base: str, study: str | None
) -> HttpResponse:
    """The answer to a Store request (PS3.18 10.5.3)."""
    dataset = report.dataset(base, study)
    if _wants_xml(request):
        response = HttpResponse(native_dicom_model(dataset), content_type=DICOM_XML)
    else:
        response = HttpResponse(orjson.dumps(dataset), content_type=DICOM_JSON)
    response.status_code = report.status
    response["Cache-Control"] = "no-store"
    resource = dataset["00081190"].get("Value")
    if resource and report.stored:
        response["Location"] = resource[0]
        response["Content-Location"] = resource[0]
    if report.warnings:
        response["Warning"] = ", ".join(
            f'299 pacsweb "{_header_text(sentence)}"' for sentence in report.warnings
        )
    return response


def _header_text(sentence: str) -> str:
    plain = sentence.encode("ascii", "replace").decode("ascii")
    return plain.replace("\\", "/").replace('"', "'").replace("\n", " ").replace("\r", " ")


def _wants_xml(request: HttpRequest) -> bool:
    """A store is never refused for its Accept: JSON unless XML is asked for."""
    try:
        offer, _ = choose(acceptable(request), (Offer(DICOM_JSON), Offer(DICOM_XML)))
    except (NotAcceptable, InvalidRequest):
        return False
    return offer.media_type == DICOM_XML
