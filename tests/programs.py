"""Programs nobody here wrote: a missing one fails in CI and is a printed skip elsewhere."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def need(program: str) -> str:
    """The program's path."""
    return shutil.which(program) or missing(program)


def missing(what: str) -> NoReturn:
    """A program the tests need is not here."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"{what} is missing, and CI must not skip.", pytrace=False)
    pytest.skip(f"{what} is missing")
