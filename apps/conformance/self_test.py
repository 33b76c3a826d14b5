"""Self-tests of claims: associations with ourselves that try what the statement says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset
from pydicom.uid import UID_dictionary

from apps.conformance.document import Claim, Statement
from apps.dicom.attributes import BY_KEYWORD, UNIQUE_KEYS, Entity
from apps.dicom.uids import name_of
from apps.dimse import offered, query_models, status
from apps.network.probe import Answered, Proposed, Target, ask, first_match

_NOT_SUPPORTED: Final = 3
_MOST_NAMED: Final = 3
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_IMPLICIT: Final = "1.2.840.10008.1.2"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test found of one claim; the detail says what was different, or what was tried."""

    claim: Claim
    passed: bool
    detail: str


def run(statement: Statement, target: Target) -> Iterator[Outcome]:
    """Every claim a test exists for. Raises Unavailable when we do not answer at all."""
    claims = list(statement.claims().values())
    yield from _contexts([each for each in claims if each.kind == "contexts"], target)
    yield from _no_others([each for each in claims if each.kind == "no-others"], target)
    yield from _keys([each for each in claims if each.kind == "key"], target)


def untested(statement: Statement) -> list[Claim]:
    """Claims that no test exists for; there should be none."""
    known = {"contexts", "no-others", "key"}
    return [each for each in statement.claims().values() if each.kind not in known]


def _contexts(claims: Iterable[Claim], target: Target) -> Iterator[Outcome]:
    """Proposes every claimed Transfer Syntax in a context of its own, and compares the answer."""
    proposals, owners = [], []
    for claim in claims:
        for syntax in claim.facts["transfer_syntaxes"]:
            uid = str(claim.facts["abstract_syntax"])
            proposals.append(Proposed(uid, (syntax,), scp=bool(claim.facts.get("scp"))))
            owners.append(claim)
    wrong: dict[str, list[str]] = {}
    tried: dict[str, int] = {}
    for claim, answer in zip(owners, ask(target, proposals), strict=True):
        tried[claim.id] = tried.get(claim.id, 0) + 1
        fault = _fault(claim, answer)
        if fault:
            wrong.setdefault(claim.id, []).append(fault)
    for claim in {each.id: each for each in owners}.values():
        faults = wrong.get(claim.id, [])
        detail = "; ".join(faults[:_MOST_NAMED]) or f"{tried[claim.id]} contexts negotiated"
        yield Outcome(claim, not faults, detail)


def _fault(claim: Claim, answer: Answered) -> str:
    syntax = answer.proposed.transfer_syntaxes[0]
    if answer.result != 0:
        return f"{name_of(syntax)} was refused with result {answer.result}"
    if answer.transfer_syntax != syntax:
        return f"{name_of(syntax)} was answered by {name_of(answer.transfer_syntax)}"
    if claim.facts.get("scp") and not answer.as_scp:
        return f"the SCP role was not granted in {name_of(syntax)}"
    return ""


def _no_others(claims: list[Claim], target: Target) -> Iterator[Outcome]:
    """Every other SOP Class of PS3.6, in the two plain Transfer Syntaxes."""
    if not claims:
        return
    others = [
        uid
        for uid, row in UID_dictionary.items()
        if row[1] in {"SOP Class", "Meta SOP Class"}
        and uid not in offered.BY_ABSTRACT_SYNTAX
        and not offered.is_storage(uid)
    ]
    answers = ask(target, [Proposed(uid, (_EXPLICIT, _IMPLICIT)) for uid in others])
    wrong = [each for each in answers if each.result != _NOT_SUPPORTED]
    named = ", ".join(
        f"{name_of(each.proposed.abstract_syntax)} (result {each.result})"
        for each in wrong[:_MOST_NAMED]
    )
    yield Outcome(claims[0], not wrong, named or f"{len(others)} SOP Classes refused")


def _keys(claims: list[Claim], target: Target) -> Iterator[Outcome]:
    """Asks for each key of some stored instance; an empty archive leaves them untested.

    All keys of a level in one question; one by one only where that did not prove them all.
    """
    path = _path(target) if claims else None
    if path is None:
        return
    for entity in Entity:
        level = [each for each in claims if each.facts["level"] == entity.value]
        together = list(_asked(level, entity, path, target))
        if all(each.passed for each in together):
            yield from together
            continue
        for claim in level:
            yield from _asked([claim], entity, path, target)


def _asked(
    claims: list[Claim], entity: Entity, path: dict[Entity, str], target: Target
) -> Iterator[Outcome]:
    identifier = _identifier(entity, path)
    keywords = [str(claim.facts["keyword"]) for claim in claims]
    for keyword in keywords:
        if keyword not in identifier:
            setattr(identifier, keyword, None)
    code, found = first_match(target, _model(entity), identifier)
    for claim, keyword in zip(claims, keywords, strict=True):
        returned = found is not None and BY_KEYWORD[keyword].tag in found
        said = "returned" if returned else "not returned"
        yield Outcome(claim, code == status.PENDING and returned, f"pending {code:04X}, {said}")


def _model(entity: Entity) -> str:
    patient_root, study_root, *_ = query_models.TABLE
    return patient_root.find if entity is Entity.PATIENT else study_root.find


def _path(target: Target) -> dict[Entity, str] | None:
    """Unique keys of one instance and what it belongs to, found by asking; None where none is."""
    path: dict[Entity, str] = {}
    for entity in (Entity.STUDY, Entity.SERIES, Entity.INSTANCE):
        identifier = _identifier(entity, path)
        identifier.PatientID = ""
        code, found = first_match(target, _model(entity), identifier)
        if found is None or code not in (status.PENDING, status.PENDING_WITHOUT_OPTIONAL_KEYS):
            return None
        path[entity] = str(found[UNIQUE_KEYS[entity]].value)
        path.setdefault(Entity.PATIENT, str(found.get("PatientID", "")))
    return path


def _identifier(entity: Entity, path: dict[Entity, str]) -> Dataset:
    """At the entity's level, with the unique keys above it (PS3.4 C.4.1.2)."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = entity.value
    if entity is Entity.PATIENT:
        identifier.PatientID = path.get(entity, "")
        return identifier
    for above in (Entity.STUDY, Entity.SERIES, Entity.INSTANCE):
        setattr(identifier, UNIQUE_KEYS[above], path.get(above, ""))
        if above is entity:
            break
    return identifier
