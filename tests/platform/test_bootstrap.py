"""scripts/bootstrap.py: what is missing is said in one sentence, before anything is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pacsweb.settings.environment import PROJECT_ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The parts of a clone that the bootstrap looks at."""
    folder = tmp_path / "clone"
    for name in ("scripts", "requirements", "frontend"):
        (folder / name).mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "scripts" / "bootstrap.py", folder / "scripts")
    for name in ("runtime", "development"):
        (folder / "requirements" / f"{name}.lock").write_text("")
    (folder / "frontend" / "package.json").write_text("{}")
    (folder / "frontend" / "package-lock.json").write_text("{}")
    return folder


def program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def bootstrap(
    clone: Path, step: str, path: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    path.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-B", str(clone / "scripts" / "bootstrap.py"), step],
        env={"PATH": str(path), **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def assert_refused(outcome: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert outcome.stderr == sentence + "\n"


def test_a_python_that_is_too_old(clone: Path, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    program(bin_folder, "old", "echo 3.9")
    outcome = bootstrap(clone, "run", bin_folder, PACSWEB_PYTHON=str(bin_folder / "old"))
    assert_refused(outcome, "pacsweb needs Python 3.11 or newer, and this is Python 3.9.")
    assert not (clone / ".venv").exists()


def test_no_node(clone: Path, tmp_path: Path) -> None:
    outcome = bootstrap(clone, "run", tmp_path / "bin")
    assert_refused(outcome, "pacsweb needs Node.js 20 or newer to build its pages, and found none.")
    assert not (clone / ".venv").exists()


def test_a_node_that_is_too_old(clone: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin", "node", "echo v18.19.0")
    outcome = bootstrap(clone, "run", tmp_path / "bin")
    assert_refused(outcome, "pacsweb needs Node.js 20 or newer, and this is 18.19.0.")


def test_no_npm(clone: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin", "node", "echo v22.1.0")
    outcome = bootstrap(clone, "run", tmp_path / "bin")
    assert_refused(outcome, "pacsweb needs npm beside Node.js to build its pages, and found none.")


def test_a_build_is_skipped_until_a_source_changes(clone: Path, tmp_path: Path) -> None:
    log = tmp_path / "npm.log"
    program(tmp_path / "bin", "node", "echo v22.1.0")
    program(
        tmp_path / "bin",
        "npm",
        f'echo "$1" >> {log}; /bin/mkdir -p node_modules dist/app',
    )
    for _ in range(2):
        assert bootstrap(clone, "frontend", tmp_path / "bin").returncode == 0
    assert log.read_text().split() == ["ci", "run"]

    (clone / "frontend" / "index.html").write_text("changed")
    assert bootstrap(clone, "frontend", tmp_path / "bin").returncode == 0
    assert log.read_text().split() == ["ci", "run", "run"]


def test_a_failed_build_is_told_and_tried_again(clone: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin", "node", "echo v22.1.0")
    program(
        tmp_path / "bin",
        "npm",
        '/bin/mkdir -p node_modules; [ "$1" = ci ] || { echo "broken source"; exit 1; }',
    )
    for _ in range(2):
        outcome = bootstrap(clone, "frontend", tmp_path / "bin")
        assert outcome.returncode == 2
        assert outcome.stderr == "broken source\nThe front end could not be built.\n"


def test_an_installed_environment_is_left_alone(clone: Path, tmp_path: Path) -> None:
    log = tmp_path / "python.log"
    program(
        clone / ".venv",
        "unused",
        "true",
    )
    (clone / ".venv" / "bin").mkdir()
    program(
        clone / ".venv" / "bin",
        "python",
        f'case "$1" in -c) echo 3.12;; *) echo "$*" >> {log};; esac',
    )
    for _ in range(2):
        assert bootstrap(clone, "venv-runtime", tmp_path / "bin").returncode == 0
    assert len(log.read_text().splitlines()) == 1
    assert "--require-hashes" in log.read_text()

    (clone / "requirements" / "runtime.lock").write_text("# changed\n")
    assert bootstrap(clone, "venv-runtime", tmp_path / "bin").returncode == 0
    assert len(log.read_text().splitlines()) == 2


def test_make_says_so_without_any_python() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.fail("make is missing")
    outcome = subprocess.run(
        [make, "--no-print-directory", "run", "PYTHON=python-that-is-nowhere"],
        cwd=PROJECT_ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 2
    first = outcome.stderr.splitlines()[0]
    assert first == "pacsweb needs Python 3.11 or newer, and found none."
