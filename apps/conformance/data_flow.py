"""The application data flow diagram (PS3.2 A.4.1.1): who talks to us, about what, and which way.

One layout in points for the page (SVG) and the printed document, so that they show the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 480.0
_ROW: Final = 30.0
_TOP: Final = 24.0
_BOX: Final = 150.0
_BOX_HEIGHT: Final = 22.0
_ENTITY_LEFT: Final = 200.0
_ENTITY_WIDTH: Final = 80.0


@dataclass(frozen=True, slots=True)
class Flow:
    """A real-world activity at one end of associations; we open them, or the other does."""

    local: str
    remote: str
    opened_by_us: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with words in its middle; `y` is its upper edge."""

    x: float
    y: float
    width: float
    height: float
    words: str
    is_entity: bool = False

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """A horizontal line; its head is at `end`."""

    start: float
    end: float
    y: float

    @property
    def head(self) -> tuple[tuple[float, float], ...]:
        """The three corners of its head."""
        back = 6.0 if self.end < self.start else -6.0
        return (
            (self.end, self.y),
            (self.end + back, self.y - 3),
            (self.end + back, self.y + 3),
        )


@dataclass(frozen=True, slots=True)
class Diagram:
    """Shapes in a field of `WIDTH` times `height` points, the origin at the upper left."""

    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    border_x: float = _ENTITY_LEFT + _ENTITY_WIDTH + 25  # the DICOM standard interface


def diagram(title: str, flows: Sequence[Flow]) -> Diagram:
    """Local activities left, the AE in the middle, remote ones right of the standard interface."""
    height = _TOP + _ROW * len(flows)
    entity = Box(_ENTITY_LEFT, _TOP, _ENTITY_WIDTH, _ROW * len(flows) - 8, title, is_entity=True)
    return Diagram(height, (entity, *_boxes(flows)), tuple(_arrows(flows)))


def _boxes(flows: Sequence[Flow]) -> Iterator[Box]:
    for place, flow in enumerate(flows):
        y = _TOP + _ROW * place
        yield Box(0, y, _BOX, _BOX_HEIGHT, flow.local)
        yield Box(WIDTH - _BOX, y, _BOX, _BOX_HEIGHT, flow.remote)


def _arrows(flows: Sequence[Flow]) -> Iterator[Arrow]:
    """From who opens the association to who accepts it."""
    for place, flow in enumerate(flows):
        y = _TOP + _ROW * place + _BOX_HEIGHT / 2
        ours, theirs = _ENTITY_LEFT + _ENTITY_WIDTH, WIDTH - _BOX
        yield Arrow(_BOX, _ENTITY_LEFT, y) if flow.opened_by_us else Arrow(_ENTITY_LEFT, _BOX, y)
        yield Arrow(ours, theirs, y) if flow.opened_by_us else Arrow(theirs, ours, y)
