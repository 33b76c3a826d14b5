"""Requests to other DICOMweb archives: at their address alone, with our credentials, streamed."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from apps.network.peer_errors import PeerUnreachable
from apps.network.web_archive import WebArchive

_TIMEOUT_SECONDS: Final = 60.0
_CHUNK: Final = 256 << 10


class WebAnswer:
    """Status, headers by lower-case name, and the body, which is read as it is iterated over."""

    def __init__(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        self.status = response.status
        # One line each, whatever was folded.
        self.headers = {
            name.lower(): " ".join(text.split()) for name, text in response.getheaders()
        }
        self._connection = connection
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._response.read1(_CHUNK):
            yield chunk
        if self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def ask(
    archive: WebArchive,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Iterator[bytes] | None = None,
) -> WebAnswer:
    """One request; `target` is path and query below the archive's address, encoded.

    Redirects are not followed. Raises PeerUnreachable.
    """
    parts = urlsplit(archive.url)
    path = parts.path.rstrip("/") + target
    sent = {"User-Agent": "pacsweb", "Accept-Encoding": "identity", **headers, **_sign_in(archive)}
    chunked = body is not None and "Content-Length" not in sent
    if chunked:
        sent["Transfer-Encoding"] = "chunked"
    try:
        connection = _connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.request(method, path, body, sent, encode_chunked=chunked)
            return WebAnswer(connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PeerUnreachable(
            f"{archive.name} cannot be reached ({type(error).__name__})."
        ) from error


def _sign_in(archive: WebArchive) -> dict[str, str]:
    if archive.user:
        both = f"{archive.user}:{archive.secret}".encode()
        return {"Authorization": f"Basic {base64.b64encode(both).decode('ascii')}"}
    return {"Authorization": f"Bearer {archive.secret}"} if archive.secret else {}


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)
    return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
