"""`manage.py dicom`: verify, query, send to and fetch from other DICOM systems."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.access.principals import Principal, system_principal
from apps.dicom.attributes import BY_KEYWORD
from apps.errors import InvalidRequest, PacsError
from apps.network import scu
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.actions.request_transfer import fetch_from_other, send_to_other
from apps.transfers.models import ENDED, Transfer
from apps.transfers.remote import (
    Other,
    Wanted,
    instance_keys,
    other_named,
    remote_for,
    unique_keys,
)
from apps.transfers.running import run_due_transfers
from apps.transfers.searched import query_other, verify
from apps.transfers.tasks import request_work

_LOOK_SECONDS: Final = 0.3
# Without a worker that takes it, the command runs the transfer itself.
_PATIENCE_SECONDS: Final = 5.0


class Command(BaseCommand):
    help = "Verifies, queries, sends to and fetches from other DICOM systems."
    # The checks are for developers; they import every page, which takes a second.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        self._verb(verbs, "echo", "ask whether it is there (C-ECHO, or a search)")
        find = self._verb(verbs, "find", "search it (C-FIND, QIDO-RS)")
        find.add_argument("keys", nargs="*", metavar="KEYWORD=VALUE")
        find.add_argument("--level", default="STUDY", choices=("STUDY", "SERIES", "IMAGE"))
        find.add_argument("--limit", type=int, default=100)
        find.add_argument("--json", action="store_true", help="one JSON object a line")
        send = self._verb(verbs, "send", "send studies to it (C-STORE, STOW-RS)")
        send.add_argument("studies", nargs="+", metavar="STUDY_INSTANCE_UID")
        move = self._verb(verbs, "move", "have it send studies here, or elsewhere (C-MOVE)")
        move.add_argument("studies", nargs="+", metavar="STUDY_INSTANCE_UID")
        move.add_argument("--to", default="", help="AE title of another destination it knows")
        get = self._verb(verbs, "get", "fetch studies from it (C-GET, WADO-RS)")
        get.add_argument("studies", nargs="+", metavar="STUDY_INSTANCE_UID")
        for each in (send, move, get):
            each.add_argument("--no-wait", action="store_true", help="return at once")

    @staticmethod
    def _verb(verbs: Any, name: str, meaning: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(name, help=meaning)
        parser.add_argument("title", help="its AE title, or the name of a DICOMweb archive")
        return parser

    def handle(self, *_arguments: Any, **options: Any) -> None:
        principal = system_principal("manage.py dicom")
        run: Callable[[Principal, Other, dict[str, Any]], None] = {
            "echo": self._echo,
            "find": self._find,
            "send": self._send,
            "move": self._fetch,
            "get": self._fetch,
        }[options["verb"]]
        try:
            run(principal, other_named(options["title"]), options)
        except PacsError as error:
            raise CommandError(printable(error.message), returncode=2) from error

    def _echo(self, principal: Principal, other: Other, _options: Any) -> None:
        began = time.monotonic()
        status = verify(principal, other)
        milliseconds = (time.monotonic() - began) * 1000
        told = f"{status:04X}" if isinstance(other, ApplicationEntity) else str(status)
        self.stdout.write(f"{other} answered {told} in {milliseconds:.0f} ms.")

    def _find(self, principal: Principal, other: Other, options: Any) -> None:
        keys = dict(each.partition("=")[::2] for each in options["keys"])
        found = 0
        for answer in query_other(principal, other, options["level"], keys, options["limit"]):
            found += 1
            if options["json"]:
                self.stdout.write(_json_line(answer))
            else:
                shown = (f"{name}={value}" for name, value in answer.items() if value)
                self.stdout.write(printable("  ".join(shown)))
        if not options["json"]:
            self.stdout.write(f"{found} found.")

    def _send(self, principal: Principal, other: Other, options: Any) -> None:
        keys = instance_keys(principal, Wanted(studies=options["studies"]))
        self._follow([send_to_other(principal, other=other, keys=keys)], options)

    def _fetch(self, principal: Principal, other: Other, options: Any) -> None:
        if options.get("to"):
            self._elsewhere(other, options)
            return
        transfers = [
            fetch_from_other(
                principal,
                other=other,
                level="STUDY",
                keys=unique_keys("STUDY", {"StudyInstanceUID": uid}),
                method=options["verb"],
            ).transfer
            for uid in options["studies"]
        ]
        self._follow(transfers, options)

    def _elsewhere(self, other: Other, options: Any) -> None:
        if isinstance(other, WebArchive):
            raise InvalidRequest(f"{other.name} speaks DICOMweb: it sends nothing elsewhere.")
        tag = BY_KEYWORD["StudyInstanceUID"].tag
        for uid in options["studies"]:
            last = scu.move(
                remote_for(other), options["to"], "STUDY", {tag: uid}, lambda _progress: False
            )
            self.stdout.write(
                f"{last.status:04X}: {last.completed} moved to {options['to']}, {last.warning} "
                f"with a warning, {last.failed} failed."
            )

    def _follow(self, transfers: list[Transfer], options: Any) -> None:
        request_work()
        for transfer in transfers:
            if options["no_wait"]:
                self.stdout.write(f"Transfer {transfer.pk} was requested.")
            else:
                self._wait(transfer)
        if not options["no_wait"] and any(
            each.state != Transfer.State.SUCCEEDED for each in transfers
        ):
            sys.exit(1)

    def _wait(self, transfer: Transfer) -> None:
        """Until it has ended. Ctrl-C leaves it to the workers."""
        began, told = time.monotonic(), ""
        while transfer.state not in ENDED:
            waits = transfer.state == Transfer.State.WAITING
            if waits and not transfer.attempts and time.monotonic() - began > _PATIENCE_SECONDS:
                run_due_transfers()
            time.sleep(_LOOK_SECONDS)
            transfer.refresh_from_db()
            if transfer.message != told and transfer.state == Transfer.State.WAITING:
                told = transfer.message
                again = timezone.localtime(transfer.not_before)
                self.stderr.write(printable(f"{told} Tried again at {again:%H:%M:%S}."))
            if sys.stderr.isatty():
                done = transfer.completed + transfer.warning + transfer.failed
                told_now = printable(transfer.message)
                sys.stderr.write(f"\r{done} of {transfer.total} {told_now}\x1b[K")
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        verb = "fetched" if transfer.kind == Transfer.Kind.PULL else "sent"
        self.stdout.write(
            f"Transfer {transfer.pk} {transfer.get_state_display()}: {transfer.completed} {verb}, "
            f"{transfer.warning} with a warning, {transfer.failed} failed. "
            f"{printable(transfer.message)}"
        )


def _json_line(answer: dict[str, str]) -> str:
    """JSON says the same where what would steer the terminal is escaped."""
    text = json.dumps(answer, ensure_ascii=False)
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def printable(text: str) -> str:
    """What a peer said, without what would steer the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
