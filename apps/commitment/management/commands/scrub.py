"""`manage.py scrub`: reads stored bytes back and compares them with what was received."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from apps.access.principals import system_principal
from apps.archive.actions.alert_damage import DAMAGED
from apps.archive.models import NonPatientInstance, Receipt
from apps.commitment.actions.scrub_blobs import change_scrub, scrub_blobs, start_scrub
from apps.commitment.models import ScrubRun
from apps.errors import PacsError

_SLICE_SECONDS: Final = 5.0
_WAIT_SECONDS: Final = 0.2
_NAMED: Final = 100


class Command(BaseCommand):
    """Runs in the foreground; Ctrl+C pauses, the next call resumes."""

    help = (
        "Reads every stored instance back and compares it with the hash of what was received. "
        "Interrupt it at any time: the next call goes on where it stopped."
    )
    # The checks are for developers; they import every page, which takes a second.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A study, or the state of things."""
        parser.add_argument("--study", default="", metavar="UID", help="only this study")
        parser.add_argument(
            "--rate", type=float, default=0, metavar="MB/S", help="in place of the policy's"
        )
        parser.add_argument("--status", action="store_true", help="what the last run found")
        parser.add_argument("--cancel", action="store_true", help="end the run under way")

    def handle(self, **options: Any) -> None:
        """Exit code 1 when something is missing or altered."""
        principal = system_principal("scrub command")
        if options["status"]:
            self._status()
            return
        try:
            run = start_scrub(principal, options["study"])
        except PacsError as error:
            raise CommandError(error.message) from error
        if options["cancel"]:
            change_scrub(principal, run, ScrubRun.State.CANCELLED)
            self.stdout.write("Cancelled.")
            return
        try:
            while run.state == ScrubRun.State.RUNNING:
                if not scrub_blobs(_SLICE_SECONDS, run, rate=options["rate"]):
                    time.sleep(_WAIT_SECONDS)  # it is over, or a worker is at it
                self._line(run)
        except KeyboardInterrupt:
            self.stdout.write("Stopped; the next call goes on here.")
            return
        self._damage(run)

    def _line(self, run: ScrubRun) -> None:
        run.refresh_from_db()
        self.stdout.write(
            f"{run.get_state_display()}: {run.checked} checked, "
            f"{run.checked_bytes / 1e9:.2f} GB, {run.missing} missing, {run.altered} altered"
        )

    def _status(self) -> None:
        run = ScrubRun.objects.order_by("-started_at").first()
        if run is None:
            self.stdout.write("Nothing has been checked yet.")
            return
        self._line(run)

    def _damage(self, run: ScrubRun) -> None:
        if not (run.missing or run.altered):
            return
        damaged = Receipt.objects.filter(verdict__in=DAMAGED).select_related(
            "instance", "instance__study"
        )
        for receipt in damaged.order_by("pk")[:_NAMED]:
            study = receipt.instance.study.study_instance_uid
            uid = receipt.instance.sop_instance_uid
            self.stdout.write(f"{receipt.get_verdict_display()}: {uid} of study {study}")
        apart = NonPatientInstance.objects.filter(verdict__in=DAMAGED)
        for row in apart.order_by("pk")[:_NAMED]:
            verdict, uid = row.get_verdict_display(), row.sop_instance_uid
            self.stdout.write(f"{verdict}: {uid} of no patient ({row.resource})")
        raise CommandError("Some stored instances are damaged. Send them again from their source.")
