"""BlobStore: where bytes live. A blob is written once and never changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

CHUNK: Final = 1 << 20
"""Streams come in chunks of at most this many bytes."""

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class BlobMissing(Exception):
    """No blob by that key: the index points at bytes that are gone."""


def valid_key(key: str) -> str:
    """The key itself; raises ValueError for one that could leave the store or differ per store.

    Parts of letters, digits, `.`, `_` and `-`, none beginning with a dot, joined by `/`.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a blob key: {key!r}")
    return key


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
    """The contract both implementations are held to by one shared test.

    Every method may raise Unavailable when the store does not answer.
    """

    def place(self, key: str, source: Path) -> None:
        """Makes the file the blob `key`, durable when this returns.

        The source's bytes are on disk already: whoever wrote it has synced it. It stays where it
        is and belongs to the caller, who may remove it afterwards but must not change it: a local
        store links it instead of copying. Placing the same key again is harmless; the first bytes
        stay. Raises OutOfResources when there is no space.
        """
        ...

    def place_all(self, sources: Sequence[tuple[str, Path | str]]) -> None:
        """`place` for many, durable together: cheaper than one by one, and not all-or-nothing."""
        ...

    def open(self, key: str) -> RandomAccess:
        """Raises BlobMissing where there is none."""
        ...

    def read_at(self, key: str, offset: int, length: int) -> bytes:
        """One range read without keeping anything open; raises BlobMissing."""
        ...

    def read_between(
        self, key: str, offset: int, length: int, before: bytes, after: bytes
    ) -> bytes | None:
        """`before`, exactly `length` bytes from `offset`, `after`: for bodies made of them.

        None where the blob ends earlier; raises BlobMissing. Half a megabyte is not copied twice.
        """
        ...

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes in chunks of at most 1 MiB; raises BlobMissing before the first."""
        ...

    def read_back(self, key: str, *, keep_cached: bool) -> Iterator[bytes]:
        """The bytes as the medium has them, in chunks of at most 1 MiB; raises BlobMissing.

        They do not come from what this machine remembers of them, where that can be: a comparison
        would prove the memory and not the disk. `keep_cached` is for who reads them once more at
        once: they are remembered afterwards. Without it reading everything pushes nothing out,
        and what was remembered still is, unless the file system knows no such reading.
        """
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
        """Writes a stream as the blob `key`, durable when this returns; the first bytes stay."""
        ...

    def copy(self, key: str, to: str) -> None:
        """A second blob with the same bytes, durable when this returns; raises BlobMissing."""
        ...

    def discard_unfinished(self, older_than: float) -> int:
        """Removes what writes cut short left behind, `older_than` seconds ago; how many."""
        ...
