"""issue_token, revoke_tokens: API tokens come and go, and each is an event."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from apps.access.models import ApiToken, User
from apps.events.log import Actor, NewEvent, record

_SCHEME = "pw_"


def issue_token(
    actor: Actor, user: User, name: str, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A new token and its text. The text cannot be had again."""
    text = _SCHEME + secrets.token_urlsafe(32)
    with transaction.atomic():
        row = ApiToken.objects.create(
            user=user,
            name=name,
            prefix=text[:12],
            digest=hashlib.sha256(text.encode()).digest(),
            expires_at=expires_at,
        )
        payload = {"token": row.prefix, "name": name, "user": user.get_username()}
        record([NewEvent("ApiTokenIssued", actor, payload=payload)])
    return row, text


def revoke_tokens(actor: Actor, keys: Sequence[int]) -> int:
    """From now on these tokens are refused; how many were valid until now."""
    with transaction.atomic():
        rows = list(ApiToken.objects.select_for_update().filter(pk__in=keys, revoked_at=None))
        ApiToken.objects.filter(pk__in=[row.pk for row in rows]).update(revoked_at=timezone.now())
        record([NewEvent("ApiTokenRevoked", actor, payload={"token": row.prefix}) for row in rows])
    return len(rows)
