"""Whom an API token stands for; only its SHA-256 is kept."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.access.models import ApiToken, User

# Writing on every request would make each read a write; a minute is exact enough for people.
_USE_RESOLUTION = timedelta(minutes=1)


def valid_tokens(now: datetime) -> QuerySet[ApiToken]:
    """Those that are neither revoked nor expired."""
    return ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


def user_of_token(text: str) -> tuple[User, ApiToken] | None:
    """The active user a token stands for; None when unknown, expired or revoked."""
    now = timezone.now()
    row = (
        valid_tokens(now)
        .select_related("user")
        .filter(digest=hashlib.sha256(text.encode()).digest(), user__is_active=True)
        .first()
    )
    if row is None:
        return None
    if row.last_used_at is None or now - row.last_used_at > _USE_RESOLUTION:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row.user, row
