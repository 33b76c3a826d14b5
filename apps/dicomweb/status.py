"""TABLE: PacsError -> HTTP status, and the answer in words."""

from __future__ import annotations

import json
from typing import Final

from django.http import HttpRequest, HttpResponse

from apps import errors
from apps.network.peer_errors import AssociationRejected, PeerUnreachable
from apps.network.scu import PeerRefused
from apps.storage.blobs import BlobMissing
from apps.transfers.gateway_fetch import NotFetched


class UnsupportedMediaType(errors.PacsError):
    """The request's body is of a type that this resource does not take."""


class PackedBody(UnsupportedMediaType):
    """The body is compressed, which none of our resources takes."""

    def __init__(self) -> None:
        super().__init__("Send the body as it is, without Content-Encoding.")


class TooBroad(errors.PacsError):
    """The search would have to read too much; narrower keys are needed (PS3.18 table 8.3.4-4)."""


class RangeNotSatisfiable(errors.PacsError):
    """The Range header asks for bytes that are not there; `length` is the whole."""

    def __init__(self, length: int) -> None:
        super().__init__("The range lies outside the resource.")
        self.length = length


class MethodNotAllowed(errors.PacsError):
    """The resource exists and does not know this method; `allowed` are those it knows."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__("This resource takes " + ", ".join(allowed) + " only.")
        self.allowed = allowed


TABLE: Final[dict[type[Exception], int]] = {
    errors.InvalidRequest: 400,
    errors.NotAuthenticated: 401,
    errors.NotPermitted: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.UnsupportedPixels: 406,
    errors.IdentityConflict: 409,
    errors.AlreadyExists: 409,
    errors.WrongState: 409,
    BlobMissing: 410,
    TooBroad: 413,
    UnsupportedMediaType: 415,
    RangeNotSatisfiable: 416,
    errors.UnreadableInstance: 422,
    errors.SignInPaused: 429,
    AssociationRejected: 502,
    PeerRefused: 502,
    NotFetched: 502,
    errors.Unavailable: 503,
    PeerUnreachable: 504,
    errors.OutOfResources: 507,
    errors.PacsError: 500,
}


FHIR_MOUNT: Final = "/fhir"
FHIR_JSON: Final = "application/fhir+json"
# http://hl7.org/fhir/R4/valueset-issue-type.html
_ISSUES: Final = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    413: "too-costly",
    429: "throttled",
    500: "exception",
    503: "transient",
    507: "no-store",
}


def status_of(failure: Exception) -> int:
    """The HTTP status of a failure: its own row, or that of the nearest parent class."""
    for kind in type(failure).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return 500


def sentence_of(failure: Exception) -> str:
    """One plain sentence for people; never a traceback, never patient data."""
    if isinstance(failure, errors.PacsError):
        return failure.message
    if isinstance(failure, BlobMissing):
        return "The stored bytes of this instance are missing. Tell the administrator."
    return "Something failed here; the log has the details."


def _outcome(failure: Exception) -> str:
    issue = {
        "severity": "error",
        "code": _ISSUES.get(status_of(failure), "processing"),
        "diagnostics": sentence_of(failure),
    }
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})


def failure_response(request: HttpRequest, failure: Exception) -> HttpResponse:
    """The failure as a response: JSON, or plain text for clients that ask for text first.

    Below `/fhir` it is an OperationOutcome (FHIR R4 3.1.0.1.5).
    """
    message = sentence_of(failure)
    accept = request.META.get("HTTP_ACCEPT", "").lower()
    if request.path_info.startswith(FHIR_MOUNT):
        response = HttpResponse(_outcome(failure), content_type=f"{FHIR_JSON}; charset=utf-8")
    elif "text/plain" in accept or "text/html" in accept:
        response = HttpResponse(message + "\n", content_type="text/plain; charset=utf-8")
    else:
        body: dict[str, object] = {"message": message}
        if isinstance(failure, errors.InvalidRequest) and failure.offending:
            body["offending"] = list(failure.offending)
        response = HttpResponse(json.dumps(body), content_type="application/json")
    response.status_code = status_of(failure)
    response["Cache-Control"] = "no-store"
    if isinstance(failure, errors.PacsError) and failure.retryable:
        response["Retry-After"] = "5"
    if isinstance(failure, errors.SignInPaused):
        response["Retry-After"] = str(failure.seconds)
    if isinstance(failure, RangeNotSatisfiable):
        response["Content-Range"] = f"bytes */{failure.length}"
    if isinstance(failure, PackedBody):
        response["Accept-Encoding"] = "identity"
    if isinstance(failure, MethodNotAllowed):
        response["Allow"] = ", ".join(failure.allowed)
    return response
