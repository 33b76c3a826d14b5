"""Shared fixtures: the corpus, and later the stacks the tests run on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def _corpus_folder() -> Path | None:
    given = os.environ.get("PACSWEB_TEST_CORPUS", "")
    candidates = [Path(given)] if given else []
    candidates.append(Path(__file__).resolve().parents[2] / "shared" / "corpus")
    return next((each for each in candidates if (each / "MANIFEST.csv").is_file()), None)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real files nobody here wrote, or a skip that says how to get it."""
    folder = _corpus_folder()
    if folder is None:
        pytest.skip("no test corpus: set PACSWEB_TEST_CORPUS to its folder")
    return folder
