"""Deflated data sets (PS3.5 A.5) as something that can be read anywhere, in bounded memory.

The data set is one raw deflate stream without zlib header. Small ones are held inflated; larger
ones are inflated again from the start when somebody reads backwards.
"""

from __future__ import annotations

import zlib
from typing import Final

from apps.dicom.frames import RandomAccess
from apps.errors import UnreadableInstance

MAXIMUM_INFLATED: Final = 2 * 1024 * 1024 * 1024
"""A data set that inflates beyond this is taken for an attack and refused."""
_HELD: Final = 64 * 1024 * 1024
_INPUT: Final = 256 * 1024
_STEP: Final = 1024 * 1024


class InflatedSource:
    """The inflated data set of a deflated object: offset 0 is its first element.

    `cut` says that the stream ends early; what could be inflated is there. Raises
    UnreadableInstance where the bytes are no deflate stream or inflate beyond `maximum`.
    """

    def __init__(
        self, source: RandomAccess, dataset_offset: int, *, maximum: int = MAXIMUM_INFLATED
    ) -> None:
        self._source = source
        self._start = dataset_offset
        self._maximum = maximum
        self.cut = False
        self._rewind()
        held: list[bytes] | None = []
        size = 0
        while piece := self._next():
            size += len(piece)
            if size > maximum:
                raise UnreadableInstance(
                    f"The deflated data set inflates to more than {maximum} bytes."
                )
            if held is not None:
                held.append(piece)
                held = held if size <= _HELD else None
        if not size:
            raise UnreadableInstance("The data set is no deflate stream.")
        self.size = size
        self._held = None if held is None else b"".join(held)
        self._rewind()

    def _rewind(self) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._input_at = self._start
        self._pending = b""
        self._window = b""
        self._window_at = 0

    def _next(self) -> bytes:
        """The next piece of at most _STEP bytes; empty at the end of the stream."""
        while not self._inflate.eof:
            if not self._pending:
                self._pending = self._source.read_at(self._input_at, _INPUT)
                self._input_at += len(self._pending)
                if not self._pending:
                    self.cut = True
                    return self._inflate.flush()
            try:
                piece = self._inflate.decompress(self._pending, _STEP)
            except zlib.error:
                self.cut = True
                return b""
            self._pending = self._inflate.unconsumed_tail
            if piece:
                return piece
        return b""

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, fewer only at the end."""
        if self._held is not None:
            return self._held[offset : offset + length]
        if offset < self._window_at:
            self._rewind()
        wanted = min(length, self.size - offset)
        out = bytearray()
        while len(out) < wanted:
            at = offset + len(out) - self._window_at
            if at < len(self._window):
                out += self._window[at : at + wanted - len(out)]
                continue
            self._window_at += len(self._window)
            self._window = self._next()
            if not self._window:
                break
        return bytes(out)
