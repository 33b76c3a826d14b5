"""What an address we listen on lets in."""

from __future__ import annotations

from typing import Final

_LOOPBACK_NAMES: Final = frozenset({"localhost", "::1"})


def bound_to_loopback(bind: str) -> bool:
    """Whether only this machine can reach an address we listen on."""
    return bind.startswith("127.") or bind in _LOOPBACK_NAMES
