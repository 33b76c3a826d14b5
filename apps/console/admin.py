"""Imports every ModelAdmin, so that Django's autodiscovery finds them."""

from apps.console import (
    archive,
    associations,
    coercion,
    commitment,
    compression,
    forwarding,
    network,
    people,
    performed,
    polarity,
    private_attributes,
    quarantine,
    system,
    transfers,
    work_items,
    worklist,
)

__all__ = [
    "archive",
    "associations",
    "coercion",
    "commitment",
    "compression",
    "forwarding",
    "network",
    "people",
    "performed",
    "polarity",
    "private_attributes",
    "quarantine",
    "system",
    "transfers",
    "work_items",
    "worklist",
]
