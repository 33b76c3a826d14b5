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
from apps.access.principals import Principal, PrincipalKind
from apps.access.standing import Standing, rights_of
from apps.access.tokens import user_of_token
from apps.errors import NotAuthenticated, NotPermitted

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_BASIC_SECONDS = 300.0
_REMEMBERED = 1024
_CHECKED_AT_ONCE = 64


class _Remembered:
    """A small, bounded memory shared by the threads of one process, of what was used lately."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._rows: OrderedDict[Any, tuple[float, Any]] = OrderedDict()

    def get(self, key: Any) -> Any | None:
        """The value, which is kept for as long again; None when absent or too old."""
        with self._lock:
            row = self._rows.get(key)
            if row is None or row[0] < time.monotonic():
                return None
            self._rows[key] = (time.monotonic() + self._seconds, row[1])
            self._rows.move_to_end(key)
            return row[1]

    def put(self, key: Any, value: Any) -> None:
        """Keeps the value for the memory's time after its last use."""
        with self._lock:
            self._rows[key] = (time.monotonic() + self._seconds, value)
            self._rows.move_to_end(key)
            while len(self._rows) > _REMEMBERED:
                self._rows.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._rows.clear()


_basic = _Remembered(_BASIC_SECONDS)
_being_checked = tuple(threading.Lock() for _ in range(_CHECKED_AT_ONCE))


def forget_remembered() -> None:
    """For tests and for admin actions that must take effect in this process at once."""
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


def has_csrf_token(request: HttpRequest) -> bool:
    """Whether a request that changes something may be answered: by header, or with its token."""
    if request.headers.get("Authorization"):
        return True
    try:
        _enforce_csrf(request)
    except NotPermitted:
        return False
    return True


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
        permissions=rights_of(user),
    )


def _basic_fingerprint(credentials: str) -> str:
    """Keyed, so that a memory dump does not hold something that can be guessed offline."""
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, credentials.encode(), hashlib.sha256).hexdigest()


def _user_by_basic(request: HttpRequest, encoded: str) -> User:
    """Checks name and password, throttled; a right answer is remembered while it is used.

    Password hashing is slow on purpose: without the memory a client that fetches 500 frames would
    spend minutes on it, and one with several connections occupy every processor at its start. A
    changed password or a disabled user ends it at once.
    """
    try:
        credentials = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated("The Authorization header cannot be read.") from None
    username, separator, password = credentials.partition(":")
    if not separator:
        raise NotAuthenticated("The Authorization header cannot be read.")
    fingerprint = _basic_fingerprint(credentials)
    user = _remembered_user(fingerprint)
    if user is not None:
        return user
    # Who comes with the same meanwhile waits for the answer to the first.
    with _being_checked[int(fingerprint[:8], 16) % _CHECKED_AT_ONCE]:
        user = _remembered_user(fingerprint)
        if user is None:
            user = _checked_user(request, username, password)
            _basic.put(fingerprint, (user.pk, user.get_username(), user.password))
    return user


def _remembered_user(fingerprint: str) -> User | None:
    remembered = _basic.get(fingerprint)
    if remembered is None:
        return None
    user = User.objects.filter(pk=remembered[0], is_active=True).first()
    same = user is not None and (user.get_username(), user.password) == remembered[1:]
    return user if same else None


def _checked_user(request: HttpRequest, username: str, password: str) -> User:
    try:
        found = authenticate(request, username=username, password=password)
    except PermissionDenied:
        found = None
    if not isinstance(found, User):
        raise NotAuthenticated("User name and password do not match, or sign-in is paused.")
    return found


def _from_header(request: HttpRequest, header: str, door: str) -> tuple[Principal, Standing]:
    """The principal of an Authorization header; raises NotAuthenticated."""
    scheme, _, rest = header.partition(" ")
    address = client_address(request)
    if scheme.lower() == "basic":
        user = _user_by_basic(request, rest.strip())
        principal = principal_for_user(user, kind=PrincipalKind.USER, door=door, address=address)
        return principal, _standing(user, principal)
    if scheme.lower() == "bearer":
        found = user_of_token(rest.strip())
        if found is None:
            raise NotAuthenticated("This token is unknown, expired or revoked.")
        user, token = found
        principal = principal_for_user(user, kind=PrincipalKind.TOKEN, door=door, address=address)
        return principal, _standing(user, principal, token_id=token.pk)
    raise NotAuthenticated("Sign in with HTTP Basic or a Bearer token.")


def _standing(
    user: User, principal: Principal, *, session_key: str = "", token_id: int | None = None
) -> Standing:
    """What this sign-in rests on, from the very values that made the principal."""
    return Standing(
        user_id=user.pk,
        username=principal.name,
        password=user.password,
        superuser=user.is_superuser,
        rights=principal.permissions,
        session_key=session_key,
        token_id=token_id,
    )


def principal_of(request: HttpRequest, door: str) -> Principal:
    """Who asks. Raises NotAuthenticated, or NotPermitted for a session without its CSRF token."""
    known = getattr(request, "_pacsweb_principal", None)
    if isinstance(known, Principal):
        return known
    header = request.headers.get("Authorization", "")
    standing = None
    if header:
        principal, standing = _from_header(request, header, door)
    else:
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            raise NotAuthenticated("Sign in first.")
        if request.method not in _SAFE_METHODS:
            _enforce_csrf(request)
        principal = principal_for_user(
            user, kind=PrincipalKind.USER, door=door, address=client_address(request)
        )
        session = getattr(request, "session", None)
        if session is not None and session.session_key:
            standing = _standing(user, principal, session_key=session.session_key)
    remember(request, principal, standing)
    return principal


def remember(request: HttpRequest, principal: Principal, standing: Standing | None) -> None:
    """Notes on the request who asks, so that nobody works it out twice."""
    request._pacsweb_principal = principal  # type: ignore[attr-defined]
    request._pacsweb_standing = standing  # type: ignore[attr-defined]


def standing_of(request: HttpRequest) -> Standing | None:
    """What the principal of this request rests on; None where that cannot be asked again."""
    standing = getattr(request, "_pacsweb_standing", None)
    return standing if isinstance(standing, Standing) else None


def challenge_for(request: HttpRequest) -> str:
    """The WWW-Authenticate value: no Basic for a page's fetch(), or the browser opens a dialog."""
    if request.headers.get("Sec-Fetch-Mode"):
        return 'Bearer realm="pacsweb"'
    return 'Basic realm="pacsweb", charset="UTF-8"'
