"""Remember when peers last associated."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import timezone

from apps.network.models import ApplicationEntity


def note_application_entities_seen(titles: Iterable[str]) -> None:
    """One statement for all of them. No event: it would say nothing that the instances do not."""
    ApplicationEntity.objects.filter(title__in=list(titles)).update(last_seen_at=timezone.now())
