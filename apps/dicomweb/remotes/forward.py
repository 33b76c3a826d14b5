"""Requests for an archive that speaks DICOMweb itself, passed on to it and back.

What goes on are path, query, body and a few headers; what comes back are status, body and a few
headers. Who may ask here is decided here; there we sign in as the administrator has entered.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse

from apps.access.audit import actor_of, view_event
from apps.access.principals import Permission, Principal, permit
from apps.access.searches import note_search
from apps.dicom.multipart import CHUNK
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import MULTIPART
from apps.dicomweb.qido.parameters import split_parameters
from apps.dicomweb.wado_rs.parts import keep_private
from apps.errors import InvalidRequest, NotFound, Unavailable
from apps.events.log import NewEvent, record
from apps.network.models import WebArchive
from apps.network.scu import PeerRefused
from apps.network.web_client import WebAnswer, ask
from apps.transfers.gateway_peers import web_archives

_AT_ONCE: Final = 4  # of the threads of each web process
_THERE: Final = ("Accept", "Content-Type", "If-None-Match", "If-Range", "Range")
_BACK: Final = ("accept-ranges", "content-range", "etag", "last-modified", "retry-after", "warning")
# What a browser may be given at our address; markup of another system is not among it.
_MEDIA_TYPES: Final = re.compile(
    r"(application/(dicom|dicom\+json|dicom\+xml|json|octet-stream|pdf|zip)|multipart/related"
    r"|image/(?!svg)[a-z0-9.-]+|video/[a-z0-9.-]+|text/plain) *(;|$)",
    re.IGNORECASE,
)
_WITH_LINKS: Final = ("json", "dicom+xml")
_REFUSED: Final = frozenset({401, 403, 407})
_SEARCH: Final = re.compile(r"/(studies|series|instances)$")
_PATH_SAFE: Final = "/,;:@!$&'()*+=~-._"
_QUERY_SAFE: Final = _PATH_SAFE + "%?"

_places = threading.BoundedSemaphore(_AT_ONCE)
View = Callable[..., HttpResponseBase]


def served(view: View) -> View:
    """`view` for archives that speak DIMSE; those that speak DICOMweb are asked themselves."""

    @functools.wraps(view)
    def answer(
        request: HttpRequest, principal: Principal, remote: str, **path: str
    ) -> HttpResponseBase:
        archive = web_archives(principal).filter(name=remote).first()
        if archive is None:
            return view(request, principal, remote, **path)
        return _forwarded(request, principal, archive, path.get("study", ""))

    return answer


def nothing(
    _request: HttpRequest, _principal: Principal, remote: str, **_: str
) -> HttpResponseBase:
    """What only archives have that speak DICOMweb: bulk data under links of their own making."""
    raise NotFound(f"There is nothing by that name in {remote[:32]}.")


def _forwarded(
    request: HttpRequest, principal: Principal, archive: WebArchive, study: str
) -> HttpResponseBase:
    if request.method == "POST":
        permit(principal, Permission.STORE_INSTANCES)
    tail = _tail(request, archive)
    query = request.META.get("QUERY_STRING", "")
    _note(principal, archive, tail, query, study)
    target = quote(tail, safe=_PATH_SAFE)
    if query:
        target += f"?{quote(query, safe=_QUERY_SAFE, encoding='latin-1')}"
    headers = {name: request.headers[name] for name in _THERE if name in request.headers}
    body = _body(request, headers) if request.method == "POST" else None
    if not _places.acquire(blocking=False):
        raise Unavailable("Too many requests to other archives are under way: wait a moment.")
    try:
        answer = ask(archive, request.method or "GET", target, headers, body)
    except BaseException:
        _places.release()
        raise
    passing = _Passing(answer)
    try:
        if request.method == "POST":
            payload = {"peer": archive.name, "status": answer.status}
            record([NewEvent("InstancesSentOn", actor_of(principal), study, payload=payload)])
        return _back(request, archive, passing)
    except BaseException:
        passing.close()
        raise


def _tail(request: HttpRequest, archive: WebArchive) -> str:
    """The path below the archive's own address. Raises NotFound for one that would leave it."""
    tail = request.path_info.split(f"/remotes/{archive.name}", 1)[-1]
    segments = tail.split("/")[1:]
    if any(each in {"", ".", ".."} or "\\" in each or not each.isprintable() for each in segments):
        raise NotFound("There is nothing by that name.")
    return tail


def _note(principal: Principal, archive: WebArchive, tail: str, query: str, study: str) -> None:
    """Who searched and looked, as with our own archive."""
    if _SEARCH.search(tail):
        said = {**dict(split_parameters(query)), "StudyInstanceUID": study}
        note_search(principal, f"{tail.rsplit('/', 1)[-1]} at {archive.name}", said)
    else:
        view_event(principal, "StudyViewed", study[:64], payload={"remote": archive.name})


def _body(request: HttpRequest, headers: dict[str, str]) -> Iterator[bytes]:
    """As it comes; one that ends too early is cut off there too."""
    announced = request.headers.get("Content-Length", "")
    if announced.isdigit():
        headers["Content-Length"] = announced
    elif not headers.get("Content-Type", "").lower().startswith(MULTIPART):
        # Where the connection broke, the other archive would take what came for the whole.
        raise InvalidRequest("Send a body that is not multipart with its Content-Length.")
    source = request.META["wsgi.input"]

    def chunks() -> Iterator[bytes]:
        passed = 0
        while chunk := source.read(CHUNK):
            passed += len(chunk)
            yield chunk
        if announced.isdigit() and passed < int(announced):
            raise InvalidRequest("The body ended too early.")

    return chunks()


class _Passing:
    """The body on its way, which holds a place until it is through or nobody listens any more."""

    def __init__(self, answer: WebAnswer) -> None:
        self.answer = answer
        self.chunks: Iterable[bytes] = answer
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.chunks
        finally:
            self.close()

    def close(self) -> None:
        """Once, by whoever comes first."""
        if self._open:
            self._open = False
            self.answer.close()
            _places.release()


def _back(request: HttpRequest, archive: WebArchive, passing: _Passing) -> HttpResponseBase:
    answer = passing.answer
    media_type = answer.headers.get("content-type", "")
    _refuse(archive, answer)
    failed = answer.status >= HTTPStatus.BAD_REQUEST
    if failed and not media_type.lower().startswith("application/dicom+"):
        passing.close()
        message = f"{archive.name} answered {answer.status} to this request."
        return JsonResponse({"message": message}, status=answer.status)
    if media_type and not _MEDIA_TYPES.match(media_type):
        raise PeerRefused(f"{archive.name} sent what is not passed on.", answer.status)
    ours, theirs = f"{base_url(request)}/remotes/{archive.name}", archive.url.rstrip("/")
    whole = "content-range" not in answer.headers
    with_links = whole and any(each in media_type.lower() for each in _WITH_LINKS)
    if with_links:
        passing.chunks = relinked(answer, theirs.encode(), ours.encode())
    response = StreamingHttpResponse(
        passing, status=answer.status, content_type=media_type or "application/octet-stream"
    )
    if not media_type:
        del response["Content-Type"]
    _take_headers(answer, response, with_length=not with_links)
    return response


def _refuse(archive: WebArchive, answer: WebAnswer) -> None:
    """Raises PeerRefused for what is no answer to who asks here."""
    status = answer.status
    if status in _REFUSED:
        raise PeerRefused(f"{archive.name} does not take our credentials.", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.OK:
        raise PeerRefused(f"{archive.name} answered {status}.", status)
    if status in range(300, 400) and status != HTTPStatus.NOT_MODIFIED:
        raise PeerRefused(f"{archive.name} leads elsewhere, which is not followed.", status)
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise PeerRefused(f"{archive.name} packs what it was asked not to pack.", status)


def _take_headers(answer: WebAnswer, response: StreamingHttpResponse, *, with_length: bool) -> None:
    for name in _BACK:
        if name in answer.headers:
            response[name] = answer.headers[name]
    if with_length and "content-length" in answer.headers:
        response["Content-Length"] = answer.headers["content-length"]
    response["X-Accel-Buffering"] = "no"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    keep_private(response, answer.headers.get("etag", ""))


def relinked(chunks: Iterable[bytes], theirs: bytes, ours: bytes) -> Iterator[bytes]:
    """The body with links to the archive made links to us, also where chunks cut them."""
    held = b""
    for chunk in chunks:
        *pieces, held = (held + chunk).split(theirs)
        yield from (piece + ours for piece in pieces)
        keep = len(theirs) - 1
        if len(held) > keep:
            yield held[:-keep]
            held = held[-keep:]
    yield held
