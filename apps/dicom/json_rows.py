"""A DICOM JSON array (PS3.18 F.2) read as a stream, object by object: memory stays flat.

What other systems answer to a search may be of any length, and objects made of it take many times
as much as its text.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, Final

from apps.dicom.json_values import DicomJson
from apps.dicom.multipart import ByteSource
from apps.errors import InvalidRequest

LONGEST_ROW: Final = 256 << 10
"""Characters of one object; what a search gives of an instance has a few thousand."""
_CHUNK: Final = 64 << 10
_SPACE: Final = " \t\r\n"


def rows_of(source: ByteSource) -> Iterator[DicomJson]:
    """Each object as soon as it has come; nothing of an empty body.

    Raises InvalidRequest for what is no array of objects and no more, and for too long an object.
    """
    text = _Text(source)
    first = text.letter()
    if not first:
        return
    if first != "[":
        raise InvalidRequest("It is no array.")
    text.drop()
    if text.letter() == "]":
        text.end()
        return
    while True:
        yield text.row()
        after = text.letter()
        if after == "]":
            text.end()
            return
        if after != ",":
            raise InvalidRequest("It ends too early." if not after else "It is no JSON.")
        text.drop()


class _Text:
    """What has come and is not taken yet."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._bytes = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._ended = False

    def letter(self) -> str:
        """The next one that is no white space, left where it is; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._fill(1)

    def drop(self) -> None:
        """Takes that letter."""
        self._at += 1

    def end(self) -> None:
        """Takes that letter, which is the last one. Raises InvalidRequest."""
        self.drop()
        if self.letter():
            raise InvalidRequest("It goes on after its end.")

    def row(self) -> DicomJson:
        """The object that begins here."""
        first = self.letter()
        if first != "{":
            words = "It holds something else than objects." if first else "It ends too early."
            raise InvalidRequest(words)
        while True:
            try:
                row, self._at = self._json.raw_decode(self._text, self._at)
            except RecursionError:
                raise InvalidRequest("It is nested without end.") from None
            except ValueError:
                left = len(self._text) - self._at
                if self._ended:
                    raise InvalidRequest("It is no JSON.") from None
                if left > LONGEST_ROW:
                    raise InvalidRequest("An object of it is too long.") from None
                # Twice as much as was looked at: a body that trickles is not read again each time.
                self._fill(left)
            else:
                return _object(row)

    def _fill(self, wanted: int) -> None:
        """Reads on, so many characters at least where there are so many."""
        parts = [self._text[self._at :]]
        came = 0
        while came < wanted and not self._ended:
            chunk = self._source.read(_CHUNK)
            self._ended = not chunk
            try:
                parts.append(self._bytes.decode(chunk, final=self._ended))
            except UnicodeDecodeError:
                raise InvalidRequest("It is no UTF-8.") from None
            came += len(parts[-1])
        self._text, self._at = "".join(parts), 0


def _object(row: Any) -> DicomJson:
    assert isinstance(row, dict)  # it began with a brace
    return row
