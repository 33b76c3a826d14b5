"""One measurement as plain data: the engine that drew it is not to be seen in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

from apps.errors import InvalidRequest

TOOLS: Final = frozenset(
    {"length", "bidirectional", "angle", "ellipse", "rectangle", "probe", "arrow"}
)
MOST_MEASUREMENTS: Final = 1000
_MOST_POINTS: Final = 16
_MOST_READINGS: Final = 16
_LONGEST_TEXT: Final = 1000
_LONGEST_UID: Final = 256
_LONGEST_WORD: Final = 64
_LARGEST: Final = 1e9


def checked(measurements: Sequence[Any]) -> list[dict[str, Any]]:
    """The measurements with nothing in them but what is known; raises InvalidRequest.

    `points` and `label_at` are (column, row) in pixels of the image, as in an SCOORD (PS3.3
    C.18.6) but for the origin: 0 is the middle of the first pixel. `readings` are what the reader
    saw: name, value, unit.
    """
    if len(measurements) > MOST_MEASUREMENTS:
        raise InvalidRequest(f"A draft holds at most {MOST_MEASUREMENTS} measurements.")
    found = [_measurement(each) for each in measurements]
    if len({each["id"] for each in found}) != len(found):
        raise InvalidRequest("Two measurements have the same id.", offending=("id",))
    return found


def _measurement(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidRequest("A measurement must be an object.")
    tool = given.get("tool")
    if tool not in TOOLS:
        raise InvalidRequest("There is no such tool.", offending=("tool",))
    frame = given.get("frame_number")
    if not isinstance(frame, int) or isinstance(frame, bool) or frame < 1:
        raise InvalidRequest("Frames are counted from 1.", offending=("frame_number",))
    label_at = given.get("label_at")
    return {
        "id": _text(given, "id", _LONGEST_WORD, needed=True),
        "tool": tool,
        "series_instance_uid": _text(given, "series_instance_uid", _LONGEST_UID, needed=True),
        "sop_instance_uid": _text(given, "sop_instance_uid", _LONGEST_UID, needed=True),
        "frame_number": frame,
        "points": _points(given.get("points")),
        "label_at": None if label_at is None else _point(label_at),
        "text": _text(given, "text", _LONGEST_TEXT),
        "note": _text(given, "note", _LONGEST_WORD),
        "readings": _readings(given.get("readings", [])),
    }


def _text(given: Mapping[str, Any], name: str, longest: int, *, needed: bool = False) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > longest or (needed and not value):
        raise InvalidRequest(f"`{name}` must be a text of at most {longest}.", offending=(name,))
    return value


def _points(given: Any) -> list[list[float]]:
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_POINTS:
        raise InvalidRequest(f"A measurement has 1 to {_MOST_POINTS} points.")
    return [_point(each) for each in given]


def _point(given: Any) -> list[float]:
    if not isinstance(given, list) or len(given) != 2:  # noqa: PLR2004 -- column and row
        raise InvalidRequest("A point is a column and a row.", offending=("points",))
    return [_number(each) for each in given]


def _number(given: Any) -> float:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not isfinite(given) or abs(given) > _LARGEST:
        raise InvalidRequest("Points and readings are numbers.", offending=("points", "readings"))
    return float(given)


def _readings(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or len(given) > _MOST_READINGS:
        raise InvalidRequest(f"A measurement has at most {_MOST_READINGS} readings.")
    if not all(isinstance(each, Mapping) for each in given):
        raise InvalidRequest("A reading must be an object.", offending=("readings",))
    return [
        {
            "name": _text(each, "name", _LONGEST_WORD),
            "value": _number(each.get("value")),
            "unit": _text(each, "unit", _LONGEST_WORD),
        }
        for each in given
    ]
