"""The product's principals for Django REST framework."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from apps.access.authentication import challenge_for, principal_of
from apps.access.models import User
from apps.access.principals import Principal
from apps.errors import NotAuthenticated, NotPermitted


class PrincipalAuthentication(BaseAuthentication):
    """Session, HTTP Basic or Bearer; `request.auth` is the Principal, `request.user` the User."""

    def authenticate(self, request: Request) -> tuple[User, Principal] | None:
        """None for a stranger, so that the answer is 401 with a challenge."""
        plain = request._request
        has_header = bool(plain.headers.get("Authorization"))
        if not has_header and not plain.user.is_authenticated:
            return None
        try:
            principal = principal_of(plain, "api")
        except NotAuthenticated as error:
            raise AuthenticationFailed(error.message) from error
        except NotPermitted as error:
            raise PermissionDenied(error.message) from error
        user = User.objects.get(username=principal.name)
        return user, principal

    def authenticate_header(self, request: Request) -> str:
        """The challenge for a 401."""
        return challenge_for(request._request)
