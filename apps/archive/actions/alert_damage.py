"""alert_damage: a study shows what of its stored bytes is damaged; in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from django.db.models import Count

from apps.archive.actions.raise_alerts import raise_alerts
from apps.archive.models import Receipt, StudyAlert
from apps.events.log import Actor, NewEvent

DAMAGED: Final = (Receipt.Verdict.MISSING, Receipt.Verdict.ALTERED)


def alert_damage(study_uids: Collection[str], actor: Actor) -> list[NewEvent]:
    """Raises or settles the alert of each study by its receipts; returns events to record."""
    if not study_uids:
        return []
    counts: dict[str, dict[str, int]] = {uid: {} for uid in sorted(study_uids)}
    damaged = Receipt.objects.filter(
        verdict__in=DAMAGED, instance__study__study_instance_uid__in=study_uids
    )
    for uid, verdict, count in damaged.values_list(
        "instance__study__study_instance_uid", "verdict"
    ).annotate(Count("pk")):
        counts[uid][verdict] = count
    texts = {uid: _sentence(found) for uid, found in counts.items()}
    return raise_alerts(StudyAlert.Cause.DAMAGE, texts, actor)


def _sentence(found: Mapping[str, int]) -> str:
    if not found:
        return ""
    kinds = " and ".join(f"{count} {verdict}" for verdict, count in sorted(found.items()))
    return (
        f"Stored instances of this study are damaged: {kinds}. "
        "Send the study again from its source, or restore it from a backup."
    )
