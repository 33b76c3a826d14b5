"""Files somebody wants imported: single ones, folders, ZIP archives, archives in archives.

Everything comes in one fixed order, so that an import can be resumed behind any of them. Nothing
is ever unpacked to a name an archive chose; what an archive may grow to is bounded.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final

Place = tuple[str, ...]
"""Where a file stands in the order: argument number, path parts, entry number in an archive."""

_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_DEPTH: Final = 3
_ENTRIES: Final = 1_000_000
_GROWTH: Final = 100
_SMALL_GROWTH: Final = 4 << 30
_RATIO: Final = 1000
_SMALL_ENTRY: Final = 64 << 20
_CHUNK: Final = 1 << 20
_KEPT_IN_MEMORY: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """One file. Either `open` gives its bytes, or `refusal` says why there are none."""

    place: Place
    name: str
    open: Callable[[], BinaryIO] | None
    refusal: str = ""


class Refused(Exception):
    """The archive's bytes cannot or may not be read; the text is for people."""


def found_in(paths: list[Path]) -> Iterator[Found]:
    """Every file below the paths, depth first, sorted by name within a folder."""
    for number, path in enumerate(paths):
        yield from _found(path, (f"{number:06d}",))


def readable(path: str | bytes | Path) -> str:
    """A name that can be shown and kept, whatever bytes the file system has."""
    return os.fsencode(path).decode("utf-8", "replace")


def _found(path: Path, place: Place) -> Iterator[Found]:
    try:
        if path.is_dir():
            for name in sorted(os.listdir(path)):  # noqa: PTH208 - names, not paths, are sorted
                yield from _found(path / name, (*place, readable(name)))
        elif path.is_file():
            yield from _file(path, place)
        else:
            yield Found(place, readable(path), None, "This is no file and no folder.")
    except OSError as error:
        yield Found(place, readable(path), None, f"It cannot be read: {error.strerror}.")


def _file(path: Path, place: Place) -> Iterator[Found]:
    with path.open("rb") as body:
        is_archive = body.read(4) in {_ZIP, _EMPTY_ZIP}
        if is_archive:
            size = os.fstat(body.fileno()).st_size
            budget = _Budget(max(_SMALL_GROWTH, _GROWTH * size))
            yield from _entries(body, readable(path), place, budget, 1)
    if not is_archive:
        yield Found(place, readable(path), lambda: path.open("rb"))


class _Budget:
    """How many bytes an archive, with all the archives in it, may still grow to."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Refused("The archive grows beyond all measure when unpacked; it is not read on.")


class _Entry:
    """The bytes of one entry, counted as they come: what an archive says about itself may lie."""

    def __init__(self, body: IO[bytes], budget: _Budget) -> None:
        self._body = body
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        with _as_refusal():
            data = self._body.read(_CHUNK if size < 0 else min(size, _CHUNK))
        self._budget.spend(len(data))
        return data

    def close(self) -> None:
        self._body.close()


@contextmanager
def _as_refusal() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Refused(f"The archive is damaged: {error}.") from error
    except (NotImplementedError, RuntimeError) as error:
        # zipfile's own words: encrypted, or a compression method it does not know
        raise Refused(f"The archive cannot be read: {error}.") from error


def _entries(
    body: IO[bytes], name: str, place: Place, budget: _Budget, depth: int
) -> Iterator[Found]:
    try:
        with _as_refusal():
            archive = zipfile.ZipFile(body)
    except Refused as refused:
        yield Found(place, name, None, str(refused))
        return
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > _ENTRIES:
            yield Found(place, name, None, "The archive has too many entries.")
            return
        for number, entry in enumerate(entries):
            yield from _entry(
                archive,
                entry,
                name=f"{name}/{readable(entry.filename.encode('utf-8', 'replace'))}",
                place=(*place, f"{number:07d}"),
                budget=budget,
                depth=depth,
            )


def _entry(
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    *,
    name: str,
    place: Place,
    budget: _Budget,
    depth: int,
) -> Iterator[Found]:
    if entry.file_size > _SMALL_ENTRY and entry.file_size > _RATIO * max(entry.compress_size, 1):
        yield Found(place, name, None, "It grows beyond all measure when unpacked.")
        return
    try:
        with _as_refusal(), archive.open(entry) as body:
            magic = body.read(4)
        if magic not in {_ZIP, _EMPTY_ZIP}:
            yield Found(place, name, lambda: _opened(archive, entry, budget))
        elif depth >= _DEPTH:
            yield Found(place, name, None, "It is an archive in too many archives.")
        else:
            with tempfile.SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY) as inner:
                _copy(_opened(archive, entry, budget), inner)
                yield from _entries(inner, name, place, budget, depth + 1)
    except Refused as refused:
        yield Found(place, name, None, str(refused))


def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget) -> BinaryIO:
    with _as_refusal():
        return _Entry(archive.open(entry), budget)  # type: ignore[return-value]


def _copy(body: BinaryIO, to: IO[bytes]) -> None:
    try:
        while chunk := body.read(_CHUNK):
            to.write(chunk)
    finally:
        body.close()
