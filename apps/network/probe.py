"""Asking a peer what it accepts: associations that propose, listen to the answer, and release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.conf import settings
from pydicom import Dataset
from pynetdicom import AE, build_context, build_role

from apps.dicom import uids
from apps.errors import Unavailable
from apps.network import tls

MOST_CONTEXTS: Final = 128
_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where to call, and by which names."""

    title: str
    host: str
    port: int
    calling: str
    use_tls: bool = False


@dataclass(frozen=True, slots=True)
class Proposed:
    """One presentation context to ask for; `scp` also proposes ourselves as SCP."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    scp: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What the peer said: result of PS3.8 table 9-18, its choice, and whether we may be SCP."""

    proposed: Proposed
    result: int
    transfer_syntax: str = ""
    as_scp: bool = False


def ask(target: Target, proposals: Sequence[Proposed]) -> Iterator[Answered]:
    """Every proposal with its answer, in as many associations as it takes.

    Verification is proposed beside them, so that there is something to accept. Raises Unavailable,
    in words.
    """
    remaining = iter(proposals)
    while batch := list(islice(remaining, MOST_CONTEXTS - 1)):
        batch.append(Proposed(_VERIFICATION, (_IMPLICIT,)))
        association = _associate(target, batch)
        accepted = {each.context_id: each for each in association.accepted_contexts}
        rejected = {each.context_id: each for each in association.rejected_contexts}
        association.release()
        for number, proposed in enumerate(batch[:-1]):
            context_id = 2 * number + 1
            if context_id in accepted:
                context = accepted[context_id]
                chosen = str(context.transfer_syntax[0])
                yield Answered(proposed, 0, chosen, bool(context.as_scp))
            else:
                result = int(rejected[context_id].result) if context_id in rejected else 2
                yield Answered(proposed, result)


def echo(target: Target) -> None:
    """C-ECHO. Raises Unavailable, in words."""
    association = _associate(target, [Proposed(_VERIFICATION, (_IMPLICIT,))])
    try:
        status = association.send_c_echo()
    finally:
        association.release()
    if getattr(status, "Status", None) != 0:
        raise Unavailable(f"{target.title} does not answer C-ECHO with success.")


def first_match(target: Target, model: str, identifier: Dataset) -> tuple[int, Dataset | None]:
    """Status and identifier of the first response to a C-FIND; the rest is not waited for."""
    association = _associate(target, [Proposed(model, (_EXPLICIT, _IMPLICIT))])
    try:
        for status, found in association.send_c_find(identifier, model):
            return int(getattr(status, "Status", 0xC000)), found
    finally:
        # Whatever else would come is not wanted.
        association.abort()
    return 0xC000, None


_VERIFICATION: Final = "1.2.840.10008.1.1"
_IMPLICIT: Final = "1.2.840.10008.1.2"
_EXPLICIT: Final = "1.2.840.10008.1.2.1"


def _associate(target: Target, batch: Sequence[Proposed]) -> Any:
    entity = AE(ae_title=target.calling)
    entity.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _SECONDS
    entity.connection_timeout = _SECONDS
    contexts = [build_context(each.abstract_syntax, list(each.transfer_syntaxes)) for each in batch]
    roles = [
        build_role(uid, scu_role=True, scp_role=True)
        for uid in dict.fromkeys(each.abstract_syntax for each in batch if each.scp)
    ]
    try:
        secured = (tls.client_context(), target.host) if target.use_tls else None
    except tls.TlsNotReady as error:
        raise Unavailable(str(error)) from error
    association = entity.associate(
        target.host,
        target.port,
        contexts=contexts,
        ae_title=target.title,
        ext_neg=roles,
        tls_args=secured,
    )
    if association.is_established:
        return association
    if association.is_rejected:
        words = association.acceptor.primitive.reason_str
        raise Unavailable(f"{target.title} rejected the association: {words}.")
    # An association that accepts no context at all is aborted by the library, and is an answer.
    if association.acceptor.primitive is not None and association.acceptor.primitive.result == 0:
        return _Nothing(association)
    raise Unavailable(
        f"{target.title} at {target.host}:{target.port} cannot be reached, or does not answer."
    )


class _Nothing:
    """An association in which nothing was accepted; the library has ended it already."""

    def __init__(self, association: Any) -> None:
        self.accepted_contexts: list[Any] = []
        self.rejected_contexts = association.rejected_contexts

    def release(self) -> None:
        """It is over."""


def own_target(calling: str) -> Target:
    """Ourselves, as our own peer."""
    environment = settings.PACSWEB
    host = environment.dicom_host or _ANY_ADDRESS.get(environment.bind, environment.bind)
    return Target(environment.ae_title, host, environment.dicom_port, calling)


_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - called
