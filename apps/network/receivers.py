"""Which addresses events are posted to: not this machine itself, nor its neighbours' own links.

Private networks are allowed, because a hospital's receivers are there. What this machine alone can
reach (loopback, link-local, and the metadata services of clouds, which hand out credentials) is
not, unless PACSWEB_WEBHOOK_NETWORKS names it: who administers pacsweb need not administer its
machine.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

Address = IPv4Address | IPv6Address

NOT_ALLOWED: Final = (
    "Events are not posted to this machine itself, to link-local addresses or metadata services; "
    "PACSWEB_WEBHOOK_NETWORKS can name networks that are allowed all the same."
)
# Metadata services outside of the link-local networks.
_METADATA: Final = tuple(ip_network(each) for each in ("fd00:ec2::/32", "100.100.100.200/32"))
# An IPv4 address in the last four bytes (RFC 6052 2.1).
_TRANSLATED: Final = ip_network("64:ff9b::/96")


def is_allowed(address: Address) -> bool:
    """Whether events may be posted there; what stands for an IPv4 address is taken for it."""
    meant = _meant(address)
    named = (ip_network(each, strict=False) for each in settings.PACSWEB.webhook_networks)
    if any(meant in network for network in named):
        return True
    refused = meant.is_loopback or meant.is_link_local or meant.is_unspecified or meant.is_multicast
    # All of 0.0.0.0/8 leads to this machine.
    own = isinstance(meant, IPv4Address) and meant.packed[0] == 0
    return not (refused or own or any(meant in network for network in _METADATA))


def _meant(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def validate_receiver(url: str) -> None:
    """For the model's field: says early what is refused at each delivery. Raises ValidationError.

    Names are looked up when events are delivered, as they may lead elsewhere by then.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValidationError("The address cannot be read, or has no such port.") from None
    if parts.username is not None or parts.password is not None:
        raise ValidationError("An address without user is needed: calls are signed instead.")
    host = (parts.hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    with suppress(ValueError):
        if not is_allowed(ip_address(host)):
            raise ValidationError(NOT_ALLOWED)


class ForbiddenAddress(OSError):
    """The name leads to no address that events may be posted to."""


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to an address that was looked at, and to no other. Raises OSError."""
    failure: OSError = ForbiddenAddress()
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        if not is_allowed(ip_address(str(address[0]).partition("%")[0])):
            continue
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(seconds)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure
