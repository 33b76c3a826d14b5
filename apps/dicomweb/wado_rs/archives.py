"""Instances as a ZIP archive (`application/zip`), written as it is sent, in flat memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Final

from apps.dicomweb.wado_rs.parts import complete
from apps.retrieve.instances import OutgoingInstance
from apps.retrieve.locations import Location

ZIP: Final = "application/zip"
# The earliest moment the format knows: the same content always makes the same archive.
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_LONGEST_NAME: Final = 64


class _Outlet(io.RawIOBase):
    """What the archive's writer wrote and nobody took yet; it cannot be read back or sought."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # what the writer gives is bytes-like
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        """What has been written since the last call."""
        piece = b"".join(self._pieces)
        self._pieces.clear()
        return piece


def zipped(outgoing: Iterable[tuple[Location, OutgoingInstance] | None]) -> Iterator[bytes]:
    """The archive: a folder per series, a file per instance. Images do not deflate: stored.

    None while the next instance is waited for.
    """
    outlet = _Outlet()
    names: set[str] = set()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for each in outgoing:
            if each is None:
                yield b""
                continue
            location, instance = each
            entry = zipfile.ZipInfo(_name(location, names), _MOMENT)
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as file:
                for chunk in complete(instance.chunks, instance.length):
                    file.write(chunk)
                    yield outlet.taken()
            yield outlet.taken()
    yield outlet.taken()


def _name(location: Location, names: set[str]) -> str:
    """`series/instance.dcm`, both by UID; what a path may not hold is left out."""
    series, instance = (
        "".join(
            letter for letter in uid if letter.isascii() and (letter.isalnum() or letter == ".")
        )
        for uid in (location.series_instance_uid, location.sop_instance_uid)
    )
    folder = series.strip(".")[:_LONGEST_NAME] or "series"
    stem = instance.strip(".")[:_LONGEST_NAME] or "instance"
    name, count = f"{folder}/{stem}.dcm", 1
    while name in names:
        count += 1
        name = f"{folder}/{stem}-{count}.dcm"
    names.add(name)
    return name
