"""A cursor that is closed at the wrong moment stops no thread and breaks no transaction."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import Any

from django.db.utils import ConnectionHandler

from pacsweb.settings import database_from_url
from tests.servers import PostgreSQL

_ROWS = "SELECT generate_series(1, 5000)"
_OPEN = "SELECT count(*) FROM pg_catalog.pg_cursors WHERE name LIKE '_django_curs%'"


def _collected_while_busy(url: str) -> tuple[int, int, list[tuple[int]]]:
    """How many cursors are open before and behind; and what another cursor goes on to read."""
    connection = ConnectionHandler({"default": database_from_url(url)})["default"]
    try:
        dropped, read = connection.chunked_cursor(), connection.chunked_cursor()
        for cursor in (dropped, read):
            cursor.execute(_ROWS)
            cursor.fetchmany(10)
        with connection.cursor() as asked:
            before = asked.execute(_OPEN).fetchone()[0]
            # As when the garbage collector runs inside of any command.
            with connection.connection.lock:
                dropped.close()
            after = asked.execute(_OPEN).fetchone()[0]
        rows = read.fetchmany(2)
        read.close()
        return before, after, rows
    finally:
        connection.close()


def test_the_garbage_collector_may_close_a_cursor_inside_of_a_command(
    postgresql: PostgreSQL, django_db_blocker: Any
) -> None:
    url = postgresql.create("cursors")
    answer: Future[tuple[int, int, list[tuple[int]]]] = Future()

    def run() -> None:
        try:
            answer.set_result(_collected_while_busy(url))
        except Exception as failure:  # noqa: BLE001 - shown by result()
            answer.set_exception(failure)

    # A thread that stood still could not be ended.
    with django_db_blocker.unblock():
        Thread(target=run, daemon=True).start()
        assert answer.result(timeout=60) == (2, 1, [(11,), (12,)])


def test_the_garbage_collector_may_close_a_cursor_in_a_later_transaction(
    postgresql: PostgreSQL, django_db_blocker: Any
) -> None:
    connection = ConnectionHandler({"default": database_from_url(postgresql.create("later"))})[
        "default"
    ]
    with django_db_blocker.unblock():
        try:
            connection.set_autocommit(False)
            dropped, closed = connection.chunked_cursor(), connection.chunked_cursor()
            dropped.execute(_ROWS)
            connection.rollback()
            closed.execute(_ROWS)
            with connection.cursor() as asked:
                dropped.close()
                assert asked.execute(_OPEN).fetchone() == (1,)
                closed.close()
                assert asked.execute(_OPEN).fetchone() == (0,)
        finally:
            connection.close()
