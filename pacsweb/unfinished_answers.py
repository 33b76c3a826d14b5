"""An answer that fails after it began never looks like a whole one, and somebody is told."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Final

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from apps.access.audit import ANSWER_CUT_OFF, actor_of
from apps.access.principals import Principal, system_principal
from apps.events.log import NewEvent, record
from pacsweb.broken_connection import broken

_logger = logging.getLogger(__name__)
_STUDY: Final = re.compile(r"/studies/([0-9.]{1,64})(?:/|$)")


class UnfinishedAnswerMiddleware:
    """Stands outside of whatever streams an answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The inner answer; watched where it is streamed."""
        response = self._get_response(request)
        if isinstance(response, StreamingHttpResponse) and not response.is_async:
            chunks = iter(response)
            response.streaming_content = _watched(chunks, request, response)
        return response


def _watched(
    chunks: Iterator[bytes], request: HttpRequest, response: HttpResponseBase
) -> Iterator[bytes]:
    sent = 0
    try:
        for chunk in chunks:
            sent += len(chunk)
            yield chunk
    except Exception as failure:
        _tell(request, failure, sent)
        if not response.has_header("Content-Length"):
            yield from broken(settings.PACSWEB.http_port)
        # With its length announced, the server breaks the connection itself.
        raise


def _tell(request: HttpRequest, failure: Exception, sent: int) -> None:
    """A sentence in the log, and an event that is counted."""
    reason = type(failure).__name__
    _logger.error(
        "The answer to %s %s was cut off after %d bytes: %s",
        request.method,
        request.path_info,
        sent,
        reason,
    )
    principal = getattr(request, "_pacsweb_principal", None)
    if not isinstance(principal, Principal):
        principal = system_principal("web")
    study = _STUDY.search(request.path_info)
    payload = {"path": request.path_info[:512], "bytes": sent, "reason": reason}
    event = NewEvent(
        ANSWER_CUT_OFF, actor_of(principal), study[1] if study else "", payload=payload
    )
    try:
        record([event])
    except DatabaseError as problem:
        _logger.warning("That could not be recorded: %s", type(problem).__name__)
