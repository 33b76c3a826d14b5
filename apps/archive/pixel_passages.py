"""The passages of an instance's metadata that say how its pixels are coded, exchanged alone."""

from __future__ import annotations

import secrets
from typing import Any, Final

import orjson

from apps.archive.fragments import pack, plain

# Stands where the service's address goes while the JSON is in one piece; nobody can know it.
_BASE: Final = f"pacsweb-{secrets.token_hex(16)}".encode()
_PIXEL_CODING: Final = (
    "00280004",  # Photometric Interpretation
    "00280006",  # Planar Configuration
    "7FE00001",  # Extended Offset Table
    "7FE00002",  # Extended Offset Table Lengths
    "7FE00003",  # Encapsulated Pixel Data Value Total Length
    "7FE00010",  # Pixel Data
)


def document_of(pieces: tuple[bytes, ...]) -> dict[str, Any]:
    """The DICOM JSON of `InstanceScan.json`, the service's address a placeholder.

    Raises ValueError for text that is no Unicode.
    """
    parsed: dict[str, Any] = orjson.loads(_BASE.join(pieces))
    return parsed


def without_pixel_coding(document: dict[str, Any]) -> dict[str, Any]:
    """Everything that must be the same however the pixels are coded."""
    return {tag: value for tag, value in document.items() if tag not in _PIXEL_CODING}


def recoded_fragment(fragment: bytes, pieces: tuple[bytes, ...]) -> bytes:
    """The metadata of `fragment`, with what the scan `pieces` says of how the pixels are coded.

    So what rules changed of the instance stays changed. Raises ValueError as `document_of`.
    """
    stored: dict[str, Any] = orjson.loads(plain(fragment, _BASE))
    coding = document_of(pieces)
    document = without_pixel_coding(stored)
    document |= {tag: coding[tag] for tag in _PIXEL_CODING if tag in coding}
    return pack(tuple(orjson.dumps(dict(sorted(document.items()))).split(_BASE)))
