"""BlobStore in a local folder: `file:///path`. A key is a path below it."""

from __future__ import annotations

import ctypes
import errno
import io
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from apps.storage.blobs import CHUNK, BlobMissing, RandomAccess, valid_key
from apps.storage.durable import (
    as_pacs_error,
    make_folder,
    pacs_error_of,
    sync_folder,
    write_fully,
)
from apps.storage.medium import chunks_of_medium, open_medium

_UNFINISHED: Final = ".unfinished"
_REMEMBERED_FOLDERS: Final = 1000
# The web server holds a few chunks for each client that is slower than we are: small ones keep many
# clients small. A slice of 512 x 512 pixels still comes in one.
_OUTGOING: Final = 640 << 10
_ONE_READ: Final = 1 << 30  # the system gives at most 2 GiB at once
# Bytes that are filled before anybody sees them. BytesIO alone would first fill them with zeros,
# which takes a fifth of the time that reading a frame takes.
_unfilled: Final = ctypes.pythonapi.PyBytes_FromStringAndSize
_unfilled.argtypes, _unfilled.restype = (ctypes.c_char_p, ctypes.c_ssize_t), ctypes.py_object
# Another device, a file system without hard links, a file of another owner, too many links.
_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS})


class OpenFile:
    """RandomAccess over an open file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, fewer only at the end of the file."""
        try:
            data = os.pread(self._descriptor, min(length, _ONE_READ), offset)
            if len(data) == length or offset + len(data) >= self.size:
                return data
            parts = [data]
            while data and (length := length - len(data)):
                offset += len(data)
                data = os.pread(self._descriptor, min(length, _ONE_READ), offset)
                parts.append(data)
        except OSError as error:
            raise pacs_error_of(error, "reading a blob") from error
        return b"".join(parts)

    def forget_cached(self) -> None:
        """Lets go of what the system remembers of the file, where the system can be asked to."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Releases the descriptor; closing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class FilesystemStore:
    """Blobs as files. Placing a file of the same file system is a hard link: nothing is copied."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = os.fspath(root)
        self._known_folders: set[Path] = set()

    def _path(self, key: str) -> Path:
        return self._root / valid_key(key)

    def place(self, key: str, source: Path) -> None:
        """See BlobStore."""
        self.place_all([(key, source)])

    def place_all(self, sources: Sequence[tuple[str, Path | str]]) -> None:
        """See BlobStore. One fsync per touched folder."""
        with as_pacs_error("storing blobs"):
            touched = set()
            for key, source in sources:
                # As text: a Path costs as much as making the link.
                target = f"{self._folder}/{valid_key(key)}"
                folder = target.rpartition("/")[0]
                if folder not in touched:
                    self._make_folder(Path(folder))
                    touched.add(folder)
                self._link_or_copy(source, target)
            for folder in touched:
                sync_folder(folder)

    def _make_folder(self, folder: Path) -> None:
        if folder in self._known_folders:
            return
        make_folder(folder)
        if len(self._known_folders) > _REMEMBERED_FOLDERS:
            self._known_folders.clear()
        self._known_folders.add(folder)

    def _link_or_copy(self, source: Path | str, target: str) -> None:
        try:
            os.link(source, target)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            with Path(source).open("rb", buffering=0) as body:
                self._copy(Path(target), body)

    def _copy(self, target: Path, body: BinaryIO) -> None:
        """A complete, synced file beside the others first; then the name, if still free."""
        folder = self._root / _UNFINISHED
        self._make_folder(folder)
        unfinished = folder / secrets.token_hex(16)
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            try:
                write_fully(descriptor, iter(lambda: body.read(CHUNK), b""))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            unfinished.rename(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def put(self, key: str, body: BinaryIO) -> None:
        """See BlobStore."""
        with as_pacs_error("storing a blob"):
            target = self._path(key)
            if target.exists():
                return
            self._make_folder(target.parent)
            self._copy(target, body)
            sync_folder(target.parent)

    def copy(self, key: str, to: str) -> None:
        """See BlobStore. A hard link where the file system has them."""
        self.size(key)
        self.place(to, self._path(key))

    def open(self, key: str) -> RandomAccess:
        """See BlobStore."""
        return OpenFile(self._opened(key))

    def _opened(self, key: str) -> int:
        try:
            # As text: a Path costs as much as opening the file.
            return os.open(f"{self._folder}/{valid_key(key)}", os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            raise BlobMissing(key) from None
        except OSError as error:
            raise pacs_error_of(error, "opening a blob") from error

    def read_at(self, key: str, offset: int, length: int) -> bytes:
        """See BlobStore."""
        blob = self.open(key)
        try:
            return blob.read_at(offset, length)
        finally:
            blob.close()

    def read_between(
        self, key: str, offset: int, length: int, before: bytes, after: bytes
    ) -> bytes | None:
        """See BlobStore. The system copies the range to where it belongs."""
        start, end = len(before), len(before) + length
        body = io.BytesIO(_unfilled(None, end + len(after)))
        descriptor = self._opened(key)
        try:
            with body.getbuffer() as whole:
                done = os.preadv(descriptor, [whole[start:end]], offset)
                whole[:start], whole[end:] = before, after
        except OSError as error:
            raise pacs_error_of(error, "reading a blob") from error
        finally:
            os.close(descriptor)
        if done == length:
            return body.getvalue()
        # The end of the file, or a read that the system cut: the long way tells which.
        data = self.read_at(key, offset, length)
        return b"".join((before, data, after)) if len(data) == length else None

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See BlobStore."""
        return _chunks(self.open(key), offset, length)

    def read_back(self, key: str, *, keep_cached: bool) -> Iterator[bytes]:
        """See BlobStore."""
        chunks = None if keep_cached else self._from_medium(key)
        if chunks is not None:
            return chunks
        blob = self.open(key)
        assert isinstance(blob, OpenFile)
        blob.forget_cached()
        return _chunks(blob, 0, None, forget=not keep_cached)

    def _from_medium(self, key: str) -> Iterator[bytes] | None:
        try:
            descriptor = open_medium(f"{self._folder}/{valid_key(key)}")
        except (FileNotFoundError, NotADirectoryError):
            raise BlobMissing(key) from None
        except OSError as error:
            raise pacs_error_of(error, "opening a blob") from error
        return None if descriptor is None else chunks_of_medium(descriptor)

    def size(self, key: str) -> int:
        """See BlobStore."""
        with as_pacs_error("looking at a blob"):
            try:
                return self._path(key).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                raise BlobMissing(key) from None

    def delete(self, key: str) -> None:
        """See BlobStore."""
        with as_pacs_error("removing a blob"):
            self._path(key).unlink(missing_ok=True)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See BlobStore. Walks folder by folder; memory is one folder's names."""
        with as_pacs_error("listing blobs"):
            # Everything below the prefix's last full folder, then compared as text.
            start = prefix.rpartition("/")[0]
            for key in _walk(self._root / start, f"{start}/" if start else ""):
                if key.startswith(prefix):
                    yield key

    def local_path(self, key: str) -> Path | None:
        """See BlobStore."""
        return self._path(key)

    def discard_unfinished(self, older_than: float) -> int:
        """See BlobStore."""
        with as_pacs_error("clearing unfinished blobs"):
            limit = time.time() - older_than
            folder = self._root / _UNFINISHED
            old = [each for each in _entries(folder) if each.stat().st_mtime < limit]
            for each in old:
                Path(each.path).unlink(missing_ok=True)
            return len(old)


def _chunks(
    blob: RandomAccess, offset: int, length: int | None, *, forget: bool = False
) -> Iterator[bytes]:
    end = blob.size if length is None else min(blob.size, offset + length)
    try:
        while offset < end:
            chunk = blob.read_at(offset, min(_OUTGOING, end - offset))
            offset += len(chunk)
            yield chunk
        if forget and isinstance(blob, OpenFile):
            blob.forget_cached()
    finally:
        blob.close()


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    for entry in _entries(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name
