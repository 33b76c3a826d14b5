"""set_preference: what a user chose for a page, kept on the server so that it follows them."""

from __future__ import annotations

import json
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.models import UserPreference
from apps.access.principals import Principal
from apps.errors import InvalidRequest
from apps.events.log import NewEvent, record

# TABLE: the pages that keep something.
NAMES: Final = frozenset({"study-list", "viewer"})
MOST_BYTES: Final = 64 * 1024


def set_preference(principal: Principal, name: str, value: dict[str, Any]) -> UserPreference:
    """Keeps `value`, a JSON object, in place of what was kept under the name.

    Raises InvalidRequest for an unknown name, a value that is too long, and for principals that
    are no user.
    """
    if principal.user_id is None:
        raise InvalidRequest("Only a user has preferences.")
    if name not in NAMES:
        raise InvalidRequest("There is no page of that name.", offending=("name",))
    if len(json.dumps(value)) > MOST_BYTES:
        raise InvalidRequest("The preferences of a page are at most 64 kB.", offending=("value",))
    with transaction.atomic():
        row, _ = UserPreference.objects.update_or_create(
            user_id=principal.user_id,
            name=name,
            defaults={"value": value, "changed_at": timezone.now()},
        )
        record([NewEvent("PreferenceSet", actor_of(principal), payload={"name": name})])
    return row
