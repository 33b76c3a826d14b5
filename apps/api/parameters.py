"""Query parameters, read strictly: what is not known is refused, not taken for nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware
from rest_framework.request import Request

from apps.dicom.whole_numbers import LARGEST, whole_number
from apps.errors import InvalidRequest


def one_of(request: Request, name: str, allowed: Collection[str]) -> str:
    """A parameter that names one of a few things, `""` where it is not given."""
    value = request.query_params.get(name, "")
    if value and value not in allowed:
        raise InvalidRequest(f"{name} is one of {', '.join(allowed)}.", offending=(name,))
    return value


def asked_number(request: Request, name: str, otherwise: int, *, most: int = LARGEST) -> int:
    """A whole number from 0 to `most`, `otherwise` where it is not given; raises InvalidRequest."""
    text = request.query_params.get(name, "")
    return whole_number(text, name, most=most) if text else otherwise


def moment(text: str, name: str) -> datetime | None:
    """The parameter's date and time in UTC, None where it is empty; raises InvalidRequest.

    In UTC, because databases know fewer zones than ISO 8601 can write.
    """
    if not text:
        return None
    try:
        found = parse_datetime(text)
        if found is not None:
            return (make_aware(found) if is_naive(found) else found).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # said below, as for what is no date at all
    raise InvalidRequest(f"`{name}` must be a date and time (ISO 8601).", offending=(name,))
