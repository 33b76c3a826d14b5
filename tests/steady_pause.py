"""pynetdicom's SCU without its race: a response could be taken by the reactor and thrown away.

The reactor says that it is paused before it looks whether it is to pause, and until it runs again
after it was let go. So the next `send_*()` may believe it while it goes on to read a message, which
is the response ("Received unexpected ... service message", and then a time-out). Here it is said
only while the reactor does pause.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from pynetdicom.association import Association


class _Checkpoint(threading.Event):
    """The reactor's checkpoint, which keeps `_is_paused` true to what the reactor does."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._deciding = threading.Lock()

    def set(self) -> None:
        with self._deciding:
            self._association._is_paused = False
            super().set()

    def clear(self) -> None:
        with self._deciding:
            super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        with self._deciding:
            if self.is_set():
                self._association._is_paused = False
                return True
        return super().wait(timeout)


_begin = Association.__init__


@functools.wraps(_begin)
def _begun(self: Association, *arguments: Any, **options: Any) -> None:
    _begin(self, *arguments, **options)
    checkpoint = _Checkpoint(self)
    if self._reactor_checkpoint.is_set():
        checkpoint.set()
    self._reactor_checkpoint = checkpoint


def pause_steadily() -> None:
    """For all associations that this process makes from now on."""
    Association.__init__ = _begun  # type: ignore[method-assign]  # the only way in
