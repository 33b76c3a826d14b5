"""TABLES: what rules may change of an object in passing, and how (PS3.4 B.4.1.3).

UIDs, references, Pixel Data and whatever is needed to decode, measure or orient an image are not in
the list, so no rule can reach them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_dict

from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.character_sets import DEFINED_TERMS
from apps.dicom.patterns import compiled, expanded
from apps.dicom.values import DELIMITER, is_lawful, split_values
from apps.errors import InvalidRequest

CHARACTER_SET: Final = "SpecificCharacterSet"
_ISSUER: Final = "IssuerOfPatientID"


class Change(Enum):
    """How far an attribute may be changed."""

    ANY = "any"
    NEVER_EMPTIED = "never emptied"
    FILLED = "only filled in where it is empty"


# TABLE: the attributes that rules may change.
ATTRIBUTES: Final[dict[str, Change]] = {
    CHARACTER_SET: Change.FILLED,
    "TimezoneOffsetFromUTC": Change.FILLED,
    "StudyDate": Change.FILLED,
    "SeriesDate": Change.FILLED,
    "StudyTime": Change.FILLED,
    "SeriesTime": Change.FILLED,
    "AccessionNumber": Change.ANY,
    "InstitutionName": Change.ANY,
    "InstitutionAddress": Change.ANY,
    "ReferringPhysicianName": Change.ANY,
    "StationName": Change.ANY,
    "StudyDescription": Change.ANY,
    "SeriesDescription": Change.ANY,
    "InstitutionalDepartmentName": Change.ANY,
    "PerformingPhysicianName": Change.ANY,
    "NameOfPhysiciansReadingStudy": Change.ANY,
    "OperatorsName": Change.ANY,
    "AdmittingDiagnosesDescription": Change.ANY,
    "PatientName": Change.NEVER_EMPTIED,
    "PatientID": Change.NEVER_EMPTIED,
    _ISSUER: Change.ANY,
    "PatientBirthDate": Change.FILLED,
    "PatientSex": Change.ANY,
    "OtherPatientIDs": Change.ANY,
    "EthnicGroup": Change.ANY,
    "PatientComments": Change.ANY,
    "BodyPartExamined": Change.NEVER_EMPTIED,
    "ProtocolName": Change.ANY,
    "StudyID": Change.ANY,
    "RequestingPhysician": Change.ANY,
    "RequestingService": Change.ANY,
    "RequestedProcedureDescription": Change.ANY,
    "PerformedProcedureStepID": Change.ANY,
    "PerformedProcedureStepDescription": Change.ANY,
}
_TEXT_VRS: Final = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM"})


def tag_of(keyword: str) -> int:
    """The tag as a number."""
    return int(keyword_dict[keyword])


def vr_of(keyword: str) -> str:
    """Value representation by PS3.6."""
    return str(dictionary_VR(keyword_dict[keyword]))


class Argument(Enum):
    """What stands behind the equals sign of an operation."""

    NOTHING = ""
    VALUE = "a value"
    ATTRIBUTE = "an attribute"
    PATTERN = "a pattern -> what takes its place"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a rule."""

    operation: Operation
    keyword: str
    argument: str = ""
    pattern: re.Pattern[str] | None = None

    def result(self, current: str, text_of: Callable[[str], str]) -> str:
        """The new text; values are joined by backslashes."""
        return self.operation.run(self, current, text_of)


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table: its name as people write it, and what it does."""

    name: str
    argument: Argument
    run: Callable[[Step, str, Callable[[str], str]], str]
    meaning: str
    fills: bool = False
    empties: bool = False


def _each(step: Step, current: str, change: Callable[[str], str]) -> str:
    values = split_values(vr_of(step.keyword), current)
    return DELIMITER.join(change(value) if value else value for value in values)


def _replaced(step: Step, current: str, _text_of: Callable[[str], str]) -> str:
    pattern = step.pattern
    assert pattern is not None

    def change(value: str) -> str:
        found = pattern.fullmatch(value) if len(value) <= _LONGEST_MATCHED else None
        return expanded(step.argument, found) if found else value

    return _each(step, current, change)


def _stripped(step: Step, current: str, _text_of: Callable[[str], str]) -> str:
    """Without blanks around values, name components and in runs."""

    def change(value: str) -> str:
        if vr_of(step.keyword) != "PN":
            return " ".join(value.split())
        parts = re.split(r"([=^])", value)
        return "".join(" ".join(part.split()) for part in parts).rstrip("^=")

    return _each(step, current, change)


def _prefixed(step: Step, current: str, _text_of: Callable[[str], str]) -> str:
    def change(value: str) -> str:
        return value if value.startswith(step.argument) else step.argument + value

    return _each(step, current, change)


def _issued(step: Step, current: str, text_of: Callable[[str], str]) -> str:
    return current or (step.argument if text_of("PatientID") else "")


# A longer value is no name and no number; it is left as it is.
_LONGEST_MATCHED: Final = 128

# TABLE: the operations.
OPERATIONS: Final = {
    row.name: row
    for row in (
        Operation(
            "set", Argument.VALUE, lambda step, _now, _of: step.argument, "always this value"
        ),
        Operation(
            "set if empty",
            Argument.VALUE,
            lambda step, now, _of: now or step.argument,
            "this value where there is none",
            fills=True,
        ),
        Operation(
            "copy",
            Argument.ATTRIBUTE,
            lambda step, now, text_of: text_of(step.argument) or now,
            "the other attribute's value, if it has one",
        ),
        Operation(
            "copy if empty",
            Argument.ATTRIBUTE,
            lambda step, now, text_of: now or text_of(step.argument),
            "the other attribute's value where there is none",
            fills=True,
        ),
        Operation(
            "replace",
            Argument.PATTERN,
            _replaced,
            "a value that fits the pattern as a whole becomes what stands behind the arrow",
        ),
        Operation("prefix", Argument.VALUE, _prefixed, "this text before each value that lacks it"),
        Operation(
            "upper case",
            Argument.NOTHING,
            lambda step, now, _of: _each(step, now, str.upper),
            "in capital letters",
        ),
        Operation("strip", Argument.NOTHING, _stripped, "without superfluous blanks"),
        Operation(
            "empty",
            Argument.NOTHING,
            lambda _step, _now, _of: "",
            "without a value",
            empties=True,
        ),
        Operation(
            "add issuer",
            Argument.VALUE,
            _issued,
            "Issuer of Patient ID where a Patient ID comes without one",
            fills=True,
        ),
    )
}


def steps_of(text: str) -> tuple[Step, ...]:
    """The steps in the lines of `text`: `set InstitutionName = City Hospital`.

    Raises InvalidRequest, naming the line.
    """
    steps = []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            steps.append(_step(line))
        except InvalidRequest as error:
            raise InvalidRequest(f"“{line}”: {error.message}") from error
    return tuple(steps)


def _step(line: str) -> Step:
    left, _, argument = line.partition("=")
    words, argument = left.split(), argument.strip()
    if " ".join(words) == "add issuer":
        words.append(_ISSUER)
    name, keyword = " ".join(words[:-1]), words[-1] if words else ""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise InvalidRequest(f"begin with one of: {', '.join(OPERATIONS)}.")
    _check_target(operation, keyword)
    return _read_argument(operation, keyword, argument)


def _check_target(operation: Operation, keyword: str) -> None:
    change = ATTRIBUTES.get(keyword)
    if change is None:
        known = "is not an attribute that rules may change"
        unknown = "is no attribute; write its keyword, such as PatientID"
        raise InvalidRequest(f"{keyword} {known if keyword in keyword_dict else unknown}.")
    if change is Change.FILLED and not operation.fills:
        raise InvalidRequest(f"{keyword} may only be filled in where it is empty.")
    if operation.empties and change is not Change.ANY:
        raise InvalidRequest(f"{keyword} must not be emptied.")


def _read_argument(operation: Operation, keyword: str, argument: str) -> Step:
    if operation.argument is Argument.NOTHING:
        if argument:
            raise InvalidRequest(f"“{operation.name}” takes nothing behind an equals sign.")
        return Step(operation, keyword)
    if not argument:
        raise InvalidRequest(f"“{operation.name}” needs {operation.argument.value} behind “=”.")
    if operation.argument is Argument.PATTERN:
        pattern, arrow, replacement = argument.rpartition("->")
        if not arrow:
            raise InvalidRequest("write a pattern, an arrow (->) and what takes its place.")
        made = compiled(pattern.strip(), replacement.strip())
        return Step(operation, keyword, replacement.strip(), made)
    if operation.argument is Argument.ATTRIBUTE:
        _check_source(argument)
    elif operation.name != "prefix":
        _check_value(keyword, argument)
    return Step(operation, keyword, argument)


def _check_source(keyword: str) -> None:
    readable = keyword in BY_KEYWORD or keyword in ATTRIBUTES
    if not readable or keyword == CHARACTER_SET or vr_of(keyword) not in _TEXT_VRS:
        raise InvalidRequest(f"{keyword} is no attribute that can be copied from.")


def _check_value(keyword: str, text: str) -> None:
    if keyword == CHARACTER_SET:
        terms = text.split(DELIMITER)
        if not all(
            term in DEFINED_TERMS or not (term or place) for place, term in enumerate(terms)
        ):
            raise InvalidRequest(f"{text} is no defined term of Specific Character Set.")
    elif not is_lawful_text(keyword, text):
        raise InvalidRequest(f"that is no value of {keyword} ({vr_of(keyword)}).")


def is_lawful_text(keyword: str, text: str) -> bool:
    """Whether the text, values joined by backslashes, may stand in the attribute (PS3.5 6.2)."""
    vr = vr_of(keyword)
    values = split_values(vr, text)
    if len(values) > 1 and str(dictionary_VM(keyword_dict[keyword])) == "1":
        return False
    return all(not value or is_lawful(vr, value) for value in values)


def _may_become(keyword: str, text: str) -> bool:
    if not text:
        return ATTRIBUTES[keyword] is Change.ANY
    return keyword == CHARACTER_SET or is_lawful_text(keyword, text)


@dataclass(frozen=True, slots=True)
class Coercion:
    """What steps made of an object: new texts by keyword, where they differ from the old ones.

    `problems` are sentences without any value. What a step would have made unlawful is left.
    """

    changes: Mapping[str, str]
    problems: tuple[str, ...] = ()


def coerced(text_of: Callable[[str], str], steps: Iterable[Step]) -> Coercion:
    """Runs the steps in order, each on what the ones before it left."""
    now: dict[str, str] = {}
    problems: list[str] = []

    def current(keyword: str) -> str:
        return now[keyword] if keyword in now else text_of(keyword)

    for step in steps:
        before = current(step.keyword)
        after = step.result(before, current)
        if after == before:
            continue
        if not _may_become(step.keyword, after):
            problems.append(
                f"“{step.operation.name} {step.keyword}” was left out: it would have made "
                "something that is no value of this attribute."
            )
            continue
        now[step.keyword] = after
    changes = {keyword: text for keyword, text in now.items() if text != text_of(keyword)}
    return Coercion(changes, tuple(dict.fromkeys(problems)))
