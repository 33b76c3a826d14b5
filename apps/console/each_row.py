"""What an action of a list does to each of the selected rows, and what it says then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from apps.access.authentication import principal_of
from apps.access.principals import Principal
from apps.console.model_admin import AnyModelAdmin
from apps.errors import PacsError


def each_row(
    page: AnyModelAdmin,
    request: HttpRequest,
    rows: Iterable[Any],
    act: Callable[[Principal, Any], bool],
    told: str,
) -> None:
    """Does it to each row, and says to how many."""
    principal = principal_of(request, "web")
    try:
        count = sum(act(principal, row) for row in rows)
    except PacsError as error:
        page.message_user(request, error.message, messages.ERROR)
        return
    page.message_user(request, told.format(count))
