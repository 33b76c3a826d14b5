"""Runs the whole test suite as two streams side by side, one for each core of a small machine.

Each stream is a pytest of its own with its own throwaway servers and folders. Their output comes
one after the other, so that a failure can be read; the last line counts everything.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from typing import IO

_APART = ("tests/crash", "tests/platform", "tests/browser", "tests/strangers", "tests/standards")
# Each stream is a list of pytest runs, one after the other.
_STREAMS = (
    (_APART,),
    (
        # What needs no database, or brings both of its own, is run once, by the second.
        ("--database=postgresql", "-m", "django_db", "tests/domain"),
        tuple(f"--ignore={folder}" for folder in _APART),
    ),
)
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


def _counted(output: str) -> dict[str, int]:
    """What pytest's closing line says, `errors` taken as `error`."""
    closing = next((line for line in reversed(output.splitlines()) if " in " in line), "")
    return {word.removesuffix("s"): int(number) for number, word in _COUNT.findall(closing)}


def main(extra: list[str]) -> int:
    """Exit code 0 when every run passed."""
    started = time.monotonic()
    waiting = [list(stream) for stream in _STREAMS]
    running: list[tuple[int, tuple[str, ...], subprocess.Popen[bytes], IO[bytes]]] = []
    total: dict[str, int] = {}
    worst = 0
    while running or any(waiting):
        for number, stream in enumerate(waiting):
            if stream and not any(each[0] == number for each in running):
                arguments = stream.pop(0)
                log = tempfile.NamedTemporaryFile()  # noqa: SIM115 -- closed when the run ends
                command = [sys.executable, "-m", "pytest", *arguments, *extra]
                process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
                running.append((number, arguments, process, log))
        time.sleep(0.5)
        for each in [each for each in running if each[2].poll() is not None]:
            running.remove(each)
            _, arguments, process, log = each
            log.seek(0)
            output = log.read().decode(errors="replace")
            log.close()
            print(f"\n== pytest {' '.join(arguments)}\n{output}", flush=True)
            for word, count in _counted(output).items():
                total[word] = total.get(word, 0) + count
            worst = max(worst, process.returncode)
    failed = total.get("failed", 0) + total.get("error", 0)
    print(f"The suite took {(time.monotonic() - started) / 60:.1f} minutes.")
    print(f"{total.get('passed', 0)} passed, {failed} failed, {total.get('skipped', 0)} skipped")
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
