"""Modality Performed Procedure Step SCP, and its Retrieve class (PS3.4 F.7, F.8)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from apps.dicom import command_set
from apps.dicom.data_sets import Document, read_data_set, write_data_set
from apps.dimse import status
from apps.dimse.service import Request, Response
from apps.dimse.status import answer_for
from apps.errors import InvalidRequest, InvalidValue, WrongState
from apps.worklist.actions.change_step import change_step
from apps.worklist.actions.start_step import StepReport, start_step
from apps.worklist.selectors import performed_step

PERFORMED_STEP: Final = "1.2.840.10008.3.1.2.3.3"
RETRIEVE: Final = "1.2.840.10008.3.1.2.3.4"
MAY_NO_LONGER_BE_UPDATED: Final = 0xA710
"""Error ID that tells this failure from others (PS3.4 F.7.2.2.4)."""

_MOST_COMMENT: Final = command_set.LONGEST_COMMENT


def handle_n_create(request: Request) -> Response:
    """A step begins (F.7.2.1)."""
    return _reporting(request, _created)


def handle_n_set(request: Request) -> Response:
    """A step goes on or ends (F.7.2.2)."""
    return _reporting(request, _set)


def _reporting(request: Request, act: Callable[[Request, Document], Response]) -> Response:
    """What is wrong with a data set is told with the attributes concerned (PS3.7 10.1, C)."""
    document = read_data_set(request.data, request.context.transfer_syntax).document
    try:
        return act(request, document)
    except InvalidRequest as error:
        answer = answer_for(error, request.command_field)
        shown = {name: document[name] for name in error.offending if name in document}
        data = None
        if isinstance(error, InvalidValue) and shown:
            data = write_data_set(shown, request.context.transfer_syntax)
        values = {command_set.ATTRIBUTE_IDENTIFIER_LIST: answer.offending}
        return Response(answer.status, data, answer.comment, values)
    except WrongState as error:
        values_of_state: dict[int, command_set.Value] = {
            command_set.ERROR_ID: MAY_NO_LONGER_BE_UPDATED
        }
        comment = error.message[:_MOST_COMMENT]
        return Response(status.PROCESSING_FAILURE, None, comment, values_of_state)


def _created(request: Request, document: Document) -> Response:
    step = start_step(request.session.principal, StepReport(request.sop_instance_uid, document))
    values = {command_set.AFFECTED_SOP_INSTANCE_UID: step.sop_instance_uid}
    return Response(status.SUCCESS, values=values)


def _set(request: Request, document: Document) -> Response:
    ignored = change_step(request.session.principal, request.sop_instance_uid, document)
    if not ignored:
        return Response(status.SUCCESS)
    tags = tuple(int(tag, 16) for tag in ignored)
    comment = "Attributes that were not created stay as they are"
    values = {command_set.ATTRIBUTE_IDENTIFIER_LIST: tags}
    return Response(status.ATTRIBUTE_LIST_ERROR, None, comment, values)


def handle_n_get(request: Request) -> Response:
    """The attributes asked for, or all (F.8.2.1); 0001 where some are not there."""
    step = performed_step(request.sop_instance_uid, request.session.principal)
    asked = tags_of(request.elements.get(command_set.ATTRIBUTE_IDENTIFIER_LIST, b""))
    document = step.document
    if asked:
        document = {tag: value for tag, value in document.items() if tag in asked}
    data = write_data_set(document, request.context.transfer_syntax)
    missing = asked - document.keys() - {"00080005"}
    return Response(status.NOT_ALL_ATTRIBUTES if missing else status.SUCCESS, data)


def tags_of(raw: bytes) -> set[str]:
    """An Attribute Identifier List (AT) as hexadecimal text."""
    pairs = struct.iter_unpack("<HH", raw[: len(raw) // 4 * 4])
    return {f"{group:04X}{element:04X}" for group, element in pairs}
