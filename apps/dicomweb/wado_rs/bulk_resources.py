"""All bulk data, or all pixel data, of a study, series or instance (PS3.18 10.4.1.1.5, 10.4.1.1.6).

A part for each value that the metadata leaves behind a BulkDataURI, with that URI as its location;
compressed Pixel Data as a part for each frame (8.7.3.3). What cannot be had in any of the accepted
types is left out (10.4.3). Streamed in flat memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import OCTET_STREAM, Offer, acceptable, choose, first_made
from apps.dicomweb.wado_rs.bulkdata import ENCAPSULATED_DOCUMENT, types_of_document
from apps.dicomweb.wado_rs.frames import Plan, plans_for
from apps.dicomweb.wado_rs.instances import admit_missing
from apps.dicomweb.wado_rs.parts import Part, body, boundary_of, content_type, streamed_response
from apps.dicomweb.wado_rs.pixel_parts import PIXEL_DATA, PIXELS, begun_parts
from apps.errors import NotAcceptable, NotFound
from apps.retrieve.bulkdata import BulkValue, bulk_values
from apps.retrieve.frames import frame_table_of
from apps.retrieve.locations import Location, locations_of, missing_blobs
from apps.storage.blobs import BlobMissing


def retrieve_bulk_resource(
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> HttpResponseBase:
    """`/bulkdata` of a study, series or instance."""
    return _answer(request, principal, (study, series, instance), pixels_only=False)


def retrieve_pixel_resource(
    request: HttpRequest, principal: Principal, study: str, series: str | None = None
) -> HttpResponseBase:
    """`/pixeldata` of a study or series."""
    return _answer(request, principal, (study, series, None), pixels_only=True)


def _answer(
    request: HttpRequest,
    principal: Principal,
    resource: tuple[str, str | None, str | None],
    *,
    pixels_only: bool,
) -> HttpResponseBase:
    permit(principal, Permission.VIEW_IMAGES)
    gone = missing_blobs(principal, *resource)

    def located() -> Iterator[Location]:
        every = locations_of(principal, *resource)
        return (each for each in every if each.blob_key not in gone)

    lacking = len(gone) + sum(_is_cut(each) for each in located())
    collection = _Collection(request, base_url(request), pixels_only=pixels_only)
    parts = collection.parts(located())
    # The first is made before the answer begins: it shows whether there can be one.
    first = next(parts, None)
    if first is None:
        raise collection.nothing(missing=bool(gone))
    view_event(principal, "StudyRetrieved", resource[0])
    boundary = boundary_of(*(each or "" for each in resource), collection.digest, first.media_type)
    media_type = content_type(boundary, first.media_type.partition(";")[0])
    response = streamed_response(body(boundary, chain([first], parts)), media_type)
    if lacking:
        admit_missing(request, response, lacking)
    return response


@dataclass(slots=True)
class _Collection:
    """The parts of one answer as they are made, and why there is none where there is none."""

    request: HttpRequest
    base: str
    pixels_only: bool
    digest: str = ""
    """Of the first instance."""
    refused: NotAcceptable | None = None

    def parts(self, located: Iterable[Location]) -> Iterator[Part]:
        """What the accepted types allow for, instance by instance."""
        sent = False
        for location in located:
            self.digest = self.digest or location.digest
            for path, value in _values(location, pixels_only=self.pixels_only):
                begun = False
                try:
                    for part in self._parts_of(location, path, value, sent=sent):
                        begun = sent = True
                        yield part
                except NotAcceptable as refusal:
                    # Half of the frames would look like all of them.
                    if begun:
                        raise
                    self.refused = self.refused or refusal

    def nothing(self, *, missing: bool) -> Exception:
        """What to say where there is no part at all."""
        if self.refused is not None:
            return self.refused
        if missing:
            return BlobMissing("every blob below the resource")
        if not self.digest:
            return NotFound("There is no such study, series or instance.")
        kind = "pixel data" if self.pixels_only else "bulk data"
        return NotFound(f"There is no whole {kind} below this resource.")

    def _parts_of(
        self, location: Location, path: tuple[str, ...], value: BulkValue, *, sent: bool
    ) -> Iterator[Part]:
        if path == (PIXEL_DATA,) and location.encapsulated:
            table = frame_table_of(location)
            plans = plans_for(self.request, location, single=False)

            def begun(plan: Plan) -> Iterator[Part]:
                at_last = sent and plan is plans[-1]
                return begun_parts(location, table, plan, self.base, rather_as_stored=at_last)

            yield from first_made(plans, begun)
            return
        types: tuple[str, ...] = (OCTET_STREAM,)
        if path == (ENCAPSULATED_DOCUMENT,):
            types = types_of_document(location)
        entries = [
            each for each in acceptable(self.request) if each.multipart or each.media_type == "*/*"
        ]
        offer, _ = choose(entries, [Offer(each, multipart=True) for each in types])
        uri = f"{self.base}{location.path}/bulkdata/{'/'.join(path)}"
        yield Part(offer.media_type, uri, value.length, value.chunks(0, value.length))


def _values(
    location: Location, *, pixels_only: bool
) -> Iterator[tuple[tuple[str, ...], BulkValue]]:
    cut = _is_cut(location)
    for element, value in bulk_values(location):
        of_frames = element.path[0] in PIXELS and len(element.path) == 1
        if of_frames and cut:
            continue
        if of_frames or not pixels_only:
            yield element.path, value


def _is_cut(location: Location) -> bool:
    """Whether native Pixel Data ends before its last frame does; it is then left out, and said."""
    table = None if location.encapsulated else location.frames
    return table is not None and table.count > 0 and table.is_cut(table.count - 1)
