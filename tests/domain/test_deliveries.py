"""What other systems are told: MPPS forwarded in order, notices of images, until they have it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from apps.access.principals import Principal, PrincipalKind
from apps.dicom import ups
from apps.errors import NotFound, NotPermitted
from apps.events.models import Event
from apps.network.models import ApplicationEntity
from apps.worklist.actions.announce_images import announce_images
from apps.worklist.actions.change_step import change_step
from apps.worklist.actions.change_work_item import change_work_item_state
from apps.worklist.actions.create_work_item import create_work_item
from apps.worklist.actions.deliver import AVAILABILITY, MPPS, decide_delivery, deliver
from apps.worklist.actions.start_step import StepReport, start_step
from apps.worklist.actions.subscribe import subscribe
from apps.worklist.models import Delivery, WorkflowPeer
from tests.domain.archive_rows import make_instance, make_patient, make_series, make_study
from tests.domain.worklist_rows import ASKER, begun, data_set, ended, entry, scheduled_item
from tests.servers import free_port

pytestmark = pytest.mark.django_db
UID = "1.2.3.200"


class Ris:
    """A system that takes MPPS and notices; `answers` are the statuses it will give next."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[tuple[str, str, Dataset]] = []
        self.answers: list[int] = []
        self._server: Any = None

    def start(self) -> Ris:
        entity = AE(ae_title="RIS")
        for uid in (MPPS, AVAILABILITY):
            entity.add_supported_context(uid)
        # Events come from the SCP, on an association it opens.
        entity.add_supported_context(ups.EVENT, scu_role=False, scp_role=True)
        handlers = [
            (evt.EVT_N_CREATE, self._create),
            (evt.EVT_N_SET, self._set),
            (evt.EVT_N_EVENT_REPORT, self._event),
        ]
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()

    def _create(self, event: Any) -> tuple[int, Dataset | None]:
        return self._take("create", str(event.request.AffectedSOPInstanceUID), event.attribute_list)

    def _set(self, event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.RequestedSOPInstanceUID)
        return self._take("set", uid, event.modification_list)

    def _event(self, event: Any) -> tuple[int, Dataset | None]:
        assert event.request.AffectedSOPClassUID == ups.PUSH
        uid = str(event.request.AffectedSOPInstanceUID)
        return self._take(f"event {event.event_type}", uid, event.event_information)

    def _take(self, what: str, uid: str, sent: Dataset) -> tuple[int, Dataset | None]:
        status = self.answers.pop(0) if self.answers else 0x0000
        self.got.append((what, uid, sent))
        return status, None


@pytest.fixture
def ris() -> Iterator[Ris]:
    made = Ris()
    entity = ApplicationEntity.objects.create(title="RIS", host="127.0.0.1", port=made.port)
    WorkflowPeer.objects.create(
        application_entity=entity, forward_mpps=True, notify_availability=True
    )
    yield made
    made.stop()


def _performed() -> str:
    """A step begun and ended by a modality; the study it made."""
    step = entry()
    sent = begun(scheduled_item(step), PatientName="Müller^Jörg=山田")
    start_step(ASKER, StepReport(UID, sent))
    change_step(ASKER, UID, ended("1.2.4", "1.2.5"))
    return step.procedure.study_instance_uid


def _due() -> None:
    """Time passes."""
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))


def states() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def test_mpps_is_forwarded_in_order_and_once(ris: Ris) -> None:
    ris.start()
    _performed()
    assert deliver() == 2
    assert [(what, uid) for what, uid, _ in ris.got] == [("create", UID), ("set", UID)]
    assert str(ris.got[0][2].PatientName) == "Müller^Jörg=山田"
    assert ris.got[1][2].PerformedSeriesSequence[0].SeriesInstanceUID == "1.2.4"
    assert deliver() == 0
    assert states() == ["delivered", "delivered"]
    assert Event.objects.filter(kind="DeliveryEnded").count() == 2


def test_what_cannot_be_delivered_waits_longer_each_time_and_then_arrives(ris: Ris) -> None:
    _performed()
    waits = []
    for _ in range(3):
        assert deliver() == 0
        first = Delivery.objects.order_by("pk")[0]
        waits.append((first.next_attempt_at - timezone.now()).total_seconds())
        assert "RIS at 127.0.0.1" in first.last_error
        assert deliver() == 0, "not before its time"
        _due()
    assert waits[0] < waits[1] < waits[2]
    ris.start()
    assert deliver() == 2
    assert [what for what, _, _ in ris.got] == ["create", "set"]


def test_a_passing_failure_holds_back_what_follows_about_the_same_step(ris: Ris) -> None:
    ris.start()
    _performed()
    ris.answers = [0x0110]
    assert deliver() == 0
    assert [what for what, _, _ in ris.got] == ["create"]
    assert states() == ["waiting", "waiting"]
    _due()
    assert deliver() == 2
    assert [what for what, _, _ in ris.got] == ["create", "create", "set"]


def test_a_duplicate_there_is_as_good_as_delivered_and_a_refusal_is_final(ris: Ris) -> None:
    ris.start()
    _performed()
    ris.answers = [0x0111, 0x0106]
    assert deliver() == 1
    assert states() == ["delivered", "refused"]
    refused = Delivery.objects.get(state="refused")
    assert refused.last_error.startswith("0106")
    nobody = Principal(PrincipalKind.USER, "nobody", door="admin")
    with pytest.raises(NotPermitted):
        decide_delivery(nobody, refused.pk, retry=True)
    decide_delivery(ASKER, refused.pk, retry=True)
    assert deliver() == 1
    with pytest.raises(NotFound):
        decide_delivery(ASKER, refused.pk, retry=False)


def test_IAN_01_the_notice_is_sent_when_the_last_image_is_here(ris: Ris) -> None:
    ris.start()
    study = _performed()
    assert (announce_images(), deliver()) == (0, 2)
    series = make_series(
        make_study(make_patient(PatientID="T-1"), StudyInstanceUID=study, PatientID="T-1"),
        SeriesInstanceUID="1.2.4",
    )
    make_instance(series, SOPInstanceUID="1.2.5")
    assert (announce_images(), deliver()) == (1, 1)
    what, _, notice = ris.got[-1]
    assert (what, notice.StudyInstanceUID) == ("create", study)
    item = notice.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert (item.ReferencedSOPInstanceUID, item.InstanceAvailability) == ("1.2.5", "ONLINE")
    assert item.RetrieveAETitle


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_send_the_same_message_twice(ris: Ris) -> None:
    ris.start()
    _performed()
    before = threading.Barrier(2)

    def work() -> None:
        from django.db import connections

        before.wait()
        deliver()
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    _due()
    deliver()
    assert sorted(what for what, _, _ in ris.got) == ["create", "set"]


def test_subscribers_of_a_work_item_are_told_on_an_association_of_ours(ris: Ris) -> None:
    ris.start()
    create_work_item(
        ASKER,
        "1.2.3.300",
        data_set(
            ScheduledProcedureStepPriority="LOW",
            ProcedureStepLabel="Read",
            ScheduledProcedureStepStartDateTime="20240705",
            InputReadinessState="READY",
            ProcedureStepState="SCHEDULED",
        ),
    )
    subscribe(ASKER, "1.2.3.300", "RIS")
    change_work_item_state(ASKER, "1.2.3.300", ups.IN_PROGRESS, "2.25.1")
    assert deliver() == 2
    assert [(what, uid) for what, uid, _ in ris.got] == [("event 1", "1.2.3.300")] * 2
    assert [sent.ProcedureStepState for _, _, sent in ris.got] == ["SCHEDULED", "IN PROGRESS"]
    assert ris.got[0][2].InputReadinessState == "READY"
