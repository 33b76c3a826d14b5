"""Studies, series and instances as DICOM (PS3.18 10.4.1.1.1), streamed in flat memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.dicom.pixels import writable
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import (
    DICOM,
    MediaRange,
    Offer,
    acceptable,
    choose,
    first_made,
    matches,
)
from apps.dicomweb.wado_rs.archives import ZIP, zipped
from apps.dicomweb.wado_rs.parts import (
    Part,
    body,
    boundary_of,
    complete,
    content_type,
    streamed_response,
)
from apps.errors import NotAcceptable, NotFound, UnsupportedPixels
from apps.retrieve.conversion import conversion
from apps.retrieve.instances import OutgoingInstance, Pending, as_stored
from apps.retrieve.locations import Location, locations_of, missing_blobs
from apps.storage.blobs import BlobMissing

_logger = logging.getLogger(__name__)
_SEVERAL = Offer(DICOM, multipart=True)
_ALONE = Offer(DICOM)
_ZIP = Offer(ZIP)


def retrieve_instances(
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> HttpResponseBase:
    """Every visible instance below the resource: multipart, ZIP archive or one Part 10 stream."""
    permit(principal, Permission.VIEW_IMAGES)
    check_acceptable(request, instance)
    located = locations_of(principal, study, series, instance)
    return instances_response(request, principal, located, (study, series, instance))


def check_acceptable(request: HttpRequest, instance: str | None) -> None:
    """Raises NotAcceptable before anything is looked for."""
    choose(acceptable(request), _offers(instance))


def _offers(instance: str | None) -> tuple[Offer, ...]:
    return (_SEVERAL, _ALONE, _ZIP) if instance else (_SEVERAL, _ZIP)


def instances_response(
    request: HttpRequest,
    principal: Principal,
    located: Iterable[Location | None],
    resource: tuple[str, str | None, str | None],
) -> HttpResponseBase:
    """The instances as they are located, None while the next one is waited for.

    Raises NotFound where there are none, BlobMissing where none has its bytes.
    """
    study, series, instance = resource
    gone = missing_blobs(principal, study, series, instance)
    found = (each for each in located if each is None or each.blob_key not in gone)
    first = next((each for each in found if each is not None), None)
    if first is None and gone:
        raise BlobMissing("every blob below the resource")
    if first is None:
        raise NotFound("There is no such study, series or instance.")
    offer, entry, pending = _first_that_can(acceptable(request), _offers(instance), first)
    view_event(principal, "StudyRetrieved", study)
    if offer is _ALONE:
        return _alone(first, pending)
    every = chain(_made(first, pending), _rest(found, entry))
    if offer is _ZIP:
        response = streamed_response(zipped(every), ZIP)
        response["Content-Disposition"] = f'attachment; filename="{_plain(study, "study")}.zip"'
    else:
        boundary = boundary_of(study, series or "", instance or "", first.digest)
        parts = _parts(base_url(request), every)
        response = streamed_response(body(boundary, parts), content_type(boundary, DICOM))
    if gone:
        admit_missing(request, response, len(gone))
    return response


def _first_that_can(
    ranges: Sequence[MediaRange], offers: Sequence[Offer], location: Location
) -> tuple[Offer, MediaRange, Pending]:
    """The most preferred entry that the first instance can be sent by. Raises NotAcceptable."""
    choices = [
        (offer, entry)
        for entry in ranges
        if (offer := next((each for each in offers if matches(entry, each)), None)) is not None
    ]

    def made(choice: tuple[Offer, MediaRange]) -> tuple[Offer, MediaRange, Pending]:
        return *choice, outgoing_instance(location, choice[1])

    return first_made(choices, made)


def admit_missing(request: HttpRequest, response: HttpResponseBase, count: int) -> None:
    """Part of it is better than nothing, if that is said (PS3.18 10.4.3)."""
    _logger.error("%d stored blobs are missing; the rest of the resource was sent.", count)
    response.status_code = 206
    response["Warning"] = (
        f'299 {base_url(request)}: "The stored bytes of {count} instances are missing"'
    )


def instance_response(location: Location, entry: MediaRange) -> HttpResponseBase:
    """One instance as a Part 10 stream. Raises NotAcceptable."""
    return _alone(location, outgoing_instance(location, entry))


def _alone(location: Location, pending: Pending) -> HttpResponseBase:
    media_type = f"{DICOM}; transfer-syntax={pending.transfer_syntax_uid}"
    at_once = next(pending.steps)
    chunks = complete(at_once.chunks, at_once.length) if at_once else _when_made(pending)
    response = streamed_response(chunks, media_type)
    if at_once:
        response["Content-Length"] = str(at_once.length)
    name = _plain(location.sop_instance_uid, "instance")
    response["Content-Disposition"] = f'attachment; filename="{name}.dcm"'
    return response


def _when_made(pending: Pending) -> Iterator[bytes]:
    for each in pending.steps:
        if each is None:
            yield b""
        else:
            yield from complete(each.chunks, each.length)


def _plain(uid: str, otherwise: str) -> str:
    """What a file's name in a header may have of a UID."""
    plain = "".join(each for each in uid if each.isascii() and (each.isalnum() or each == "."))
    return plain[:64] or otherwise


def _rest(
    found: Iterable[Location | None], entry: MediaRange
) -> Iterator[tuple[Location, OutgoingInstance] | None]:
    """What follows the first part can no longer become an error: it falls back to as stored."""
    for location in found:
        if location is None:
            yield None
            continue
        try:
            pending = outgoing_instance(location, entry)
        except NotAcceptable:
            pending = Pending.none(as_stored(location))
        yield from _made(location, pending)


def _made(
    location: Location, pending: Pending
) -> Iterator[tuple[Location, OutgoingInstance] | None]:
    """The instance when it is made, as stored where that fails; None while it is waited for."""
    try:
        for each in pending.steps:
            yield None if each is None else (location, each)
    except UnsupportedPixels:
        yield location, as_stored(location)


def _parts(
    base: str, outgoing: Iterable[tuple[Location, OutgoingInstance] | None]
) -> Iterator[Part | None]:
    for each in outgoing:
        if each is None:
            yield None
            continue
        location, instance = each
        media_type = f"{DICOM}; transfer-syntax={instance.transfer_syntax_uid}"
        yield Part(media_type, base + location.path, instance.length, instance.chunks)


def outgoing_instance(location: Location, entry: MediaRange) -> Pending:
    """The instance in the syntax the entry asks for; `*` is as stored.

    Without `transfer-syntax` the default is Explicit VR Little Endian (PS3.18 8.7.3.4); an
    instance that exists lossy only, or that cannot be decoded here, then goes out as stored.
    Implicit VR and Big Endian have no place in web services (8.7.3): what is stored so is rewritten
    for `*`, too. Raises NotAcceptable where a syntax was named and cannot be made.
    """
    wanted = entry.transfer_syntax
    stored = transfer_syntax(location.transfer_syntax_uid)
    if stored.implicit or stored.big_endian:
        wanted = "" if wanted == "*" else wanted
    elif wanted in {"*", stored.uid}:
        return Pending.none(as_stored(location))
    if not wanted and stored.lossy:
        return Pending.none(as_stored(location))
    if wanted and wanted != EXPLICIT_VR_LITTLE_ENDIAN and not writable(wanted):
        raise NotAcceptable(
            f"Transfer Syntax {wanted[:64]} cannot be made here; this instance is stored in "
            f"{stored.uid}."
        )
    target = wanted or EXPLICIT_VR_LITTLE_ENDIAN
    if stored.uid == target:
        return Pending.none(as_stored(location))
    try:
        return conversion(location, target)
    except UnsupportedPixels as failure:
        if wanted:
            raise NotAcceptable(
                "This instance cannot be had in that Transfer Syntax; ask for transfer-syntax=*.",
                detail=failure.message,
            ) from failure
        return Pending.none(as_stored(location))
