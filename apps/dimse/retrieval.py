"""What C-GET and C-MOVE have in common: which instances are asked for, and how progress is told."""

from __future__ import annotations

from typing import Final

from apps.dicom.attributes import BY_KEYWORD, UNIQUE_KEYS
from apps.dicom.identifiers import AnswerWriter, read_identifier
from apps.dicom.query import Key, Level, Query, check_hierarchical
from apps.dicom.sub_operations import MOST, PENDING, SubOperations
from apps.dimse.find import level_of
from apps.dimse.query_models import BY_SOP_CLASS, option
from apps.dimse.service import Request, Response
from apps.errors import InvalidRequest
from apps.retrieve.locations import keys_matching

_FAILED_SOP_INSTANCE_UID_LIST: Final = 0x00080058
_UNIQUE: Final = {BY_KEYWORD[keyword].tag for keyword in UNIQUE_KEYS.values()}


def wanted_keys(request: Request) -> list[int]:
    """Primary keys of the instances asked for.

    Raises InvalidRequest, naming the offending elements, and OutOfResources where there are more
    than can be counted in a response (rule MOV-07).
    """
    return keys_matching(_query(request), request.session.principal, MOST)


def _query(request: Request) -> Query:
    """The unique keys as a query for instances; other keys have no meaning (PS3.4 C.4.2.1.4)."""
    model = BY_SOP_CLASS[request.context.abstract_syntax]
    identifier = read_identifier(request.data, request.context.transfer_syntax)
    level = level_of(identifier, model)
    keys = tuple(key for key in identifier.keys if len(key.path) == 1 and key.tag in _UNIQUE)
    options = request.session.extended.get(request.context.abstract_syntax, b"")
    if not option(options, 0):
        check_hierarchical(Query(level=level, keys=keys), model.root)
    _check_own(level, keys)
    return Query(level=Level.INSTANCE, keys=keys)


def _check_own(level: Level, keys: tuple[Key, ...]) -> None:
    """The level's own unique key: UIDs, or one Patient ID without wild cards (rule MOV-09)."""
    tag = BY_KEYWORD[UNIQUE_KEYS[level.entity]].tag
    own = next((key for key in keys if key.tag == tag), None)
    literal = own is not None and not own.universal
    if literal and own is not None and level is Level.PATIENT:
        literal = not set("*?\\") & set("".join(own.values))
    if not literal:
        raise InvalidRequest(
            "The unique key of the level is missing or no value",
            offending=(f"{tag:08X}",),
        )


def pending(counts: SubOperations) -> Response:
    """How far it is: all four counters."""
    return Response(PENDING, values=counts.counters(PENDING))


def final(request: Request, counts: SubOperations, *, cancelled: bool) -> Response:
    """The last response, with the list of what failed where anything did (rule MOV-03)."""
    status = counts.final_status(cancelled=cancelled)
    data = None
    if counts.failed_uids:
        writer = AnswerWriter(request.context.transfer_syntax, ())
        data = writer.write({_FAILED_SOP_INSTANCE_UID_LIST: "\\".join(counts.failed_uids)}, {})
    return Response(status, data, values=counts.counters(status))
