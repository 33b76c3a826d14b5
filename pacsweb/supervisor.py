"""supervisord whose processes are forks of itself: `python -m pacsweb.supervisor -n -c FILE`.

It imports the product once, opens nothing (no connection, no thread of ours), and forks each
process from that. What was imported is shared memory, and a start or restart of a process costs a
tenth of a second. Starting, restarting, logs and stopping are supervisord's own. Where a process
cannot be forked (it is no Python, or the system is not Linux) it is executed as ever.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import logging.config
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import django
from django.conf import settings
from supervisor import supervisord
from supervisor.options import ServerOptions

from pacsweb import launch
from pacsweb.processes import LAUNCHER
from pacsweb.settings import logging_of

# What the processes import besides the apps themselves, and only once they run.
_USED: Final = (
    "apps.dicomweb.event_channels.server",
    "apps.dimse.management.commands.dimse",
    "celery.apps.beat",
    "pacsweb.clock",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.worker.consumer",
    "granian.server",
    "pacsweb.heartbeat",
)
_HANDLED: Final = (
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGCHLD,
    signal.SIGUSR2,
)


def preload() -> None:
    """Imports everything any process needs. Nothing here may start a thread or open anything."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")
    django.setup()
    for name in _USED:
        importlib.import_module(name)
    from pacsweb.warming import prepare

    prepare()
    # No look for garbage writes to the memory that the processes share.
    gc.collect()
    gc.freeze()


class _Bell:
    """A dispatcher of supervisord's loop, readable when a signal came.

    The loop looks at signals when its wait ends, which by itself is once a second.
    """

    def __init__(self) -> None:
        self.descriptor, ringing = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(ringing, False)
        # What is to be started at first need not wait either.
        os.write(ringing, b"\0")
        signal.set_wakeup_fd(ringing, warn_on_full_buffer=False)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.read(self.descriptor, 4096)


class Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """supervisord's dealings with the system; where it would execute Python, it goes on in it."""

    def get_socket_map(self) -> dict[int, Any]:
        """What the loop listens to besides the output of the processes."""
        bell = _Bell()
        return {**super().get_socket_map(), bell.descriptor: bell}

    def cleanup_fds(self) -> None:
        """Before everything is started anew (SIGHUP): descriptors are closed, the bell's too."""
        signal.set_wakeup_fd(-1)
        super().cleanup_fds()

    def fork(self) -> int:
        """The child's signals ring no bell: its descriptors will be others."""
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
        return pid

    def execve(self, filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """In the new child, its descriptors being set up: becomes the process of `argv`."""
        arguments = list(argv[len(LAUNCHER) :])
        command = arguments[arguments.index("--") + 1 :]
        if sys.platform == "linux" and command[0] == sys.executable:
            try:
                launch.take_name(arguments[0])
            except (OSError, LookupError):
                pass  # it is executed, and has a name of its own
            else:
                _become(arguments, env)
        super().execve(filename, argv, env)


def _become(arguments: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Runs the launcher's arguments in this process, then ends it as an interpreter would end."""
    code = 1
    try:
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(environment)
        settings.LOGGING = logging_of(arguments[0])
        logging.config.dictConfig(settings.LOGGING)
        _run(launch.settle_in(arguments))
        code = 0
    except SystemExit as ending:
        code = _exit_code(ending.code)
    except BaseException:  # noqa: BLE001 - nobody above is left to tell of it
        traceback.print_exc()
    finally:
        # As multiprocessing ends a forked process: the stack below is the supervisor's.
        try:
            threading._shutdown()  # type: ignore[attr-defined]  # not in the stubs
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _run(command: list[str]) -> None:
    """`python -m module …` or `python file …`, without another python."""
    if command[1] == "-m":
        sys.argv = command[2:]
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command[1:]
        runpy.run_path(command[1], run_name="__main__")


def _exit_code(given: Any) -> int:
    """As the interpreter takes what `sys.exit` was given: a text is printed and means 1."""
    if given is None or isinstance(given, int):
        return int(given or 0)
    sys.stderr.write(f"{given}\n")
    return 1


def main() -> None:
    """Supervises until SIGTERM, beginning when the parent writes to the standard input."""
    if sys.platform == "linux":
        preload()
    if not sys.stdin.buffer.read(1):
        return
    supervisord.ServerOptions = Options
    supervisord.main()


if __name__ == "__main__":
    main()
