"""`manage.py generate_docs`: writes the documents that are derived from code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from pacsweb import configuration_document


class Command(BaseCommand):
    help = "Writes docs/configuration.md."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Overwrites what is there."""
        configuration_document.PATH.write_text(configuration_document.document())
        self.stdout.write(f"Wrote {configuration_document.PATH.name}.")
