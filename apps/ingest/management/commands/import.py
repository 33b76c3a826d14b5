"""`manage.py import PATH...`: DICOM files, folders and ZIP archives into the archive."""  # noqa: N999

from __future__ import annotations

import getpass
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.principals import Permission, Principal, PrincipalKind
from apps.errors import PacsError
from apps.ingest import spool
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.actions.import_files import import_files
from apps.ingest.models import ImportJob, ImportRefusal, QuarantinedInstance
from apps.ingest.sources import found_in

_DRAWN_EVERY_SECONDS: Final = 0.1
_BAR: Final = 30
_LISTED: Final = 200
_PATIENCE_SECONDS: Final = 3.0


class Command(BaseCommand):
    help = (
        "Imports DICOM files, folders (with all below) and ZIP archives. Run the same command "
        "again after an interruption: it goes on where it was."
    )
    # The checks are for developers; they import every page, which takes a second.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The paths, and what to do with an earlier run."""
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--restart", action="store_true", help="begin again at the first file")
        parser.add_argument("--json", action="store_true", help="report as one JSON object")
        parser.add_argument(
            "--no-wait",
            action="store_true",
            help="report as soon as everything is in the inbox, before it is indexed",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Imports, waits until everything is indexed, reports."""
        principal = Principal(
            PrincipalKind.SYSTEM,
            getpass.getuser(),
            door="import",
            permissions=frozenset({Permission.STORE_INSTANCES}),
        )
        bar = _Bar(options["paths"])
        try:
            job = import_files(
                principal, options["paths"], restart=options["restart"], progress=bar
            )
            bar.clear()
            if not options["no_wait"]:
                _until_indexed()
        except PacsError as error:
            bar.clear()
            raise CommandError(error.message) from error
        except KeyboardInterrupt:
            bar.clear()
            self.stderr.write("Interrupted. Run the same command again to go on from here.")
            sys.exit(130)
        self._report(job, as_json=options["json"])

    def _report(self, job: ImportJob, *, as_json: bool) -> None:
        refusals = ImportRefusal.objects.filter(job=job).order_by("pk")
        quarantined = QuarantinedInstance.objects.filter(
            source_door="import", received_at__gte=job.started_at
        ).order_by("pk")
        if as_json:
            self.stdout.write(
                json.dumps(
                    {
                        "import": job.pk,
                        "state": job.state,
                        "found": job.found,
                        "accepted": job.accepted,
                        "refused": list(refusals.values("path", "reason")),
                        "quarantined": list(
                            quarantined.values("id", "sop_instance_uid", "reason", "explanation")
                        ),
                    }
                )
            )
            return
        self.stdout.write(
            f"{job.found} files: {job.accepted} accepted, {job.refused} refused, "
            f"{quarantined.count()} instances in quarantine."
        )
        for refusal in refusals[:_LISTED]:
            self.stdout.write(f"refused      {refusal.path}: {refusal.reason}")
        for case in quarantined[:_LISTED]:
            self.stdout.write(f"quarantined  {case.sop_instance_uid}: {case.explanation}")
        if max(job.refused, quarantined.count()) > _LISTED:
            self.stdout.write(f"Only the first {_LISTED} of each are listed; the rest is in admin.")


def _until_indexed() -> None:
    """Until what we handed in is settled, by the workers or, where none runs, by ourselves."""
    waiting = spool.waiting()
    if not waiting:
        return
    last = waiting[-1]
    left, since = len(waiting), time.monotonic()
    while (now := sum(name <= last for name in spool.waiting())) > 0:
        if now < left:
            left, since = now, time.monotonic()
        elif time.monotonic() - since > _PATIENCE_SECONDS:
            drain_inbox(_PATIENCE_SECONDS)
        else:
            time.sleep(0.1)


class _Bar:
    """A line on the terminal; nothing where there is none."""

    def __init__(self, paths: list[Path]) -> None:
        self._shown = sys.stderr.isatty()
        self._drawn = 0.0
        self._total = sum(1 for _ in found_in(paths)) if self._shown else 0

    def __call__(self, job: ImportJob) -> None:
        if not self._shown or time.monotonic() - self._drawn < _DRAWN_EVERY_SECONDS:
            return
        self._drawn = time.monotonic()
        filled = _BAR * job.found // max(self._total, job.found, 1)
        sys.stderr.write(
            f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {job.found} of {self._total} files, "
            f"{job.refused} refused\x1b[K"
        )
        sys.stderr.flush()

    def clear(self) -> None:
        """Leaves an empty line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
