"""C-FIND SCP of Query/Retrieve (PS3.4 C.4.1): an identifier in, one pending response a match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from pydicom.datadict import keyword_for_tag

from apps.access.searches import note_search
from apps.archive.selected import Match
from apps.archive.selectors import search
from apps.dicom.attributes import BY_KEYWORD, BY_TAG, UNIQUE_KEYS
from apps.dicom.identifiers import AnswerWriter, Identifier, read_identifier
from apps.dicom.query import Level, Query, check_hierarchical
from apps.dimse import status
from apps.dimse.query_models import BY_SOP_CLASS, QueryModel, option
from apps.dimse.service import Request, Response
from apps.errors import InvalidRequest
from apps.indexing.interruption import Interrupted, interruptible
from apps.ingest import inbox

QUERY_RETRIEVE_LEVEL: Final = 0x00080052
_CHARACTER_SET: Final = 0x00080005
_RETRIEVE_AE_TITLE: Final = 0x00080054
_INSTANCE_AVAILABILITY: Final = 0x00080056
_TIMEZONE: Final = 0x00080201
_RESOURCE: Final = {
    Level.PATIENT: "patients",
    Level.STUDY: "studies",
    Level.SERIES: "series",
    Level.INSTANCE: "instances",
}
_RELATIONAL, _DATE_TIME, _FUZZY, _ZONE, _, _EMPTY, _EVERY = range(7)


def handle_c_find(request: Request) -> Iterator[Response]:
    """Pending responses as the database gives them, then success, cancel or a failure."""
    inbox.catch_up()
    model = BY_SOP_CLASS[request.context.abstract_syntax]
    identifier = read_identifier(request.data, request.context.transfer_syntax)
    options = request.session.extended.get(request.context.abstract_syntax, b"")
    query = query_of(identifier, model, options)
    note_search(request.session.principal, _RESOURCE[query.level], _said(query))
    writer = AnswerWriter(request.context.transfer_syntax, identifier.character_set)
    answer = _Answer(query, identifier, request.session.called_ae_title, options)

    def pending() -> Iterator[Response]:
        page = search(query, request.session.principal, stopped=lambda: request.cancelled)
        partly = page.unsupported or _below(query)
        kind = status.PENDING_WITHOUT_OPTIONAL_KEYS if partly else status.PENDING
        for match in page:
            yield Response(kind, writer.write(answer.values(match), match.items))

    yield from until_cancelled(request, pending())


def until_cancelled(request: Request, pending: Iterator[Response]) -> Iterator[Response]:
    """The pending responses, then success; or, at most a second after C-CANCEL, cancel (FND-19).

    Whatever makes them is interrupted, inside a statement too, also when the association is lost.
    """
    with suppress(Interrupted), interruptible(lambda: request.cancelled):
        for response in pending:
            if request.cancelled:
                break
            yield response
    yield Response(status.CANCEL if request.cancelled else status.SUCCESS)


def _said(query: Query) -> dict[str, str]:
    """The keys that ask for something, by keyword, as the audit trail keeps them."""
    return {
        ".".join(keyword_for_tag(tag) or f"{tag:08X}" for tag in key.path): "\\".join(key.values)
        for key in query.keys
        if key.tag not in {QUERY_RETRIEVE_LEVEL, _CHARACTER_SET}
    }


def level_of(identifier: Identifier, model: QueryModel) -> Level:
    """The Query/Retrieve Level, which the model must have. Raises InvalidRequest."""
    try:
        level = Level(identifier.texts.get(QUERY_RETRIEVE_LEVEL, ""))
    except ValueError:
        level = None
    if level is None or level not in model.levels:
        raise InvalidRequest(
            "Query/Retrieve Level is missing or not one of this model",
            offending=(f"{QUERY_RETRIEVE_LEVEL:08X}",),
        )
    return level


def query_of(identifier: Identifier, model: QueryModel, options: bytes) -> Query:
    """The query; held to the hierarchy unless relational queries were negotiated."""
    level = level_of(identifier, model)
    zone = identifier.texts.get(_TIMEZONE, "") if option(options, _ZONE) else ""
    query = Query(
        level=level,
        keys=tuple(
            replace(key, empty=option(options, _EMPTY), every=option(options, _EVERY))
            for key in identifier.keys
            if key.path != (_TIMEZONE,)
        ),
        combined_datetime=option(options, _DATE_TIME),
        timezone_offset=zone,
        relational=option(options, _RELATIONAL),
        fuzzy_names=option(options, _FUZZY),
        only_asked=True,
    )
    if not query.relational:
        check_hierarchical(query, model.root)
    return query


def _below(query: Query) -> bool:
    """True where keys belong to levels below: they may narrow, and cannot be answered."""
    reached = {query.level.entity, *query.level.above}
    attributes = (BY_TAG.get(key.tag) for key in query.keys if len(key.path) == 1)
    return any(each is not None and each.entity not in reached for each in attributes)


class _Answer:
    """What an answer holds: the keys asked for, unique keys, and who can be asked to retrieve."""

    def __init__(self, query: Query, identifier: Identifier, ae_title: str, options: bytes) -> None:
        entities = {query.level.entity, *query.level.above}
        self._wanted = {BY_KEYWORD[UNIQUE_KEYS[entity]].tag for entity in entities}
        self._wanted |= {key.tag for key in query.keys if len(key.path) == 1}
        if option(options, _ZONE):
            self._wanted.add(_TIMEZONE)
        self._always = {
            QUERY_RETRIEVE_LEVEL: query.level.value,
            _RETRIEVE_AE_TITLE: ae_title,
        }
        if _INSTANCE_AVAILABILITY in identifier.texts:
            self._always[_INSTANCE_AVAILABILITY] = "ONLINE"

    def values(self, match: Match) -> Mapping[int, str]:
        """Tag to text for one match."""
        found = {tag: text for tag, text in match.values.items() if tag in self._wanted}
        return found | self._always
