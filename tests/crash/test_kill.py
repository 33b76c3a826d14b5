"""kill -9 at every numbered step, and whatever else can go away; afterwards count.

Every instance that was acknowledged must be searchable once, with its data set byte for byte.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from pydicom.uid import generate_uid as new_uid

from apps.ingest.crash_points import POINTS
from tests.builders import ct_slice, part10
from tests.crash.forks import Forked, Forks
from tests.servers import PostgreSQL
from tests.stack import Stack

pytestmark = pytest.mark.crash

ROOT = Path(__file__).resolve().parents[2]
FILES = 12
RECEIVER = POINTS[:4]
WORKER = POINTS[5:]


class Installation:
    """A database, an inbox and a blob folder; programs are run on it and killed."""

    def __init__(self, folder: Path, database_url: str, forks: Forks) -> None:
        self.folder = folder
        self._forks = forks
        self._started = itertools.count()
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PACSWEB_")
        } | {
            "PACSWEB_DATA_DIR": str(folder / "data"),
            "PACSWEB_DATABASE_URL": database_url,
            "PACSWEB_LOG_LEVEL": "ERROR",
        }
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)

    def make_files(self, count: int = FILES, studies: int = 2) -> None:
        uids = [(new_uid(), new_uid(), f"P{new_uid()[-6:]}") for _ in range(studies)]
        for number in range(count):
            study, series, patient = uids[number % studies]
            ds = ct_slice(
                study=study, series=series, number=number, size=256, seed=number, PatientID=patient
            )
            (self.files / f"{number:03d}").write_bytes(part10(ds))

    def start(self, *arguments: str, crash_at: str = "") -> Forked:
        return self._forks.start(
            "tests.crash.program",
            arguments,
            {**self.environment, "PACSWEB_TEST_CRASH_AT": crash_at},
            self.folder / f"output-{next(self._started)}",
        )

    def run(self, *arguments: str, crash_at: str = "") -> tuple[int, list[str]]:
        process = self.start(*arguments, crash_at=crash_at)
        out, _ = process.communicate(timeout=240)
        return process.returncode, out.splitlines()

    def receive(self, crash_at: str = "", door: str = "receive") -> list[str]:
        code, acknowledged = self.run(door, str(self.files), crash_at=crash_at)
        assert code == (-signal.SIGKILL if crash_at else 0)
        return acknowledged

    def index(self, crash_at: str = "") -> None:
        code, out = self.run("index", crash_at=crash_at)
        assert code == (-signal.SIGKILL if crash_at else 0), out

    def report(self, *before: str) -> dict:
        """What became of the files; `before` are commands that the same process runs first."""
        commands = [word for each in before for word in (*self.commands(each), "then")]
        code, out = self.run(*commands, *self.commands("check"))
        assert code == 0
        return json.loads(out[-1])

    def commands(self, name: str) -> tuple[str, ...]:
        return (name,) if name == "index" else (name, str(self.files))

    def everything_is_there_once(self, *before: str) -> dict:
        report = self.report(*before)
        assert set(report["found"].values()) == {1}
        assert report["wrong"] == []
        assert report["told"] == len(report["found"])
        assert report["told_once"]
        assert report["quarantined"] == 0
        assert report["waiting"] == report["writing"] == 0
        return report


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    mine = Forks(ROOT, environment)
    yield mine
    mine.close()


@pytest.fixture(scope="module")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "empty.sqlite3"
    migrate(f"sqlite:///{path}", path.parent)
    # WAL is folded back so that the one file is the database.
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=DELETE")
    return path


@pytest.fixture(scope="module")
def postgresql_url(
    postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    url = postgresql.create("crash")
    migrate(url, tmp_path_factory.mktemp("postgresql"))
    return url


def migrate(url: str, folder: Path) -> None:
    environment = {**os.environ, "PACSWEB_DATABASE_URL": url, "PACSWEB_DATA_DIR": str(folder)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=240,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path, forks: Forks) -> Installation:
    if request.param == "postgresql":
        return Installation(tmp_path, request.getfixturevalue("postgresql_url"), forks)
    return sqlite_installation(tmp_path, request.getfixturevalue("empty_sqlite"), forks)


def sqlite_installation(folder: Path, empty: Path, forks: Forks) -> Installation:
    database = folder / "database.sqlite3"
    shutil.copy(empty, database)
    return Installation(folder, f"sqlite:///{database}", forks)


@pytest.mark.parametrize(
    ("door", "crash_at"),
    [("receive", each) for each in (*RECEIVER, "writing:2", "synced:5", "committed:7")]
    + [("receive-groups", each) for each in ("synced:5", "renamed:5", "committed:2")]
    + [("receive-answered", each) for each in ("foretold:2", "renamed:6", "committed:4")]
    + [("receive-at-once", each) for each in ("writing:4", "foretold:2", "synced:5", "renamed:6")],
)
def test_STO_03_the_receiver_is_killed(
    tmp_path: Path, empty_sqlite: Path, door: str, crash_at: str, forks: Forks
):
    """What was answered is kept; what was not is sent again and is not doubled."""
    installation = sqlite_installation(tmp_path, empty_sqlite, forks)
    installation.make_files()
    acknowledged = installation.receive(crash_at, door)
    assert len(acknowledged) < FILES
    report = installation.report("index")
    assert report["wrong"] == []
    assert {report["found"][name] for name in acknowledged} <= {1}
    assert report["writing"] == 0
    # A modality that got no answer sends everything again.
    installation.everything_is_there_once("receive", "index")


@pytest.mark.parametrize("crash_at", [*WORKER, "settling:5"])
def test_STO_03_the_indexer_is_killed(installation: Installation, crash_at: str):
    """The second run finishes what the first began, and nothing is stored or told twice."""
    installation.make_files()
    assert len(installation.receive()) == FILES
    installation.index(crash_at)
    assert installation.everything_is_there_once("index")["blobs"] == FILES


def test_STO_03_the_indexer_is_killed_at_every_step_in_turn(installation: Installation):
    installation.make_files()
    installation.receive()
    for crash_at in ("claimed", "placed", "recorded", "indexed"):
        installation.index(crash_at)
    installation.everything_is_there_once("index")


def test_a_file_that_kills_the_indexer_is_set_aside_and_the_others_are_stored(
    tmp_path: Path, empty_sqlite: Path, forks: Forks
):
    """First with its batch, then three times alone: then it is kept without being read."""
    installation = sqlite_installation(tmp_path, empty_sqlite, forks)
    installation.make_files()
    installation.receive()
    for _ in range(4):
        installation.index("scanning")
    report = installation.report("index")
    assert sorted(report["found"].values()) == [0] + [1] * (FILES - 1)
    assert report["waiting"] == 0
    assert report["wrong"] == []
    code, out = installation.run("cases")
    assert code == 0
    (case,) = json.loads(out[-1])
    assert case["reason"] == "failed"
    assert "ended the indexer" in case["explanation"]


def test_STO_03_receiver_and_indexers_are_killed_at_any_moment(installation: Installation):
    """Six rounds of receiving and two indexers at once, each killed after a random time."""
    installation.make_files(40, studies=3)
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    for _ in range(6):
        receiver = installation.start("receive", str(installation.files))
        indexers = [installation.start("index") for _ in range(2)]
        time.sleep(chance.uniform(0.5, 3.0))
        for process in [*indexers, receiver]:
            process.send_signal(signal.SIGKILL)
        out, _ = receiver.communicate(timeout=60)
        acknowledged.update(line for line in out.splitlines() if line)
        for process in indexers:
            process.communicate(timeout=60)
    report = installation.report("index")
    assert {report["found"][name] for name in acknowledged} <= {1}, f"seed {seed}"
    assert report["wrong"] == [], f"seed {seed}"
    installation.everything_is_there_once("receive", "index")


def test_several_indexers_share_the_work_and_count_right(installation: Installation):
    """Four workers on three studies: rows are locked in one order, so nobody waits in a circle."""
    installation.make_files(120, studies=3)
    receiver = installation.start("receive", str(installation.files))
    deadline = time.monotonic() + 120
    while receiver.poll() is None and time.monotonic() < deadline:
        indexers = [installation.start("index") for _ in range(4)]
        for indexer in indexers:
            out, _ = indexer.communicate(timeout=120)
            assert indexer.returncode == 0, out
    assert receiver.communicate(timeout=60)[0].count("\n") == 120
    installation.everything_is_there_once("index")


def test_PostgreSQL_is_away_for_a_while(tmp_path: Path, forks: Forks):
    """Receiving goes on; the indexer says so and leaves everything; afterwards all is there."""
    # In a folder that PostgreSQL's own user can reach.
    server = PostgreSQL(Path(settings.TEST_FOLDER) / "postgresql-away")
    server.start()
    try:
        installation = Installation(tmp_path / "installation", server.create("away"), forks)
        migrate(server.url("away"), tmp_path / "installation" / "data")
        installation.make_files()
        server.stop()
        assert len(installation.receive()) == FILES
        code, out = installation.run("index")
        assert code == 3
        assert out[0].startswith("Unavailable")
        server.start()
        installation.everything_is_there_once("index")
    finally:
        server.stop()


def test_SQLite_is_locked_for_a_while(tmp_path: Path, empty_sqlite: Path, forks: Forks):
    installation = sqlite_installation(tmp_path, empty_sqlite, forks)
    installation.make_files()
    locker = sqlite3.connect(tmp_path / "database.sqlite3", isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    try:
        assert len(installation.receive()) == FILES
        indexer = installation.start("index")
        time.sleep(3)
        assert indexer.poll() is None
    finally:
        locker.execute("ROLLBACK")
        locker.close()
    out, _ = indexer.communicate(timeout=60)
    assert indexer.returncode == 0, out
    installation.everything_is_there_once()


def test_the_broker_is_flushed_and_killed(own_stack: Stack, forks: Forks):
    """No message survives, and no instance needs one: the sweep finds what waits."""
    own_stack.start()
    installation = Installation(own_stack.folder / "crash", "", forks)
    installation.environment = own_stack.environment()
    installation.make_files()
    killed: set[int] = set()

    def kill_redis(stack: Stack) -> None:
        if not stack.production:
            # The one before may not have been replaced yet.
            stack.wait_until(lambda: stack.pid("redis") not in killed, 30, "another Redis")
            killed.add(stack.kill("redis"))

    for broken in (_flush, kill_redis):
        broken(own_stack)
        # Nobody rings for these: exactly what a lost message looks like.
        assert len(installation.receive()) == FILES
        broken(own_stack)
    own_stack.wait_until(
        lambda: installation.report()["waiting"] == 0, 60, "the sweep to find the files"
    )
    installation.everything_is_there_once()


def _flush(stack: Stack) -> None:
    import redis

    url = stack.environment().get("PACSWEB_REDIS_URL")
    client = (
        redis.from_url(url)
        if url
        else redis.Redis(unix_socket_path=str(stack.run_folder / "redis.sock"))
    )
    client.flushall()
    client.close()
