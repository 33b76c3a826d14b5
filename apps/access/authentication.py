"""From a request to a Principal: session, HTTP Basic or Bearer token, for every door."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
import time
from collections import OrderedDict
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from apps.access.addresses import client_address
from apps.access.models import User
from apps.access.principals import Permission, Principal, PrincipalKind
from apps.access.tokens import user_of_token
from apps.errors import NotAuthenticated, NotPermitted

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_PERMISSIONS_SECONDS = 5.0
_BASIC_SECONDS = 60.0
_REMEMBERED = 1024


class _Remembered:
    """A small, bounded, time-limited memory shared by the threads of one process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._rows: OrderedDict[Any, tuple[float, Any]] = OrderedDict()

    def get(self, key: Any) -> Any | None:
        """The value, or None when absent or too old."""
        with self._lock:
            row = self._rows.get(key)
            if row is None or row[0] < time.monotonic():
                return None
            return row[1]

    def put(self, key: Any, value: Any) -> None:
        """Keeps the value for the memory's time."""
        with self._lock:
            self._rows[key] = (time.monotonic() + self._seconds, value)
            self._rows.move_to_end(key)
            while len(self._rows) > _REMEMBERED:
                self._rows.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._rows.clear()


_permissions = _Remembered(_PERMISSIONS_SECONDS)
_basic = _Remembered(_BASIC_SECONDS)


def forget_remembered() -> None:
    """For tests and for admin actions that must take effect in this process at once."""
    _permissions.clear()
    _basic.clear()


class _CsrfCheck(CsrfViewMiddleware):
    """Django's check as a question: a reason instead of a page."""

    def _reject(self, _request: HttpRequest, reason: str) -> str:
        return reason


def _unanswered(_request: HttpRequest) -> HttpResponse:
    """The middleware wants a next step it never takes here."""
    return HttpResponse()


def _enforce_csrf(request: HttpRequest) -> None:
    """Raises NotPermitted when an unsafe request with a session cookie lacks its CSRF token."""
    check = _CsrfCheck(_unanswered)
    check.process_request(request)
    reason = check.process_view(request, _unanswered, (), {})
    if reason:
        raise NotPermitted(
            "The request lacks its CSRF token. Reload the page and try again.", detail=str(reason)
        )


def permissions_of(user: User) -> frozenset[Permission]:
    """The product's permissions of a user, remembered for five seconds per process."""
    key = (user.pk, user.is_superuser, user.is_active)
    known = _permissions.get(key)
    if known is None:
        names = user.get_all_permissions()
        known = frozenset(each for each in Permission if each.value in names)
        _permissions.put(key, known)
    return frozenset(known)


def principal_for_user(
    user: User, *, kind: PrincipalKind, door: str, address: str = ""
) -> Principal:
    """A user as a principal of the door."""
    return Principal(
        kind=kind,
        name=user.get_username(),
        door=door,
        address=address,
        user_id=user.pk,
        permissions=permissions_of(user),
    )


def _basic_fingerprint(credentials: str) -> str:
    """Keyed, so that a memory dump does not hold something that can be guessed offline."""
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, credentials.encode(), hashlib.sha256).hexdigest()


def _user_by_basic(request: HttpRequest, encoded: str) -> User:
    """Checks name and password, throttled; a right answer is remembered for a minute.

    Password hashing is slow on purpose: without the memory a client that fetches 500 frames would
    spend minutes on it. A changed password changes the remembered key and ends it at once.
    """
    try:
        credentials = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated("The Authorization header cannot be read.") from None
    username, separator, password = credentials.partition(":")
    if not separator:
        raise NotAuthenticated("The Authorization header cannot be read.")
    fingerprint = _basic_fingerprint(credentials)
    remembered = _basic.get(fingerprint)
    if remembered is not None:
        user = User.objects.filter(pk=remembered[0], is_active=True).first()
        if user is not None and user.password == remembered[1]:
            return user
    try:
        found = authenticate(request, username=username, password=password)
    except PermissionDenied:
        found = None
    if not isinstance(found, User):
        raise NotAuthenticated("User name and password do not match, or sign-in is paused.")
    _basic.put(fingerprint, (found.pk, found.password))
    return found


def _from_header(request: HttpRequest, header: str, door: str) -> Principal:
    """The principal of an Authorization header; raises NotAuthenticated."""
    scheme, _, rest = header.partition(" ")
    address = client_address(request)
    if scheme.lower() == "basic":
        user = _user_by_basic(request, rest.strip())
        return principal_for_user(user, kind=PrincipalKind.USER, door=door, address=address)
    if scheme.lower() == "bearer":
        found = user_of_token(rest.strip())
        if found is None:
            raise NotAuthenticated("This token is unknown, expired or revoked.")
        return principal_for_user(found[0], kind=PrincipalKind.TOKEN, door=door, address=address)
    raise NotAuthenticated("Sign in with HTTP Basic or a Bearer token.")


def principal_of(request: HttpRequest, door: str) -> Principal:
    """Who asks. Raises NotAuthenticated, or NotPermitted for a session without its CSRF token."""
    known = getattr(request, "_pacsweb_principal", None)
    if isinstance(known, Principal):
        return known
    header = request.headers.get("Authorization", "")
    if header:
        principal = _from_header(request, header, door)
    else:
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            raise NotAuthenticated("Sign in first.")
        if request.method not in _SAFE_METHODS:
            _enforce_csrf(request)
        principal = principal_for_user(
            user, kind=PrincipalKind.USER, door=door, address=client_address(request)
        )
    request._pacsweb_principal = principal  # type: ignore[attr-defined]
    return principal


def challenge_for(request: HttpRequest) -> str:
    """The WWW-Authenticate value: no Basic for a page's fetch(), or the browser opens a dialog."""
    if request.headers.get("Sec-Fetch-Mode"):
        return 'Bearer realm="pacsweb"'
    return 'Basic realm="pacsweb", charset="UTF-8"'
