"""TABLE: what a fault of a UPS means over HTTP (PS3.18 tables 11.4.3-1 to 11.12.3-1)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Concatenate, Final, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.principals import Principal
from apps.dicom.ups import Fault, UpsFault
from apps.dicomweb.links import base_url
from apps.dicomweb.status import failure_response

P = ParamSpec("P")
_View = Callable[Concatenate[HttpRequest, Principal, P], HttpResponseBase]

_INCONSISTENT: Final = (
    "The submitted request is inconsistent with the current state of the Workitem."
)
_UNCLAIMED: Final = "The target URI did not reference a claimed Workitem."
_WRONG_KEY: Final = "The Transaction UID is incorrect."

TABLE: Final[dict[Fault, tuple[int, str]]] = {
    Fault.UNKNOWN: (404, ""),
    Fault.WRONG_TRANSACTION_UID: (400, _WRONG_KEY),
    Fault.NOT_SCHEDULED: (400, "The provided value of UPS State was not SCHEDULED."),
    Fault.NOT_APPROPRIATE: (400, "Only a Worklist Subscription can be suspended."),
    Fault.ONLY_BY_CREATION: (409, _INCONSISTENT),
    Fault.NO_LONGER: (409, _INCONSISTENT),
    Fault.ALREADY_IN_PROGRESS: (409, _INCONSISTENT),
    Fault.NOT_IN_PROGRESS: (409, _UNCLAIMED),
    Fault.NOT_FINAL_YET: (409, _INCONSISTENT),
    Fault.ALREADY_COMPLETED: (409, "The UPS is already COMPLETED."),
    Fault.PERFORMER_OUT_OF_REACH: (409, "The performer cannot be contacted."),
}
# An update is a bad request, not a conflict, where the step is over (table 11.6.3-1).
OF_UPDATE: Final = {
    Fault.NO_LONGER: (400, _INCONSISTENT),
    Fault.ONLY_BY_CREATION: (400, "The state is changed by its own resource, not by an update."),
}
ALREADY: Final = {
    Fault.ALREADY_CANCELED_WARNING: "The UPS is already in the requested state of CANCELED.",
    Fault.ALREADY_COMPLETED_WARNING: "The UPS is already in the requested state of COMPLETED.",
}


def warn(request: HttpRequest, response: HttpResponse, sentence: str) -> None:
    """Adds the sentence as a Warning with code 299 (PS3.18 8.4.3)."""
    said = f'299 {base_url(request)}: "{sentence}"'
    before = response.get("Warning", "")
    response["Warning"] = f"{before}, {said}" if before else said


def told(
    special: Mapping[Fault, tuple[int, str]] | None = None,
) -> Callable[[_View[P]], _View[P]]:
    """A view whose UPS faults are answered as the tables want; the `special` rows come first."""
    rows = {**TABLE, **(special or {})}

    def wrap(view: _View[P]) -> _View[P]:
        @functools.wraps(view)
        def answer(
            request: HttpRequest, principal: Principal, /, *args: P.args, **path: P.kwargs
        ) -> HttpResponseBase:
            try:
                return view(request, principal, *args, **path)
            except UpsFault as failure:
                response = failure_response(request, failure)
                response.status_code, sentence = rows.get(failure.fault, (409, _INCONSISTENT))
                if sentence:
                    warn(request, response, failure.detail or sentence)
                return response

        return answer

    return wrap
