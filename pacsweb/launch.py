"""Starts one process of the product so that it cannot outlive its supervisor.

    launch.py NAME RUN_FOLDER [--wait-for SOCKET] -- COMMAND...

Standard library only and run with `-I -S`, so that it costs a few milliseconds. It ends what an
earlier process of the same name left behind, asks the kernel for SIGTERM when the supervisor dies
(this survives exec), writes `RUN_FOLDER/NAME.pid` and becomes the command. `pacsweb.supervisor`
does the same for a process that it forks.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Set for every process `serve` starts; children inherit both, so strays can be told apart.
NAME_VARIABLE = "PACSWEB_PROCESS"
RUN_VARIABLE = "PACSWEB_RUN_FOLDER"

# Room for the name of any process, so that a forked one can write its own over its parent's.
NAME_ROOM = 24

_PR_SET_PDEATHSIG = 1
_WAIT_SECONDS = 10.0
# Fields of /proc/self/stat, counted from the one after the command's name (proc(5)).
_ARGUMENTS_BEGIN, _ARGUMENTS_END, _VARIABLES_BEGIN = 45, 46, 47


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Asks the kernel to send the signal when the parent process dies. Linux only."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before the kernel knew of our wish.
        os.kill(os.getpid(), number)


def running(run_folder: str, name: str | None = None) -> Iterator[tuple[int, str]]:
    """Process ids and names started for this run folder, or only those of one name."""
    marker = os.fsencode(f"{RUN_VARIABLE}={run_folder}")
    prefix = os.fsencode(f"{NAME_VARIABLE}=")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone meanwhile, or somebody else's
        if marker not in variables:
            continue
        found = next((each[len(prefix) :] for each in variables if each.startswith(prefix)), b"")
        named = os.fsdecode(found).rstrip()
        if named and name in {None, named}:
            yield int(entry.name), named


def take_name(name: str) -> None:
    """A forked process shows its own name in `/proc`, where `running` and `ps` look.

    Both read the memory that exec filled, which a fork copies. Raises LookupError where the
    parent's environment has no room for it or its place is not told, OSError where there is no
    `/proc`.
    """
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    begin, end, variables = (
        int(fields[at]) for at in (_ARGUMENTS_BEGIN, _ARGUMENTS_END, _VARIABLES_BEGIN)
    )
    if not (begin and variables):
        raise LookupError(name)  # systems that only look like Linux say 0
    # The first variable has no zero byte before it.
    block = b"\0" + Path("/proc/self/environ").read_bytes()
    slot = f"\0{NAME_VARIABLE}=".encode()
    at = block.find(slot)
    room = block.find(b"\0", at + 1) - at - len(slot) if at >= 0 else 0
    if room < len(name):
        raise LookupError(name)
    ctypes.memmove(variables + at - 1 + len(slot), name.ljust(room).encode(), room)
    title = f"pacsweb {name}".encode()[: end - begin - 1]
    ctypes.memmove(begin, title.ljust(end - begin, b"\0"), end - begin)


def end_strays(run_folder: str, name: str | None = None, grace: float = 3.0) -> int:
    """Ends what an earlier start left running: SIGTERM, then SIGKILL. Returns how many."""
    ours = os.getpid()
    strays = [pid for pid, _ in running(run_folder, name) if pid != ours]
    for pid in strays:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        if not any(pid != ours for pid, _ in running(run_folder, name)):
            return len(strays)
        time.sleep(0.05)
    for pid, _ in list(running(run_folder, name)):
        if pid != ours:
            _signal(pid, signal.SIGKILL)
    return len(strays)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _wait_for(path: str) -> None:
    """Waits until somebody listens on the unix socket; after that the command must cope."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.02)


def settle_in(arguments: list[str]) -> list[str]:
    """Makes this process the one of the arguments' name; returns the command it is to become."""
    split = arguments.index("--")
    name, run_folder, *options = arguments[:split]
    die_with_parent()
    end_strays(run_folder, name, grace=0.5)
    # In one step: who looks meanwhile must not find an empty file.
    written = Path(run_folder, f"{name}.pid.{os.getpid()}")
    written.write_text(f"{os.getpid()}\n")
    written.replace(Path(run_folder, f"{name}.pid"))
    if options[:1] == ["--wait-for"]:
        _wait_for(options[1])
    return arguments[split + 1 :]


def main(arguments: list[str]) -> None:
    """Becomes the command; never returns."""
    command = settle_in(arguments)
    os.execv(command[0], command)  # noqa: S606 - the whole point: become the command


if __name__ == "__main__":
    main(sys.argv[1:])
