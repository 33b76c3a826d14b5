"""API tokens: made once, shown once, kept only as SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from apps.access.models import ApiToken, User

_SCHEME = "pw_"
# Writing on every request would make each read a write; a minute is exact enough for people.
_USE_RESOLUTION = timedelta(minutes=1)


def issue_token(user: User, name: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """A new token and its text. The text cannot be had again."""
    text = _SCHEME + secrets.token_urlsafe(32)
    row = ApiToken.objects.create(
        user=user,
        name=name,
        prefix=text[:12],
        digest=hashlib.sha256(text.encode()).digest(),
        expires_at=expires_at,
    )
    return row, text


def user_of_token(text: str) -> tuple[User, ApiToken] | None:
    """The active user a token stands for; None when unknown, expired or revoked."""
    now = timezone.now()
    row = (
        ApiToken.objects.select_related("user")
        .filter(digest=hashlib.sha256(text.encode()).digest(), revoked_at=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now))
        .filter(user__is_active=True)
        .first()
    )
    if row is None:
        return None
    if row.last_used_at is None or now - row.last_used_at > _USE_RESOLUTION:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row.user, row
