"""Where a request really comes from, believing only the proxies we were told to trust."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest


@lru_cache(maxsize=1024)
def is_trusted_proxy(address: str) -> bool:
    """True when the address lies in one of the networks of `PACSWEB_TRUSTED_PROXIES`."""
    try:
        peer = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(
        peer in ipaddress.ip_network(network, strict=False)
        for network in settings.PACSWEB.trusted_proxies
    )


def client_address(request: HttpRequest) -> str:
    """The caller's address: the last one in X-Forwarded-For that no trusted proxy put there."""
    peer = str(request.META.get("REMOTE_ADDR", ""))
    if not is_trusted_proxy(peer):
        return peer
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    for address in reversed([part for part in forwarded if part]):
        if not is_trusted_proxy(address):
            return address[:64]
    return peer
