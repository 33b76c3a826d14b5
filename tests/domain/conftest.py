"""Fixtures of the database tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from apps.storage import capacity


@pytest.fixture
def data_folders(tmp_path: Path, settings) -> Iterator[Path]:
    """An inbox and a local blob folder of the test's own."""
    settings.PACSWEB = dataclasses.replace(
        django_settings.PACSWEB, inbox=tmp_path / "inbox", storage_url=f"file://{tmp_path}/blobs"
    )
    capacity.forget()
    yield tmp_path
    capacity.forget()
