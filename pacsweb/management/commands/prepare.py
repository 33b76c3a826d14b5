"""`manage.py prepare`: schema and first administrator, for installations without `serve`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from pacsweb import first_start


class Command(BaseCommand):
    help = "Applies migrations and creates the first administrator. Harmless to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """An image collects static files when it is built, where there is no database."""
        parser.add_argument(
            "--static", action="store_true", help="collect static files and do nothing else"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Says what it did."""
        if options["static"]:
            first_start.collect_static()
            return
        if first_start.migrate():
            self.stdout.write("The database is up to date.")
        password = first_start.ensure_administrator()
        if password:
            self.stdout.write(
                f"Sign in as {first_start.ADMINISTRATOR} with the password {password} "
                "(shown only this once)."
            )
