"""Programs nobody here wrote: a missing one fails in CI and is a printed skip elsewhere."""

from __future__ import annotations

import os
import shutil

import pytest


def need(program: str, *, in_ci: bool = True) -> str:
    """The program's path. `in_ci` is False for what `.ci/run` does not install."""
    found = shutil.which(program)
    if found is not None:
        return found
    if in_ci and os.environ.get("CI") == "true":
        pytest.fail(f"{program} is not installed.")
    pytest.skip(f"{program} is not installed")
