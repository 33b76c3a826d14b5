"""A multipart/related body read as a stream (RFC 2046 5.1), in flat memory however long it is.

Lenient where senders are known to err: LF alone as line end, no preamble line break, no line
break after the last delimiter, header names in any case, parts of another type than announced,
boundaries that are too long.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from apps.errors import InvalidRequest, PacsError

CHUNK = 1 << 18
_LONGEST_HEADER = 64 << 10
# 70 in RFC 2046 5.1.1; Orthanc's DICOMweb client has two GUIDs, 73 in all.
_LONGEST_BOUNDARY = 256
_LONGEST_PADDING = 80
_LINE_END = re.compile(rb"[ \t]*\r?\n")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


Chunk = bytes | memoryview


class PartCutOff(PacsError):
    """The body ended inside a part: the connection broke, or the last delimiter is missing."""


class ByteSource(Protocol):
    """What WSGI hands us as the body."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""
        ...


@dataclass(slots=True)
class Part:
    """One part: its header fields by lower-case name, and its bytes, to be read once.

    The end of an `open_ended` one may also be where the connection broke: nothing marks it.
    """

    headers: dict[str, str]
    chunks: Iterator[Chunk] = field(repr=False)
    open_ended: bool = False


class MultipartReader:
    """Iterates the parts; a part's chunks must be exhausted (or are skipped) before the next."""

    def __init__(self, source: ByteSource, boundary: str) -> None:
        if not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
            raise InvalidRequest(
                f"The boundary of a multipart body has 1 to {_LONGEST_BOUNDARY} characters.",
                offending=("Content-Type",),
            )
        self._source = source
        # What was read last; consumed up to `_at`. Positions count from there.
        self._buffer = b""
        self._at = 0
        self._ended = False
        self._mark = b"--" + boundary.encode("latin-1", "replace")
        self._opening = re.compile(rb"(?:\A|\n)" + re.escape(self._mark) + rb"(--|[ \t]*\r?\n)")
        self._delimiter = b"\r\n" + self._mark
        # The longest text that may be the start of a delimiter: it is held back.
        self._held = len(self._mark) + _LONGEST_PADDING
        # Where delimiters begin, counted from the beginning of the body, as far as was looked.
        self._delimiters: deque[int] = deque()
        self._looked = 0
        self._taken = 0

    def __iter__(self) -> Iterator[Part]:
        if not self._begin():
            return
        while True:
            part = Part(self._headers(), iter(()))
            state = _PartState()
            part.chunks = self._chunks(state)
            yield part
            for _ in part.chunks:
                pass
            if state.last:
                return

    def _fill(self) -> bool:
        """Reads more; False at the end of the body."""
        if self._ended:
            return False
        chunk = self._source.read(CHUNK)
        if not chunk:
            self._ended = True
            return False
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
        return True

    @property
    def _left(self) -> int:
        return len(self._buffer) - self._at

    def _begin(self) -> bool:
        """Skips the preamble up to the first delimiter; False for a body without parts."""
        while True:
            match = self._opening.search(self._buffer)
            if match is not None:
                break
            if self._left > _LONGEST_HEADER or not self._fill():
                raise InvalidRequest(
                    "The body does not begin with the boundary that Content-Type names.",
                    offending=("Content-Type",),
                )
        ending = match.group(1)
        self._drop(match.end())
        if ending.strip(b" \t") == b"\n":
            self._delimiter = b"\n" + self._mark
        return ending != b"--"

    def _headers(self) -> dict[str, str]:
        """The part's header fields, up to and with the empty line."""
        while True:
            if self._buffer.startswith((b"\n", b"\r\n"), self._at):
                self._drop(self._buffer.index(b"\n", self._at) + 1 - self._at)
                return {}
            match = _BLANK_LINE.search(self._buffer, self._at)
            if match is not None:
                break
            if self._left > _LONGEST_HEADER:
                raise InvalidRequest("The header of a part is too long.")
            if not self._fill():
                raise PartCutOff("The body ended inside the header of a part.")
        lines = self._buffer[self._at : match.start()].decode("latin-1")
        self._drop(match.end() - self._at)
        unfolded = re.sub(r"\r?\n[ \t]+", " ", lines)
        pairs = (line.partition(":") for line in unfolded.splitlines())
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    def _chunks(self, state: _PartState) -> Iterator[Chunk]:
        """The part's bytes up to its delimiter. Raises PartCutOff where there is none."""
        while True:
            at = self._next_delimiter()
            if at is None:
                ready = self._left - self._held
                if ready > 0:
                    yield self._take(ready)
                if not self._fill():
                    yield from self._unterminated(state)
                    return
                continue
            ending = self._ending(at + len(self._delimiter))
            if ending is None:
                self._delimiters.popleft()
                continue
            state.last = ending.last
            if at:
                yield self._take(at)
            self._drop(ending.end - at)
            return

    def _next_delimiter(self) -> int | None:
        """Where the next one begins in the buffer, every byte of which is looked at once.

        Looked at backwards: so it takes half of the time, or less.
        """
        while self._delimiters and self._delimiters[0] < self._taken:
            self._delimiters.popleft()
        if not self._delimiters and self._looked < self._taken + self._left:
            length = len(self._delimiter)
            # Where the buffer begins, counted from the beginning of the body.
            origin = self._taken - self._at
            begin = max(self._looked - origin - length + 1, self._at)
            end = len(self._buffer)
            while (at := self._buffer.rfind(self._delimiter, begin, end)) >= 0:
                self._delimiters.appendleft(origin + at)
                end = at + length - 1
            self._looked = origin + len(self._buffer)
        return self._delimiters[0] - self._taken if self._delimiters else None

    def _take(self, length: int) -> memoryview:
        """A view: what was read is not copied once more."""
        taken = memoryview(self._buffer)[self._at : self._at + length]
        self._drop(length)
        return taken

    def _drop(self, length: int) -> None:
        self._at += length
        self._taken += length

    def _ending(self, position: int) -> _Ending | None:
        """What follows a delimiter's text; None when it was only the beginning of other bytes."""
        while self._left < position + _LONGEST_PADDING and self._fill():
            pass
        at = self._at + position
        if self._buffer.startswith(b"--", at):
            return _Ending(position + 2, last=True)
        match = _LINE_END.match(self._buffer, at)
        if match is not None:
            return _Ending(match.end() - self._at, last=False)
        if not self._buffer[at:].strip():
            return _Ending(self._left, last=True)
        return None

    def _unterminated(self, state: _PartState) -> Iterator[Chunk]:
        """The end of the body without a proper delimiter: one without line break is let pass."""
        rest = self._buffer[self._at :]
        tail = re.search(rb"\r?\n?" + re.escape(self._mark) + rb"--\s*\Z", rest)
        if tail is None:
            raise PartCutOff("The body ended inside a part.")
        state.last = True
        if tail.start():
            yield self._take(tail.start())


class _PartState:
    """Whether the delimiter behind the part was the last one."""

    last = False


@dataclass(frozen=True, slots=True)
class _Ending:
    """Where the bytes after a delimiter begin, and whether it closes the body."""

    end: int
    last: bool
