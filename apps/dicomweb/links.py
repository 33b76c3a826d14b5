"""The service's public base URL, from which every link in an answer is built.

`PACSWEB_PUBLIC_URL` wins. Else the request tells: `Forwarded` and `X-Forwarded-*` are believed
only from a trusted proxy (`PACSWEB_TRUSTED_PROXIES`); otherwise scheme, Host and server port.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest

from apps.access.addresses import is_trusted_proxy
from apps.dicomweb.negotiation import parse_parameters, split_quoted

MOUNT = "/dicom-web"
_DEFAULT_PORT = {"http": "80", "https": "443"}
_HOST = re.compile(r"^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme and host as the client sees them, and the path before our own routes."""

    scheme: str
    host: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.prefix}"


def base_url(request: HttpRequest) -> str:
    """The base URL of the DICOMweb service without a trailing slash."""
    public: str = settings.PACSWEB.public_url
    if public:
        return public + MOUNT
    return f"{origin_of(request)}{MOUNT}"


def event_channel_url(request: HttpRequest, receiver: str) -> str:
    """The WebSocket on which the AE title's events come (PS3.18 8.10.4).

    `PACSWEB_EVENT_URL` wins. Behind a proxy or with a public URL it is at the same origin, and the
    proxy leads it to the event port; else it is that port of the host the client knows.
    """
    path = f"/subscribers/{quote(receiver, safe='')}"
    environment = settings.PACSWEB
    if environment.event_url:
        return f"{environment.event_url}{path}"
    base = base_url(request)
    if environment.public_url or _believed(request):
        return f"ws{base.removeprefix('http')}{path}"
    host = re.sub(r":\d+$", "", request.get_host())
    return f"ws://{host}:{environment.event_port}{MOUNT}{path}"


def _believed(request: HttpRequest) -> bool:
    return bool(forwarded_names(request)) and is_trusted_proxy(request.META.get("REMOTE_ADDR", ""))


def origin_of(request: HttpRequest) -> Origin:
    """Where the client believes us to be. Raises DisallowedHost for hosts not allowed."""
    if forwarded_names(request):
        if _believed(request):
            forwarded = _from_proxy(request)
            if forwarded is not None:
                return forwarded
        return Origin(request.META.get("wsgi.url_scheme", "http"), request.get_host())
    return _from_socket(request)


def forwarded_names(request: HttpRequest) -> list[str]:
    """The forwarding headers this request carries, believed or not."""
    ours = (f"HTTP_X_FORWARDED_{part}" for part in ("HOST", "PROTO", "PREFIX", "PORT"))
    return [name for name in ("HTTP_FORWARDED", *ours) if request.META.get(name)]


def _from_socket(request: HttpRequest) -> Origin:
    """Host as sent; the socket's own port where Host has none (dicomweb-client leaves it out)."""
    scheme = request.META.get("wsgi.url_scheme", "http")
    host = request.get_host()
    port = str(request.META.get("SERVER_PORT", ""))
    bare = not re.search(r":\d+$", host)
    if bare and port and port != _DEFAULT_PORT.get(scheme):
        host = f"{host}:{port}"
    return Origin(scheme, host)


def _from_proxy(request: HttpRequest) -> Origin | None:
    """`Forwarded` (RFC 7239) before `X-Forwarded-*`; the entry nearest to the client, the first."""
    meta = request.META
    scheme, host, port = meta.get("wsgi.url_scheme", "http"), "", ""
    if meta.get("HTTP_FORWARDED"):
        first = next(iter(split_quoted(meta["HTTP_FORWARDED"], ",")), "")
        pairs = dict(parse_parameters(split_quoted(first, ";")))
        scheme, host = pairs.get("proto", scheme), pairs.get("host", "")
    else:
        scheme = _first(meta.get("HTTP_X_FORWARDED_PROTO", "")) or scheme
        host = _first(meta.get("HTTP_X_FORWARDED_HOST", ""))
        port = _first(meta.get("HTTP_X_FORWARDED_PORT", ""))
    # RFC 7239 has no word for the path before ours.
    prefix = _first(meta.get("HTTP_X_FORWARDED_PREFIX", "")).rstrip("/")
    host = host or request.get_host()
    bare = not re.search(r":\d+$", host)
    if bare and port.isdigit() and port != _DEFAULT_PORT.get(scheme):
        host = f"{host}:{port}"
    if scheme not in _DEFAULT_PORT or not _HOST.match(host):
        return None
    if prefix and not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", prefix):
        prefix = ""
    return Origin(scheme, host, prefix)


def _first(header: str) -> str:
    return header.partition(",")[0].strip()
