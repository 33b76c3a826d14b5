"""Ask for a transfer: it waits, with every instance listed, until a worker takes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.access.principals import Permission, Principal, PrincipalKind, permit
from apps.archive.models import Instance
from apps.dicom.sub_operations import MOST
from apps.errors import InvalidRequest, NotFound
from apps.events.log import Actor, NewEvent, record
from apps.ingest.receiving import WADO_RS
from apps.network.models import ApplicationEntity, WebArchive
from apps.polarity.states import corrections_of
from apps.transfers.models import Transfer, TransferInstance
from apps.transfers.remote import Other, names_one

MOST_ATTEMPTS: Final = 6
METHODS: Final = ("move", "get")
STOW_RS: Final = "stow-rs"
AUTO: Final = "auto"
"""C-GET, and C-MOVE to us where the peer does not offer that."""
UNDER_WAY: Final = (Transfer.State.WAITING, Transfer.State.RUNNING)
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class MoveOrigin:
    """The C-MOVE a transfer serves: who sent it, and under which Message ID."""

    ae_title: str
    message_id: int


def send_instances(
    principal: Principal,
    *,
    peer: ApplicationEntity,
    keys: Sequence[int],
    origin: MoveOrigin | None = None,
) -> Transfer:
    """A transfer of the instances with these primary keys to `peer`, in that order.

    One that serves a C-MOVE is tried once, because its requester waits and will ask again; others
    are tried again with growing pauses. Raises NotPermitted, InvalidRequest, NotFound.
    """
    _check(principal, peer)
    transfer = _new(principal, Transfer.Kind.SEND, peer)
    _serve(transfer, origin)
    return _sent(principal, transfer, keys, corrections=peer.send_corrections)


def send_to_archive(
    principal: Principal,
    *,
    archive: WebArchive,
    keys: Sequence[int],
    origin: MoveOrigin | None = None,
) -> Transfer:
    """The same to an archive that speaks DICOMweb, by STOW-RS. Corrections go along, always."""
    _check_archive(principal, archive)
    transfer = _new(principal, Transfer.Kind.SEND, archive)
    transfer.method = STOW_RS
    _serve(transfer, origin)
    return _sent(principal, transfer, keys, corrections=True)


def _serve(transfer: Transfer, origin: MoveOrigin | None) -> None:
    if origin is not None:
        transfer.move_originator = origin.ae_title
        transfer.move_message_id = origin.message_id
        transfer.most_attempts = 1


def _sent(
    principal: Principal, transfer: Transfer, keys: Sequence[int], *, corrections: bool
) -> Transfer:
    if not keys:
        raise NotFound("There is nothing to send.")
    with transaction.atomic():
        transfer.save()
        rows = list(_rows(transfer, keys))
        if corrections:
            rows += _corrections(transfer, keys, after=len(rows))
        TransferInstance.objects.bulk_create(rows, batch_size=_CHUNK)
        transfer.total = len(rows)
        transfer.save(update_fields=["total"])
        _record(principal, transfer)
    return transfer


def fetch_instances(
    principal: Principal,
    *,
    peer: ApplicationEntity,
    level: str,
    keys: Mapping[str, str],
    method: str = "move",
) -> Transfer:
    """A transfer of what a peer has: `keys` are the unique keys, by keyword, down to `level`.

    Raises NotPermitted, InvalidRequest.
    """
    _check_fetch(principal, peer, method)
    with transaction.atomic():
        transfer = _new(principal, Transfer.Kind.PULL, peer)
        transfer.level, transfer.keys, transfer.method = level, dict(keys), method
        transfer.save()
        _record(principal, transfer)
    return transfer


@dataclass(frozen=True, slots=True)
class Fetch:
    """The transfer that brings what was asked for; `joined`: somebody had asked before."""

    transfer: Transfer
    joined: bool = False


def fetch_from_archive(
    principal: Principal, *, archive: WebArchive, level: str, keys: Mapping[str, str]
) -> Fetch:
    """The same from an archive that speaks DICOMweb, by WADO-RS. Raises the same.

    Whoever asks for what is being fetched already joins that transfer: one that waits for its next
    attempt has it now, one that runs asks the archive once more at its end what there is by then.
    The archive's row is locked meanwhile, so that two who ask at once have one transfer.
    """
    _check_archive(principal, archive)
    wrong = tuple(name for name, value in keys.items() if not names_one(value))
    if wrong:
        raise InvalidRequest("Each key is one UID: no list, pattern or path.", offending=wrong)
    with transaction.atomic():
        locked = WebArchive.objects.select_for_update().get(pk=archive.pk)
        under_way = fetch_under_way(locked, keys)
        if under_way is not None:
            return Fetch(_joined(principal, under_way), joined=True)
        transfer = _new(principal, Transfer.Kind.PULL, locked)
        transfer.level, transfer.keys, transfer.method = level, dict(keys), WADO_RS
        transfer.save()
        _record(principal, transfer)
    return Fetch(transfer)


def fetch_from_peer(
    principal: Principal,
    *,
    peer: ApplicationEntity,
    level: str,
    keys: Mapping[str, str],
    method: str = "move",
) -> Fetch:
    """The same from an application entity. Raises the same.

    A running one is joined as it is: C-MOVE and C-GET bring what there was when they began. Who
    names a method joins no transfer by the other one: that one may be what did not work.
    """
    _check_fetch(principal, peer, method)
    with transaction.atomic():
        locked = ApplicationEntity.objects.select_for_update().get(pk=peer.pk)
        under_way = fetch_under_way(locked, keys, method)
        if under_way is not None:
            return Fetch(_joined(principal, under_way), joined=True)
        return Fetch(fetch_instances(principal, peer=locked, level=level, keys=keys, method=method))


def fetch_under_way(other: Other, keys: Mapping[str, str], method: str = AUTO) -> Transfer | None:
    """One that brings all that these unique keys name, locked. Call it with the other locked.

    `auto` is content with any method.
    """
    methods = (WADO_RS, AUTO, *METHODS) if method == AUTO else (method, AUTO)
    rows = Transfer.objects.select_for_update().filter(
        peer=other if isinstance(other, ApplicationEntity) else None,
        archive=other if isinstance(other, WebArchive) else None,
        kind=Transfer.Kind.PULL,
        state__in=UNDER_WAY,
        method__in=methods,
        cancel_requested=False,
        keys__StudyInstanceUID=keys.get("StudyInstanceUID", ""),
    )
    # One of the whole study brings its series too.
    return next((row for row in rows if row.keys.items() <= keys.items()), None)


def _joined(principal: Principal, transfer: Transfer) -> Transfer:
    running, by_web = transfer.state == Transfer.State.RUNNING, transfer.method == WADO_RS
    transfer.asked_again = running and by_web
    transfer.shared = transfer.shared or _is_anothers(principal, transfer)
    if transfer.state == Transfer.State.WAITING and principal.kind is not PrincipalKind.SYSTEM:
        # A rule is in no hurry; a person has asked anew, and takes no attempt from the others.
        transfer.not_before = min(transfer.not_before, timezone.now())
        transfer.attempts = 0
    transfer.save(update_fields=["asked_again", "shared", "not_before", "attempts"])
    _record(principal, transfer, "TransferJoined")
    return transfer


def _is_anothers(principal: Principal, transfer: Transfer) -> bool:
    first = (transfer.asked_by_kind, transfer.asked_by_name)
    return first != (principal.kind.value, principal.name[:256])


def send_to_other(
    principal: Principal,
    *,
    other: Other,
    keys: Sequence[int],
    origin: MoveOrigin | None = None,
) -> Transfer:
    """To another system of either kind. Raises what `send_instances` raises."""
    if isinstance(other, WebArchive):
        return send_to_archive(principal, archive=other, keys=keys, origin=origin)
    return send_instances(principal, peer=other, keys=keys, origin=origin)


def fetch_from_other(
    principal: Principal,
    *,
    other: Other,
    level: str,
    keys: Mapping[str, str],
    method: str = "move",
) -> Fetch:
    """From another system of either kind; a DICOMweb archive knows one method alone.

    Raises NotPermitted, InvalidRequest.
    """
    if isinstance(other, WebArchive):
        return fetch_from_archive(principal, archive=other, level=level, keys=keys)
    return fetch_from_peer(principal, peer=other, level=level, keys=keys, method=method)


def fetch_once(
    principal: Principal, *, peer: ApplicationEntity, level: str, keys: Mapping[str, str]
) -> Transfer:
    """The transfer under way that brings this, or else a new one. Raises what the other raises.

    The peer's row is locked meanwhile, so that two who ask at once wait for the same transfer. A
    viewer asks for one study a hundred times: only the first of somebody else's is an event.
    """
    with transaction.atomic():
        locked = ApplicationEntity.objects.select_for_update().get(pk=peer.pk)
        under_way = fetch_under_way(locked, keys)
        if under_way is None:
            return fetch_instances(principal, peer=locked, level=level, keys=keys, method=AUTO)
        if not under_way.shared and _is_anothers(principal, under_way):
            _joined(principal, under_way)
        return under_way


def _check_archive(principal: Principal, archive: WebArchive) -> None:
    permit(principal, Permission.TRANSFER_STUDIES)
    if not archive.enabled:
        raise InvalidRequest(f"{archive.name} is switched off.", offending=("archive",))


def _check_fetch(principal: Principal, peer: ApplicationEntity, method: str) -> None:
    _check(principal, peer)
    if method not in {*METHODS, AUTO}:
        raise InvalidRequest("The method is move, get or auto.", offending=("method",))


def _check(principal: Principal, peer: ApplicationEntity) -> None:
    permit(principal, Permission.TRANSFER_STUDIES)
    if not peer.enabled:
        raise InvalidRequest(f"{peer.title} is switched off.", offending=("peer",))
    if not peer.host or not peer.port:
        raise InvalidRequest(f"It is not known where {peer.title} listens.", offending=("peer",))


def _new(
    principal: Principal, kind: Transfer.Kind, other: ApplicationEntity | WebArchive
) -> Transfer:
    return Transfer(
        kind=kind,
        peer=other if isinstance(other, ApplicationEntity) else None,
        archive=other if isinstance(other, WebArchive) else None,
        peer_title=str(other),
        asked_by_kind=principal.kind.value,
        asked_by_name=principal.name[:256],
        asked_by_address=principal.address[:64],
        asked_by_door=principal.door[:16],
        most_attempts=MOST_ATTEMPTS,
        not_before=timezone.now(),
    )


def _rows(transfer: Transfer, keys: Sequence[int]) -> Iterable[TransferInstance]:
    position = 0
    for start in range(0, len(keys), _CHUNK):
        wanted = keys[start : start + _CHUNK]
        uids = dict(Instance.objects.filter(pk__in=wanted).values_list("pk", "sop_instance_uid"))
        for key in wanted:
            if key in uids:
                yield TransferInstance(
                    transfer=transfer,
                    position=position,
                    instance_key=key,
                    sop_instance_uid=uids[key],
                )
                position += 1


def _corrections(
    transfer: Transfer, keys: Sequence[int], *, after: int
) -> Iterable[TransferInstance]:
    """Presentation States of the images a polarity rule turns round, behind all images."""
    corrected = islice(corrections_of(keys), max(MOST - after, 0))
    for position, (key, uid) in enumerate(corrected, after):
        yield TransferInstance(
            transfer=transfer,
            position=position,
            instance_key=key,
            sop_instance_uid=uid,
            corrects=True,
        )


def _record(principal: Principal, transfer: Transfer, kind: str = "TransferRequested") -> None:
    actor = Actor(principal.kind.value, principal.name, principal.address, principal.door)
    payload = {
        "transfer": transfer.pk,
        "kind": transfer.kind,
        "peer": transfer.peer_title,
        "instances": transfer.total,
    }
    record([NewEvent(kind, actor, payload=payload)])
