"""`manage.py prepare`: schema and first administrator, for installations without `serve`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from pacsweb import first_start


class Command(BaseCommand):
    help = "Applies migrations and creates the first administrator. Harmless to repeat."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Says what it did."""
        if first_start.migrate():
            self.stdout.write("The database is up to date.")
        password = first_start.ensure_administrator()
        if password:
            self.stdout.write(
                f"Sign in as {first_start.ADMINISTRATOR} with the password {password} "
                "(shown only this once)."
            )
