"""Unified Procedure Steps: the state table, locks, final states, events (PS3.4 CC)."""

from __future__ import annotations

from typing import Any

import pytest

from apps.access.principals import Principal, PrincipalKind
from apps.dicom import ups
from apps.dicom.mpps import tag_of
from apps.dicom.query import Key
from apps.dicom.ups import Fault, UpsFault
from apps.errors import (
    AlreadyExists,
    InvalidValue,
    MissingAttribute,
    MissingValue,
    NotPermitted,
    PacsError,
)
from apps.events.models import Event
from apps.network.models import ApplicationEntity
from apps.worklist.actions.change_work_item import (
    change_work_item,
    change_work_item_state,
    request_cancellation,
)
from apps.worklist.actions.create_work_item import create_work_item
from apps.worklist.actions.subscribe import check_receiver, subscribe, suspend, unsubscribe
from apps.worklist.models import Delivery, WorkItem, WorkItemSubscription
from apps.worklist.work_item_search import WorkItemQuery, search_work_items, work_item
from tests.domain.worklist_rows import ASKER, data_set

pytestmark = pytest.mark.django_db
UID = "1.2.3.4.300"
# No UID that is made anew begins so.
KEY = "1.3.12.2.111"
OTHER_KEY = "2.25.222"


def new(uid: str = UID, **changes: Any) -> WorkItem:
    values = {
        "ScheduledProcedureStepPriority": "MEDIUM",
        "ProcedureStepLabel": "Segment",
        "ScheduledProcedureStepStartDateTime": "20240705100000",
        "InputReadinessState": "READY",
        "ProcedureStepState": "SCHEDULED",
        "PatientID": "T-1",
        "PatientName": "Test^Patient",
        **changes,
    }
    given = {name: value for name, value in values.items() if value is not None}
    return create_work_item(ASKER, uid, data_set(**given))


def code(value: str) -> dict[str, Any]:
    return data_set(CodeValue=value, CodingSchemeDesignator="99X", CodeMeaning=value)


def performed() -> dict[str, Any]:
    return data_set(
        UnifiedProcedureStepPerformedProcedureSequence=[
            data_set(
                PerformedStationNameCodeSequence=[code("WS1")],
                PerformedProcedureStepStartDateTime="20240705100000",
                PerformedWorkitemCodeSequence=[code("SEG")],
                PerformedProcedureStepEndDateTime="20240705110000",
                OutputInformationSequence=[],
            )
        ]
    )


def in_state(state: str, uid: str = UID) -> None:
    """A work item that came to `state` by the way everybody has to go."""
    new(uid)
    if state == ups.SCHEDULED:
        return
    change_work_item_state(ASKER, uid, ups.IN_PROGRESS, KEY)
    if state == ups.COMPLETED:
        change_work_item(ASKER, uid, {**performed(), **data_set(TransactionUID=KEY)})
    if state in ups.FINAL:
        change_work_item_state(ASKER, uid, state, KEY)


def outcome(act: Any) -> int:
    try:
        return int(act() or 0)
    except UpsFault as error:
        return int(error.fault)


# Table CC.1.1-2: request, right key, and what SCHEDULED, IN PROGRESS, COMPLETED, CANCELED answer.
TRANSITIONS = [
    (ups.IN_PROGRESS, True, [0x0000, 0xC302, 0xC300, 0xC300]),
    (ups.IN_PROGRESS, False, [0xC301, 0xC301, 0xC301, 0xC301]),
    (ups.SCHEDULED, True, [0xC303, 0xC303, 0xC303, 0xC303]),
    (ups.COMPLETED, True, [0xC310, 0xC304, 0xB306, 0xC300]),
    (ups.COMPLETED, False, [0xC301, 0xC301, 0xC301, 0xC301]),
    (ups.CANCELED, True, [0xC310, 0x0000, 0xC300, 0xB304]),
    (ups.CANCELED, False, [0xC301, 0xC301, 0xC301, 0xC301]),
]


@pytest.mark.parametrize(("wanted", "right", "expected"), TRANSITIONS)
def test_UPS_01_every_transition_of_the_standards_table(
    wanted: str, right: bool, expected: list[int]
) -> None:
    found = []
    for number, state in enumerate(ups.STATES):
        uid = f"{UID}.{number + 1}"
        in_state(state, uid)
        wrong = "" if state == ups.SCHEDULED else OTHER_KEY
        key = KEY if right else wrong
        found.append(
            outcome(lambda uid=uid, key=key: change_work_item_state(ASKER, uid, wanted, key))
        )
    assert [f"{each:04X}" for each in found] == [f"{each:04X}" for each in expected]
    assert outcome(lambda: change_work_item_state(ASKER, "1.9", wanted, KEY)) == 0xC307


def test_UPS_01_the_transaction_uid_is_never_given_out() -> None:
    in_state(ups.IN_PROGRESS)
    change_work_item(ASKER, UID, {**performed(), **data_set(TransactionUID=KEY)})
    assert KEY not in str(work_item(UID, ASKER).document)
    key = Key((int(ups.TRANSACTION_UID, 16),), (KEY,))
    query = WorkItemQuery([key])
    assert query.unsupported == [key], "nobody finds out by asking whether it is this one"
    (found,) = search_work_items(query, ASKER)
    assert ups.TRANSACTION_UID not in found
    assert KEY not in str(list(Event.objects.values_list("payload", flat=True)))


def test_UPS_02_completed_only_with_all_that_the_final_state_needs() -> None:
    in_state(ups.IN_PROGRESS)
    for leave_out in ("PerformedStationNameCodeSequence", "PerformedProcedureStepEndDateTime",
                      "OutputInformationSequence"):  # fmt: skip
        partly = performed()
        partly[ups.PERFORMED]["Value"][0].pop(tag_of(leave_out))
        change_work_item(ASKER, UID, {**partly, **data_set(TransactionUID=KEY)})
        done = outcome(lambda: change_work_item_state(ASKER, UID, ups.COMPLETED, KEY))
        assert done == 0xC304, leave_out
    change_work_item(ASKER, UID, {**performed(), **data_set(TransactionUID=KEY)})
    assert change_work_item_state(ASKER, UID, ups.COMPLETED, KEY) is None
    assert WorkItem.objects.get().state == "COMPLETED"


def test_setting_takes_the_key_while_in_progress_and_nothing_afterwards() -> None:
    new()
    change_work_item(ASKER, UID, data_set(ProcedureStepLabel="Other"))
    with pytest.raises(UpsFault) as raised:
        change_work_item(ASKER, UID, data_set(ProcedureStepLabel="x", TransactionUID=KEY))
    assert raised.value.fault is Fault.NOT_IN_PROGRESS
    change_work_item_state(ASKER, UID, ups.IN_PROGRESS, KEY)
    for key in ({}, data_set(TransactionUID=OTHER_KEY)):
        with pytest.raises(UpsFault) as raised:
            change_work_item(ASKER, UID, {**data_set(ProcedureStepLabel="x"), **key})
        assert raised.value.fault is Fault.WRONG_TRANSACTION_UID
    with pytest.raises(UpsFault) as raised:
        change_work_item(ASKER, UID, data_set(ProcedureStepState="COMPLETED", TransactionUID=KEY))
    assert raised.value.fault is Fault.ONLY_BY_CREATION
    assert WorkItem.objects.get().label == "Other"
    change_work_item_state(ASKER, UID, ups.CANCELED, KEY)
    with pytest.raises(UpsFault) as raised:
        change_work_item(ASKER, UID, data_set(ProcedureStepLabel="x", TransactionUID=KEY))
    assert raised.value.fault is Fault.NO_LONGER


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"ProcedureStepState": "IN PROGRESS"}, UpsFault),
        ({"ProcedureStepLabel": None}, MissingAttribute),
        ({"ProcedureStepLabel": ""}, MissingValue),
        ({"ScheduledProcedureStepPriority": "URGENT"}, InvalidValue),
        ({"TransactionUID": KEY}, InvalidValue),
    ],
)
def test_a_new_step_is_scheduled_and_whole(changes: dict[str, Any], error: type[PacsError]) -> None:
    with pytest.raises(error):
        new(**changes)
    assert not WorkItem.objects.exists()


def test_a_uid_is_used_once_and_minted_where_there_is_none() -> None:
    assert new("").sop_instance_uid.startswith("2.25.")
    new()
    with pytest.raises(AlreadyExists):
        new()
    with pytest.raises(InvalidValue):
        new(ups.GLOBAL_SUBSCRIPTION)


def test_rights_are_checked_at_every_action() -> None:
    nobody = Principal(PrincipalKind.USER, "nobody", door="api")
    new()
    for act in (
        lambda: create_work_item(nobody, "1.2", {}),
        lambda: change_work_item(nobody, UID, {}),
        lambda: change_work_item_state(nobody, UID, ups.IN_PROGRESS, KEY),
        lambda: request_cancellation(nobody, UID, {}),
        lambda: subscribe(nobody, UID, "WS1"),
        lambda: unsubscribe(nobody, UID, "WS1"),
        lambda: suspend(nobody, ups.GLOBAL_SUBSCRIPTION, "WS1"),
        lambda: work_item(UID, nobody),
        lambda: search_work_items(WorkItemQuery([]), nobody),
    ):
        with pytest.raises(NotPermitted):
            act()


# --- searches -------------------------------------------------------------------------------------


def found(**keys: str) -> list[str]:
    asked = [Key((int(tag_of(name), 16),), (value,)) for name, value in keys.items()]
    asked.append(Key((0x00080018,), ()))
    answers = search_work_items(WorkItemQuery(asked), ASKER)
    return [each["00080018"]["Value"][0] for each in answers]


def test_searches_match_values_ranges_names_and_items() -> None:
    new("1.1", PatientID="A", ScheduledProcedureStepStartDateTime="20240705100000+0200",
        ScheduledWorkitemCodeSequence=[code("SEG")])  # fmt: skip
    new("1.2", PatientID="B", PatientName="Yamada^Tarou=山田^太郎", ProcedureStepLabel="Read it")
    change_work_item_state(ASKER, "1.2", ups.IN_PROGRESS, KEY)
    assert found(PatientID="A") == ["1.1"]
    assert found(PatientID="*") == ["1.1", "1.2"]
    assert found(ProcedureStepState="IN PROGRESS") == ["1.2"]
    assert found(ProcedureStepState="IN*") == ["1.2"]
    assert found(PatientName="*=山田*") == ["1.2"]
    assert found(ProcedureStepLabel="read*") == []
    assert found(ScheduledProcedureStepStartDateTime="20240705070000-20240705083000") == ["1.1"]
    path = (int(tag_of("ScheduledWorkitemCodeSequence"), 16), 0x00080100)
    (answer,) = search_work_items(WorkItemQuery([Key(path, ("SEG",))]), ASKER)
    assert answer[tag_of("ScheduledWorkitemCodeSequence")]["Value"] == [
        {"00080100": {"vr": "SH", "Value": ["SEG"]}}
    ]


# --- cancellation, subscriptions, events ---------------------------------------------------------


@pytest.fixture
def watcher() -> str:
    ApplicationEntity.objects.create(title="WS1", host="127.0.0.1", port=11112)
    return "WS1"


def told() -> list[tuple[str, int, str]]:
    """Who is told what: work item, event type, state if it is a state report."""
    return [
        (each.sop_instance_uid, each.event_type or 0,
         each.document.get(ups.STATE, {}).get("Value", [""])[0])
        for each in Delivery.objects.order_by("pk")
    ]  # fmt: skip


def test_what_nobody_began_is_cancelled_at_once_by_way_of_in_progress(watcher: str) -> None:
    new()
    subscribe(ASKER, UID, watcher)
    Delivery.objects.all().delete()
    request_cancellation(ASKER, UID, data_set(ReasonForCancellation="not needed"))
    assert told() == [(UID, 1, "IN PROGRESS"), (UID, 1, "CANCELED")]
    progress = WorkItem.objects.get().document[ups.PROGRESS]["Value"][0]
    assert progress[ups.REASON]["Value"] == ["not needed"]
    assert progress[ups.CANCELLED_AT]["Value"]
    assert request_cancellation(ASKER, UID, {}) is Fault.ALREADY_CANCELED_WARNING


def test_who_performs_is_asked_to_cancel_and_told_by_whom(watcher: str) -> None:
    in_state(ups.IN_PROGRESS)
    with pytest.raises(UpsFault) as raised:
        request_cancellation(ASKER, UID, {})
    assert raised.value.fault is Fault.PERFORMER_OUT_OF_REACH
    subscribe(ASKER, UID, watcher)
    request_cancellation(ASKER, UID, data_set(ContactDisplayName="Doc"))
    asked = Delivery.objects.latest("pk")
    assert asked.event_type == 2
    assert asked.document[tag_of("RequestingAE")]["Value"] == ["test"]
    assert asked.document[tag_of("ContactDisplayName")]["Value"] == ["Doc"]
    assert WorkItem.objects.get().state == "IN PROGRESS"
    in_state(ups.COMPLETED, "1.9.1")
    with pytest.raises(UpsFault) as raised:
        request_cancellation(ASKER, "1.9.1", {})
    assert raised.value.fault is Fault.ALREADY_COMPLETED


def test_events_follow_state_readiness_progress_and_assignment(watcher: str) -> None:
    new()
    subscribe(ASKER, UID, watcher)
    change_work_item(ASKER, UID, data_set(InputReadinessState="INCOMPLETE"))
    change_work_item(ASKER, UID, data_set(ScheduledStationNameCodeSequence=[code("WS1")]))
    change_work_item(ASKER, UID, data_set(ProcedureStepLabel="nobody needs to hear of this"))
    change_work_item_state(ASKER, UID, ups.IN_PROGRESS, KEY)
    progress = [data_set(ProcedureStepProgress="50")]
    change_work_item(ASKER, UID, data_set(
        ProcedureStepProgressInformationSequence=progress, TransactionUID=KEY))  # fmt: skip
    assert [(event, state) for _, event, state in told()] == [
        (1, "SCHEDULED"), (1, "SCHEDULED"), (5, ""), (1, "IN PROGRESS"), (3, "")
    ]  # fmt: skip


def test_a_global_subscription_holds_for_what_is_and_what_comes(watcher: str) -> None:
    new("1.1")
    subscribe(ASKER, ups.GLOBAL_SUBSCRIPTION, watcher, deletion_lock=True)
    new("1.2")
    assert told() == [("1.1", 1, "SCHEDULED"), ("1.2", 1, "SCHEDULED")]
    suspend(ASKER, ups.GLOBAL_SUBSCRIPTION, watcher)
    new("1.3")
    change_work_item_state(ASKER, "1.2", ups.IN_PROGRESS, KEY)
    assert told()[2:] == [("1.2", 1, "IN PROGRESS")]
    unsubscribe(ASKER, ups.GLOBAL_SUBSCRIPTION, watcher)
    assert not WorkItemSubscription.objects.exists()


def test_without_a_lock_what_is_there_already_is_not_told_again(watcher: str) -> None:
    new("1.1")
    subscribe(ASKER, ups.GLOBAL_SUBSCRIPTION, watcher)
    assert told() == []
    subscribe(ASKER, "1.1", watcher)
    assert told() == [("1.1", 1, "SCHEDULED")]
    unsubscribe(ASKER, "1.1", watcher)
    change_work_item_state(ASKER, "1.1", ups.IN_PROGRESS, KEY)
    assert len(told()) == 1


def test_a_filtered_subscription_holds_for_what_matches(watcher: str) -> None:
    match = data_set(PatientID="A*")
    subscribe(ASKER, ups.FILTERED_SUBSCRIPTION, watcher, deletion_lock=True, match=match)
    new("1.1", PatientID="A7")
    new("1.2", PatientID="B7")
    assert [uid for uid, _, _ in told()] == ["1.1"]


def test_a_receiver_has_to_be_one_we_can_call(watcher: str) -> None:
    check_receiver(watcher)
    ApplicationEntity.objects.create(title="NOPORT")
    for unknown in ("NOPORT", "NOBODY", ""):
        with pytest.raises(UpsFault) as raised:
            check_receiver(unknown)
        assert raised.value.fault is Fault.UNKNOWN_RECEIVER
    with pytest.raises(UpsFault) as raised:
        subscribe(ASKER, "1.9", watcher)
    assert raised.value.fault is Fault.UNKNOWN
    with pytest.raises(UpsFault) as raised:
        suspend(ASKER, "1.9", watcher)
    assert raised.value.fault is Fault.NOT_APPROPRIATE
