"""The parent: binds the port, forks the receivers, replaces one that dies, stops them all."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time

from django.db import connections

from apps.dimse.house import Tally
from apps.dimse.lobby import Listeners
from apps.dimse.receiver import Limits, receive_forever

logger = logging.getLogger(__name__)

_BACKLOG = 512
_WATCHED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
# A child that dies sooner than this is not replaced at once, so a fault cannot fork-bomb.
_YOUNG_SECONDS = 2.0


class PortTakenError(OSError):
    """Somebody else listens there, or we may not."""


def listen(bind: str, port: int, setting: str = "PACSWEB_DICOM_PORT") -> socket.socket:
    """A listening socket, its port from `setting`. Raises PortTakenError with a sentence."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTakenError(f"Cannot listen on {bind}:{port}: {error.strerror}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"Cannot listen for DICOM on {bind}:{port}: {error.strerror}. "
            f"Set {setting} to a free port."
        ) from error
    listener.setblocking(False)
    return listener


class Server:
    """Runs until SIGTERM or SIGINT; returns the exit code."""

    def __init__(self, listeners: Listeners, processes: int, limits: Limits) -> None:
        self._listeners = listeners
        self._limits = limits
        self._tally = Tally(processes)
        self._children: dict[int, tuple[int, float]] = {}  # pid -> index, when started
        # Nobody ever writes: children see its end when the parent is gone, however it went.
        self._lifeline, self._life = os.pipe2(os.O_CLOEXEC)

    def run(self) -> int:
        """Forks, waits, replaces; 0 after a clean stop."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        connections.close_all()
        for index in range(len(self._tally.read())):
            self._fork(index)
        while True:
            number = signal.sigwait(_WATCHED)
            if number != signal.SIGCHLD:
                return self._stop()
            self._replace_dead()

    def _fork(self, index: int) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = (index, time.monotonic())
            return
        code = 1
        try:
            os.close(self._life)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            receive_forever(self._listeners, self._tally, index, self._lifeline, self._limits)
            code = 0
        except Exception:
            logger.exception("A receiver process failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _replace_dead(self) -> None:
        for pid, status in self._reap():
            index, started = self._children.pop(pid)
            self._tally.write(index, 0)
            logger.error(
                "receiver process %d ended (%s); starting another",
                pid,
                _ending(status),
            )
            if time.monotonic() - started < _YOUNG_SECONDS:
                time.sleep(_YOUNG_SECONDS / 2)
            self._fork(index)

    def _reap(self) -> list[tuple[int, int]]:
        found = []
        for pid in list(self._children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                found.append((pid, status))
        return found

    def _stop(self) -> int:
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + self._limits.grace + 1.5
        while self._children and time.monotonic() < until:
            for pid, _ in self._reap():
                del self._children[pid]
            time.sleep(0.02)
        for pid in list(self._children):
            logger.error("receiver process %d does not stop; killed", pid)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._listeners.close()
        return 0


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit code {os.WEXITSTATUS(status)}"
