"""One who asks our own web server, as any client would."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from apps.errors import Unavailable

_SECONDS: Final = 60.0
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers by lower-case name, and as much of the body as a test looks at."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """`image/jpeg`, or of a multipart body `multipart/related; type="image/jpeg"`."""
        whole, *parameters = self.headers.get("content-type", "").split(";")
        kind = next((each.strip() for each in parameters if each.strip().startswith("type=")), "")
        return f"{whole.strip()}; {kind}" if kind else whole.strip()


@dataclass(frozen=True, slots=True)
class Caller:
    """Where the web server is, as `http://127.0.0.1:8000`, and an API token."""

    base: str
    token: str

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        signed_in: bool = True,
    ) -> Answer:
        """`target` is path and query, encoded. Raises Unavailable where nobody answers."""
        parts = urlsplit(self.base)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        sent = dict(headers or {})
        if signed_in:
            sent["Authorization"] = f"Bearer {self.token}"
        connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        try:
            connection.request(method, parts.path.rstrip("/") + target, body or None, sent)
            response = connection.getresponse()
            told = {name.lower(): text for name, text in response.getheaders()}
            return Answer(response.status, told, response.read(_MOST_BYTES))
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The web server does not answer at {self.base} ({type(error).__name__})."
            ) from error
        finally:
            connection.close()
