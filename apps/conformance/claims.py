"""Claims about the network, read off the tables that negotiation, queries and answers use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apps.conformance.document import Claim
from apps.dicom import sop_classes, transfer_syntaxes
from apps.dicom.attributes import TABLE as ATTRIBUTES
from apps.dicom.attributes import Attribute, Entity
from apps.dicom.query import Level
from apps.dicom.uids import name_of
from apps.dimse import offered, query_models
from apps.dimse.service import Service

QUERY_ENTITIES: Final = tuple(level.entity for level in Level)
ALL_TRANSFER_SYNTAXES: Final = tuple(row.uid for row in transfer_syntaxes.TABLE)


def storage() -> Iterator[Claim]:
    """One for each storage SOP Class: accepted as SCP in every Transfer Syntax of the table."""
    for row in sop_classes.TABLE:
        if offered.is_storage(row.uid):
            yield Claim(
                f"storage-scp:{row.uid}",
                f"{row.name} ({row.uid}) is accepted as SCP in each of "
                f"{len(ALL_TRANSFER_SYNTAXES)} Transfer Syntaxes.",
                "contexts",
                {"abstract_syntax": row.uid, "transfer_syntaxes": list(ALL_TRANSFER_SYNTAXES)},
            )


def services() -> Iterator[tuple[Service, Claim]]:
    """One for each SOP Class of each service of the table, in the roles the row grants."""
    for service in offered.TABLE:
        for uid in service.abstract_syntaxes:
            yield service, _service(service, uid)


def _service(service: Service, uid: str) -> Claim:
    syntaxes = [each for each in ALL_TRANSFER_SYNTAXES if each in service.transfer_syntaxes]
    return Claim(
        f"service:{uid}",
        f"{name_of(uid)} ({uid}) is accepted; the caller may be {roles(service)}; Transfer "
        f"Syntaxes: {', '.join(name_of(each) for each in syntaxes)}.",
        "contexts",
        {
            "abstract_syntax": uid,
            "transfer_syntaxes": syntaxes,
            "scu": service.role.scu,
            "scp": service.role.scp,
        },
    )


def roles(service: Service) -> str:
    """`SCU`, `SCP` or `SCU or SCP`, of the caller."""
    names = [
        name for name, is_set in (("SCU", service.role.scu), ("SCP", service.role.scp)) if is_set
    ]
    return " or ".join(names)


def nothing_else() -> Claim:
    """What the standard defines and we do not offer is refused as such."""
    return Claim(
        "contexts:no-others",
        "Every other SOP Class of the standard is refused as abstract syntax not supported "
        "(result 3).",
        "no-others",
    )


def extended() -> Iterator[Claim]:
    """SOP Class Extended Negotiation of Query/Retrieve (PS3.4 C.5.1.1.1, C.5.2.1.1)."""
    for model in query_models.TABLE:
        options = query_models.find_options(model)
        retrieve = query_models.RETRIEVE_OPTIONS
        for uid, rows in ((model.find, options), (model.move, retrieve), (model.get, retrieve)):
            told = ", ".join(f"{name}: {'yes' if can else 'no'}" for name, can in rows)
            yield Claim(
                f"extended:{uid}",
                f"{name_of(uid)} negotiates {told}.",
                "extended",
                {"abstract_syntax": uid, "answer": [int(can) for _, can in rows]},
            )


def worklist_key(row: Attribute) -> Claim:
    """That an attribute is a key of the Modality Worklist."""
    return Claim(
        f"worklist-key:{row.keyword}",
        f"{row.keyword} is a key of the worklist, type {row.ps3_4 or 'O'}: {row.matching.value}.",
        "worklist-key",
        {"tag": row.tag, "in_step": row.entity is Entity.STEP},
    )


def query_keys() -> Iterator[tuple[Attribute, Claim]]:
    """One for each attribute that is a key of Query/Retrieve, at its level."""
    for row in ATTRIBUTES:
        if row.entity not in QUERY_ENTITIES:
            continue
        level = row.entity.value
        yield (
            row,
            Claim(
                f"key:{level}:{row.keyword}",
                f"{row.keyword} is a key at level {level}, type {row.ps3_4}: {row.matching.value}.",
                "key",
                {"level": level, "keyword": row.keyword},
            ),
        )
