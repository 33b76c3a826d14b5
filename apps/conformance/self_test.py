"""Self-tests of claims: associations with ourselves that try what the statement says."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import Final

from pydicom.uid import UID_dictionary

from apps.conformance import security_test, web_test
from apps.conformance.claims import QUERY_ENTITIES
from apps.conformance.document import Claim, Statement
from apps.conformance.outcome import Outcome
from apps.conformance.provocations import BY_KEY, answer_to
from apps.dicom.attributes import BY_KEYWORD, UNIQUE_KEYS, Entity
from apps.dicom.identifiers import vr_of
from apps.dicom.uids import name_of
from apps.dicom.worklist import STEP_SEQUENCE
from apps.dimse import offered, query_models, status
from apps.dimse.worklist import FIND as WORKLIST_FIND
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association import OutgoingAssociation
from apps.network.probe import Answered, ask, first_match

PARTS: Final = ("network", "security", "dicomweb")
"""The parts of the statement that can be tested on their own."""
_NOT_SUPPORTED: Final = 3
_MOST_NAMED: Final = 3
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_IMPLICIT: Final = "1.2.840.10008.1.2"


def run(statement: Statement, target: Remote, parts: Container[str] = PARTS) -> Iterator[Outcome]:
    """Every claim about network and security a test exists for; `web_test` has DICOMweb's.

    Raises Unavailable when we do not answer at all.
    """
    tests = _NETWORK if "network" in parts else {}
    for kind, test in (tests | (_SECURITY if "security" in parts else {})).items():
        if claims := statement.claims_of(kind):
            yield from test(claims, target)


def count_claims(statement: Statement, parts: Container[str] = PARTS) -> int:
    """How many of them these parts have."""
    kinds = {"network": _NETWORK.keys(), "security": _SECURITY.keys(), "dicomweb": web_test.KINDS}
    known = {kind for part, some in kinds.items() if part in parts for kind in some}
    return sum(each.kind in known for each in statement.claims().values())


def untested(statement: Statement) -> list[Claim]:
    """Claims that no test exists for; there should be none."""
    known = _NETWORK.keys() | _SECURITY.keys() | web_test.KINDS
    return [each for each in statement.claims().values() if each.kind not in known]


def _contexts(claims: Iterable[Claim], target: Remote) -> Iterator[Outcome]:
    """Proposes every claimed Transfer Syntax in a context of its own, and compares the answer.

    Roles are negotiated for a whole association, so each is tried in associations of its own.
    """
    tried: dict[str, int] = {}
    wrong: dict[str, list[str]] = {}
    claims = list(claims)
    for as_scp in (False, True):
        owners = [
            (claim, syntax)
            for claim in claims
            if claim.facts.get("scp" if as_scp else "scu", not as_scp)
            for syntax in claim.facts["transfer_syntaxes"]
        ]
        proposals = [
            ProposedContext(str(claim.facts["abstract_syntax"]), (syntax,), as_scp)
            for claim, syntax in owners
        ]
        for (claim, _), answer in zip(owners, ask(target, proposals), strict=True):
            tried[claim.id] = tried.get(claim.id, 0) + 1
            fault = _fault(answer)
            if fault:
                wrong.setdefault(claim.id, []).append(fault)
    for claim in claims:
        faults = wrong.get(claim.id, [])
        detail = "; ".join(faults[:_MOST_NAMED]) or f"{tried.get(claim.id, 0)} contexts negotiated"
        yield Outcome(claim, not faults and claim.id in tried, detail)


def _fault(answer: Answered) -> str:
    syntax = answer.proposed.transfer_syntaxes[0]
    if answer.result != 0:
        return f"{name_of(syntax)} was refused with result {answer.result}"
    if answer.transfer_syntax != syntax:
        return f"{name_of(syntax)} was answered by {name_of(answer.transfer_syntax)}"
    if answer.proposed.as_scp and not answer.as_scp:
        return f"the SCP role was not granted in {name_of(syntax)}"
    return ""


def _no_others(claims: list[Claim], target: Remote) -> Iterator[Outcome]:
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
    answers = ask(target, [ProposedContext(uid, (_EXPLICIT, _IMPLICIT)) for uid in others])
    wrong = [each for each in answers if each.result != _NOT_SUPPORTED]
    named = ", ".join(
        f"{name_of(each.proposed.abstract_syntax)} (result {each.result})"
        for each in wrong[:_MOST_NAMED]
    )
    yield Outcome(claims[0], not wrong, named or f"{len(others)} SOP Classes refused")


def _extended(claims: list[Claim], target: Remote) -> Iterator[Outcome]:
    """Asks for every option, and compares what is granted."""
    if not claims:
        return
    uids = [str(claim.facts["abstract_syntax"]) for claim in claims]
    asked = {
        uid: b"\1" * len(claim.facts["answer"]) for uid, claim in zip(uids, claims, strict=True)
    }
    proposed = [ProposedContext(uid, (_EXPLICIT, _IMPLICIT)) for uid in uids]
    with OutgoingAssociation.open(target, proposed, extended=asked) as association:
        answers = dict(association.extended)
    for uid, claim in zip(uids, claims, strict=True):
        granted = list(answers.get(uid, b""))
        yield Outcome(claim, granted == claim.facts["answer"], f"answered {granted}")


def _statuses(claims: Iterable[Claim], target: Remote) -> Iterator[Outcome]:
    """Sends what must be refused, and compares the status."""
    for claim in claims:
        provocation = BY_KEY[str(claim.facts["key"])]
        code = answer_to(provocation, target)
        yield Outcome(claim, code == provocation.status, f"answered {code:04X}")


def _keys(claims: list[Claim], target: Remote) -> Iterator[Outcome]:
    """Asks for each key of some stored instance; an empty archive leaves them untested.

    All keys of a level in one question; one by one only where that did not prove them all.
    """
    path = _path(target) if claims else None
    if path is None:
        return
    for entity in QUERY_ENTITIES:
        level = [each for each in claims if each.facts["level"] == entity.value]
        together = list(_asked(level, entity, path, target))
        if all(each.passed for each in together):
            yield from together
            continue
        for claim in level:
            yield from _asked([claim], entity, path, target)


def _asked(
    claims: list[Claim], entity: Entity, path: dict[Entity, str], target: Remote
) -> Iterator[Outcome]:
    tags = [BY_KEYWORD[str(claim.facts["keyword"])].tag for claim in claims]
    keys = dict.fromkeys(tags, "") | _unique_keys(entity, path)
    code, found = first_match(target, _model(entity), entity.value, keys)
    returned = {key.path[0] for key in found.keys} if found is not None else set()
    for claim, tag in zip(claims, tags, strict=True):
        said = "returned" if tag in returned else "not returned"
        passed = code == status.PENDING and tag in returned
        yield Outcome(claim, passed, f"pending {code:04X}, {said}")


def _worklist(claims: list[Claim], target: Remote) -> Iterator[Outcome]:
    """All keys of the worklist in one question; an empty worklist leaves them untested."""
    values = {int(each.facts["tag"]): "" for each in claims if not each.facts["in_step"]}
    step = {
        f"{each.facts['tag']:08X}": {"vr": vr_of(int(each.facts["tag"]))}
        for each in claims
        if each.facts["in_step"]
    }
    items = {STEP_SEQUENCE: {"vr": "SQ", "Value": [step]}}
    code, found = first_match(target, WORKLIST_FIND, "", values, items) if claims else (0, None)
    if found is None or code not in (status.PENDING, status.PENDING_WITHOUT_OPTIONAL_KEYS):
        return
    returned = {key.path for key in found.keys}
    for claim in claims:
        tag = int(claim.facts["tag"])
        path = (STEP_SEQUENCE, tag) if claim.facts["in_step"] else (tag,)
        there = path in returned or any(each[: len(path)] == path for each in returned)
        said = "returned" if there else "not returned"
        yield Outcome(claim, code == status.PENDING and there, f"pending {code:04X}, {said}")


def _model(entity: Entity) -> str:
    patient_root, study_root, *_ = query_models.TABLE
    return patient_root.find if entity is Entity.PATIENT else study_root.find


def _path(target: Remote) -> dict[Entity, str] | None:
    """Unique keys of one instance and what it belongs to, found by asking; None where none is."""
    path: dict[Entity, str] = {}
    for entity in (Entity.STUDY, Entity.SERIES, Entity.INSTANCE):
        keys = _unique_keys(entity, path) | {_tag(Entity.PATIENT): ""}
        code, found = first_match(target, _model(entity), entity.value, keys)
        if found is None or code not in (status.PENDING, status.PENDING_WITHOUT_OPTIONAL_KEYS):
            return None
        path[entity] = found.texts.get(_tag(entity), "")
        path.setdefault(Entity.PATIENT, found.texts.get(_tag(Entity.PATIENT), ""))
    return path


def _unique_keys(entity: Entity, path: dict[Entity, str]) -> dict[int, str]:
    """The unique keys from the root down to the entity (PS3.4 C.4.1.2)."""
    if entity is Entity.PATIENT:
        return {_tag(entity): path.get(entity, "")}
    levels = (Entity.STUDY, Entity.SERIES, Entity.INSTANCE)
    return {_tag(each): path.get(each, "") for each in levels[: levels.index(entity) + 1]}


def _tag(entity: Entity) -> int:
    return BY_KEYWORD[UNIQUE_KEYS[entity]].tag


# TABLE: the test of each kind of claim.
_NETWORK: Final[dict[str, Callable[[list[Claim], Remote], Iterator[Outcome]]]] = {
    "contexts": _contexts,
    "no-others": _no_others,
    "extended": _extended,
    "status": _statuses,
    "key": _keys,
    "worklist-key": _worklist,
}
_SECURITY: Final[dict[str, Callable[[list[Claim], Remote], Iterator[Outcome]]]] = {
    "caller": security_test.callers,
    "identity": security_test.identities,
    "tls": security_test.handshakes,
}
