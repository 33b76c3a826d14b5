"""Requests to other DICOMweb archives: at their address alone, with our credentials, streamed."""

from __future__ import annotations

import base64
import functools
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from apps.network.peer_errors import PeerUnreachable
from apps.network.web_archive import WebArchive
from apps.network.web_waiting import Look, StillWaiting, Watched

_TIMEOUT_SECONDS: Final = 60.0
_CONNECT_SECONDS: Final = 15.0
_CHUNK: Final = 256 << 10
_HUNG_UP: Final = (
    BrokenPipeError,
    ConnectionResetError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
BROKEN: Final = (OSError, http.client.HTTPException, ValueError)
"""What the HTTP client raises when a call or an answer breaks."""


class WebAnswer:
    """Status, headers by lower-case name, and the body, which is read as it is iterated over.

    `tells_its_end`: whether a body that was cut off is told from one that is complete.
    """

    def __init__(
        self,
        name: str,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
    ) -> None:
        self._name = name
        self.status = response.status
        # One line each, whatever was folded.
        self.headers = {
            name.lower(): " ".join(text.split()) for name, text in response.getheaders()
        }
        self.tells_its_end = bool(response.chunked) or response.length is not None
        self._connection = connection
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._response.read1(_CHUNK):
            yield chunk
        if self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)

    def read(self, size: int, /) -> bytes:
        """Some bytes, at most so many; none at the end of the body. Raises PeerUnreachable."""
        try:
            chunk = self._response.read1(min(size, _CHUNK))
            if not chunk and self._response.length:
                raise http.client.IncompleteRead(b"", self._response.length)
        except BROKEN as error:
            raise PeerUnreachable(f"{self._name} broke off: {why(error)}.") from error
        return chunk

    def close(self) -> None:
        """Hangs up."""
        self._response.close()
        self._connection.close()


def why(error: Exception) -> str:
    """What broke, in words that hold nothing of what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message.rstrip('.')}"
    if isinstance(error, TimeoutError):
        return str(error) if isinstance(error, StillWaiting) else "no answer in time"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer ended too early"
    if isinstance(error, socket.gaierror):
        return "its host name is not known"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    return type(error).__name__


def ask(
    archive: WebArchive,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Iterator[bytes] | None = None,
    *,
    look: Look | None = None,
) -> WebAnswer:
    """One request; `target` is path and query below the archive's address, encoded.

    `look` is called every second while nothing comes; what it raises passes. Redirects are not
    followed. Raises PeerUnreachable.
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
            _connect(connection, look)
            try:
                connection.request(method, path, body, sent, encode_chunked=chunked)
            except _HUNG_UP:
                if body is None:
                    raise
                # It may have answered before it had read all of the body.
            return WebAnswer(archive.name, connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise
    except BROKEN as error:
        raise PeerUnreachable(f"{archive.name} cannot be reached ({why(error)}).") from error


def _connect(connection: http.client.HTTPConnection, look: Look | None) -> None:
    """With `look` the answer is read through it, and connecting is not waited for long."""
    if look is None:
        connection.connect()
        return
    connection.timeout = _CONNECT_SECONDS
    connection.connect()
    connection.sock.settimeout(_TIMEOUT_SECONDS)
    connection.response_class = functools.partial(_watched, look)  # type: ignore[assignment]  # called as the class is


def _watched(look: Look, sock: socket.socket, **named: Any) -> http.client.HTTPResponse:
    return http.client.HTTPResponse(Watched(sock, look), **named)  # type: ignore[arg-type]  # it only makes a file of it


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
