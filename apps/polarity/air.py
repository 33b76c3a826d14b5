"""Where in a radiograph air is: at the low or at the high end of its values, or not to be told.

Three things show at the edge of a radiograph. **Air** (the beam met nobody) is flat, lies at one
end of the values and grades into the body over many pixels, along a curved outline. A **shutter or
collimator** lies at either end and has an outline of straight lines or a circle; where it was left
as it was exposed, air beside it lies at the other end. The **body** itself reaches the edge with
all its values. Only outlines that can be nothing but air count; all else is no answer.

Everything is worked out on a picture of about 160 pixels a side. Nothing here knows DICOM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.polarity.outlines import Mask, Picture, connected, grown, rim, rings, simple_outline

SIDE: Final = 160
_SMALLEST: Final = 64
_SMALLEST_SOURCE: Final = 128
_AT_AN_END: Final = 0.06
_SPIKE: Final = 0.025
_NEAR: Final = 16
"""Rings of pixels, about a tenth of the picture, in which a border's penumbra lies."""
_RISE_RINGS: Final = 10
_OPPOSITE: Final = 0.85
# The shares below were measured on radiographs and phantoms: docs/decisions/photometric-guard.md.
_ALL_AROUND: Final = 0.9
_FACES_AIR: Final = 0.35
_SHUTTER_TOUCHES: Final = 0.15
_FLAT_AS_AIR: Final = 0.75
"""Dense body at the edge is never that flat."""
_CLEARLY_MORE: Final = 0.45
_FACES_BONE: Final = 0.05
_DARKEST, _BRIGHTEST = 0.08, 0.92
"""Between them a value is away from both ends."""
_LEAST_ALIVE: Final = 0.05
_OUTLINE_TOUCHES: Final = 0.1
"""Of a shorter border no outline can be told."""
_LEAST_AREA, _LEAST_RISE, _LEAST_BODY = 0.02, 0.15, 0.25


@dataclass(frozen=True, slots=True)
class Air:
    """`end` is -1 where air has low values, +1 where high, 0 where that cannot be told.

    `confidence` is 0.5 to 1, 0 without an answer; `why` is for people.
    """

    end: int
    confidence: float
    why: str


@dataclass(frozen=True, slots=True)
class _Edge:
    """What lies at one end of the values and touches the edge of the picture.

    `area` is its share of the picture, `touched` of the picture's edge; `rise` is how far values
    move away from the end within ten pixels of its outline, `opposite` how much of its
    surroundings lies at the other end, `flat` how much of it is one value. `simple` says that the
    outline is made of straight lines or a circle.
    """

    mask: Mask
    area: float
    touched: float
    rise: float
    opposite: float
    flat: float
    simple: bool

    @property
    def shutter(self) -> bool:
        """Whether it can be a shutter or collimator."""
        around = self.touched > _ALL_AROUND or self.opposite > _FACES_AIR
        return self.touched > _SHUTTER_TOUCHES and (around or self.simple)

    @property
    def weight(self) -> float:
        """How much it looks like air, 0 to 1."""
        if self.flat < _FLAT_AS_AIR:
            return 0.0
        return min(self.touched, 0.3) / 0.3 * min(self.rise, 0.3) / 0.3


def find_air(values: NDArray[Any], *, straight_outlines: bool = False) -> Air:
    """Looks for air in (rows, columns) of any numeric type.

    `straight_outlines` is for mammograms: a breast's outline may be as straight as a shutter's.
    """
    picture = _levels(values)
    if picture is None:
        return _no_answer("The image is too small or too even to tell air from body.")
    if not _alive(values):
        return _no_answer("It looks like text or graphics, not like a radiograph.")
    ends = {end: _edge(_from(picture, end), straight_outlines) for end in (-1, 1)}
    shutters = [end for end, edge in ends.items() if edge.shutter]
    if shutters:
        return _beside_shutter(picture, shutters, ends)
    return _against_body(ends, straight_outlines)


def _against_body(ends: dict[int, _Edge], straight_outlines: bool) -> Air:
    """The border that looks like air and the other end does not."""
    difference = ends[1].weight - ends[-1].weight
    if abs(difference) < _CLEARLY_MORE:
        return _no_answer("No border of air stands out from the body.")
    end = 1 if difference > 0 else -1
    share = ends[end].touched
    confidence = 0.5 + 0.5 * min(abs(difference), 1.0)
    if not straight_outlines and ends[end].opposite > _FACES_BONE:
        confidence = min(confidence, 0.85)
    return Air(
        end,
        confidence,
        f"An even border that grades into the body along a curved outline takes {share:.0%} of the "
        "edge: air.",
    )


def _no_answer(why: str) -> Air:
    return Air(0, 0.0, why)


def shrunk(values: NDArray[Any], side: int) -> Picture:
    """Means over blocks, so that the longer side has about `side` pixels."""
    step = max(1, max(values.shape) // side)
    rows, columns = (length // step * step for length in values.shape)
    blocks = values[:rows, :columns].reshape(rows // step, step, columns // step, step)
    return np.asarray(blocks.mean((1, 3), dtype=np.float64))


def _levels(values: NDArray[Any]) -> Picture | None:
    """The small picture, 0 to 1 over all but its outermost values; None where it shows nothing."""
    small = shrunk(values, SIDE)
    if min(values.shape) < _SMALLEST_SOURCE or min(small.shape) < _SMALLEST:
        return None
    low, high = np.percentile(small, (0.3, 99.7))
    if not np.isfinite(high - low) or high <= low:
        return None
    return np.asarray(np.clip((small - low) / (high - low), 0.0, 1.0))


def _from(picture: Picture, end: int) -> Picture:
    """The distance of each value from that end."""
    return picture if end < 0 else 1.0 - picture


def _alive(values: NDArray[Any]) -> bool:
    """Whether enough runs of pixels lie between both ends and differ, as on exposed detectors.

    Letters and lines jump from end to end within three pixels, and areas of graphics are even.
    """
    part = values[:: max(1, values.shape[0] // 512)].astype(np.float64)
    low, high = np.percentile(part, (0.3, 99.7))
    level = (part - low) / max(high - low, 1e-9)
    alive = (level > _DARKEST) & (level < _BRIGHTEST)
    alive[:, 1:] &= np.diff(part, axis=1) != 0
    runs = alive[:, 4:] & alive[:, 3:-1] & alive[:, 2:-2] & alive[:, 1:-3]
    return bool(runs.mean() >= _LEAST_ALIVE)


def _edge(distance: Picture, straight_outlines: bool, seed: Mask | None = None) -> _Edge:
    """What lies at the end `distance` is measured from and is connected with the edge (or seed)."""
    edge = rim(distance.shape)
    mask = connected(edge if seed is None else seed, distance < _AT_AN_END)
    if not mask.any():
        return _Edge(mask, 0.0, 0.0, 0.0, 0.0, 0.0, simple=False)
    around = [distance[ring] for ring in rings(mask, _NEAR) if ring.any()]
    middles = [float(np.median(ring)) for ring in around[:_RISE_RINGS]]
    level = min(0.45, max(_AT_AN_END, 0.5 * max(middles, default=0.0)))
    touched = float((mask & edge).sum() / edge.sum())
    outline = connected(mask, distance < level)
    looked_at = touched > _OUTLINE_TOUCHES and seed is None
    return _Edge(
        mask,
        area=float(mask.mean()),
        touched=touched,
        rise=max(middles) - middles[0] if middles else 0.0,
        opposite=max((float((ring > _OPPOSITE).mean()) for ring in around), default=0.0),
        flat=float((distance[mask] < _SPIKE).mean()),
        simple=looked_at and simple_outline(outline, lines_count=not straight_outlines),
    )


def _beside_shutter(picture: Picture, shutters: list[int], ends: dict[int, _Edge]) -> Air:
    """Air at the other end that touches the shutter and grades into a body."""
    if len(shutters) == len(ends):
        return _no_answer("Both ends of the grey values touch the edge like shutters.")
    end, shutter = shutters[0], ends[shutters[0]]
    near = grown(shutter.mask, _NEAR)
    found = _edge(_from(picture, -end), straight_outlines=False, seed=near & ~shutter.mask)
    outline = grown(found.mask, 1) & ~found.mask
    against_body = float((outline & ~near).sum() / max(outline.sum(), 1))
    enough = found.area > _LEAST_AREA and found.rise > _LEAST_RISE and against_body > _LEAST_BODY
    # What does not face the shutter may be bone by skin.
    if not enough or shutter.opposite <= _FACES_AIR:
        return _no_answer("A shutter or collimator covers the edge, and no air shows inside it.")
    confidence = 0.5 + 0.45 * min(found.area / 0.1, 1.0) * min(found.rise, 0.3) / 0.3
    return Air(
        -end,
        confidence,
        f"Inside a shutter an even area of {found.area:.0%} of the image lies at the other end of "
        "the grey values and grades into the body: air.",
    )
