"""`manage.py demo`: example studies, so that a newcomer sees images within a minute."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.errors import PacsError
from apps.ingest.demonstration import load_demonstration
from apps.ingest.outcomes import Fate, Outcome, outcome_of


class Command(BaseCommand):
    help = "Loads the example files that pydicom ships inside its package."
    # The checks are for developers; they import every page, which takes a second.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How long to wait for the index."""
        parser.add_argument(
            "--timeout", type=float, default=30.0, help="seconds to wait for the index"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Says how many arrived, and what became of them."""
        try:
            names = load_demonstration()
        except (PacsError, OSError) as problem:
            raise CommandError(f"The example files could not be loaded: {problem}") from None
        self.stdout.write(f"{len(names)} example instances handed in; indexing…")
        outcomes = list(outcome_of(names, options["timeout"]).values())
        self._report(outcomes)

    def _report(self, outcomes: list[Outcome]) -> None:
        counts = Counter(outcome.fate for outcome in outcomes)
        self.stdout.write(f"{counts[Fate.STORED]} can be seen now.")
        if counts[Fate.QUARANTINED]:
            self.stdout.write(f"{counts[Fate.QUARANTINED]} went to quarantine:")
            for text in sorted({each.explanation for each in outcomes if each.explanation}):
                self.stdout.write(f"  {text}")
        if counts[Fate.WAITING]:
            self.stdout.write(
                f"{counts[Fate.WAITING]} still wait: they are indexed as soon as pacsweb runs."
            )
