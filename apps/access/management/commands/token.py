"""`manage.py token USER NAME`: makes an API token and prints it once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.access.actions.issue_token import issue_token
from apps.access.models import User
from apps.events.log import Actor


class Command(BaseCommand):
    help = "Make an API token for a user and print it; it cannot be shown again."
    # The checks are for developers; they import every page, which takes a second.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("name", help="what the token is for")
        parser.add_argument("--days", type=int, default=0, help="valid for so many days; 0: no end")

    def handle(self, *_args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user named {options['user']}.")
        expires_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        _, text = issue_token(Actor("system", "command"), user, options["name"], expires_at)
        self.stdout.write(text)
