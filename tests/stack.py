"""Stack: the real product on free ports and a throwaway folder.

    stack.url("/readyz")    stack.auth       stack.dicom_port    stack.ae_title
    stack.kill("dimse")     stack.pid("web") stack.restart()     stack.manage("import", path)

`production=True` swaps SQLite, the embedded Redis and the local folder for PostgreSQL, a Redis
reached by TCP and an S3 server, all three real and started here.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from pacsweb.launch import running
from pacsweb.settings.environment import PROJECT_ROOT
from tests.servers import PostgreSQL, S3Server, TcpRedis, free_port

_READY_SECONDS = 90.0
_STOP_SECONDS = 30.0
_LAUNCHER = [sys.executable, "-I", "-S", str(PROJECT_ROOT / "pacsweb" / "launch.py")]


class StackFailed(AssertionError):
    """The product did not do what the test asked of it; carries the end of its log."""


class Stack:
    """One installation, started by `manage.py serve` as a user would."""

    username = "admin"
    password = "correct horse battery staple"

    def __init__(
        self, *, production: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pacsweb-stack-"))
        # PostgreSQL runs as somebody else when we are root.
        self.folder.chmod(0o755)
        self.data_dir = self.folder / "data"
        self.http_port = free_port()
        self.event_port = free_port()
        self.dicom_port = free_port()
        self.ae_title = "PACSWEB"
        self.production = production
        self.postgresql: PostgreSQL | None = None
        self.redis: TcpRedis | None = None
        self.s3: S3Server | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._extra = dict(environment or {})
        self._urls: dict[str, str] = {}

    # -- where things are

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def url(self, path: str) -> str:
        return self.base_url + path

    @property
    def auth(self) -> tuple[str, str]:
        """HTTP Basic credentials of the administrator."""
        return (self.username, self.password)

    @property
    def inbox(self) -> Path:
        return self.data_dir / "inbox"

    @property
    def run_folder(self) -> Path:
        return self.data_dir / "run"

    def environment(self) -> dict[str, str]:
        """What the product's processes get, and nothing else that begins with PACSWEB_."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("PACSWEB_")
        }
        inherited.pop("DJANGO_SETTINGS_MODULE", None)
        return {
            **inherited,
            "PACSWEB_DATA_DIR": str(self.data_dir),
            "PACSWEB_HTTP_PORT": str(self.http_port),
            "PACSWEB_EVENT_PORT": str(self.event_port),
            "PACSWEB_DICOM_PORT": str(self.dicom_port),
            "PACSWEB_AE_TITLE": self.ae_title,
            "PACSWEB_ADMIN_PASSWORD": self.password,
            **self._urls,
            **self._extra,
        }

    # -- start and stop

    def start(self, *, wait: bool = True) -> Stack:
        """Starts every process; returns when `/readyz` answers 200."""
        if self.production and not self._urls:
            self._start_servers()
        self.run_folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            # The launcher ends `serve` with the test run, even when that is killed.
            self._process = subprocess.Popen(
                [
                    *(*_LAUNCHER, "serve", str(self.run_folder), "--"),
                    *(sys.executable, str(PROJECT_ROOT / "manage.py"), "serve", "--skip-static"),
                ],
                env=self.environment(),
                cwd=PROJECT_ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()
        return self

    def _start_servers(self) -> None:
        self.postgresql = PostgreSQL(self.folder / "postgresql")
        self.redis = TcpRedis(self.folder / "redis")
        self.s3 = S3Server(self.folder / "s3")
        for server in (self.postgresql, self.redis, self.s3):
            server.start()
        self._urls = {
            "PACSWEB_DATABASE_URL": self.postgresql.create("pacsweb"),
            "PACSWEB_REDIS_URL": self.redis.url,
            "PACSWEB_STORAGE_URL": self.s3.url,
            **self.s3.credentials,
        }

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Waits for a 200 of `/readyz`; raises StackFailed when the product ends before."""

        def ready() -> bool:
            if self._process is not None and self._process.poll() is not None:
                raise StackFailed(f"serve ended with {self._process.returncode}:\n{self.log()}")
            return self.readiness()[0] == requests.codes.ok

        self.wait_until(ready, seconds, "the product to be ready")

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body of `/readyz`; (0, {}) when nobody answers."""
        try:
            response = requests.get(self.url("/readyz"), timeout=5)
        except requests.RequestException:
            return 0, {}
        return response.status_code, response.json()

    def wait_until(
        self, condition: Callable[[], bool], seconds: float = 30.0, what: str = "a condition"
    ) -> None:
        """Polls; raises StackFailed with the log's end after so many seconds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                state = self.readiness()
                raise StackFailed(
                    f"Waited {seconds:.0f} s for {what} in vain; /readyz: {state}.\n{self.log()}"
                )
            time.sleep(0.05)

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code of `serve`."""
        return self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            raise StackFailed(f"serve did not stop:\n{self.log()}") from None

    def restart(self) -> None:
        """Stops and starts again on the same folder."""
        self.interrupt()
        self.start()

    def stop(self) -> None:
        """Stops everything and removes the folder; safe to call twice."""
        try:
            if self._process is not None:
                self._end(signal.SIGTERM)
        finally:
            self.kill_everything()
            for server in (self.postgresql, self.redis, self.s3):
                if server is not None:
                    server.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- its processes

    def processes(self) -> dict[int, str]:
        """Process ids and names of everything that runs for this folder, `serve` excepted."""
        return dict(running(str(self.run_folder)))

    @property
    def serve_pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pid(self, name: str) -> int:
        """The main process of that name (web, dimse, worker, beat, redis, ...)."""
        return int((self.run_folder / f"{name}.pid").read_text())

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Kills the main process of that name; returns its process id."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def kill_everything(self) -> None:
        """SIGKILL for every process at once, as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    # -- talking to it

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `manage.py ...` on the same installation."""
        return subprocess.run(
            [sys.executable, str(PROJECT_ROOT / "manage.py"), *arguments],
            env=self.environment(),
            cwd=PROJECT_ROOT,
            check=check,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET as the administrator."""
        return requests.get(self.url(path), **{"auth": self.auth, "timeout": 30, **options})

    @property
    def log_file(self) -> Path:
        return self.folder / "serve.log"

    def log(self, last: int = 6000) -> str:
        """The end of what the product printed."""
        return self.log_file.read_text(errors="replace")[-last:]
