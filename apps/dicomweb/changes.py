"""The change feed: what happened to the archive, in order, for systems that keep up with it."""

from __future__ import annotations

from typing import Final

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.principals import Permission, Principal, permit
from apps.dicom.whole_numbers import whole_number
from apps.dicomweb.wado_rs.parts import keep_private
from apps.events.log import feed, latest_sequence
from apps.network.webhooks import CHANGES, change_of

MOST: Final = 1000
_USUAL: Final = 100


def list_changes(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """`/changes?after=SEQUENCE&limit=N`: the oldest changes behind `after`, and where to go on.

    Sequence numbers grow in the order of commits and are never used again; there are gaps, because
    other events are counted too. `latest` is the newest number there is, of whatever kind.
    """
    permit(principal, Permission.VIEW_IMAGES)
    after = _number(request, "after", 0)
    limit = min(max(_number(request, "limit", _USUAL), 1), MOST)
    newest = latest_sequence()
    events = feed(after, kinds=CHANGES, limit=limit)
    full = len(events) == limit
    body = {
        "changes": [change_of(each) for each in events],
        "next": _next(after, newest, [each.sequence for each in events], full=full),
        "more": full,
        "latest": newest,
    }
    response = HttpResponse(orjson.dumps(body), content_type="application/json")
    keep_private(response, "")
    return response


def _number(request: HttpRequest, name: str, otherwise: int) -> int:
    text = request.GET.get(name, "")
    return whole_number(text, name) if text else otherwise


def _next(after: int, newest: int, sequences: list[int], *, full: bool) -> int:
    """Where to go on: what was committed since `newest` was read counts only if it is told of."""
    last = sequences[-1] if sequences else after
    return last if full else max(last, newest)
