"""Whole numbers as the parameters of requests give them, such as `limit` (PS3.18 8.3.4.4)."""

from __future__ import annotations

from typing import Final

from apps.errors import InvalidRequest

LARGEST: Final = 10**18 - 1
"""Fits a column of 64 bits, and so does the sum of two."""
_MOST_DIGITS: Final = 18

MOST_DAYS: Final = 36_500
"""A century: the most that a rule or policy may reckon back or ahead, for calendars end."""


def whole_number(text: str, name: str, *, most: int = LARGEST) -> int:
    """0 to `most`, in ASCII digits alone; raises InvalidRequest that names the parameter.

    Python's own conversion takes digits of every script, and fails on those it takes for digits
    and cannot convert, such as a superscript two.
    """
    number = read_whole_number(text, most=most)
    if number is None:
        raise InvalidRequest(f"{name} must be a whole number from 0 to {most}.", offending=(name,))
    return number


def read_whole_number(text: str, *, most: int = LARGEST) -> int | None:
    """The same, None where it is no such number."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        return None
    number = int(text)
    return number if number <= most else None
