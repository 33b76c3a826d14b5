"""The two watermarks, measured on the disks an instance has to pass."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from apps.storage import capacity as room
from apps.storage.models import StoragePolicy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    pass


def policy(associations: float, instances: float) -> None:
    StoragePolicy.objects.update_or_create(
        pk=1,
        defaults={
            "refuse_associations_below": associations,
            "refuse_instances_below": instances,
        },
    )
    room.forget()


def test_what_is_measured_is_the_disk_of_the_inbox(data_folders: Path):
    status = os.statvfs(data_folders)
    measured = room.capacity()
    assert measured.total_bytes == status.f_blocks * status.f_frsize
    assert abs(measured.free_bytes - status.f_bavail * status.f_frsize) < 1 << 30
    assert 0 < measured.free_percent < 100
    assert "% of the disk is free" in measured.message


def test_an_object_store_has_no_disk_of_ours(settings):
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, storage_url="s3://bucket/x")
    room.forget()
    assert room.capacity().accepts_instances


def test_the_watermarks_stop_senders_first_and_then_instances():
    policy(0.0, 0.0)
    assert (room.capacity().accepts_associations, room.capacity().accepts_instances) == (True, True)
    policy(100.0, 0.0)
    assert (room.capacity().accepts_associations, room.capacity().accepts_instances) == (
        False,
        True,
    )
    policy(0.0, 100.0)
    assert (room.capacity().accepts_associations, room.capacity().accepts_instances) == (
        False,
        False,
    )


def test_a_measurement_holds_for_a_second():
    first = room.capacity()
    StoragePolicy.objects.create(
        pk=1, refuse_associations_below=100.0, refuse_instances_below=100.0
    )
    assert room.capacity() is first


@pytest.mark.parametrize("in_transaction", [True, False])
def test_while_the_database_is_away_the_last_known_watermarks_hold(in_transaction: bool):
    from django.db import transaction

    policy(100.0, 0.0)
    assert not room.capacity().accepts_associations
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE storage_storagepolicy RENAME TO away")
    try:
        room.forget()
        if in_transaction:
            with transaction.atomic():
                assert not room.capacity().accepts_associations
                transaction.set_rollback(True)
        else:
            assert not room.capacity().accepts_associations
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO storage_storagepolicy")
    assert str(StoragePolicy.objects.get()) == "storage policy"


def test_a_database_that_does_not_answer_delays_nobody_for_long(transactional_db):
    """An exclusive lock makes readers wait for half a minute; who receives waits half a second."""
    policy(100.0, 0.0)
    assert not room.capacity().accepts_associations
    with _locked():
        started = time.monotonic()
        for _ in range(4):
            room.forget()
            assert not room.capacity().accepts_associations
        assert time.monotonic() - started < 1.5


@contextmanager
def _locked() -> Iterator[None]:
    """Another session's lock on the table, as strong as the vendor has."""
    other = connection.copy()
    connection.close()
    try:
        with other.cursor() as cursor:
            if other.vendor == "postgresql":
                cursor.execute("BEGIN")
                cursor.execute("LOCK TABLE storage_storagepolicy IN ACCESS EXCLUSIVE MODE")
            else:
                cursor.execute("PRAGMA journal_mode=DELETE")
                cursor.execute("BEGIN EXCLUSIVE")
            yield
            cursor.execute("ROLLBACK")
            if other.vendor == "sqlite":
                cursor.execute("PRAGMA journal_mode=WAL")
    finally:
        other.close()
