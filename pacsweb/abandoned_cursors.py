"""Cursors of the database server that nobody reads to their end, closed without harm to others.

A generator over many rows that is dropped half way may sit in a reference cycle with an exception.
Then the garbage collector closes its cursor, whenever it runs: also in the middle of another
command on the same connection and in the same thread. psycopg's lock cannot be taken twice, and
the thread would wait for itself for ever. With a lock that can, psycopg closes the cursor where
the connection is between two commands, and lets it be, until the connection is closed, where not.

Or it runs during a later transaction. The cursor ended with its own, and to close one that is not
there would break the transaction that is under way; so the server is asked first.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from threading import RLock
from typing import Any


def let_cursors_close(connection: Any, **_signal: object) -> None:
    """Receives `connection_created` of Django's database wrappers."""
    if connection.vendor == "postgresql":
        connection.connection.lock = RLock()
        _ask_before_closing()


@cache
def _ask_before_closing() -> None:
    """Once in a process. Django has no setting for the class of its cursors."""
    base: Any = import_module("django.db.backends.postgresql.base")

    class AskingCursor(base.ServerSideCursor):  # type: ignore[misc]  # as it is imported by name
        """As psycopg does with a cursor that somebody else declared."""

        def _close_gen(self) -> Any:
            if not self._withhold:
                self._described = False
            return super()._close_gen()

    base.ServerSideCursor = AskingCursor
