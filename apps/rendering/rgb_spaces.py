"""ICC profiles of the RGB spaces a client may ask for, made from their published definitions.

Each is a display profile of matrix and curves, ICC.1:2022 (version 4), as small as it can be:
colorants adapted to the profile connection space's D50 by Bradford's matrix, one curve for all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_D50_XY, _D65_XY = (0.3457, 0.3585), (0.3127, 0.3290)
_D50_PCS: Final = (0.9642, 1.0, 0.8249)
_BRADFORD: Final = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
# Of the spaces and not of the moment, so that equal requests get equal bytes.
_MADE: Final = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RgbSpace:
    """Chromaticities x, y of the primaries and the white, and the curve from code to light.

    Light is `(a * code + b) ** gamma` from `toe` on and `slope * code` below, both 0 to 1.
    """

    name: str
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    gamma: float
    a: float = 1.0
    b: float = 0.0
    slope: float = 0.0
    toe: float = 0.0


# TABLE: what PS3.18 8.3.5.1.5 names beside sRGB.
_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SPACES: Final = {
    "adobergb": RgbSpace(
        "Adobe RGB (1998) compatible",
        (0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65_XY, 563 / 256,
    ),
    "rommrgb": RgbSpace(
        "ROMM RGB (ISO 22028-2) compatible",
        (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), _D50_XY, 1.8,
        slope=1 / 16, toe=1 / 32,
    ),
    "displayp3": RgbSpace(
        "Display P3 compatible",
        (0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65_XY, *_SRGB_CURVE,
    ),
}  # fmt: skip


@cache
def profile_of(name: str) -> bytes:
    """The profile's bytes; `name` is a key of `SPACES`."""
    space = SPACES[name]
    adapted = _adaptation(space.white)
    colorants = adapted @ _to_xyz(space)
    curve = b"para" + struct.pack(">IHH", 0, 3, 0)
    curve += _fixed(space.gamma, space.a, space.b, space.slope, space.toe)
    tags = {
        b"desc": _text(space.name),
        b"cprt": _text("No copyright, use freely."),
        b"wtpt": _xyz(*_D50_PCS),
        b"chad": b"sf32" + bytes(4) + _fixed(*adapted.ravel()),
        b"rXYZ": _xyz(*colorants[:, 0]),
        b"gXYZ": _xyz(*colorants[:, 1]),
        b"bXYZ": _xyz(*colorants[:, 2]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _file(tags)


def _to_xyz(space: RgbSpace) -> NDArray[np.float64]:
    """Linear RGB to XYZ under the space's own white."""
    columns = [_lightness_one(*xy) for xy in (space.red, space.green, space.blue)]
    primaries = np.stack(columns, axis=1)
    scale = np.linalg.solve(primaries, _lightness_one(*space.white))
    return np.asarray(primaries * scale)


def _lightness_one(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(white: tuple[float, float]) -> NDArray[np.float64]:
    """From XYZ under the white to XYZ under D50."""
    source, target = _BRADFORD @ _lightness_one(*white), _BRADFORD @ np.array(_D50_PCS)
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(target / source) @ _BRADFORD)


def _fixed(*values: float) -> bytes:
    """s15Fixed16Number each."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(x, y, z)


def _text(words: str) -> bytes:
    encoded = words.encode("utf-16-be")
    head = struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(encoded), 28)
    return b"mluc" + head + encoded


def _file(tags: dict[bytes, bytes]) -> bytes:
    """Header, table and elements; equal elements are stored once (ICC.1 7.2, 7.3)."""
    start = 128 + 4 + 12 * len(tags)
    table, elements, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    for signature, element in tags.items():
        if element not in places:
            places[element] = start + len(elements)
            elements += element + bytes(-len(element) % 4)
        table += signature + struct.pack(">II", places[element], len(element))
    head = struct.pack(
        ">I4sI4s4s4s6H4s4sIIIQI12s4s44x",
        start + len(elements), bytes(4), 0x04400000, b"mntr", b"RGB ", b"XYZ ", *_MADE,
        b"acsp", bytes(4), 0, 0, 0, 0, 0, _fixed(*_D50_PCS), bytes(4),
    )  # fmt: skip
    return head + table + elements
