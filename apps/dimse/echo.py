"""C-ECHO SCP (PS3.4 A, PS3.7 9.1.5): to be called is to answer."""

from __future__ import annotations

from typing import Any

from apps.dimse.status import SUCCESS


def handle_c_echo(_event: Any) -> int:
    """The association was accepted, so the peer may know that we are here."""
    return SUCCESS
