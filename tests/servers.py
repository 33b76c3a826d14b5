"""Throwaway servers for a test run: Redis, PostgreSQL, an S3 server. Real ones, on free ports.

Each ends with the test run, whatever happens to it: the kernel sends them SIGTERM when it dies.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacsweb import redis_server
from pacsweb.launch import die_with_parent
from tests.programs import missing, need

_START_SECONDS = 30.0


def free_port() -> int:
    """A TCP port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A child process with a log file, started by the launcher, stopped by `stop`."""

    name = "server"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                # Runs after the change of user, which would cancel it.
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads yet
                **self.options(),
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"{self.name} did not start:\n{self.log()}", pytrace=False)
            time.sleep(0.02)

    def options(self) -> dict[str, Any]:
        return {}

    def log(self) -> str:
        path = self.folder / f"{self.name}.log"
        return path.read_text(errors="replace")[-4000:] if path.is_file() else ""

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)


class UnixRedis(Server):
    """The embedded Redis, exactly as `serve` starts it."""

    name = "redis"

    def __init__(self, environment: Any) -> None:
        super().__init__(environment.data_dir / "run")
        self._environment = environment

    def command(self) -> list[str]:
        Path(self._environment.redis_socket).parent.mkdir(parents=True, exist_ok=True)
        return redis_server.command(self._environment)

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self._environment.redis_socket) == 0


class TcpRedis(Server):
    """A Redis as production has it: reached by redis://."""

    name = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        options += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        return [str(redis_server.binary(self.folder)), *options]

    def answers(self) -> bool:
        return listens(self.port)


class PostgreSQL(Server):
    """A cluster of its own on a unix socket; durable enough for tests that kill it."""

    name = "postgres"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._binaries = _postgresql_binaries()
        self._user = _unprivileged_user()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            shutil.chown(self.folder, self._user, self._user_group())
        if not (self.folder / "cluster").is_dir():
            command = [str(self._binaries / "initdb"), "-D", str(self.folder / "cluster")]
            command += ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
            subprocess.run(command, check=True, capture_output=True, cwd="/", **self.options())
        super().start()

    def command(self) -> list[str]:
        command = [str(self._binaries / "postgres"), "-D", str(self.folder / "cluster")]
        for option in (
            "listen_addresses=",
            f"unix_socket_directories={self.folder}",
            "max_connections=60",
            "shared_buffers=64MB",
            # The machine is not switched off by a test; processes are.
            "fsync=off",
        ):
            command += ["-c", option]
        return command

    def options(self) -> dict[str, Any]:
        if not self._user:
            return {}
        return {"user": self._user, "group": self._user_group(), "extra_groups": []}

    def _user_group(self) -> int:
        return pwd.getpwnam(self._user).pw_gid

    def answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
            return True
        return False

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        super().stop(number)  # SIGINT: a fast shutdown that waits for nobody

    def create(self, name: str) -> str:
        """Makes a database and returns its URL."""
        import psycopg

        with psycopg.connect(self.dsn("postgres"), autocommit=True) as session:
            session.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def dsn(self, name: str) -> str:
        return f"host={self.folder} user=postgres dbname={name}"


class S3Server(Server):
    """moto's S3 server over real HTTP, with one bucket."""

    name = "s3"
    bucket = "pacsweb"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/blobs?endpoint_url={self.endpoint}&region=us-east-1"

    @property
    def credentials(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def answers(self) -> bool:
        return listens(self.port)

    def start(self) -> None:
        import boto3

        super().start()
        boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        ).create_bucket(Bucket=self.bucket)


def listens(port: int) -> bool:
    """Whether a program on this machine takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def listening(port: int, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A stranger's server (a DCMTK program) from when it listens until it is ended."""
    with subprocess.Popen([need(command[0]), *command[1:]]) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not listens(port):
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()


def _unprivileged_user() -> str:
    """Who runs PostgreSQL when we are root, which it refuses to be; "" when we are not."""
    if os.geteuid() != 0:
        return ""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _postgresql_binaries() -> Path:
    """The newest PostgreSQL of the system, else the one in the `pgserver` wheel."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"),
        key=lambda path: int(path.parts[-3]) if path.parts[-3].isdigit() else 0,
    )
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path and shutil.which("initdb"):
        return Path(on_path).parent
    with contextlib.suppress(ImportError):
        import pgserver

        packaged = Path(pgserver.__file__).parent / "pginstall" / "bin"
        if (packaged / "postgres").is_file():
            return packaged
    return missing("PostgreSQL")
