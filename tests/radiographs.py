"""Radiographs made by Beer-Lambert's law: simple bodies, a collimator, a lead letter, noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
SIDE = 256
Y, X = np.mgrid[0:SIDE, 0:SIDE] / SIDE


def _ellipsoid(x: float, y: float, width: float, height: float, depth: float) -> Plane:
    """Attenuation along the beam through a body with these half axes."""
    inside = 1 - ((X - x) / width) ** 2 - ((Y - y) / height) ** 2
    return np.asarray(depth * np.sqrt(np.clip(inside, 0, None)))


def _blurred(plane: Plane, times: int) -> Plane:
    for _ in range(times):
        neighbours = sum(np.roll(plane, step, axis) for step in (1, -1) for axis in (0, 1))
        plane = (plane + neighbours) / 5
    return plane


def _chest(draw: np.random.Generator) -> Plane:
    body = _ellipsoid(0.5, 0.62, draw.uniform(0.42, 0.6), 0.75, 3.2)
    body += _ellipsoid(0.5, 0.0, 0.12, 0.25, 1.5) + _ellipsoid(0.55, 0.65, 0.16, 0.16, 1.2)
    for side in (-1, 1):
        body -= _ellipsoid(0.5 + side * 0.2, 0.5, 0.15, 0.32, 2.2 * draw.uniform(0.8, 1.1))
        for rib in range(7):
            away = np.hypot((X - 0.5 - side * 0.12) / 0.28, (Y - 0.2 - rib * 0.1) / 0.12) - 1
            body += 0.25 * np.exp(-((away / 0.05) ** 2))
    return body + 0.8 * np.exp(-(((X - 0.5) / 0.05) ** 2))


def _limb(draw: np.random.Generator) -> Plane:
    radius, middle = draw.uniform(0.13, 0.3), 0.5 + draw.uniform(-0.1, 0.1) * (Y - 0.5)
    limb = 8 * radius * np.sqrt(np.clip(1 - ((X - middle) / radius) ** 2, 0, None))
    for place, size in ((-0.25, 0.25), (0.45, 0.12)):
        across = (X - middle - place * radius) / (size * radius * 1.4)
        limb += 1.6 * np.sqrt(np.clip(1 - across**2, 0, None))
        limb -= np.sqrt(np.clip(1 - (across / 0.7) ** 2, 0, None))
    return np.asarray(limb)


def _hand(_draw: np.random.Generator) -> Plane:
    hand = _ellipsoid(0.5, 0.75, 0.22, 0.25, 0.8)
    for x in (0.3, 0.42, 0.54, 0.66):
        hand = np.maximum(hand, _ellipsoid(x, 0.4, 0.045, 0.34, 0.5))
        hand = hand + _ellipsoid(x, 0.42, 0.018, 0.3, 0.7)
    return np.asarray(hand + _ellipsoid(0.5, 0.95, 0.1, 0.2, 0.8))


def _skull(_draw: np.random.Generator) -> Plane:
    away = np.hypot((X - 0.5) / 0.36, (Y - 0.48) / 0.42) - 0.95
    skull = _ellipsoid(0.5, 0.48, 0.36, 0.42, 2.0) + 1.2 * np.exp(-((away / 0.04) ** 2))
    return np.asarray(
        skull + _ellipsoid(0.5, 0.95, 0.2, 0.3, 1.5) + _ellipsoid(0.4, 0.7, 0.12, 0.1, 1.0)
    )


def _pelvis(draw: np.random.Generator) -> Plane:
    pelvis = 3 + _ellipsoid(0.5, 0.5, 0.9, 0.8, 1.0)
    for side in (-1, 1):
        away = np.hypot((X - 0.5 - side * 0.22) / 0.2, (Y - 0.4) / 0.22) - 0.8
        pelvis += 1.2 * np.exp(-((away / 0.15) ** 2))
        pelvis += _ellipsoid(0.5 + side * 0.3, 0.8, 0.08, 0.3, 1.0)
    for _ in range(5):
        pelvis -= _ellipsoid(draw.uniform(0.3, 0.7), draw.uniform(0.1, 0.6), 0.05, 0.04, 1.2)
    return np.asarray(pelvis + 1.2 * np.exp(-(((X - 0.5) / 0.07) ** 2)) * (Y < 0.45))


def _breast(draw: np.random.Generator) -> Plane:
    body = _ellipsoid(1.02, 0.5, draw.uniform(0.4, 0.65), draw.uniform(0.3, 0.42), 1.0)
    grain = _blurred(draw.normal(size=(SIDE, SIDE)), 20)
    return np.where(body > 0, 1.2 * np.sqrt(body) + 0.15 * grain / grain.std() * (body > 0.5), 0)


def _teeth(draw: np.random.Generator) -> Plane:
    jaw = 0.6 + 0.2 * Y
    for tooth in range(4):
        jaw = jaw + _ellipsoid(0.15 + 0.24 * tooth, 0.35, 0.09, 0.3, 1.3)
        jaw = jaw - _ellipsoid(0.15 + 0.24 * tooth, 0.35, 0.02, 0.2, 0.3)
    return np.clip(jaw * (draw.choice((0.9, 1.0)) > Y), 0, None)


BODIES: dict[str, Callable[[np.random.Generator], Plane]] = {
    "chest": _chest,
    "limb": _limb,
    "hand": _hand,
    "skull": _skull,
    "pelvis": _pelvis,
    "breast": _breast,
    "teeth": _teeth,
}
COLLIMATORS = ("none", "rectangle", "circle")


def radiograph(
    body: str,
    draw: np.random.Generator,
    collimator: str = "none",
    *,
    lead: bool = False,
    logarithmic: bool = True,
    shutter: bool = False,
) -> NDArray[np.uint16]:
    """12-bit values, **higher where more was attenuated**: air is low.

    A collimator lets hardly any radiation through, so it is high too, unless `shutter` fills its
    place with 0.
    """
    attenuation = np.clip(BODIES[body](draw), 0, None)
    if lead:
        x, y = draw.uniform(0.08, 0.2), draw.uniform(0.1, 0.9)
        attenuation = attenuation + 6 * ((np.abs(X - x) < 0.03) & (np.abs(Y - y) < 0.035))
    covered = _covered(collimator, draw)
    beam = np.where(covered, 0.005, np.exp(-attenuation) * draw.uniform(0.8, 1.1))
    beam = _blurred(beam, int(draw.integers(1, 12)))
    beam = beam + draw.normal(size=beam.shape) * np.sqrt(np.clip(beam, 1e-4, None)) * 0.003
    values = -np.log(np.clip(beam, 1e-3, None)) if logarithmic else 1 - beam
    low, high = np.percentile(values, (0.05, 99.95))
    scaled = (np.clip(values, low, high) - low) / (high - low) * 4095
    return np.where(covered & shutter, 0, scaled).astype(np.uint16)


def _covered(collimator: str, draw: np.random.Generator) -> NDArray[np.bool_]:
    if collimator == "circle":
        return np.asarray(np.hypot(X - 0.5, Y - 0.5) > 0.48)
    if collimator == "none":
        return np.zeros((SIDE, SIDE), dtype=np.bool_)
    left, right, top, bottom = draw.uniform(0, 0.18, 4)
    turn = draw.uniform(-0.06, 0.06)
    across = (X - 0.5) * np.cos(turn) + (Y - 0.5) * np.sin(turn) + 0.5
    down = (Y - 0.5) * np.cos(turn) - (X - 0.5) * np.sin(turn) + 0.5
    outside = (across < left) | (across > 1 - right) | (down < top) | (down > 1 - bottom)
    return np.asarray(outside)
