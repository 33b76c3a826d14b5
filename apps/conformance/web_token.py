"""The sign-in of the self-test: an administrator's token that lives as long as the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.utils import timezone

from apps.access.actions.issue_token import issue_token, revoke_tokens
from apps.access.audit import actor_of
from apps.access.models import User
from apps.access.principals import Permission, Principal, permit
from apps.errors import Unavailable

_AT_MOST: Final = timedelta(minutes=30)


@contextmanager
def self_test_token(principal: Principal) -> Iterator[str]:
    """Issued and revoked as events like any other. Raises Unavailable, NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    user = User.objects.filter(is_active=True, is_superuser=True).order_by("pk").first()
    if user is None:
        raise Unavailable("There is no administrator to ask the web server as.")
    actor = actor_of(principal)
    row, text = issue_token(actor, user, "conformance self-test", timezone.now() + _AT_MOST)
    try:
        yield text
    finally:
        revoke_tokens(actor, [row.pk])
