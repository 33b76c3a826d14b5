"""Shared fixtures: the corpus, the stacks the tests run on, the database they use.

pytest [--stack=embedded|production] [--database=sqlite|postgresql]
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connections

from pacsweb.settings import database_from_url
from tests.servers import PostgreSQL, S3Server, UnixRedis
from tests.stack import Stack
from tests.steady_pause import pause_steadily

pause_steadily()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pacsweb")
    group.addoption("--stack", choices=("embedded", "production"), default="embedded")
    group.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite")


def pytest_report_header(config: pytest.Config) -> str:
    return f"stack: {config.getoption('--stack')}, database: {config.getoption('--database')}"


# -- files


def _corpus_folder() -> Path | None:
    given = os.environ.get("PACSWEB_TEST_CORPUS", "")
    candidates = [Path(given)] if given else []
    candidates.append(Path(__file__).resolve().parents[2] / "shared" / "corpus")
    return next((each for each in candidates if (each / "MANIFEST.csv").is_file()), None)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real files nobody here wrote, or a skip that says how to get it."""
    folder = _corpus_folder()
    if folder is None:
        pytest.skip("no test corpus: set PACSWEB_TEST_CORPUS to its folder")
    return folder


# -- servers inside the test process's own installation


@pytest.fixture(scope="session")
def redis_server() -> Iterator[UnixRedis]:
    """The embedded Redis of the test process; kill() and start() it to see what happens."""
    server = UnixRedis(settings.PACSWEB)
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _nobody_is_remembered(request: pytest.FixtureRequest) -> Iterator[None]:
    """The next test may have other users under the same keys."""
    yield
    if request.node.get_closest_marker("django_db") is not None:
        from apps.access.authentication import forget_remembered

        forget_remembered()


@pytest.fixture(autouse=True)
def _clean_redis(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that touch the database get a running, empty Redis too, as the product has."""
    if request.node.get_closest_marker("django_db") is None:
        yield
        return
    request.getfixturevalue("redis_server")
    cache.clear()
    yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL of the test run's own; `create(name)` returns a database URL."""
    server = PostgreSQL(Path(settings.TEST_FOLDER) / "postgresql")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server over real HTTP with an empty bucket; see `.endpoint` and `.bucket`."""
    server = S3Server(Path(settings.TEST_FOLDER) / "s3")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """With --database=postgresql the domain tests run unchanged on a real PostgreSQL."""
    if request.config.getoption("--database") != "postgresql":
        return
    server = request.getfixturevalue("postgresql")
    url = server.url("pacsweb")
    replacement = {**connections.settings["default"], **database_from_url(url)}
    replacement["TEST"] = {**replacement["TEST"], "NAME": "pacsweb"}
    # Django connects to `postgres` to make the test database.
    connections.settings["default"] = replacement
    settings.DATABASES["default"] = replacement
    del connections["default"]
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, database_url=url)


# -- the whole product


@pytest.fixture(scope="session")
def _stacks(request: pytest.FixtureRequest) -> Iterator[dict[bool, Stack]]:
    stacks: dict[bool, Stack] = {}
    yield stacks
    for each in stacks.values():
        each.stop()


def _shared(stacks: dict[bool, Stack], *, production: bool) -> Stack:
    if production not in stacks:
        stacks[production] = Stack(production=production)
        stacks[production].start()
    return stacks[production]


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, _stacks: dict[bool, Stack]) -> Stack:
    """The running product, shared by all tests that leave it running; --stack picks its shape."""
    production = request.config.getoption("--stack") == "production"
    return _shared(_stacks, production=production)


@pytest.fixture(scope="session")
def production_stack(_stacks: dict[bool, Stack]) -> Stack:
    """The running product on PostgreSQL, Redis over TCP and S3, whatever --stack says."""
    return _shared(_stacks, production=True)


@pytest.fixture
def own_stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A product of the test's own, not started yet: for tests that kill and restart."""
    options: dict[str, Any] = getattr(request, "param", {})
    mine = Stack(production=request.config.getoption("--stack") == "production", **options)
    yield mine
    mine.stop()
