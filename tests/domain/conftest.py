"""Fixtures of the database tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pydicom import Dataset

from apps.access.models import User
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.storage import capacity
from tests.builders import ct_slice, part10
from tests.domain.store_requests import session_of


@pytest.fixture
def data_folders(tmp_path: Path, settings) -> Iterator[Path]:
    """An inbox and a local blob folder of the test's own."""
    settings.PACSWEB = dataclasses.replace(
        django_settings.PACSWEB, inbox=tmp_path / "inbox", storage_url=f"file://{tmp_path}/blobs"
    )
    capacity.forget()
    yield tmp_path
    capacity.forget()


@pytest.fixture
def user() -> User:
    """Who stores."""
    return User.objects.create_superuser("sender", password="a long enough password")


@pytest.fixture
def signed_in(user: User) -> dict[str, str]:
    """The headers of that user's session."""
    return session_of(user)


@pytest.fixture
def first() -> Dataset:
    """An indexed instance: of those that follow into its series it is certain what becomes."""
    ds = ct_slice(number=1, seed=1)
    raw = part10(ds)
    inbox.receive_part10(Provenance("dimse"), raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)
    return ds
