"""Pictures to bytes, one writer for each rendered media type (PS3.18 table 8.7.4-1)."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, Final

import imagecodecs
import numpy as np
from PIL import Image

from apps.rendering.options import GIF, JP2, JPEG, JPH, JXL, PNG

_DEFAULT_QUALITY: Final = 90
_COARSE: Final = 30


def _jpeg(image: Image.Image, quality: int | None, embedded: dict[str, Any]) -> bytes:
    quality = quality or _DEFAULT_QUALITY
    subsampling = 0 if quality >= _DEFAULT_QUALITY else 2
    return _saved(image, "JPEG", quality=quality, subsampling=subsampling, **embedded)


def _png(image: Image.Image, _quality: int | None, embedded: dict[str, Any]) -> bytes:
    return _saved(image, "PNG", compress_level=3, **embedded)


def _gif(image: Image.Image, _quality: int | None, _embedded: dict[str, Any]) -> bytes:
    return _saved(image, "GIF")


def _jp2(image: Image.Image, quality: int | None, _embedded: dict[str, Any]) -> bytes:
    """Reversible unless a quality is named: 20 dB of signal to noise at 1, 50 dB at 100."""
    chosen: dict[str, Any] = {"mct": int(image.mode == "RGB")}
    if quality is not None:
        decibels = 20 + 30 * (quality - 1) / 99
        chosen |= {"irreversible": True, "quality_mode": "dB", "quality_layers": [decibels]}
    return _saved(image, "JPEG2000", **chosen)


def _jph(image: Image.Image, quality: int | None, _embedded: dict[str, Any]) -> bytes:
    """Reversible unless a quality is named: a quantization step of 0.1 at 1, 0.003 at 100."""
    step = None if quality is None else 0.1 * 0.03 ** ((quality - 1) / 99)
    codestream = imagecodecs.htj2k_encode(
        np.asarray(image), level=step, reversible=quality is None, rgb=image.mode == "RGB"
    )
    return _jph_file(bytes(codestream), image)


def _jph_file(codestream: bytes, image: Image.Image) -> bytes:
    """A High-Throughput codestream in its file format (ISO/IEC 15444-15 Annex D, 15444-1 I.5)."""
    color = image.mode == "RGB"
    unknown_space, ours = 0, 0
    header = struct.pack(
        ">IIHBBBB", image.height, image.width, 3 if color else 1, 7, 7, unknown_space, ours
    )
    # Method 1, an enumerated colour space: 16 is sRGB, 17 grey of the same gamma.
    space = struct.pack(">BbBI", 1, 0, 0, 16 if color else 17)
    return b"".join(
        (
            _box(b"jP  ", b"\r\n\x87\n"),
            _box(b"ftyp", b"jph " + bytes(4) + b"jph "),
            _box(b"jp2h", _box(b"ihdr", header) + _box(b"colr", space)),
            _box(b"jp2c", codestream),
        )
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _jxl(image: Image.Image, quality: int | None, _embedded: dict[str, Any]) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(np.asarray(image), **jxl_settings(quality)))


def jxl_settings(quality: int | None) -> dict[str, Any]:
    """Lossless unless a quality is named, which becomes a distance as libjxl's own tools do it."""
    settings: dict[str, Any] = {"effort": 3, "numthreads": 1}
    if quality is None:
        return settings | {"lossless": True}
    distance = 0.1 + (100 - quality) * 0.09
    if quality < _COARSE:
        distance = 53 / 3000 * quality**2 - 23 / 20 * quality + 25
    return settings | {"distance": distance}


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


_Writer = Callable[[Image.Image, int | None, dict[str, Any]], bytes]
# TABLE: media types and their writers. All take 8 bits a channel, grey or RGB.
_WRITERS: Final[dict[str, _Writer]] = {
    JPEG: _jpeg,
    PNG: _png,
    GIF: _gif,
    JP2: _jp2,
    JPH: _jph,
    JXL: _jxl,
}
_LOSSY_WHEN_ASKED: Final = frozenset({JP2, JPH, JXL})


def written(
    image: Image.Image, media_type: str, quality: int | None, embedded: dict[str, Any]
) -> tuple[bytes, bool]:
    """The bytes, and whether the writing lost detail; `embedded` may hold `icc_profile`."""
    lossy = media_type == JPEG or (media_type in _LOSSY_WHEN_ASKED and quality is not None)
    return _WRITERS[media_type](image, quality, embedded), lossy
