"""The receiver as a process of its own, on a free port and a throwaway folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.protocol.dimse.wire import Wire

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DimseServer:
    """`manage.py dimse` with two children. Its database has the tables and no indexer runs."""

    def __init__(self, folder: Path, database: Path | None, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.database = folder / "pacsweb.sqlite3"
        folder.mkdir(parents=True, exist_ok=True)
        if database is not None:
            shutil.copy(database, self.database)
        # The test process has settings of its own; the receiver gets those of the product.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PACSWEB_") and name != "DJANGO_SETTINGS_MODULE"
        }
        self.environment = inherited | {
            "PACSWEB_DATA_DIR": str(folder),
            "PACSWEB_DICOM_PORT": str(self.port),
            "PACSWEB_BIND": "127.0.0.1",
            "PACSWEB_AE_TITLE": "PACSWEB",
            "PACSWEB_REDIS_URL": f"unix://{folder}/no-redis.sock",
            "PACSWEB_DIMSE_PROCESSES": "2",
        }
        self.environment |= environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> DimseServer:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "dimse", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.wait_for(self._listens, 60)
        wanted = int(self.environment["PACSWEB_DIMSE_PROCESSES"])
        self.wait_for(lambda: len(self.children()) == wanted)
        return self

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            Wire(self.port).socket.close()
        except ConnectionRefusedError:
            return False
        return True

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def sql(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self.database, timeout=10)
        with connection:
            connection.execute(statement, values)
        connection.close()

    def children(self) -> list[int]:
        assert self.process is not None
        pid = self.process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(each) for each in text.split()]

    def resident(self) -> int:
        """Bytes of memory all children hold for themselves."""
        total = 0
        for pid in self.children():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_"):
                    total += int(line.split()[1]) * 1024
        return total

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def faults(self) -> list[str]:
        """Lines of tracebacks through our own code."""
        return [line for line in self.log().splitlines() if 'File "' in line and "/apps/" in line]

    def ready(self) -> list[Path]:
        return sorted((self.folder / "inbox" / "ready").glob("*"))

    def writing(self) -> list[Path]:
        return sorted((self.folder / "inbox" / "writing").glob("*"))

    def wire(self, timeout: float = 10.0) -> Wire:
        return Wire(self.port, timeout)

    @staticmethod
    def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.02)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    server = DimseServer(tmp_path_factory.mktemp("template"), None)
    done = server.manage("migrate", "-v0")
    assert done.returncode == 0, done.stderr
    connection = sqlite3.connect(server.database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return server.database


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: Path
) -> Iterator[DimseServer]:
    """One receiver for all tests of a module that leave it as it is."""
    running = DimseServer(tmp_path_factory.mktemp("dimse"), migrated_database)
    try:
        running.start()
        yield running
    finally:
        code = running.stop()
    assert code == 0, running.log()
    assert not running.faults(), running.log()


@pytest.fixture
def own_server(tmp_path: Path, migrated_database: Path) -> Iterator[DimseServer]:
    """A receiver of one's own, not yet started."""
    made = DimseServer(tmp_path / "data", migrated_database)
    yield made
    if made.process is not None:
        made.stop()
        assert not made.faults(), made.log()
