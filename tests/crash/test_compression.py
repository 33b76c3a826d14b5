"""kill -9 at every step of compression; afterwards every pixel is there, and nothing beside it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from apps.ingest.crash_points import COMPRESSION_POINTS
from tests.builders import ct_slice, new_uid, part10
from tests.crash.forks import Forks
from tests.crash.test_kill import empty_sqlite, forks, sqlite_installation

__all__ = ["empty_sqlite", "forks"]
pytestmark = pytest.mark.crash
FILES = 3


def make_files(folder: Path) -> None:
    study, series = new_uid(), new_uid()
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    folder.mkdir()
    for number in range(FILES):
        ds = ct_slice(study=study, series=series, number=number, size=64)
        ds.PixelData = (x * y % (1000 + number)).astype("<i2").tobytes()
        (folder / str(number)).write_bytes(part10(ds))


def test_a_kill_at_each_step_loses_nothing(
    tmp_path: Path, empty_sqlite: Path, forks: Forks
) -> None:
    """Each step on the installation that the one before was killed on and recovered."""
    installation = sqlite_installation(tmp_path, empty_sqlite, forks)
    for point in COMPRESSION_POINTS:
        make_files(installation.files / point)
    code, out = installation.run("compress", str(installation.files))
    assert code == 0, out
    reports = [json.loads(line) for line in out if line.startswith("{")]
    assert [each["point"] for each in reports] == list(COMPRESSION_POINTS)
    for number, report in enumerate(reports, 1):
        killed, after = report["killed"], report["after"]
        assert (report["killed by"], report["after by"]) == (-signal.SIGKILL, 0), report
        assert killed["wrong"] == after["wrong"] == []
        assert killed["quarantined"] == after["quarantined"] == 0
        count = FILES * number
        assert killed["instances"] == killed["files"] == count
        assert (after["instances"], after["compressed"], after["blobs"]) == (count,) * 3
        assert after["states"] == ["removed"]
