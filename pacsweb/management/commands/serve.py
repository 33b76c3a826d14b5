"""`manage.py serve`: the whole product in one go, in the foreground, under supervisord."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections

from apps.ingest.leftovers import clean_writing
from pacsweb import first_start, preflight
from pacsweb.launch import NAME_ROOM, NAME_VARIABLE, RUN_VARIABLE, end_strays, running
from pacsweb.processes import LAUNCHER, run_folder, supervisor_configuration
from pacsweb.settings.environment import PROJECT_ROOT, Environment

_NOT_READY = 2
_INTERRUPTED = 130
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.15
_STOP_SECONDS = 20.0


class Command(BaseCommand):
    help = "Runs web, DICOM receiver, workers and scheduler until Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """No start without these steps; a packager may have done them already."""
        parser.add_argument(
            "--skip-static", action="store_true", help="do not collect static files"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Exit code 2 and one sentence when it cannot start, else that of the supervisor."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        environment = preflight.with_event_port(settings.PACSWEB)
        try:
            lock = preflight.check(environment)
        except preflight.NotReady as problem:
            self.stderr.write(str(problem))
            sys.exit(_NOT_READY)
        with lock:
            foreground = _Foreground(self, environment)
            try:
                password = self._prepare(skip_static=options["skip_static"])
            except KeyboardInterrupt:
                self.stdout.write("Stopped.")
                sys.exit(_INTERRUPTED)
            sys.exit(foreground.run(password))

    def _prepare(self, *, skip_static: bool) -> str:
        try:
            if first_start.migrate():
                self.stdout.write("The database is up to date.")
            if not skip_static and first_start.collect_static():
                self.stdout.write("The static files are up to date.")
            password = first_start.ensure_administrator()
            # Before anybody asks for it: what a loss of power left in the way to the inbox.
            clean_writing()
        except DatabaseError as problem:
            self.stderr.write(f"The database cannot be used: {str(problem).strip()}")
            sys.exit(_NOT_READY)
        connections.close_all()
        return password


class _Foreground:
    """One run of the supervisor: starts it, tells when it is ready, stops it on a signal."""

    def __init__(self, command: Command, environment: Environment) -> None:
        self._command = command
        self._password = ""
        self._environment = environment
        self._folder = run_folder(self._environment)
        self._stopping = False
        # At once: it imports the product while this process looks after the database.
        self._supervisor = self._start()

    def run(self, password: str) -> int:
        """Blocks until the supervisor is gone; returns the exit code for the shell."""
        self._password = password
        self._say("Starting…")
        self._begin()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup stays nohup. A script's background job is started with Ctrl-C ignored too, but
            # whoever sends that to it means it.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._stop)
        started = time.monotonic()
        while self._supervisor.poll() is None and not self._stopping:
            if self._announce_when_ready(started):
                break
            time.sleep(_POLL_SECONDS)
        self._supervisor.wait()
        return self._finish()

    def _start(self) -> subprocess.Popen[bytes]:
        configuration = self._folder / "supervisord.conf"
        configuration.write_text(supervisor_configuration(self._environment))
        _remove_stale(self._folder)
        return subprocess.Popen(  # noqa: S603 - our own interpreter and files
            [
                *(*LAUNCHER, "supervisord", str(self._folder), "--"),
                *(sys.executable, "-m", "pacsweb.supervisor", "-n", "-c", str(configuration)),
            ],
            env={
                **os.environ,
                NAME_VARIABLE: "supervisord".ljust(NAME_ROOM),
                RUN_VARIABLE: str(self._folder),
                "PACSWEB_EVENT_PORT": str(self._environment.event_port),
                "PYTHONUNBUFFERED": "1",
                # System checks are for developers; here they cost half a second per worker.
                "CELERY_SKIP_CHECKS": "1",
            },
            cwd=PROJECT_ROOT,
            # Ctrl-C reaches this process alone, which then asks the supervisor to stop.
            start_new_session=True,
            # Nothing is started before a byte comes, and nothing at all where none does.
            stdin=subprocess.PIPE,
        )

    def _begin(self) -> None:
        assert self._supervisor.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._supervisor.stdin as gate:
            gate.write(b"\n")

    def _stop(self, _number: int, _frame: Any) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._say("Stopping…")
        self._supervisor.terminate()

    def _finish(self) -> int:
        end_strays(str(self._folder))
        deadline = time.monotonic() + _STOP_SECONDS
        while any(running(str(self._folder))) and time.monotonic() < deadline:
            time.sleep(0.05)
        _remove_stale(self._folder)
        if self._password:
            self._say(self._login())
        if self._stopping:
            self._say("Stopped.")
            return 0
        self._command.stderr.write("The supervisor ended unexpectedly; everything was stopped.")
        return 1

    def _announce_when_ready(self, started: float) -> bool:
        if not _ready(_reachable(self._environment.bind), self._environment.http_port):
            if time.monotonic() - started > _READY_SECONDS:
                self._command.stderr.write("Not ready yet: /readyz names the part that is missing.")
                return True
            return False
        environment = self._environment
        address = _reachable(environment.bind)
        host = f"[{address}]" if ":" in address else address
        url = environment.public_url or f"http://{host}:{environment.http_port}"
        self._say(
            f"\n  pacsweb is ready at {url}/\n"
            f"  {self._login()}\n"
            f"  Send DICOM to AE title {environment.ae_title} at {address}, "
            f"port {environment.dicom_port}.\n"
            "  Ctrl-C stops it.\n"
        )
        self._password = ""
        return True

    def _login(self) -> str:
        name = first_start.ADMINISTRATOR
        if self._password:
            return f"Sign in as {name} with the password {self._password} (shown only this once)."
        if self._environment.admin_password:
            return f"Sign in as {name} with the password from PACSWEB_ADMIN_PASSWORD."
        return f"Sign in as {name} with the password shown at the first start."

    def _say(self, text: str) -> None:
        self._command.stdout.write(text)
        self._command.stdout.flush()


def _reachable(bind: str) -> str:
    """The address by which this machine reaches a server bound to `bind`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - a comparison


def _ready(address: str, port: int) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _remove_stale(folder: Path) -> None:
    """Pid files and sockets an earlier run may have left; nobody uses them any more."""
    for path in (*folder.glob("*.pid*"), *folder.glob("*.sock")):
        path.unlink(missing_ok=True)
