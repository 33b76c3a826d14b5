"""`manage.py serve`: starts, tells, heals, stops, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacsweb.settings.environment import PROJECT_ROOT
from tests.servers import free_port
from tests.stack import Stack

CHILDREN = ("redis", "web", "events", "dimse", "worker-index", "worker-transfer", "worker", "beat")


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").is_dir()


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid > 1:
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(re.search(r"^PPid:\s*(\d+)", status, re.MULTILINE)[1])  # type: ignore[index]
        found.add(pid)
    return found


def _shown(pid: int) -> str:
    """The process's command line, as `ps` shows it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def _receivers(house: Stack) -> list[int]:
    return [
        pid
        for pid, name in house.processes().items()
        if name == "dimse" and pid != house.pid("dimse")
    ]


@pytest.fixture(scope="module")
def house(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """One installation that all of these start and end; each leaves it running."""
    mine = Stack(production=request.config.getoption("--stack") == "production")
    yield mine
    mine.stop()


def _up(house: Stack) -> Stack:
    return house if house.processes() else house.start()


@pytest.mark.crash
def test_life_cycle(house: Stack) -> None:
    began = time.monotonic()
    house.start()
    first = time.monotonic() - began
    assert set(house.processes().values()) >= {*CHILDREN, "supervisord"}
    house.wait_until(lambda: "pacsweb is ready at" in house.log(), 30, "the announcement")
    assert house.interrupt() == 0
    assert house.processes() == {}
    assert not list(house.run_folder.glob("*.pid"))

    began = time.monotonic()
    house.start()
    # A ratio, because the machine may be busy: nothing is installed, built or migrated again.
    assert time.monotonic() - began < 1.5 * first + 5


@pytest.mark.crash
def test_a_second_start_on_the_same_folder(house: Stack) -> None:
    _assert_refused(
        _serve(_up(house).data_dir), f"pacsweb is already running on the folder {house.data_dir}"
    )


@pytest.mark.crash
def test_any_killed_process_is_restarted(house: Stack) -> None:
    _up(house)
    for name in CHILDREN:
        killed = house.kill(name)

        def back(name: str = name, killed: int = killed) -> bool:
            try:
                return house.pid(name) != killed and _lives(house.pid(name))
            except (FileNotFoundError, ValueError):
                return False

        house.wait_until(back, 30, f"{name} to be restarted")
    house.wait_ready()
    # Nobody whose parent was killed goes on beside the new ones.
    supervisor = house.pid("supervisord")
    for pid in house.processes():
        assert supervisor in {pid, *_ancestors(pid)}


@pytest.mark.crash
def test_every_process_goes_by_its_own_name(house: Stack) -> None:
    _up(house)
    house.wait_until(lambda: len(_receivers(house)) == 2, 30, "both receivers")
    shown = {name: _shown(house.pid(name)) for name in CHILDREN if name != "redis"}
    assert shown == {name: f"pacsweb {name}" for name in shown}
    os.kill(_receivers(house)[0], signal.SIGKILL)
    line = re.compile(r" dimse +ERROR apps\.dimse\.server: receiver process \d+ ended \(SIGKILL\)")
    house.wait_until(lambda: line.search(house.log()) is not None, 30, "the line in the log")


@pytest.mark.crash
def test_what_is_started_anew_is_not_imported_anew(house: Stack) -> None:
    before = house.kill("worker-index")
    house.wait_until(lambda: house.pid("worker-index") != before, 30, "another worker")
    house.wait_ready()
    pid = house.pid("worker-index")
    # Its memory is the supervisor's as long as nobody writes to it.
    memory = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = dict(re.findall(r"^(\w+): +(\d+) kB", memory, re.MULTILINE))
    assert int(sizes["Shared_Dirty"]) > int(sizes["Private_Dirty"])


@pytest.mark.crash
@pytest.mark.parametrize("victim", ["supervisord", "serve"])
def test_without_its_head_nothing_lingers_and_the_next_start_works(
    house: Stack, victim: str
) -> None:
    _up(house)
    pid = house.serve_pid if victim == "serve" else house.pid("supervisord")
    os.kill(pid, signal.SIGKILL)
    house.wait_until(lambda: not house.processes(), 60, "all processes to end")
    house._end(signal.SIGTERM)
    house.start()


@pytest.mark.crash
def test_after_a_power_cut_the_next_start_recovers(house: Stack) -> None:
    _up(house).kill_everything()
    house.start()
    assert house.get("/readyz").json()["ready"] is True
    # After all of this Ctrl-C still ends everything.
    assert house.interrupt() == 0
    assert house.processes() == {}


# -- refusals: one plain sentence and exit code 2, before anything is started


def _serve(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PACSWEB_")}
    inherited.pop("DJANGO_SETTINGS_MODULE", None)
    defaults = {
        "PACSWEB_DATA_DIR": str(folder),
        "PACSWEB_HTTP_PORT": str(free_port()),
        "PACSWEB_EVENT_PORT": str(free_port()),
        "PACSWEB_DICOM_PORT": str(free_port()),
    }
    return subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "manage.py"), "serve", "--skip-static"],
        env={**inherited, **defaults, **environment},
        cwd=PROJECT_ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _assert_refused(outcome: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert outcome.stderr.strip().count("\n") == 0
    assert sentence in outcome.stderr


@pytest.mark.parametrize(
    ("variable", "name"), [("HTTP", "web"), ("EVENT", "event"), ("DICOM", "DICOM")]
)
def test_a_port_that_is_taken(tmp_path: Path, variable: str, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        outcome = _serve(tmp_path, **{f"PACSWEB_{variable}_PORT": port})
    _assert_refused(
        outcome,
        f"The {name} port {port} is already in use: "
        f"free it, or set PACSWEB_{variable}_PORT to another.",
    )


def test_two_services_on_one_port(tmp_path: Path) -> None:
    port = free_port()
    outcome = _serve(tmp_path, PACSWEB_EVENT_PORT=str(port), PACSWEB_DICOM_PORT=str(port))
    _assert_refused(outcome, f"PACSWEB_DICOM_PORT and PACSWEB_EVENT_PORT are both {port}: set")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    obstacle = tmp_path / "file"
    obstacle.write_text("")
    outcome = _serve(obstacle / "data")
    _assert_refused(outcome, f"The folder {obstacle}/data cannot be written to (not a directory).")


def test_a_number_that_is_none(tmp_path: Path) -> None:
    outcome = _serve(tmp_path, PACSWEB_HTTP_PORT="eighty")
    _assert_refused(outcome, "PACSWEB_HTTP_PORT must be a whole number, not 'eighty'.")


def test_a_port_outside_the_range(tmp_path: Path) -> None:
    outcome = _serve(tmp_path, PACSWEB_DICOM_PORT="70000")
    _assert_refused(outcome, "PACSWEB_DICOM_PORT must be a port between 1 and 65535, not 70000.")


def test_a_foreign_address(tmp_path: Path) -> None:
    outcome = _serve(tmp_path, PACSWEB_BIND="192.0.2.1")
    _assert_refused(outcome, "The address 192.0.2.1 cannot be used on this machine")


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    outcome = _serve(tmp_path, PACSWEB_DATABASE_URL=url)
    assert outcome.returncode == 2
    assert "The database cannot be used:" in outcome.stderr
    assert "Traceback" not in outcome.stderr
