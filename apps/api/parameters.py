"""Query parameters, read strictly: what is not known is refused, not taken for nothing."""

from __future__ import annotations

from collections.abc import Collection

from rest_framework.request import Request

from apps.errors import InvalidRequest


def one_of(request: Request, name: str, allowed: Collection[str]) -> str:
    """A parameter that names one of a few things, `""` where it is not given."""
    value = request.query_params.get(name, "")
    if value and value not in allowed:
        raise InvalidRequest(f"{name} is one of {', '.join(allowed)}.", offending=(name,))
    return value
