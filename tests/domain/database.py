"""A database of a test module's own, on either vendor, whatever the other tests use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from apps.access import prepared


@contextmanager
def own_database(request: pytest.FixtureRequest, blocker: Any, name: str) -> Iterator[str]:
    """`request.param` is the vendor; yields it, with the default connection migrated and empty."""
    from pacsweb.settings import database_from_url

    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").create(name)
    else:
        folder = request.getfixturevalue("tmp_path_factory").mktemp(name)
        url = f"sqlite:///{folder}/{name}.sqlite3"
    with blocker.unblock():
        before = connections.settings["default"]
        connections["default"].close()
        connections.settings["default"] = {**before, **database_from_url(url)}
        del connections["default"]
        prepared._here.database = None
        try:
            call_command("migrate", verbosity=0)
            yield connections["default"].vendor
        finally:
            connections["default"].close()
            connections.settings["default"] = before
            del connections["default"]
            prepared._here.database = None
