"""Runs the whole test suite in parts, some side by side.

Each part is a pytest of its own with its own throwaway servers and folders. Tests of servers wait
for most of their time, so one part more than a small machine has cores runs at once. The output
comes one after the other, so that a failure can be read; the last line counts everything.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from typing import IO

_AT_ONCE = 3
_PROTOCOL = "tests/protocol"
# The longest first, so that none is left running alone.
PARTS: tuple[tuple[str, ...], ...] = (
    (_PROTOCOL, f"--ignore={_PROTOCOL}/dimse"),
    ("tests/crash", "tests/platform"),
    # What needs no database, or brings both of its own, is run once, by the part after it.
    ("--database=postgresql", "-m", "django_db", "tests/domain"),
    ("tests/domain", "tests/architecture", "tests/budgets"),
    ("tests/browser", "tests/strangers"),
    (f"{_PROTOCOL}/dimse",),
    ("tests/standards",),
)
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


def _counted(output: str) -> dict[str, int]:
    """What pytest's closing line says, `errors` taken as `error`."""
    closing = next((line for line in reversed(output.splitlines()) if " in " in line), "")
    return {word.removesuffix("s"): int(number) for number, word in _COUNT.findall(closing)}


def main(extra: list[str]) -> int:
    """Exit code 0 when every run passed."""
    started = time.monotonic()
    waiting = list(PARTS)
    running: list[tuple[tuple[str, ...], subprocess.Popen[bytes], IO[bytes]]] = []
    total: dict[str, int] = {}
    worst = 0
    while running or waiting:
        while waiting and len(running) < _AT_ONCE:
            arguments = waiting.pop(0)
            log = tempfile.NamedTemporaryFile()  # noqa: SIM115 -- closed when the run ends
            command = [sys.executable, "-m", "pytest", *arguments, *extra]
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - our own words
            running.append((arguments, process, log))
        time.sleep(0.5)
        for each in [each for each in running if each[1].poll() is not None]:
            running.remove(each)
            arguments, process, log = each
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
