"""Requests to other DICOMweb archives: at their address alone, with our credentials, streamed."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, Self
from urllib.parse import urlsplit

from apps.network.peer_errors import PeerUnreachable
from apps.network.tls import failure_words
from apps.network.web_archive import WebArchive
from apps.network.web_tls import UnusableTls, context_for
from apps.network.web_waiting import Look, StillWaiting, Watched, connected

_FORWARDED_SECONDS: Final = 60.0
"""A thread of a web process waits no longer for the next bytes."""
_CHUNK: Final = 256 << 10
_LONGEST_HEADERS: Final = 1 << 20
_LAST_BYTES: Final = 64 << 10
_INTERIM: Final = range(102, 200)  # 100 is known to the library, 101 is an answer, if a wrong one
_LAST_SECONDS: Final = 0.5
"""What is left of an answer is read over, to keep the connection; a longer rest is not worth it."""
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
        self, session: WebSession, connection: _Connection, response: http.client.HTTPResponse
    ) -> None:
        self._name = session.name
        self.status = response.status
        # One line each, whatever was folded, and nothing that a header may not hold.
        self.headers = {
            name.lower(): "".join(filter(str.isprintable, " ".join(text.split())))
            for name, text in response.getheaders()
        }
        self.tells_its_end = bool(response.chunked) or response.length is not None
        self._session = session
        self._connection = connection
        self._response = response
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._some(_CHUNK):
            yield chunk

    def read(self, size: int, /) -> bytes:
        """Some bytes, at most so many; none at the end of the body. Raises PeerUnreachable."""
        try:
            return self._some(min(size, _CHUNK))
        except BROKEN as error:
            raise PeerUnreachable(f"{self._name} broke off: {why(error)}.") from error

    def _some(self, size: int) -> bytes:
        # Chunks have headers, and a body trailers.
        self._connection.watched.allowed = size + _LONGEST_HEADERS
        chunk = self._response.read1(size)
        if not chunk and self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)
        return chunk

    def close(self) -> None:
        """Gives the connection back where it can be used again; hangs up otherwise."""
        if not self._open:
            return
        self._open = False
        usable = False
        try:
            usable = self._session.keeps and not self._response.will_close and self._read_over()
        finally:
            self._response.close()
            self._session.take_back(self._connection, usable=usable)

    def _read_over(self) -> bool:
        """The last bytes, such as the end of a chunked body; whether nothing is left."""
        read = 0
        if (self._response.length or 0) > _LAST_BYTES:
            return False
        with self._connection.hurried(_LAST_SECONDS), suppress(*BROKEN):
            while read <= _LAST_BYTES:
                chunk = self._some(_LAST_BYTES)
                if not chunk:
                    return True
                read += len(chunk)
        return False


def why(error: Exception) -> str:
    """What broke, in words that hold nothing of what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, _HUNG_UP):
        return f"TLS failed: {failure_words(error)}"
    if isinstance(error, UnusableTls | StillWaiting):
        return str(error)
    known = (words for kind, words in _WORDS.items() if isinstance(error, kind))
    return next(known, type(error).__name__)


class _NoOneLength(http.client.HTTPException):
    """Nobody can tell where such an answer ends, and what follows it begins (RFC 9110 8.6)."""


# TABLE: what breaks, in words; the first that fits.
_WORDS: Final[dict[type[Exception], str]] = {
    TimeoutError: "no answer in time",
    **dict.fromkeys(_HUNG_UP, "it hung up"),
    http.client.BadStatusLine: "it does not speak HTTP",
    http.client.IncompleteRead: "the answer ended too early",
    _NoOneLength: "it does not state one length of its answer",
    http.client.HTTPException: "its answer is against the rules of HTTP",
    socket.gaierror: "its host name is not known",
    ConnectionRefusedError: "nothing listens there",
}


class _Response(http.client.HTTPResponse):
    """The final one: what an archive says before it is passed over (RFC 9110 15.2)."""

    def begin(self) -> None:
        """The client of the library knows 100 alone: another one would be taken for the answer.

        And what is the answer then, for that to the next request on the connection.
        """
        super().begin()
        while self.status in _INTERIM:
            self.headers = None  # type: ignore[assignment]  # or it would not read on
            super().begin()
        lengths = ",".join(self.headers.get_all("Content-Length", ())).split(",")
        # The library takes the first header, and of a list of equal ones nothing.
        stated = {each.strip() for each in lengths}
        if stated != {""}:
            self._state(stated)

    def _state(self, lengths: set[str]) -> None:
        (length, *others) = lengths
        if others or not (length.isascii() and length.isdigit()):
            raise _NoOneLength
        del self.headers["Content-Length"]
        if self.chunked:
            return  # what such a body has besides says nothing (RFC 9112 6.3)
        self.headers["Content-Length"] = length
        if self.length is None:
            self.length = int(length)


class _Connection(http.client.HTTPConnection):
    """A connection that whoever waits can leave."""

    auto_open = 0
    response_class = _Response
    watched: Watched

    @classmethod
    def to(cls, archive: WebArchive, look: Look) -> _Connection:
        """Raises OSError, ValueError, and what `look` raises."""
        parts = urlsplit(archive.url)
        kind = _Secured if parts.scheme == "https" else _Connection
        # With the port, or an address of IPv6 would be taken apart for one.
        made = kind(parts.hostname or "", parts.port or kind.default_port)
        made.watched = connected(made.host, made.port, look)
        made.sock = made.watched  # as much of a socket as is used
        try:
            if kind is _Secured:
                made.watched.secure(context_for(archive), made.host)
        except BaseException:
            made.close()
            raise
        return made

    @contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """Nobody waits longer than that, nor is asked meanwhile."""
        before = self.watched.look
        self.watched.look, self.watched.until = _nobody, time.monotonic() + seconds
        try:
            yield
        finally:
            self.watched.look, self.watched.until = before, None


class _Secured(_Connection):
    default_port = http.client.HTTPS_PORT


def _nobody() -> None:
    """Nobody is asked."""


class WebSession:
    """Requests to one archive, one after the other, on a connection that is kept meanwhile.

    `keeps`: whether more than one is to be asked.
    """

    def __init__(self, archive: WebArchive, *, keeps: bool = True) -> None:
        self.name = archive.name
        self.keeps = keeps
        self._archive = archive
        self._idle: _Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up."""
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.close()

    def take_back(self, connection: _Connection, *, usable: bool) -> None:
        """After an answer was read."""
        self.close()
        if usable:
            self._idle = connection
        else:
            connection.close()

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Iterator[bytes] | None = None,
        *,
        look: Look | None = None,
    ) -> WebAnswer:
        """One request; `target` is path and query below the archive's address, encoded.

        `look` is called every second while nothing comes or goes; what it raises passes. Redirects
        are not followed. Raises PeerUnreachable. An answer is closed before the next request.
        """
        request = (method, target, headers, body)
        try:
            connection = self._kept(look)
            if connection is not None:
                try:
                    return self._asked(connection, *request)
                except (*_HUNG_UP, http.client.RemoteDisconnected):
                    # It had enough of that connection just now; of a body some may have gone.
                    if body is not None:
                        raise
            connection = _Connection.to(self._archive, look or _nobody)
            if look is None:
                connection.watched.idle = _FORWARDED_SECONDS
            return self._asked(connection, *request)
        except BROKEN as error:
            raise PeerUnreachable(f"{self.name} cannot be reached ({why(error)}).") from error

    def _kept(self, look: Look | None) -> _Connection | None:
        """The connection of the last request, unless the other side has hung up."""
        connection, self._idle = self._idle, None
        if connection is None:
            return None
        if connection.watched.is_over():
            connection.close()
            return None
        connection.watched.look = look or _nobody
        return connection

    def _asked(
        self,
        connection: _Connection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Iterator[bytes] | None,
    ) -> WebAnswer:
        path = urlsplit(self._archive.url).path.rstrip("/") + target
        sent = {
            "User-Agent": "pacsweb",
            "Accept-Encoding": "identity",
            **headers,
            **_sign_in(self._archive),
        }
        if not self.keeps:
            sent["Connection"] = "close"
        chunked = body is not None and "Content-Length" not in sent
        if chunked:
            sent["Transfer-Encoding"] = "chunked"
        whole = True
        try:
            try:
                connection.request(method, path, body, sent, encode_chunked=chunked)
            except _HUNG_UP:
                if body is None:
                    raise
                whole = False  # it may have answered before it had read all of the body
            connection.watched.allowed = _LONGEST_HEADERS
            response = connection.getresponse()
            # What it did not read would be taken for the next request.
            response.will_close = response.will_close or not whole
            return WebAnswer(self, connection, response)
        except BaseException:
            connection.close()
            raise


def ask(
    archive: WebArchive,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Iterator[bytes] | None = None,
    *,
    look: Look | None = None,
) -> WebAnswer:
    """A single request, on a connection of its own. Raises PeerUnreachable."""
    return WebSession(archive, keeps=False).ask(method, target, headers, body, look=look)


def _sign_in(archive: WebArchive) -> dict[str, str]:
    if archive.user:
        both = f"{archive.user}:{archive.secret}".encode()
        return {"Authorization": f"Basic {base64.b64encode(both).decode('ascii')}"}
    return {"Authorization": f"Bearer {archive.secret}"} if archive.secret else {}
