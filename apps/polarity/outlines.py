"""Regions of small pictures and the shape of their outlines, in plain numpy."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Picture = NDArray[np.float64]

_FEWEST_POINTS: Final = 20
_MOST_LINES: Final = 4
_TRIES: Final = 300
_SHORTEST: Final = 15.0
"""Pixels between the two points that make a line worth trying."""
_ON_A_LINE: Final = 0.6
_ON_A_CIRCLE: Final = 1.3
_LEAST_SHARE: Final = 0.08
_LINES: Final = 0.8
_CIRCLE: Final = 0.7


def rim(shape: tuple[int, ...]) -> Mask:
    """The outermost pixels."""
    mask = np.zeros(shape, dtype=np.bool_)
    mask[0] = mask[-1] = True
    mask[:, 0] = mask[:, -1] = True
    return mask


def grown(mask: Mask, steps: int) -> Mask:
    """The mask and all within so many steps up, down, left or right."""
    for _ in range(steps):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        wider[:, 1:] |= mask[:, :-1]
        wider[:, :-1] |= mask[:, 1:]
        mask = wider
    return mask


def connected(seed: Mask, inside: Mask) -> Mask:
    """What of `inside` can be reached from the seed without leaving it."""
    found = seed & inside
    count = int(found.sum())
    while True:
        found = grown(found, 2) & inside if count else found
        now = int(found.sum())
        if now == count:
            return found
        count = now


def rings(mask: Mask, count: int) -> list[Mask]:
    """The pixels at distance 1, 2, ... from the mask."""
    found = []
    for _ in range(count):
        wider = grown(mask, 1)
        found.append(wider & ~mask)
        mask = wider
    return found


def simple_outline(mask: Mask, *, lines_count: bool = True) -> bool:
    """Whether most of the outline lies on at most four straight lines, or on one circle."""
    outline = grown(mask, 1) & ~mask & ~rim(mask.shape)
    rows, columns = np.nonzero(outline)
    if len(rows) < _FEWEST_POINTS:
        return False
    points = np.stack([columns, rows], axis=1).astype(np.float64)
    on_lines = lines_count and _share_on_lines(points) > _LINES
    return on_lines or _share_on_circle(points) > _CIRCLE


def _share_on_lines(points: Picture) -> float:
    """Share of the points on the best few lines, each tried between two of the points."""
    # The same picture must always get the same answer.
    draw = np.random.default_rng(7)
    left = np.ones(len(points), dtype=np.bool_)
    least = _LEAST_SHARE * len(points)
    for _ in range(_MOST_LINES):
        candidates = np.nonzero(left)[0]
        if len(candidates) < least:
            break
        first, second = (points[draw.choice(candidates, _TRIES)] for _ in range(2))
        on_it = _on_lines(points, first, second - first) & left
        counts = on_it.sum(axis=1)
        if not len(counts) or counts.max() < least:
            break
        left &= ~on_it[counts.argmax()]
    return 1.0 - float(left.mean())


def _on_lines(points: Picture, first: Picture, direction: Picture) -> Mask:
    """(lines, points): which point lies on which line; lines that are too short are left out."""
    length = np.hypot(direction[:, 0], direction[:, 1])
    long = length > _SHORTEST
    first, direction, length = first[long], direction[long], length[long]
    across = (points[None, :, 0] - first[:, None, 0]) * direction[:, None, 1]
    across -= (points[None, :, 1] - first[:, None, 1]) * direction[:, None, 0]
    return np.asarray(np.abs(across) < _ON_A_LINE * length[:, None])


def _share_on_circle(points: Picture) -> float:
    """Share of the points on the circle that fits them best by least squares."""
    system = np.c_[2.0 * points, np.ones(len(points))]
    solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    center, rest = solution[:2], float(solution[2])
    radius = np.sqrt(max(rest + float((center**2).sum()), 0.0))
    distances = np.hypot(points[:, 0] - center[0], points[:, 1] - center[1])
    return float((np.abs(distances - radius) < _ON_A_CIRCLE).mean())
