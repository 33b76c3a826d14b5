"""Cursors of the database server that nobody reads to their end, closed without a deadlock.

A generator over many rows that is dropped half way may sit in a reference cycle with an exception.
Then the garbage collector closes its cursor, whenever it runs: also in the middle of another
command on the same connection and in the same thread. psycopg's lock cannot be taken twice, and
the thread would wait for itself for ever. With a lock that can, psycopg closes the cursor where
the connection is between two commands, and lets it be, until the connection is closed, where not.
"""

from __future__ import annotations

from threading import RLock
from typing import Any


def let_cursors_close(connection: Any, **_signal: object) -> None:
    """Receives `connection_created` of Django's database wrappers."""
    if connection.vendor == "postgresql":
        connection.connection.lock = RLock()
