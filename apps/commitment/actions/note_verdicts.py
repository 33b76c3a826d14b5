"""note_verdicts: the receipts learn what reading back showed; damaged studies are marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from django.utils import timezone

from apps.archive.actions.alert_damage import DAMAGED, alert_damage
from apps.archive.models import Instance, NonPatientInstance, Receipt, Study
from apps.commitment.verification import StoredBlob, Verdict
from apps.events.log import Actor, NewEvent

_NAMED: Final = 100


def note_verdicts(
    verdicts: Sequence[tuple[StoredBlob, Receipt.Verdict]], actor: Actor
) -> list[NewEvent]:
    """Writes what was found, in the caller's transaction; events for it to record at its end.

    What was replaced or deleted while we read is left out. A constant number of statements, and
    a few more for each study in which something was damaged or is whole again.
    """
    there = dict(
        Instance.objects.filter(pk__in=[stored.pk for stored, _ in verdicts]).values_list(
            "pk", "blob_key"
        )
    )
    current = [each for each in verdicts if there.get(each[0].pk) == each[0].blob_key]
    was_damaged = set(
        Receipt.objects.filter(
            pk__in=[stored.pk for stored, _ in current], verdict__in=DAMAGED
        ).values_list("pk", flat=True)
    )
    now = timezone.now()
    Receipt.objects.bulk_create(
        [
            Receipt(instance_id=stored.pk, verdict=verdict, verified_at=now)
            for stored, verdict in current
        ],
        update_conflicts=True,
        unique_fields=["instance"],
        update_fields=["verdict", "verified_at"],
    )
    broken = [each for each in current if _new_damage(each, was_damaged)]
    healed = [each for each in current if each[1] is Verdict.GOOD and each[0].pk in was_damaged]
    events = _told(broken, "InstancesDamaged", actor) + _told(healed, "InstancesRestored", actor)
    changed = {each.study_instance_uid for each in events}
    return events + alert_damage(changed, actor)


def note_verdicts_apart(
    verdicts: Sequence[tuple[StoredBlob, Receipt.Verdict]], actor: Actor
) -> list[NewEvent]:
    """The same for instances of no patient, which keep their verdict themselves."""
    rows = NonPatientInstance.objects.in_bulk([stored.pk for stored, _ in verdicts])
    now = timezone.now()
    changed: list[NonPatientInstance] = []
    found: list[tuple[str, StoredBlob, Receipt.Verdict]] = []
    for stored, verdict in verdicts:
        row = rows.get(stored.pk)
        if row is None or row.blob_key != stored.blob_key:
            continue
        if verdict is not Verdict.GOOD and row.verdict not in DAMAGED:
            found.append(("InstancesDamaged", stored, verdict))
        elif verdict is Verdict.GOOD and row.verdict in DAMAGED:
            found.append(("InstancesRestored", stored, verdict))
        row.verdict, row.verified_at = verdict, now
        changed.append(row)
    NonPatientInstance.objects.bulk_update(changed, ["verdict", "verified_at"])
    return [
        NewEvent(
            kind,
            actor,
            payload={
                "instances": 1,
                "found": {str(verdict): 1},
                "sop_instance_uids": [stored.sop_instance_uid],
            },
        )
        for kind, stored, verdict in found
    ]


def _new_damage(each: tuple[StoredBlob, Receipt.Verdict], was_damaged: set[int]) -> bool:
    return each[1] is not Verdict.GOOD and each[0].pk not in was_damaged


def _told(
    found: Sequence[tuple[StoredBlob, Receipt.Verdict]], kind: str, actor: Actor
) -> list[NewEvent]:
    """One event for each study."""
    by_study: dict[int, list[tuple[StoredBlob, Receipt.Verdict]]] = {}
    for each in found:
        by_study.setdefault(each[0].study_id, []).append(each)
    studies = Study.objects.filter(pk__in=list(by_study)).order_by("study_instance_uid")
    return [
        NewEvent(
            kind,
            actor,
            study.study_instance_uid,
            patient_key=study.patient_entity_id,
            payload={
                "instances": len(by_study[study.pk]),
                "found": dict(Counter(str(verdict) for _, verdict in by_study[study.pk])),
                "sop_instance_uids": [
                    stored.sop_instance_uid for stored, _ in by_study[study.pk][:_NAMED]
                ],
            },
        )
        for study in studies
    ]
