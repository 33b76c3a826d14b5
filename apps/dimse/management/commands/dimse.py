"""`manage.py dimse`: the DICOM receiver."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.dimse.lobby import Listeners
from apps.dimse.receiver import Limits
from apps.dimse.server import PortTakenError, Server, listen
from apps.network.tls import TlsNotReady, server_context


class Command(BaseCommand):
    help = "Receives instances by C-STORE and answers C-ECHO."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        limits = Limits()
        for name, meaning in (
            ("artim", "time for a whole association request"),
            ("idle", "time between two messages of an association"),
            ("stall", "time without a byte inside a message"),
            ("grace", "time for messages under way when stopping"),
        ):
            parser.add_argument(
                f"--{name}-seconds",
                type=float,
                dest=name,
                default=getattr(limits, name),
                help=f"{meaning} (default %(default)s)",
            )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        environment = settings.PACSWEB
        limits = Limits(
            artim=options["artim"],
            idle=options["idle"],
            stall=options["stall"],
            grace=options["grace"],
        )
        try:
            listeners = _listeners(environment)
        except (PortTakenError, TlsNotReady) as error:
            self.stderr.write(str(error))
            sys.exit(2)
        processes = max(1, environment.dimse_processes)
        self.stdout.write(
            f"DICOM receiver {environment.ae_title} on {environment.bind}:"
            f"{environment.dicom_port}"
            + (f", TLS on {environment.dicom_tls_port}" if listeners.tls else "")
            + f", {processes} processes."
        )
        self.stdout.flush()
        sys.exit(Server(listeners, processes, limits).run())


def _listeners(environment: Any) -> Listeners:
    """The ports of the settings, bound. Raises PortTakenError, TlsNotReady."""
    if not environment.dicom_tls_port:
        return Listeners(listen(environment.bind, environment.dicom_port))
    server_context()
    plain = listen(environment.bind, environment.dicom_port)
    tls = listen(environment.bind, environment.dicom_tls_port, "PACSWEB_DICOM_TLS_PORT")
    return Listeners(plain, tls)
