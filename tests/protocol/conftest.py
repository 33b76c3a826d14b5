"""The running product as a DICOMweb client sees it."""

from __future__ import annotations

import pytest

from tests.protocol.dicomweb_archive import Archive
from tests.stack import Stack


@pytest.fixture(scope="session")
def archive(stack: Stack) -> Archive:
    return Archive(stack)
