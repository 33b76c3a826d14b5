"""Bytes that are in memory already, as a source for the readers."""

from __future__ import annotations


class InMemory:
    """RandomAccess over bytes, or over a part of them that is not copied for it."""

    def __init__(self, content: bytes, begin: int = 0, end: int | None = None) -> None:
        self._content = content
        self._begin = begin
        self._end = len(content) if end is None else end
        self.size = self._end - begin

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, fewer only at the end."""
        begin = self._begin + offset
        return self._content[begin : min(begin + length, self._end)]

    def view(self, offset: int = 0) -> memoryview:
        """All from `offset` on, not copied."""
        return memoryview(self._content)[self._begin + offset : self._end]

    def close(self) -> None:
        """Nothing is held."""
