"""The two receivers that are compared: the whole of pacsweb, and Orthanc as Debian packages it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Protocol

import requests

from tests.servers import free_port
from tests.stack import Stack

_TICK = os.sysconf("SC_CLK_TCK")


class Target(Protocol):
    """Where instances go."""

    name: str
    ae_title: str

    @property
    def port(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def processes(self) -> list[int]: ...
    def searchable(self, study_instance_uid: str) -> int: ...


class Pacsweb:
    """Every process of `manage.py serve`, with its embedded defaults."""

    name = "pacsweb"
    ae_title = "PACSWEB"

    def __init__(self) -> None:
        self._stack = Stack()
        self._database: sqlite3.Connection | None = None

    @property
    def port(self) -> int:
        return self._stack.dicom_port

    def start(self) -> None:
        self._stack.start()
        self._database = sqlite3.connect(self._stack.data_dir / "pacsweb.sqlite3", timeout=30)

    def stop(self) -> None:
        if self._database is not None:
            self._database.close()
        self._stack.stop()

    def manage(self, *arguments: str) -> None:
        """A command of the product."""
        self._stack.manage(*arguments)

    def processes(self) -> list[int]:
        return _with_descendants([*self._stack.processes()])

    def searchable(self, study_instance_uid: str) -> int:
        assert self._database is not None
        row = self._database.execute(
            "select count(*) from archive_instance i join archive_study s on s.id = i.study_id"
            " where s.study_instance_uid = ?",
            (study_instance_uid,),
        ).fetchone()
        return int(row[0])


class Orthanc:
    """SQLite index, storage synchronised to disk before the answer, as durable as we are."""

    name = "orthanc"
    ae_title = "ORTHANC"

    def __init__(self, modalities: dict[str, tuple[str, str, int]] | None = None) -> None:
        """`modalities`: name to AE title, host and port of those it may send to."""
        self._modalities = modalities or {}
        self._environment = dict(os.environ)
        if modalities:  # it sends, and DCMTK leaves Nagle's algorithm on unless told otherwise
            self._environment["TCP_NODELAY"] = "1"
        self._folder = Path(tempfile.mkdtemp(prefix="orthanc-"))
        self._http_port = free_port()
        self._dicom_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self._dicom_port

    def start(self) -> None:
        configuration = self._folder / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "Name": "benchmark",
                    "StorageDirectory": str(self._folder / "storage"),
                    "IndexDirectory": str(self._folder / "storage"),
                    "SyncStorageArea": True,
                    "DicomAet": self.ae_title,
                    "DicomPort": self._dicom_port,
                    "HttpPort": self._http_port,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "DicomAlwaysAllowStore": True,
                    "DicomAlwaysAllowGet": True,
                    "DicomAlwaysAllowMove": True,
                    "DicomModalities": {
                        name: list(where) for name, where in self._modalities.items()
                    },
                    "Plugins": [],
                }
            )
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["Orthanc", str(configuration)], stdout=log, stderr=log, env=self._environment
            )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                requests.get(self._url("/system"), timeout=2).raise_for_status()
            except requests.RequestException:
                time.sleep(0.1)
            else:
                return
        raise AssertionError((self._folder / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)

    def processes(self) -> list[int]:
        assert self._process is not None
        return [self._process.pid]

    def searchable(self, study_instance_uid: str) -> int:
        found = requests.post(
            self._url("/tools/find"),
            json={"Level": "Study", "Query": {"StudyInstanceUID": study_instance_uid}},
            timeout=60,
        ).json()
        if not found:
            return 0
        statistics = requests.get(self._url(f"/studies/{found[0]}/statistics"), timeout=60).json()
        return int(statistics["CountInstances"])

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._http_port}{path}"


class Dcmqrscp:
    """DCMTK's archive: an index in a file, nothing synchronised."""

    name = "dcmqrscp"
    ae_title = "QRSCP"

    def __init__(self, destinations: dict[str, tuple[str, str, int]]) -> None:
        """`destinations`: name to AE title, host and port of those it may send to."""
        self._folder = Path(tempfile.mkdtemp(prefix="dcmqrscp-"))
        self._destinations = destinations
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        storage = self._folder / "storage"
        storage.mkdir()
        hosts = "\n".join(
            f"{name.lower()} = ({title}, {host}, {port})"
            for name, (title, host, port) in self._destinations.items()
        )
        configuration = self._folder / "dcmqrscp.cfg"
        configuration.write_text(
            f"NetworkTCPPort = {self._port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
            f"HostTable BEGIN\n{hosts}\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{self.ae_title} {storage} RW (100, 1024mb) ANY\nAETable END\n"
        )
        self._process = subprocess.Popen(
            ["dcmqrscp", "-c", str(configuration)], env=os.environ | {"TCP_NODELAY": "1"}
        )
        until = time.monotonic() + 20
        while subprocess.run(
            ["echoscu", "-aec", self.ae_title, "127.0.0.1", str(self._port)],
            check=False,
            capture_output=True,
        ).returncode:
            assert time.monotonic() < until, "dcmqrscp does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)

    def processes(self) -> list[int]:
        assert self._process is not None
        return _with_descendants([self._process.pid])

    def searchable(self, study_instance_uid: str) -> int:
        """Its images are files; the index is written before each answer."""
        assert study_instance_uid
        return sum(1 for each in (self._folder / "storage").iterdir() if each.name != "index.dat")


def _with_descendants(pids: list[int]) -> list[int]:
    found = list(dict.fromkeys(pids))
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(each) for each in task.read_text().split() if int(each) not in found]
            except OSError:
                continue
    return found


def processor_seconds(target: Target) -> float:
    """User and system time of all its processes so far."""
    total = 0
    for pid in target.processes():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def anonymous_memory(target: Target) -> int:
    """Resident bytes that are no file's, of all its processes; shared pages count once each."""
    total = 0
    for pid in target.processes():
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) * 1024
            for line in lines
            if line.startswith(("RssAnon:", "RssShmem:"))
        )
    return total


class MemoryWatch:
    """The highest anonymous memory while it runs, above that at its start, in bytes."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._before = anonymous_memory(target)
        self._highest = self._before
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            self._highest = max(self._highest, anonymous_memory(self._target))

    def growth(self) -> int:
        self._ended.set()
        self._thread.join()
        return max(self._highest, anonymous_memory(self._target)) - self._before
