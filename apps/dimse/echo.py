"""C-ECHO SCP (PS3.4 A, PS3.7 9.1.5): to be called is to answer."""

from __future__ import annotations

from apps.dimse.service import Request, Response
from apps.dimse.status import SUCCESS


def handle_c_echo(_request: Request) -> Response:
    """The association was accepted, so the peer may know that we are here."""
    return Response(SUCCESS)
