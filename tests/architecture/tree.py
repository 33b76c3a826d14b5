"""The project's own files, as git sees them."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

from pacsweb.settings.environment import PROJECT_ROOT


@lru_cache(maxsize=1)
def project_files() -> tuple[Path, ...]:
    """Every file that is tracked or would be: no build, no environment, no data."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT_ROOT,
            check=True,
            capture_output=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = [PROJECT_ROOT / name.decode() for name in listed.split(b"\0") if name]
    return tuple(path for path in paths if path.is_file())


def text_files() -> list[tuple[Path, str]]:
    """Project files that are text, with their text."""
    found = []
    for path in project_files():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found
