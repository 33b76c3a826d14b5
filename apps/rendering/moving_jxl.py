"""Several pictures as one JPEG XL that moves (PS3.18 table 8.7.4-1, multi-frame images).

The encoder always writes ten ticks a second and one tick a frame; the number of ticks is put right
in the header it wrote (ISO/IEC 18181-1 D.3), whose fields lie where the size and the flags before
them say.
"""

from __future__ import annotations

from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from apps.rendering.encoding import jxl_settings

_SIGNATURE_BITS: Final = 16
_SIZES: Final = (9, 13, 18, 30)
_HEADER_BYTES: Final = 32
# TABLE: what stands between the size and the ticks, as bits and value: not all is default, there
# are extra fields, upright, no intrinsic size, no preview, it moves; ticks in ten bits, less one.
_FLAGS: Final = ((1, 0), (1, 1), (3, 0), (1, 0), (1, 0), (1, 1), (2, 2))
_TICK_BITS: Final = 10
_WRITTEN: Final = 10
_MOST_TICKS: Final = 1 << _TICK_BITS


def moving_jxl(frames: NDArray[np.uint8], quality: int | None, milliseconds: int) -> bytes:
    """`frames` are (frames, rows, columns) grey or (frames, rows, columns, 3) RGB.

    Each stands for the whole fraction of a second that comes nearest, at most one second.
    """
    settings: dict[str, Any] = jxl_settings(quality)
    color = frames.shape[-1] == 3 and frames.ndim == 4  # noqa: PLR2004  axes of colour frames
    settings["photometric"] = "RGB" if color else "GRAY"
    written = bytes(imagecodecs.jpegxl_encode(frames, **settings))
    ticks = min(max(round(1000 / milliseconds), 1), _MOST_TICKS)
    return _with_ticks(written, ticks)


def _with_ticks(codestream: bytes, ticks: int) -> bytes:
    header = int.from_bytes(codestream[:_HEADER_BYTES], "little")
    at = _behind_size(header)
    for bits, value in _FLAGS:
        assert header >> at & ((1 << bits) - 1) == value, "another header than the encoder writes"
        at += bits
    mask = ((1 << _TICK_BITS) - 1) << at
    assert header & mask == (_WRITTEN - 1) << at, "other ticks than the encoder writes"
    header = header & ~mask | (ticks - 1) << at
    return header.to_bytes(_HEADER_BYTES, "little") + codestream[_HEADER_BYTES:]


def _behind_size(header: int) -> int:
    """Where the SizeHeader ends, in bits (ISO/IEC 18181-1 D.2): height, ratio, width."""
    small = header >> _SIGNATURE_BITS & 1
    at = _behind_side(header, _SIGNATURE_BITS + 1, small=small)
    ratio = header >> at & 7
    return at + 3 if ratio else _behind_side(header, at + 3, small=small)


def _behind_side(header: int, at: int, *, small: int) -> int:
    return at + 5 if small else at + 2 + _SIZES[header >> at & 3]
