"""Bodies of requests: what cannot be read is refused with a sentence, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response


class PackedBody(APIException):
    """The body is compressed, which none of our resources takes (RFC 9110 15.5.16)."""

    status_code = 415
    default_detail = "Send the body as it is, without Content-Encoding."
    default_code = "packed"


class LengthRequired(APIException):
    """The body's length is not announced, by which alone it is read (RFC 9110 15.5.12)."""

    status_code = 411
    default_detail = "Say how long the body is (Content-Length)."
    default_code = "length_required"


class JsonBody(JSONParser):
    """REST framework's own, for which JSON that is nested too deeply is no JSON either."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Raises ParseError."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None


def check_body(request: Request) -> None:
    """Raises PackedBody, LengthRequired."""
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise PackedBody
    if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired


def body_refused(error: SuspiciousOperation) -> Response:
    """What Django refuses of a body: its size, or how many fields it has."""
    if isinstance(error, RequestDataTooBig):
        return Response({"detail": "The body is too long."}, status=413)
    return Response({"detail": "The body cannot be taken: it has too many fields."}, status=400)
