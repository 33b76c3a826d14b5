"""What an address we listen on lets in, and what can be the address of a peer."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from django.core.exceptions import ValidationError

_LOOPBACK_NAMES: Final = frozenset({"localhost", "::1"})


def bound_to_loopback(bind: str) -> bool:
    """Whether only this machine can reach an address we listen on."""
    return bind.startswith("127.") or bind in _LOOPBACK_NAMES


# RFC 1123 2.1, and the underscores that networks have all the same.
_LABEL: Final = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?")
_LONGEST_HOST: Final = 253


def validate_host(text: str) -> None:
    """Raises ValidationError for what is neither a host name nor an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        if len(text) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
            raise ValidationError("Enter a host name or an IP address.") from None
