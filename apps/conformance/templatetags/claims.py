"""`{{ marks|of:claim.id }}`: a look-up by a key that is no name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def of(mapping: Mapping[str, Any], key: str) -> Any:
    """The value, or None."""
    return mapping.get(key)
