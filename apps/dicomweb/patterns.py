"""What the requests of one caller have in common, remembered for a moment.

The busiest requests are answered before Django begins, by the pattern of what the whole stack
answered the same caller before. Who sends anything else than before meets the whole stack.
"""

from __future__ import annotations

import functools
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

# As long may Basic's throttling and a token's last use lag behind; rights are asked each time.
REMEMBERED_SECONDS: Final = 30.0
_REMEMBERED: Final = 512
_KEY: Final = secrets.token_bytes(32)
# What of a request, beside its headers, an answer may depend on.
_BESIDE: Final = frozenset({"REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme"})
# Differ from request to request, and nobody here reads them.
_IGNORED: Final = frozenset(
    {"HTTP_X_REQUEST_ID", "HTTP_X_CORRELATION_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE"}
)
_UNUSUAL: Final = ("HTTP_IF_", "HTTP_RANGE", "HTTP_TRANSFER_ENCODING")

Environ = dict[str, Any]
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete 200."""

    headers: list[tuple[str, str]]
    content: bytes


class Patterns(Generic[P]):
    """Patterns by fingerprint, each for a moment."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, P]] = {}

    def find(self, environ: Environ) -> P | None:
        """The pattern of such a request."""
        known = self._known.get(_fingerprint(environ))
        return known[1] if known is not None and known[0] > time.monotonic() else None

    def learn(self, environ: Environ, pattern: P) -> None:
        """Remembers it, unless the request is of a kind that has none."""
        key = _fingerprint(environ)
        if not key:
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (time.monotonic() + REMEMBERED_SECONDS, pattern)

    def forget(self) -> None:
        """For tests."""
        self._known.clear()


@functools.lru_cache(maxsize=256)
def _counting(names: tuple[str, ...]) -> tuple[bytes, Callable[[Environ], tuple[str, ...]]] | None:
    """Those that an answer may depend on, as text, and what picks their values.

    None for conditional requests and ranges. Remembered: a client sends the same each time.
    """
    if any(name.startswith(_UNUSUAL) for name in names):
        return None
    counting = [
        name
        for name in names
        if name in _BESIDE or (name.startswith("HTTP_") and name not in _IGNORED)
    ]
    return "\n".join(counting).encode(), itemgetter(*counting)


def _fingerprint(environ: Environ) -> bytes:
    """Of all that is asked save path and body; keyed, so that it is of no use elsewhere.

    Empty for conditional requests, ranges and bodies of unknown length.
    """
    counting = _counting(tuple(environ))
    if counting is None:
        return b""
    names, values = counting
    # Neither a name nor a value holds the end of a line.
    text = "\n".join(values(environ)).encode(errors="surrogatepass")
    return hashlib.blake2b(names + b"\n\n" + text, key=_KEY, digest_size=32).digest()
