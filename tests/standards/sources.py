"""Bytes as a source, counting what is read."""

from __future__ import annotations

from pathlib import Path


class Held:
    """Bytes in memory with `size` and `read_at`; `requested` adds up what was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.requested = 0

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        self.requested += length
        return self.content[offset : offset + length]


def held(path: Path) -> Held:
    return Held(path.read_bytes())
