"""Senders pause while the indexer is behind: a little, and never for one that is gone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from apps.ingest import pacing, spool
from apps.ingest.pacing import Backlog, give_way


@pytest.fixture(autouse=True)
def _fresh(data_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "_backlog", Backlog())
    # Longer than a busy machine may take for anything else, so that the two can be told apart.
    monkeypatch.setattr(pacing, "LONGEST_SECONDS", 0.5)
    monkeypatch.setattr(pacing, "STUCK_SECONDS", 1.0)


def waits(count: int) -> list[Path]:
    """So many more files that wait to be indexed."""
    ready = spool.folder("ready")
    paths = [ready / str(spool.SpoolName.mint(1, "ab" * 32)) for _ in range(count)]
    for path in paths:
        path.touch()
    return paths


def pause(seconds: float) -> float:
    began = time.monotonic()
    give_way(seconds)
    return time.monotonic() - began


def test_an_inbox_that_is_worked_off_slows_nobody():
    assert pause(9.0) < 0.3
    waits(pacing.SHALLOW)
    time.sleep(0.02)
    assert pause(9.0) < 0.3


def test_behind_a_backlog_a_sender_waits_no_longer_than_its_instance_took():
    waits(pacing.SHALLOW + 1)
    assert 0.004 <= pause(0.004) < 0.3
    assert 0.5 <= pause(9.0) < 0.9


def test_the_pause_ends_with_the_backlog():
    paths = waits(pacing.SHALLOW + 1)
    settled = threading.Timer(0.05, paths[0].unlink)
    settled.start()
    assert pause(9.0) < 0.4
    settled.join()


def test_nobody_waits_for_an_indexer_that_is_gone():
    paths = waits(pacing.SHALLOW + 5)
    pause(0.01)
    time.sleep(pacing.STUCK_SECONDS)
    assert pause(9.0) < 0.3
    paths[0].unlink()
    time.sleep(0.02)
    assert pause(9.0) >= 0.5, "it works again: its backlog is given way to"
