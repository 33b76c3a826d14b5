"""BlobStore: where bytes live. A blob is written once and never changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol


class BlobMissing(Exception):
    """No blob by that key: the index points at bytes that are gone."""


class RandomAccess(Protocol):
    """An open blob that can be read anywhere, in any order, by one thread at a time."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, fewer only at the end of the blob."""
        ...

    def close(self) -> None:
        """Releases the handle; further reads fail."""
        ...


class BlobStore(Protocol):
    """The contract both implementations are held to by one shared test."""

    def place(self, key: str, source: Path) -> None:
        """Makes the file the blob `key`, durable when this returns; the source is consumed.

        Placing the same key again with the same bytes is harmless. Raises OutOfResources when
        there is no space, Unavailable when the store does not answer; the source is then intact.
        """
        ...

    def open(self, key: str) -> RandomAccess:
        """Raises BlobMissing where there is none."""
        ...

    def read_at(self, key: str, offset: int, length: int) -> bytes:
        """One range read without keeping anything open."""
        ...

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes in chunks of at most 1 MiB."""
        ...

    def size(self, key: str) -> int:
        """Length in bytes; raises BlobMissing."""
        ...

    def delete(self, key: str) -> None:
        """Removes the blob; removing what is not there is no error."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Every key with the prefix, in any order, streamed."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The blob as a local file where there is one (for sendfile), else None."""
        ...

    def put(self, key: str, body: BinaryIO) -> None:
        """Writes a stream as the blob `key`, durable when this returns."""
        ...
