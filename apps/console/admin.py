"""Imports every ModelAdmin, so that Django's autodiscovery finds them."""

from apps.console import archive, associations, network, people, quarantine, system

__all__ = ["archive", "associations", "network", "people", "quarantine", "system"]
