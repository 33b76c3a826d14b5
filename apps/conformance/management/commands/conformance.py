"""`manage.py conformance`: write the statement, or test it against the running receiver."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.access.principals import Principal, system_principal
from apps.conformance import web_test
from apps.conformance.actions.record_self_test import record_self_test
from apps.conformance.actions.record_statement import record_statement
from apps.conformance.document import Statement
from apps.conformance.edition import edition
from apps.conformance.outcome import Outcome
from apps.conformance.printed import printed
from apps.conformance.self_test import PARTS, count_claims, run, untested
from apps.conformance.statement import conformance_statement
from apps.conformance.web_caller import Caller
from apps.conformance.web_token import self_test_token
from apps.errors import PacsError, Unavailable
from apps.network.probe import ourselves


class Command(BaseCommand):
    help = "Writes the conformance statement, or tests each of its claims against ourselves."
    # The checks are for developers; they import every page, which takes a second.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        show = verbs.add_parser("show", help="print the statement as JSON, or write it as PDF")
        show.add_argument("--pdf", type=Path, metavar="FILE", help="write a PDF to this file")
        test = verbs.add_parser("test", help="associate with ourselves and try every claim")
        test.add_argument(
            "--calling",
            default="CONFORMANCE",
            help="AE title to call by; it must be one that may do everything (default %(default)s)",
        )
        test.add_argument(
            "--part", choices=PARTS, action="append", help="only this part; may be repeated"
        )
        test.add_argument(
            "--web",
            metavar="URL",
            default=f"http://127.0.0.1:{settings.PACSWEB.http_port}",
            help="where our web server is (default %(default)s)",
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        try:
            {"show": self._show, "test": self._test}[options["verb"]](options)
        except PacsError as error:
            raise CommandError(error.message, returncode=2) from error

    def _show(self, options: dict[str, Any]) -> None:
        statement = conformance_statement()
        if options["pdf"] is None:
            self.stdout.write(json.dumps(statement.as_json(), indent=2))
            return
        version = record_statement(system_principal("manage.py conformance"), statement)
        try:
            options["pdf"].write_bytes(printed(statement, edition(statement, version)))
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error.strerror}.") from error
        self.stdout.write(f"Version {version.pk} is in {options['pdf']}.")

    def _web(self, principal: Principal, statement: Statement, base: str) -> list[Outcome]:
        """A receiver may run where no web server does: then these are left, and that is said."""
        try:
            with self_test_token(principal) as token:
                return list(web_test.run(statement, Caller(base, token)))
        except Unavailable as error:
            self.stderr.write(f"{error.message} What is claimed of DICOMweb was not tested.")
            return []

    def _test(self, options: dict[str, Any]) -> None:
        principal = system_principal("manage.py conformance")
        statement = conformance_statement()
        version = record_statement(principal, statement)
        target = ourselves(options["calling"])
        parts = options["part"] or PARTS
        outcomes = list(run(statement, target, parts))
        if "dicomweb" in parts:
            outcomes += self._web(principal, statement, options["web"])
        failed = record_self_test(principal, outcomes)
        for each in outcomes:
            if not each.passed:
                self.stdout.write(f"failed: {each.claim.text} {each.detail}")
        left = count_claims(statement, parts) - len(outcomes)
        empty = left and outcomes and not untested(statement)
        why = " (nothing is stored here, or on the worklist, that could show it)" if empty else ""
        self.stdout.write(
            f"Version {version.pk}: {len(outcomes)} claims tested, {failed} failed, {left} not "
            f"tested{why}."
        )
        if failed:
            raise CommandError("The statement and the code differ.", returncode=1)
