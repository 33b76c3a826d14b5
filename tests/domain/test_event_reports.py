"""Event Reports for listeners: who gets them, in which order, how long they wait."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from apps.access.models import User
from apps.access.principals import Permission, Principal, PrincipalKind, system_principal
from apps.dicom import ups
from apps.errors import InvalidValue, NotPermitted
from apps.events.models import Event
from apps.network.models import ApplicationEntity
from apps.worklist.actions.change_work_item import change_work_item, change_work_item_state
from apps.worklist.actions.event_channels import forget_channels, open_channel, take_reports
from apps.worklist.actions.subscribe import subscribe, suspend, unsubscribe
from apps.worklist.event_reports import reports_after
from apps.worklist.models import EventChannel, EventReport, WorkItemSubscription
from tests.domain.test_work_items import KEY, UID, new
from tests.domain.worklist_rows import data_set

pytestmark = pytest.mark.django_db


def listener(name: str) -> Principal:
    user = User.objects.create_user(name)
    return Principal(
        PrincipalKind.USER, name, "test", user_id=user.pk, permissions=frozenset(Permission)
    )


def test_reports_wait_for_those_who_listen_and_for_nobody_else() -> None:
    first, second = listener("first"), listener("second")
    subscribe(first, ups.GLOBAL_SUBSCRIPTION, "RIS", by_channel=True)
    subscribe(system_principal("test"), ups.GLOBAL_SUBSCRIPTION, "DEAF")
    new()
    change_work_item_state(first, UID, ups.IN_PROGRESS, KEY)
    assert set(EventReport.objects.values_list("receiver", flat=True)) == {"RIS"}
    late = open_channel(second, "RIS")
    assert reports_after("RIS", late.position) == [], "a new channel begins now"
    change_work_item_state(first, UID, ups.CANCELED, KEY)

    early = EventChannel.objects.get(user_id=first.user_id)
    told = reports_after("RIS", early.position)
    states = [each.document[ups.STATE]["Value"][0] for each in told]
    assert states == ["SCHEDULED", "IN PROGRESS", "CANCELED"]
    take_reports(early, told[-1].pk)
    assert [each.pk for each in reports_after("RIS", late.position)] == [told[-1].pk]
    take_reports(late, told[-1].pk)
    assert not EventReport.objects.exists(), "what every listener has is not kept"
    take_reports(late, told[0].pk)
    late.refresh_from_db()
    assert late.position == told[-1].pk, "never backwards"


def test_one_batch_of_reports_is_bounded() -> None:
    subscribe(listener("first"), ups.GLOBAL_SUBSCRIPTION, "RIS", by_channel=True)
    new()
    long = data_set(ReasonForCancellation="x" * 100_000)
    EventReport.objects.bulk_create(
        EventReport(receiver="RIS", sop_instance_uid=UID, event_type=2, document=long)
        for _ in range(10)
    )
    assert len(reports_after("RIS", 0)) < 5


def test_who_stays_away_for_a_week_is_forgotten_and_that_is_said() -> None:
    subscribe(listener("gone"), ups.GLOBAL_SUBSCRIPTION, "RIS", by_channel=True)
    new()
    assert forget_channels() == 0
    EventChannel.objects.update(seen_at=timezone.now() - timedelta(days=8))
    assert forget_channels() == 1
    assert not EventReport.objects.exists()
    event = Event.objects.get(kind="EventChannelForgotten")
    assert event.payload == {"receiver": "RIS", "user": "gone", "undelivered": 1}


def test_only_users_who_may_see_the_worklist_listen() -> None:
    with pytest.raises(NotPermitted):
        open_channel(Principal(PrincipalKind.USER, "guest", "test", user_id=1), "RIS")
    with pytest.raises(NotPermitted):
        open_channel(system_principal("test"), "RIS")
    assert not EventChannel.objects.exists()


def test_one_user_listens_for_so_many_titles_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.worklist.actions.event_channels.MOST_TITLES", 2)
    user = listener("curious")
    for title in ("A", "B", "A"):
        open_channel(user, title)
    with pytest.raises(NotPermitted):
        open_channel(user, "C")


def test_a_filter_that_cannot_be_matched_is_refused_and_not_widened() -> None:
    match = data_set(TransactionUID=KEY)
    with pytest.raises(InvalidValue):
        subscribe(listener("first"), ups.FILTERED_SUBSCRIPTION, "RIS", match=match)
    assert not WorkItemSubscription.objects.exists()


def _write(principal: Principal, number: int) -> None:
    """Changes work items, or subscribes to them: both lock the same rows."""
    for turn in range(6):
        uid = f"{UID}.{(number + turn) % 4}"
        if number % 2:
            readiness = "READY" if turn % 2 else "INCOMPLETE"
            change_work_item(principal, uid, data_set(InputReadinessState=readiness))
        else:
            subscribe(principal, uid, "RIS", by_channel=True)
    connections.close_all()


def _follow(done: threading.Event) -> list[int]:
    """The numbers a reader sees that goes on from the last one it saw."""
    seen: list[int] = []
    position, last = 0, False
    while not last:
        last = done.is_set()
        seen += [each.pk for each in reports_after("RIS", position)]
        position = seen[-1] if seen else 0
    connections.close_all()
    return seen


@pytest.mark.django_db(transaction=True)
def test_many_writers_number_their_reports_in_order_and_none_waits_for_ever() -> None:
    principal = listener("first")
    subscribe(principal, ups.GLOBAL_SUBSCRIPTION, "RIS", by_channel=True)
    for number in range(4):
        new(f"{UID}.{number}")
    done = threading.Event()
    with ThreadPoolExecutor(7) as pool:
        reader = pool.submit(_follow, done)
        writers = [pool.submit(_write, principal, number) for number in range(6)]
        try:
            for each in writers:
                each.result()
        finally:
            done.set()
        seen = reader.result()
    assert seen == list(EventReport.objects.order_by("pk").values_list("pk", flat=True))
    assert len(seen) > len(writers)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_an_ae_title_at_once_one_gets_it() -> None:
    looks = frozenset({Permission.VIEW_WORKLIST})
    principals = [replace(listener(name), permissions=looks) for name in ("left", "right")]
    titles = [f"NEW{number}" for number in range(12)]
    together = threading.Barrier(len(principals))

    def take(principal: Principal) -> list[str]:
        taken = []
        for number, title in enumerate(titles):
            together.wait(30)
            try:
                if number % 2:
                    open_channel(principal, title)
                else:
                    subscribe(principal, ups.GLOBAL_SUBSCRIPTION, title, by_channel=True)
                taken.append(title)
            except NotPermitted:
                pass
        connections.close_all()
        return taken

    with ThreadPoolExecutor(len(principals)) as pool:
        left, right = pool.map(take, principals)
    assert sorted(left + right) == sorted(titles)
    assert EventChannel.objects.count() == len(titles)


def test_a_subscription_is_ended_by_its_subscriber_or_who_manages_the_worklist() -> None:
    """PS3.18 11.11: who may only look at the worklist does not silence another's AE title."""
    looks = frozenset({Permission.VIEW_WORKLIST})
    reader, other = (replace(listener(name), permissions=looks) for name in ("reader", "other"))
    manager = listener("manager")
    ApplicationEntity.objects.create(title="MODALITY", host="127.0.0.1", port=104)
    modality = Principal(PrincipalKind.APPLICATION_ENTITY, "MODALITY", "dimse", permissions=looks)
    everything = ups.GLOBAL_SUBSCRIPTION
    subscribe(modality, everything, "MODALITY")
    subscribe(reader, everything, "READER", by_channel=True)
    subscribe(manager, everything, "SHARED", by_channel=True)
    for taken in ("SHARED", "READER", "MODALITY"):
        with pytest.raises(NotPermitted, match=f"{taken} is somebody else's"):
            open_channel(other, taken)
        with pytest.raises(NotPermitted, match="somebody else's"):
            subscribe(other, everything, taken, by_channel=True)
    open_channel(replace(other, name="Modality"), "MODALITY")  # the device's own account
    keys = data_set(ScheduledProcedureStepPriority="HIGH")
    for principal, receiver in (
        (reader, "MODALITY"), (other, "READER"), (other, "SHARED"), (modality, "READER"),
    ):  # fmt: skip
        for end in (unsubscribe, suspend):
            with pytest.raises(NotPermitted, match=f"subscriptions of {receiver}"):
                end(principal, everything, receiver)
        with pytest.raises(NotPermitted):
            subscribe(principal, ups.FILTERED_SUBSCRIPTION, receiver, match=keys)
    assert WorkItemSubscription.objects.count() == 3
    assert suspend(modality, everything, "MODALITY")
    assert unsubscribe(reader, everything, "READER")
    assert unsubscribe(manager, everything, "SHARED")
    assert not WorkItemSubscription.objects.exists()
