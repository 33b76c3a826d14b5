"""Write down which instances another archive has of what is fetched, and is not here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from django.db import transaction
from django.db.models import F

from apps.archive.models import Instance
from apps.dicom.sub_operations import SUCCESS
from apps.transfers.actions.note_progress import Outcome, note_outcomes
from apps.transfers.models import Transfer, TransferInstance

_AT_ONCE: Final = 500
_ROWS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Listed:
    """One instance of a transfer: its row, its series, and whether it is still to come."""

    row: int
    series: str
    waits: bool


def list_instances(
    transfer: int, holder: str, there: Mapping[str, str], known: dict[str, Listed] | None = None
) -> dict[str, Listed]:
    """Every instance of the transfer by its UID, with those of `there` that were not known.

    `there` has the series of each; `known` is what this gave before. What is here already is not
    listed; what waited and came by another way has arrived. Raises LeaseLost. No event: its end is
    one. Several transactions: each is whole by itself, and a long list must not keep others from
    writing.
    """
    if known is None:
        note_outcomes(transfer, holder, ())
        known = _settled(transfer, holder, _known(transfer))
    for part in _parts([uid for uid in there if uid not in known], _ROWS_AT_ONCE):
        known |= _added(transfer, holder, {uid: there[uid] for uid in part}, len(known))
    return known


def _added(
    transfer: int, holder: str, there: Mapping[str, str], position: int
) -> dict[str, Listed]:
    """Rows for those that are not here, from that position on."""
    with transaction.atomic():
        note_outcomes(transfer, holder, ())
        here = _here(list(there))
        new = {uid: of for uid, of in there.items() if uid not in here}
        rows = TransferInstance.objects.bulk_create(
            (
                TransferInstance(
                    transfer_id=transfer,
                    position=position + number,
                    sop_instance_uid=uid,
                    series_instance_uid=of,
                )
                for number, (uid, of) in enumerate(new.items())
            ),
            batch_size=_AT_ONCE,
        )
        Transfer.objects.filter(pk=transfer).update(total=F("total") + len(new))
    return {
        each.sop_instance_uid: Listed(each.pk, each.series_instance_uid, waits=True)
        for each in rows
    }


def _settled(transfer: int, holder: str, known: dict[str, Listed]) -> dict[str, Listed]:
    """With what is here by now."""
    here = _here([uid for uid, each in known.items() if each.waits])
    for part in _parts(list(here), _ROWS_AT_ONCE):
        note_outcomes(transfer, holder, [Outcome(known[uid].row, SUCCESS) for uid in part])
    return {
        uid: Listed(each.row, each.series, each.waits and uid not in here)
        for uid, each in known.items()
    }


def _known(transfer: int) -> dict[str, Listed]:
    rows = TransferInstance.objects.filter(transfer=transfer).order_by("position")
    fields = ("sop_instance_uid", "pk", "series_instance_uid", "state")
    waiting = TransferInstance.State.WAITING
    return {
        uid: Listed(row, series, state == waiting)
        for uid, row, series, state in rows.values_list(*fields).iterator(chunk_size=_AT_ONCE)
    }


def _here(wanted: list[str]) -> set[str]:
    return {uid for part in _parts(wanted, _AT_ONCE) for uid in _stored(part)}


def _stored(part: list[str]) -> Iterator[str]:
    rows = Instance.objects.filter(sop_instance_uid__in=part)
    yield from rows.values_list("sop_instance_uid", flat=True)


def _parts(wanted: list[str], at_once: int) -> Iterator[list[str]]:
    rest = iter(wanted)
    while part := list(islice(rest, at_once)):
        yield part
