"""Who may listen: the opening request of a WebSocket, judged as every other request is.

A browser sends cookies, and credentials it remembers, to whatever page asks for a WebSocket. So the
Origin decides whether they count; a token in the header is never sent by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse

from apps.access.authentication import principal_for_user, principal_of
from apps.access.models import User
from apps.access.principals import Permission, Principal, permit
from apps.dicomweb.links import origin_of
from apps.dicomweb.ups_rs.subscriptions import ae_title
from apps.errors import InvalidRequest, NotAuthenticated, NotFound, NotPermitted
from apps.worklist.actions.event_channels import open_channel
from apps.worklist.models import EventChannel

_DOOR: Final = "dicomweb"
_PATH: Final = re.compile(r"(?:/[^/]+)*/subscribers/([^/]+)")
_PORT: Final = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client sent to open a WebSocket: target, header fields, and its own address."""

    target: str
    headers: tuple[tuple[str, str], ...]
    address: str


@dataclass(frozen=True, slots=True)
class Admission:
    """A listener that was let in; `password` is the hash that stood when it was."""

    principal: Principal
    channel: EventChannel
    password: str


def admit(opening: Opening) -> Admission:
    """Lets the client in, or raises NotFound, InvalidRequest, NotAuthenticated, NotPermitted."""
    receiver = receiver_of(opening.target)
    request = _request(opening)
    principal = _principal(request)
    channel = open_channel(principal, receiver)
    return Admission(principal, channel, _user(principal).password)


def check_again(opening: Opening, admission: Admission) -> None:
    """Raises NotAuthenticated or NotPermitted once the listener would not be let in any more."""
    if _scheme(_request(opening)) == "basic":
        # Without hashing the password each time: it is still right if it was not changed.
        user = _user(admission.principal)
        if user.password != admission.password:
            raise NotAuthenticated("The password was changed.")
        kind = admission.principal.kind
        permit(principal_for_user(user, kind=kind, door=_DOOR), Permission.VIEW_WORKLIST)
    else:
        permit(_principal(_request(opening)), Permission.VIEW_WORKLIST)


def receiver_of(target: str) -> str:
    """The AE title that `/subscribers/{aetitle}` names, below whatever path a proxy leaves."""
    match = _PATH.fullmatch(urlsplit(target).path)
    if match is None:
        raise NotFound("Event channels are at /subscribers/AE-TITLE.")
    return ae_title(unquote(match[1]))


def _principal(request: HttpRequest) -> Principal:
    _check_origin(request)
    return principal_of(request, _DOOR)


def _user(principal: Principal) -> User:
    user = User.objects.filter(pk=principal.user_id or 0, is_active=True).first()
    if user is None:
        raise NotAuthenticated("This account is not active any more.")
    return user


def _request(opening: Opening) -> HttpRequest:
    """The opening request as Django sees requests, with its session."""
    parts = urlsplit(opening.target)
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": parts.path,
        "QUERY_STRING": parts.query,
        "REMOTE_ADDR": opening.address,
        "SERVER_NAME": settings.PACSWEB.bind,
        "SERVER_PORT": str(settings.PACSWEB.event_port),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        **_fields(opening.headers),
    }
    request = WSGIRequest(environ)
    SessionMiddleware(_unanswered).process_request(request)
    AuthenticationMiddleware(_unanswered).process_request(request)
    return request


def _fields(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header fields by their WSGI names; a field that came twice is a list (RFC 9110 5.2)."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = "HTTP_" + name.upper().replace("-", "_")
        joint = "; " if key == "HTTP_COOKIE" else ", "
        found[key] = f"{found[key]}{joint}{value}" if key in found else value
    return found


def _unanswered(_request: HttpRequest) -> HttpResponse:
    """The middleware wants a next step it never takes here."""
    return HttpResponse()


def _scheme(request: HttpRequest) -> str:
    return request.headers.get("Authorization", "").partition(" ")[0].lower()


def _check_origin(request: HttpRequest) -> None:
    origin = request.headers.get("Origin", "").strip().lower()
    scheme = _scheme(request)
    if scheme == "bearer":
        return
    if not origin:
        if not scheme:
            raise NotAuthenticated("Sign in with HTTP Basic or a Bearer token.")
        return
    if origin not in _own_origins(request) | set(settings.PACSWEB.cors_origins):
        raise NotPermitted("Pages of this origin may not listen here.")


def _own_origins(request: HttpRequest) -> set[str]:
    """Where our own pages come from: the public URL, or the web server of the same host."""
    try:
        asked = origin_of(request)
    except DisallowedHost:
        raise InvalidRequest("This host name is not served here.") from None
    name = _PORT.sub("", asked.host)
    public = urlsplit(settings.PACSWEB.public_url)
    own = {
        f"{asked.scheme}://{asked.host}",
        f"http://{name}:{settings.PACSWEB.http_port}",
        f"{public.scheme}://{public.netloc}",
    }
    return {each.lower() for each in own}
