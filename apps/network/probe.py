"""Asking a peer what it accepts: associations that propose, listen to the answer, and release."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.conf import settings

from apps.dicom import command_set
from apps.dicom.identifiers import AnswerWriter, Identifier, read_identifier
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association import MOST_CONTEXTS, OutgoingAssociation
from apps.network.peer_errors import AssociationRejected
from apps.network.scu import PLAIN, VERIFICATION

_NO_ANSWER: Final = 2
_PAUSES: Final = (0.1, 0.3, 1.0, 2.0)
_QUERY_RETRIEVE_LEVEL: Final = 0x00080052
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - called


@dataclass(frozen=True, slots=True)
class Answered:
    """What the peer said: result of PS3.8 table 9-18, its choice, and whether we may be SCP."""

    proposed: ProposedContext
    result: int
    transfer_syntax: str = ""
    as_scp: bool = False


def ask(remote: Remote, proposals: Sequence[ProposedContext]) -> Iterator[Answered]:
    """Every proposal with its answer, in as many associations as it takes.

    Verification is proposed beside them, so that there is something to accept. Raises
    PeerUnreachable, AssociationRejected.
    """
    remaining = iter(proposals)
    while batch := list(islice(remaining, MOST_CONTEXTS - 1)):
        proposed = [*batch, ProposedContext(VERIFICATION, PLAIN)]
        with _opened(remote, proposed) as association:
            accepted = {each.context_id // 2: each for each in association.contexts}
            results, roles = dict(association.results), dict(association.roles)
        for place, each in enumerate(batch):
            result = results.get(place, _NO_ANSWER)
            chosen = accepted[place].transfer_syntax if place in accepted else ""
            as_scp = each.as_scp and roles.get(each.abstract_syntax, (True, False))[1]
            yield Answered(each, result, chosen, as_scp)


def _opened(remote: Remote, proposed: Sequence[ProposedContext]) -> OutgoingAssociation:
    """A device that takes one association at a time may not have seen the end of the last yet."""
    for pause in _PAUSES:
        try:
            return OutgoingAssociation.open(remote, proposed)
        except AssociationRejected as rejection:
            if not rejection.transient:
                raise
            time.sleep(pause)
    return OutgoingAssociation.open(remote, proposed)


def first_match(
    remote: Remote,
    model: str,
    level: str,
    keys: Mapping[int, str],
    items: Mapping[int, Mapping[str, Any]] | None = None,
) -> tuple[int, Identifier | None]:
    """Status and identifier of the first response to a C-FIND; the rest is not waited for.

    `level` is empty where the model has none; `items` are sequences of the DICOM JSON Model.
    """
    association = OutgoingAssociation.open(remote, [ProposedContext(model, PLAIN)])
    try:
        context = association.context_for(model)
        writer = AnswerWriter(context.transfer_syntax, ())
        association.request(
            context,
            {
                command_set.AFFECTED_SOP_CLASS_UID: model,
                command_set.COMMAND_FIELD: command_set.C_FIND_RQ,
                command_set.MESSAGE_ID: association.new_message_id(),
                command_set.PRIORITY: 0,
            },
            writer.write(
                {**keys, **({_QUERY_RETRIEVE_LEVEL: level} if level else {})}, items or {}
            ),
        )
        answer = association.receive()
        found = read_identifier(answer.data, context.transfer_syntax) if answer.data else None
        return answer.status, found
    finally:
        # Whatever else would come is not wanted.
        association.abort()


def ourselves(calling: str) -> Remote:
    """Our own receiver, to be called by the title given."""
    environment = settings.PACSWEB
    host = environment.dicom_host or _ANY_ADDRESS.get(environment.bind, environment.bind)
    return Remote(environment.ae_title, host, environment.dicom_port, calling)
