"""Room promised before it is used: nobody gets what another was promised."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.dimse.bookings import Bookings
from apps.errors import NotFound, OutOfResources
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.actions.learn_expected_sizes import learn_expected_sizes
from apps.network.models import AssociationRecord
from apps.storage import capacity as room
from apps.storage.expected import association_bytes, instances_bytes
from apps.storage.models import ExpectedSize, StoragePolicy
from apps.storage.reservations import MOST, release, renew, reserve, reserved_bytes
from tests.builders import CT_IMAGE_STORAGE, ct_slice
from tests.domain.test_commitment import send

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> Iterator[None]:
    StoragePolicy.objects.create(pk=1, refuse_associations_below=0.0, refuse_instances_below=0.0)
    room.forget()
    yield
    forget_remembered()  # the next test has other users under the same keys


def free() -> int:
    return room.capacity().free_bytes


def test_two_cannot_have_the_same_room():
    first = reserve(free() * 6 // 10, "CT1", 60)
    with pytest.raises(OutOfResources):
        reserve(free() * 6 // 10, "CT2", 60)
    renew(first.identifier, 0, 60)
    assert reserved_bytes() == 0
    reserve(free() * 6 // 10, "CT2", 60)


def _compete(path: str, amount: int, won: multiprocessing.Queue) -> None:
    import dataclasses

    from django.conf import settings

    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, inbox=Path(path))
    try:
        reserve(amount, "CT", 60)
    except OutOfResources:
        won.put(False)
    else:
        won.put(True)


def test_processes_do_not_overbook_either(data_folders: Path):
    room.capacity()
    context = multiprocessing.get_context("fork")
    won = context.Queue()
    inbox = str(data_folders / "inbox")
    competitors = [
        context.Process(target=_compete, args=(inbox, free() * 4 // 10, won)) for _ in range(6)
    ]
    for each in competitors:
        each.start()
    outcome = [won.get(timeout=30) for _ in competitors]
    for each in competitors:
        each.join(30)
    assert sum(outcome) == 2


def test_a_reservation_ends_by_itself_and_by_its_holder():
    reserve(1000, "CT1", 0.05)
    time.sleep(0.06)
    assert reserved_bytes() == 0
    kept = reserve(1000, "CT1", 60)
    with pytest.raises(NotFound):
        release(kept.identifier, holder="CT2")
    release(kept.identifier, holder="CT1")
    with pytest.raises(NotFound):
        release(kept.identifier)


def test_the_table_is_bounded_and_slots_are_used_again():
    made = [reserve(1, f"CT{number}", 60) for number in range(MOST)]
    with pytest.raises(OutOfResources):
        reserve(1, "ONE-MORE", 60)
    release(made[7].identifier)
    reserve(1, "ONE-MORE", 60)
    assert reserved_bytes() == MOST


def test_what_a_sender_announced_becomes_its_association():
    announced = reserve(5000, "CT1", 60, announced=True)
    taken = reserve(100, "CT1", 60)
    assert (taken.identifier, taken.bytes) == (announced.identifier, 5000)
    assert reserved_bytes() == 5000
    assert reserve(100, "CT1", 60).identifier != announced.identifier


def test_the_watermark_counts_what_is_promised():
    StoragePolicy.objects.update(refuse_associations_below=room.capacity().free_percent - 0.5)
    room.forget()
    half_a_percent = room.capacity().total_bytes // 200
    with pytest.raises(OutOfResources):
        reserve(2 * half_a_percent, "CT1", 60)
    reserve(2 * half_a_percent, "CT1", 60, instances=True)


def test_an_association_holds_what_it_is_expected_to_send_until_it_has_come():
    bookings = Bookings()
    received = [0]
    assert bookings.book("a", "CT1", lambda: received[0])
    assert reserved_bytes() == 0  # nothing is known of anybody
    bookings.expected = {"": 500, "CT1": 10_000, "BIG": 10 * free()}
    assert bookings.book("b", "CT1", lambda: received[0])
    assert bookings.book("c", "MR1", lambda: 0)
    assert reserved_bytes() == 10_500
    received[0] = 4_000
    bookings.renew_all()
    assert reserved_bytes() == 6_500
    received[0] = 40_000
    bookings.renew_all()
    assert reserved_bytes() == 500
    assert not bookings.book("d", "BIG", lambda: 0)
    assert (bookings.has_room("b"), bookings.has_room("d")) == (True, False)
    for name in "abcd":
        bookings.end(name)
    assert reserved_bytes() == 0
    assert bookings.has_room("d")


def test_what_senders_usually_send_is_learnt():
    send(ct_slice(size=16), ct_slice(size=64))
    drain_inbox(60)
    now = timezone.now()
    for number, size in enumerate((1000, 3000)):
        AssociationRecord.objects.create(
            name=f"{number}",
            calling_ae_title="CT1",
            started_at=now,
            written_at=now,
            received_bytes=size,
        )
    learn_expected_sizes()
    learn_expected_sizes()
    assert association_bytes() == {"CT1": 2000, "": 2000}
    average = ExpectedSize.objects.get(ae_title="CT1", sop_class_uid=CT_IMAGE_STORAGE)
    assert average.seen == 2
    assert instances_bytes(10, "CT1", CT_IMAGE_STORAGE) == 10 * average.average_bytes
    assert instances_bytes(10, "MR9", CT_IMAGE_STORAGE) == 10 * average.average_bytes
    assert instances_bytes(10, "CT1") == 10 * average.average_bytes
    assert instances_bytes(10, "CT1", "1.2.3") == 0


def test_capacity_is_asked_and_reserved_over_REST():
    user = User.objects.create_user("integration", password="pw-of-a-test")
    user.groups.add(Group.objects.get(name="integration"))
    forget_remembered()
    client = Client()
    assert client.get("/api/capacity").status_code == 401
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    state = client.get("/api/capacity?expected_bytes=1000").json()
    assert (state["accepted"], state["expected_bytes"], state["reserved_bytes"]) == (True, 1000, 0)
    assert not client.get(f"/api/capacity/?expected_bytes={2 * free()}").json()["accepted"]
    assert client.get("/api/capacity/?expected_bytes=many").status_code == 400

    asked = {"expected_bytes": free() * 6 // 10, "ae_title": "CT1", "seconds": 60}
    made = client.post("/api/capacity/", asked, content_type="application/json")
    assert made.status_code == 201
    body = made.json()
    assert body["reserved_bytes"] == body["bytes"]
    assert not client.get(f"/api/capacity/?expected_bytes={free() // 2}").json()["accepted"]
    second = client.post("/api/capacity/", asked, content_type="application/json")
    assert second.status_code == 507
    assert client.post("/api/capacity/", {}, content_type="application/json").status_code == 400
    assert client.delete(f"/api/capacity/{body['reservation']}/").status_code == 204
    assert client.delete(f"/api/capacity/{body['reservation']}/").status_code == 404
    assert reserved_bytes() == 0


def test_a_broken_file_is_no_reservation(data_folders: Path):
    (data_folders / "inbox").mkdir(exist_ok=True)
    (data_folders / "inbox" / "reservations").write_bytes(b"\xff" * 77)
    assert reserved_bytes() >= 0
    reserve(10, "CT1", 60)
