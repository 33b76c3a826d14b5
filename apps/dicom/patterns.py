r"""Patterns of rules: a part of regular expressions that cannot run away.

Letters, `.`, `\d`, `\w`, `\s`, classes in brackets, groups in parentheses; `*`, `+`, `?` and
`{2,5}` behind a single character or class, three times at most. No repeated groups and no
alternatives, and a value fits as a whole or not at all: so the work is bounded by the third power
of a value's length, and values longer than `apps.dicom.coercion` says are not looked at.
"""

from __future__ import annotations

import re
from typing import Final

from apps.errors import InvalidRequest

MOST_REPEATS: Final = 3
_LONGEST: Final = 128
_MOST_TIMES: Final = 128
_TOKEN: Final = re.compile(
    r"(?P<atom>\\[dwsDWS]|\\[^A-Za-z0-9]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[\](){}*+?|^$])"
    r"(?P<repeat>[*+?]|\{\d{1,3}(?:,\d{0,3})?\})?"
    r"|(?P<open>\((?!\?))|(?P<close>\)(?![*+?{]))|(?P<anchor>[\^$])"
)
_FIXED: Final = re.compile(r"\{(\d+)\}")
_REFERENCE: Final = re.compile(r"\\([1-9])|[^\\]")


def compiled(pattern: str, replacement: str) -> re.Pattern[str]:
    """The pattern, checked together with its replacement. Raises InvalidRequest."""
    if not pattern:
        raise InvalidRequest("the pattern is empty.")
    if len(pattern) > _LONGEST or len(replacement) > _LONGEST:
        raise InvalidRequest(f"a pattern has at most {_LONGEST} characters.")
    groups = _check(pattern)
    try:
        made = re.compile(pattern)
    except (re.error, OverflowError):
        raise InvalidRequest("the pattern cannot be read.") from None
    _check_replacement(replacement, groups)
    return made


def expanded(replacement: str, found: re.Match[str]) -> str:
    """The replacement with the text of the groups it names."""
    return _REFERENCE.sub(lambda each: found[int(each[1])] if each[1] else each[0], replacement)


def _check(pattern: str) -> int:
    """How many groups it has."""
    at = groups = depth = repeats = 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise InvalidRequest(
                f"the pattern cannot be read from “{pattern[at : at + 10]}” on: groups are not "
                "repeated, and there are no alternatives."
            )
        repeats += _is_loose(token["repeat"])
        groups += token["open"] is not None
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth not in (0, 1):
            raise InvalidRequest("parentheses do not pair up, or stand inside each other.")
        at = token.end()
    if depth:
        raise InvalidRequest("a parenthesis is not closed.")
    if repeats > MOST_REPEATS:
        raise InvalidRequest(f"a pattern repeats at most {MOST_REPEATS} times.")
    return groups


def _is_loose(repeat: str | None) -> bool:
    """True for a repetition of no fixed number."""
    if repeat is None:
        return False
    fixed = _FIXED.fullmatch(repeat)
    if any(int(times) > _MOST_TIMES for times in re.findall(r"\d+", repeat)):
        raise InvalidRequest(f"nothing is repeated more than {_MOST_TIMES} times.")
    return fixed is None


def _check_replacement(replacement: str, groups: int) -> None:
    at = 0
    while at < len(replacement):
        found = _REFERENCE.match(replacement, at)
        if found is None:
            raise InvalidRequest("a backslash in the replacement names a group, such as \\1.")
        if found[1] and int(found[1]) > groups:
            raise InvalidRequest(f"the pattern has no group {found[1]}.")
        at = found.end()
