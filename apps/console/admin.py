"""Imports every ModelAdmin, so that Django's autodiscovery finds them."""

from apps.console import archive, network, people, quarantine, system

__all__ = ["archive", "network", "people", "quarantine", "system"]
