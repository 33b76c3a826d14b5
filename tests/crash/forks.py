"""Programs to be killed, forked from a process that has the libraries in memory already.

Each is a process of its own: nothing of the product is imported before the fork, and kill -9
ends it as it ends any other. Starting an interpreter and its libraries anew for each would take
most of these tests' time.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pacsweb.launch import die_with_parent

_POLL_SECONDS = 0.01
# What takes long of what the programs import, and can be imported before there are settings.
LIBRARIES = (
    "celery.app.base",
    "celery.app.task",
    "csp.constants",
    "django.core.cache.backends.redis",
    "django.core.management",
    "django.db.models",
    "django.forms",
    "django.http",
    "django.template.backends.django",
    "kombu.transport.redis",
    "psycopg",
    "pydicom.pixels",
    "redis",
    "requests",
)


class Forked:
    """One program; the part of `subprocess.Popen` that the tests use."""

    def __init__(self, forks: Forks, pid: int, output: Path) -> None:
        self._forks, self._output = forks, output
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._forks.ask(wait=self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float) -> tuple[str, None]:
        """Waits for its end; what it wrote."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < deadline, "the program did not end"
            time.sleep(_POLL_SECONDS)
        return self._output.read_text(), None


class Forks:
    """Starts programs: `start(module, arguments, environment, output)`."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.forks", str(theirs.fileno())],
            cwd=root,
            env=environment,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        self._answers = self._socket.makefile("r")

    def start(
        self, module: str, arguments: tuple[str, ...], environment: dict[str, str], output: Path
    ) -> Forked:
        wanted = [module, list(arguments), environment, str(output)]
        return Forked(self, self.ask(fork=wanted), output)

    def ask(self, **question: Any) -> Any:
        self._socket.sendall(json.dumps(question).encode() + b"\n")
        return json.loads(self._answers.readline())

    def close(self) -> None:
        self._socket.close()
        self._answers.close()
        self._process.wait(30)


def _child(module: str, arguments: list[str], environment: dict[str, str], output: str) -> None:
    die_with_parent()
    os.environ.clear()
    os.environ.update(environment)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(written, 1)
    sys.stdout = os.fdopen(1, "w")
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")


def _fork(wanted: list[Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _child(*wanted)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        os._exit(code)


def _ended(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _serve(descriptor: int) -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    with socket.socket(fileno=descriptor) as connection:
        for line in connection.makefile("r"):
            question = json.loads(line)
            answer = _fork(question["fork"]) if "fork" in question else _ended(question["wait"])
            connection.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    die_with_parent()
    _serve(int(sys.argv[1]))
