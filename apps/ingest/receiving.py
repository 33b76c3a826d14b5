"""Taking instances in: from bytes that arrive to a durable file in the inbox.

An instance may be answered with success only after `commit()` or `receive_part10()` returned:
its bytes are then on disk, synced, and will be indexed whatever crashes.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Final, Self

from apps.dicom.part10 import FileMeta, Provenance, file_meta, read_file_meta
from apps.dicom.peek import HEAD_BYTES, Identity, peek
from apps.dicom.reader import InstanceReader
from apps.errors import OutOfResources, UnreadableInstance
from apps.ingest import spool
from apps.ingest.crash_points import crash_point
from apps.ingest.spool import SpoolName, Waiter
from apps.storage.capacity import capacity
from apps.storage.durable import as_pacs_error, write_fully, write_together
from apps.storage.filesystem import OpenFile

WADO_RS: Final = "wado-rs"
"""The door of what was fetched from a DICOMweb archive, whose name is the source then."""

_BUFFERED: Final = 1 << 20  # small chunks are gathered up to this many bytes
_LARGE: Final = 1 << 16  # such a chunk is written at once, with what was gathered before it
_LONGEST_HEAD: Final = 4 << 20
_UNKNOWN: Final = Identity()


class Incoming:
    """One object on its way in. Use as a context manager: leaving without commit aborts.

    `size` counts the bytes so far, File Meta included; `says` is what the object says it is, as far
    as its first bytes tell.
    """

    def __init__(
        self, head: bytes, *, says: Identity = _UNKNOWN, beside: Provenance | None = None
    ) -> None:
        """`beside` is the provenance of bytes that have no File Meta of ours to keep it in."""
        with as_pacs_error("receiving an instance"):
            self.path, self.descriptor = spool.open_for_writing()
        self.says = says
        self._buffer = bytearray(head)
        self.size = len(head)
        self._hash = hashlib.sha256()
        self._beside = beside
        self._open = True

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Data set bytes as received, in order. The chunk may be reused after the call.

        Raises OutOfResources or Unavailable when the disk fails; then only `abort` is left.
        """
        self._hash.update(chunk)
        self.size += len(chunk)
        if len(chunk) < _LARGE and len(self._buffer) + len(chunk) <= _BUFFERED:
            self._buffer += chunk
            return
        with as_pacs_error("receiving an instance"):
            write_together(self.descriptor, (self._buffer, chunk))
        self._buffer.clear()
        crash_point("writing")

    @property
    def number(self) -> int:
        """Of the file on its disk, while it is open."""
        return os.fstat(self.descriptor).st_ino

    @property
    def dataset_sha256(self) -> bytes:
        """Of what was written so far."""
        return self._hash.digest()

    def is_whole(self) -> bool:
        """Whether no element of it goes on behind its end; what cannot be read counts as whole.

        Raises OutOfResources or Unavailable when the disk fails; then nothing is left.
        """
        try:
            with as_pacs_error("receiving an instance"):
                write_fully(self.descriptor, (self._buffer,))
                self._buffer = bytearray()
                return InstanceReader(OpenFile(self.descriptor)).is_whole()
        except UnreadableInstance:
            return True
        except BaseException:
            self.abort()
            raise

    def commit(self, *, waiter: Waiter = Waiter.NOBODY) -> str:
        """Makes the object durable and visible to the indexer; returns its inbox name."""
        try:
            with as_pacs_error("receiving an instance"):
                name = self.write_out(waiter=waiter)
                self.sync(name)
                spool.make_ready([(self.path, name)])
        except BaseException:
            self.abort()
            raise
        self.close()
        crash_point("committed")
        return str(name)

    def write_out(self, *, waiter: Waiter = Waiter.NOBODY) -> SpoolName:
        """Step one of a commit: the last bytes to the file, and what belongs beside it.

        Nothing is synced yet. Returns the name that the file gets. Raises OSError.
        """
        name = SpoolName.mint(self.size, self._hash.hexdigest(), waiter=waiter)
        if self._beside is not None:
            spool.write_provenance(name, json.dumps(asdict(self._beside)))
        write_fully(self.descriptor, (self._buffer,))
        self._buffer = bytearray()
        crash_point("writing")
        return name

    def sync(self, name: SpoolName) -> SpoolName:
        """Step two: the file, under its name, to disk. Raises OSError."""
        self.path = spool.name_whole(self.path, name)
        spool.sync(self.descriptor)
        return name

    def abort(self) -> None:
        """Forgets the object; harmless after commit or a second time."""
        if self._open:
            self.path.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Step last of a commit: lets go of the file, which is the indexer's now."""
        self._open = False
        self._buffer = bytearray()
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()


def _refuse_when_full() -> None:
    room = capacity()
    if not room.accepts_instances:
        raise OutOfResources(room.message)


def receive(
    provenance: Provenance, *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str
) -> Incoming:
    """Begins an object whose data set bytes follow. Raises OutOfResources at the watermark."""
    _refuse_when_full()
    return Incoming(
        file_meta(
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
            provenance=provenance,
        )
    )


def receive_part10(
    provenance: Provenance,
    head: bytes,
    chunks: Iterable[bytes],
    *,
    waiter: Waiter = Waiter.NOBODY,
) -> str:
    """Takes a whole Part 10 stream, or a bare data set; returns the inbox name.

    Raises OutOfResources, Unavailable.
    """
    with begin_part10(provenance, head, chunks) as incoming:
        return incoming.commit(waiter=waiter)


def begin_part10(
    provenance: Provenance, head: bytes, chunks: Iterable[bytes | memoryview]
) -> Incoming:
    """The same, complete but not committed: for `commit_together`.

    The File Meta is written anew with the provenance and the data set's own UIDs, where a
    sender's File Meta says others (PS3.10 7.1); data set bytes are untouched. A head that cannot
    be read is kept as it is: the indexer quarantines it with the reason.
    Raises OutOfResources, Unavailable, and what `chunks` raises; then nothing is left.
    """
    _refuse_when_full()
    remaining = iter(chunks)
    meta, head = _meta_of(head, remaining)
    incoming = _begun(meta, head, provenance) if meta else Incoming(b"", beside=provenance)
    try:
        incoming.write(memoryview(head)[meta.dataset_offset if meta else 0 :])
        for chunk in remaining:
            incoming.write(chunk)
    except BaseException:
        incoming.abort()
        raise
    return incoming


def _begun(meta: FileMeta, head: bytes, provenance: Provenance) -> Incoming:
    found = peek(
        head[meta.dataset_offset : meta.dataset_offset + HEAD_BYTES], meta.transfer_syntax_uid
    )
    says = Identity(
        found.sop_class_uid or meta.sop_class_uid,
        found.sop_instance_uid or meta.sop_instance_uid,
        found.complete,
    )
    ours = file_meta(
        sop_class_uid=says.sop_class_uid or "",
        sop_instance_uid=says.sop_instance_uid or "",
        transfer_syntax_uid=meta.transfer_syntax_uid,
        provenance=provenance,
    )
    return Incoming(ours, says=says)


def _meta_of(head: bytes, chunks: Iterator[bytes | memoryview]) -> tuple[FileMeta | None, bytes]:
    """The File Meta and a head that contains all of it; None when it cannot be read."""
    while True:
        try:
            meta = read_file_meta(head)
            if meta.dataset_offset <= len(head):
                return meta, head
        except UnreadableInstance:
            pass
        more = next(chunks, b"") if len(head) < _LONGEST_HEAD else b""
        if not more:
            return None, head
        head += more


@dataclass(frozen=True, slots=True)
class InboxDepth:
    """What waits to be indexed."""

    files: int
    bytes: int
    oldest_seconds: float


def depth() -> InboxDepth:
    """Counts the inbox now; about 2 µs a waiting file, so ask at most once a second."""
    names = spool.waiting()
    oldest = max(time.time() - names[0].received_ns / 1e9, 0.0) if names else 0.0
    return InboxDepth(len(names), sum(name.size for name in names), oldest)
