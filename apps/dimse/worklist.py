"""Modality Worklist SCP (PS3.4 K): C-FIND over the entries of `apps.worklist`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apps.access.audit import view_event
from apps.dicom.identifiers import AnswerWriter, read_identifier
from apps.dimse import status
from apps.dimse.find import until_cancelled
from apps.dimse.service import Request, Response
from apps.worklist.selectors import search_worklist

FIND: Final = "1.2.840.10008.5.1.4.31"


def handle_c_find(request: Request) -> Iterator[Response]:
    """A pending response for each entry, then success; nothing after a C-CANCEL but FE00.

    Answers are in the character set of the query where that has every letter, else in Unicode.
    """
    identifier = read_identifier(request.data, request.context.transfer_syntax)
    writer = AnswerWriter(request.context.transfer_syntax, identifier.character_set)

    def pending() -> Iterator[Response]:
        page = search_worklist(identifier.keys, request.session.principal)
        view_event(request.session.principal, "WorklistRead", "")
        kind = status.PENDING_WITHOUT_OPTIONAL_KEYS if page.unsupported else status.PENDING
        # Keys we do not know come back empty: the peer asked for them. Private ones do not, for
        # an element without its creator means nothing (PS3.5 7.8.1).
        unknown = (key for key in page.unsupported if len(key.path) == 1)
        empty = {key.tag: "" for key in unknown if not key.private_creator}
        for entry in page.entries:
            values = {int(tag, 16): entry[tag] for tag in entry}
            yield Response(kind, writer.write(empty, values))

    yield from until_cancelled(request, pending())
