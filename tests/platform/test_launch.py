"""A forked process shows its own name where the strays of an earlier start are looked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pacsweb import launch
from pacsweb.settings.environment import PROJECT_ROOT

_TAKES = """
import os
from pacsweb import launch
reading, writing = os.pipe()
pid = os.fork()
if not pid:
    try:
        launch.take_name("{name}")
    except LookupError:
        os.write(writing, b"no room")
    else:
        os.write(writing, b"{name}")
    os.read(0, 1)
    os._exit(0)
os.read(reading, 10)
print(pid, flush=True)
os.waitpid(pid, 0)
"""


def _named(tmp_path: Path, own: str, name: str) -> dict[str, str]:
    """The names of a process and of the one that it forked, both as others find them."""
    environment = {
        "PATH": os.environ["PATH"],
        launch.NAME_VARIABLE: own,
        launch.RUN_VARIABLE: str(tmp_path),
    }
    with subprocess.Popen(
        [sys.executable, "-c", _TAKES.format(name=name)],
        env=environment,
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        found = dict(launch.running(str(tmp_path)))
        only = [pid for pid, _ in launch.running(str(tmp_path), name)]
        title = Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0").decode()
    return {
        "parent": found[process.pid],
        "child": found[child],
        "by name": "child" if only == [child] else str(only),
        "title": title,
    }


def test_a_forked_process_goes_by_its_own_name(tmp_path: Path) -> None:
    own = "supervisord".ljust(launch.NAME_ROOM)
    assert _named(tmp_path, own, "worker-transfer") == {
        "parent": "supervisord",
        "child": "worker-transfer",
        "by name": "child",
        "title": "pacsweb worker-transfer",
    }


def test_where_there_is_no_room_nothing_is_overwritten(tmp_path: Path) -> None:
    found = _named(tmp_path, "short", "worker-transfer")
    assert (found["parent"], found["child"]) == ("short", "short")
    assert "worker-transfer" not in found["title"].split("\0")[0]
