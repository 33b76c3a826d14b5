"""Studies, series and instances as DICOM (PS3.18 10.4.1.1.1), streamed in flat memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import DICOM, MediaRange, Offer, acceptable, choose
from apps.dicomweb.wado_rs.parts import Part, body, boundary_of, content_type, streamed_response
from apps.errors import NotAcceptable, NotFound, UnsupportedPixels
from apps.retrieve.conversion import converted
from apps.retrieve.instances import OutgoingInstance, as_stored
from apps.retrieve.locations import Location, locations_of, missing_blobs
from apps.storage.blobs import BlobMissing

_logger = logging.getLogger(__name__)
_SEVERAL = Offer(DICOM, multipart=True)
_ALONE = Offer(DICOM)


def retrieve_instances(
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> HttpResponseBase:
    """Every visible instance below the resource, as one multipart body or one Part 10 stream."""
    permit(principal, Permission.VIEW_IMAGES)
    offers = (_SEVERAL, _ALONE) if instance else (_SEVERAL,)
    offer, entry = choose(acceptable(request), offers)
    gone = missing_blobs(principal, study, series, instance)
    located = locations_of(principal, study, series, instance)
    found = (each for each in located if each.blob_key not in gone)
    first = next(found, None)
    if first is None and gone:
        raise BlobMissing("every blob below the resource")
    if first is None:
        raise NotFound("There is no such study, series or instance.")
    view_event(principal, "StudyRetrieved", study)
    if not offer.multipart:
        return instance_response(first, entry)
    outgoing = outgoing_instance(first, entry)
    boundary = boundary_of(study, series or "", instance or "", first.digest)
    parts = _parts(base_url(request), chain([(first, outgoing)], _rest(found, entry)))
    response = streamed_response(body(boundary, parts), content_type(boundary, DICOM))
    if gone:
        _admit_missing(request, response, len(gone))
    return response


def _admit_missing(request: HttpRequest, response: HttpResponseBase, count: int) -> None:
    """Part of it is better than nothing, if that is said (PS3.18 10.4.3)."""
    _logger.error("%d stored blobs are missing; the rest of the resource was sent.", count)
    response.status_code = 206
    response["Warning"] = (
        f'299 {base_url(request)}: "The stored bytes of {count} instances are missing"'
    )


def instance_response(location: Location, entry: MediaRange) -> HttpResponseBase:
    """One instance as a Part 10 stream of known length. Raises NotAcceptable."""
    outgoing = outgoing_instance(location, entry)
    media_type = f"{DICOM}; transfer-syntax={outgoing.transfer_syntax_uid}"
    response = streamed_response(outgoing.chunks, media_type)
    response["Content-Length"] = str(outgoing.length)
    response["Content-Disposition"] = f'attachment; filename="{_file_name(location)}"'
    return response


def _file_name(location: Location) -> str:
    plain = "".join(
        letter for letter in location.sop_instance_uid if letter.isalnum() or letter == "."
    )
    return f"{plain[:64] or 'instance'}.dcm"


def _rest(
    found: Iterable[Location], entry: MediaRange
) -> Iterator[tuple[Location, OutgoingInstance]]:
    """What follows the first part can no longer become an error: it falls back to as stored."""
    for location in found:
        try:
            yield location, outgoing_instance(location, entry)
        except NotAcceptable:
            yield location, as_stored(location)


def _parts(base: str, outgoing: Iterable[tuple[Location, OutgoingInstance]]) -> Iterator[Part]:
    for location, instance in outgoing:
        media_type = f"{DICOM}; transfer-syntax={instance.transfer_syntax_uid}"
        yield Part(media_type, base + location.path, instance.length, instance.chunks)


def outgoing_instance(location: Location, entry: MediaRange) -> OutgoingInstance:
    """The instance in the syntax the entry asks for.

    Without `transfer-syntax` the default is Explicit VR Little Endian (PS3.18 8.7.3.4); an
    instance that exists lossy only, or that cannot be decoded here, then goes out as stored.
    Raises NotAcceptable where a syntax was named and cannot be made.
    """
    wanted = entry.transfer_syntax
    stored = transfer_syntax(location.transfer_syntax_uid)
    if wanted in {"*", stored.uid}:
        return as_stored(location)
    if not wanted and stored.lossy:
        return as_stored(location)
    if wanted not in {"", EXPLICIT_VR_LITTLE_ENDIAN}:
        raise NotAcceptable(
            f"This instance is stored in Transfer Syntax {stored.uid}; it can be had so, "
            f"or in {EXPLICIT_VR_LITTLE_ENDIAN}."
        )
    if stored.uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return as_stored(location)
    try:
        return converted(location)
    except UnsupportedPixels as failure:
        if wanted:
            raise NotAcceptable(
                "This instance cannot be decoded here; ask for transfer-syntax=*.",
                detail=failure.message,
            ) from failure
        return as_stored(location)
