"""What a dangerous admin action says before it is done, and how its confirmation is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

_SHOWN: Final = 100


def is_confirmed(request: HttpRequest, rows: QuerySet[Any]) -> bool:
    """True where a person confirmed as many rows as there are now; else they are asked again."""
    return request.POST.get("confirmed") == str(rows.count())


def confirmation(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    line: Callable[[Any], str],
    **said: str,
) -> TemplateResponse:
    """The page that asks. `said` is its `title`, the `consequence` and the name of the `action`.

    It posts to its own address: the filters there are part of what was chosen.
    """
    shown = list(rows[:_SHOWN])
    context = {
        **model_admin.admin_site.each_context(request),
        **said,
        "lines": [line(row) for row in shown],
        "rows": shown,
        "count": rows.count(),
        "opts": model_admin.opts,
    }
    return TemplateResponse(request, "console/confirm.html", context)
