"""TABLE of the product's processes, and the supervisor's configuration made from it."""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from pacsweb import redis_server
from pacsweb.launch import NAME_VARIABLE, RUN_VARIABLE
from pacsweb.settings.environment import PROJECT_ROOT, Environment

_PYTHON = sys.executable
LAUNCHER = (_PYTHON, "-I", "-S", str(PROJECT_ROOT / "pacsweb" / "launch.py"))
_CELERY = (_PYTHON, "-m", "celery", "--app", "pacsweb", "--quiet")
# Remote control, gossip and the like only cost round trips: workers report by `pacsweb.heartbeat`.
_WORKER = (
    *_CELERY,
    "worker",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
)
_WAIT_FOR_REDIS = frozenset({"events", "worker-index", "worker-transfer", "worker", "beat"})


@dataclass(frozen=True, slots=True)
class Process:
    """One row: what runs, and how long it may take to finish its work when asked to stop."""

    name: str
    command: tuple[str, ...]
    stop_seconds: int = 8
    log_file: str = ""


def processes(environment: Environment) -> tuple[Process, ...]:
    """Everything `serve` starts, the broker first."""
    manage = (_PYTHON, str(PROJECT_ROOT / "manage.py"))
    rows = [
        Process("web", (_PYTHON, "-m", "pacsweb.web"), stop_seconds=6),
        Process("dimse", (*manage, "dimse"), stop_seconds=6),
        Process("events", (_PYTHON, "-m", "pacsweb.event_channels"), stop_seconds=6),
        Process(
            "worker-index",
            # One consumer: on SQLite writers never collide, on PostgreSQL batches stay ordered.
            (*_WORKER, "--queues", "index", "--pool", "solo", "--hostname", "index@%h"),
        ),
        Process(
            "worker-transfer",
            # Threads: a transfer waits for disk and network most of the time, and a slow peer must
            # not keep the others waiting, nor those who wait for other work.
            (
                *(*_WORKER, "--queues", "transfer", "--pool", "threads"),
                *("--concurrency", "8", "--hostname", "transfer@%h"),
            ),
        ),
        Process(
            "worker",
            (
                *(*_WORKER, "--queues", "default,render"),
                *("--concurrency", str(environment.worker_processes), "--hostname", "worker@%h"),
            ),
        ),
        Process(
            "beat",
            # In memory: a schedule file can be torn by a crash, and every task here is an interval.
            (*_CELERY, "beat", "--scheduler", "pacsweb.clock:Clock", "--pidfile", ""),
        ),
    ]
    if not (PROJECT_ROOT / "apps/dimse/management/commands/dimse.py").is_file():
        rows = [row for row in rows if row.name != "dimse"]
    if environment.embedded_redis:
        command = tuple(redis_server.command(environment))
        rows.insert(0, Process("redis", command, log_file="redis.log"))
    return tuple(rows)


def run_folder(environment: Environment) -> Path:
    """Where pid files, sockets and the supervisor's configuration live."""
    return environment.data_dir / "run"


def supervisor_configuration(environment: Environment) -> str:
    """The text of supervisord.conf: two groups, so that the broker stops after all others."""
    folder = run_folder(environment)
    rows = processes(environment)
    sections = [
        (
            "[supervisord]\nnodaemon = true\nsilent = false\nlogfile = /dev/null\n"
            "logfile_maxbytes = 0\nloglevel = warn\nminfds = 1024\n"
            f"directory = {_escape(str(PROJECT_ROOT))}\n"
            f"pidfile = {_escape(str(folder / 'supervisord.pid'))}\n"
            f"childlogdir = {_escape(str(folder))}\n"
            f"user = {pwd.getpwuid(os.getuid()).pw_name}\n"
        )
    ]
    others = [row.name for row in rows if row.name != "redis"]
    if len(others) < len(rows):
        sections.append("[group:broker]\nprograms = redis\npriority = 1\n")
    sections.append(f"[group:pacsweb]\nprograms = {','.join(others)}\npriority = 10\n")
    sections += [_program(row, folder, environment) for row in rows]
    return "\n".join(sections)


def _program(row: Process, folder: Path, environment: Environment) -> str:
    launcher = [*LAUNCHER, row.name, str(folder)]
    if environment.embedded_redis and row.name in _WAIT_FOR_REDIS:
        launcher += ["--wait-for", environment.redis_socket]
    command = _escape(shlex.join([*launcher, "--", *row.command]))
    log_file = _escape(str(folder / row.log_file)) if row.log_file else "/dev/fd/1"
    return (
        f"[program:{row.name}]\n"
        f"command = {command}\n"
        f'environment = {NAME_VARIABLE}="{row.name}",{RUN_VARIABLE}="{_escape(str(folder))}"\n'
        f"autorestart = true\nstartsecs = 1\nstartretries = 100000\n"
        f"stopsignal = TERM\nstopwaitsecs = {row.stop_seconds}\nkillasgroup = true\n"
        f"redirect_stderr = true\nstdout_logfile = {log_file}\n"
        f"stdout_logfile_maxbytes = {'1MB' if row.log_file else '0'}\nstdout_logfile_backups = 0\n"
    )


def _escape(text: str) -> str:
    """A percent sign begins an expansion in supervisor's files."""
    return text.replace("%", "%%")
