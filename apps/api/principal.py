"""The principal of a REST request, and the product's errors as REST framework answers."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import DataError
from rest_framework.exceptions import NotAuthenticated as RestNotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler, set_rollback

from apps import errors
from apps.access.principals import Permission, Principal, permit
from apps.api.bodies import PackedBody, body_refused, check_body
from apps.network.peer_errors import AssociationRejected, PeerUnreachable
from apps.network.scu import PeerRefused

_STATUS: dict[type[errors.PacsError], int] = {
    PeerUnreachable: 502,
    AssociationRejected: 502,
    PeerRefused: 502,
    errors.InvalidRequest: 400,
    errors.NotAuthenticated: 401,
    errors.NotPermitted: 403,
    errors.NotFound: 404,
    errors.NotAcceptable: 406,
    errors.IdentityConflict: 409,
    errors.AlreadyExists: 409,
    errors.WrongState: 409,
    errors.UnreadableInstance: 422,
    errors.UnsupportedPixels: 422,
    errors.Unavailable: 503,
    errors.OutOfResources: 507,
}


class PrincipalView(APIView):
    """A view that knows who asks; `permission` is demanded before any handler runs."""

    permission: Permission | None = None

    @property
    def principal(self) -> Principal:
        """Raises a 401 for strangers."""
        auth = self.request.auth
        if not isinstance(auth, Principal):
            raise RestNotAuthenticated
        return auth

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Checks the permission once, for every method; no path and no parameter holds a NUL."""
        super().initial(request, *args, **kwargs)
        check_body(request)
        if self.permission is not None:
            permit(self.principal, self.permission)
        # SQLite finds nothing by it, PostgreSQL will not even look.
        if any("\0" in str(each) for each in kwargs.values()):
            raise errors.NotFound("There is nothing by that name.")
        for name, values in request.query_params.lists():
            if any("\0" in text for text in (name, *values)):
                raise errors.InvalidRequest("No value holds a NUL.", offending=(name[:64],))


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler, with our errors' plain sentences."""
    if isinstance(error, errors.PacsError):
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
        return Response({"detail": error.message}, status=status)
    if isinstance(error, DataError):
        # The last net: a serializer let something through that no column can hold.
        set_rollback()
        return Response({"detail": "A value cannot be kept or looked for."}, status=400)
    if isinstance(error, TooManyFieldsSent | TooManyFilesSent | RequestDataTooBig):
        return body_refused(error)
    response = exception_handler(error, context)
    if isinstance(error, PackedBody) and response is not None:
        response["Accept-Encoding"] = "identity"
    return response
