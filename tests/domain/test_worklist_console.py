"""The worklist in the admin: entries typed in, cancelled, performed steps, studies assigned."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.access.actions.keep_rule import drop_rule
from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.access.principals import system_principal
from apps.errors import WrongState
from apps.events.models import Event
from apps.network.models import ApplicationEntity
from apps.worklist.actions.change_step import change_step
from apps.worklist.actions.create_work_item import create_work_item
from apps.worklist.actions.deliver import deliver
from apps.worklist.actions.link_study import link_study
from apps.worklist.actions.start_step import StepReport, start_step
from apps.worklist.models import (
    Delivery,
    PerformedProcedureStep,
    ScheduledProcedureStep,
    StudyLink,
    UnlinkedStudy,
    WorkflowPeer,
)
from tests.domain.archive_rows import make_patient, make_study
from tests.domain.worklist_rows import ASKER, begun, data_set, ended, entry, scheduled_item

pytestmark = pytest.mark.django_db
LIST = "/admin/worklist/scheduledprocedurestep/"
HOSTILE = "<script>alert(1)</script>^X"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget_remembered()  # keys of users come again from test to test


def client_of(*, superuser: bool = False, role: str = "administrator") -> Client:
    if superuser:
        user = User.objects.create_superuser("root", password="a long password")
    else:
        user = User.objects.create_user("staff", password="a long password", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


FORM = {
    "PatientName": "Typed^In", "PatientID": "T-9", "Modality": "CT",
    "ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20240705",
    "ScheduledProcedureStepStartTime": "1000",
}  # fmt: skip


def test_an_entry_is_typed_in_and_changed() -> None:
    client = client_of()
    assert client.get(f"{LIST}add/").status_code == 200
    refused = client.post(f"{LIST}add/", {**FORM, "PatientID": ""})
    assert refused.status_code == 200
    assert "An entry needs PatientID." in refused.content.decode()
    assert client.post(f"{LIST}add/", FORM).status_code == 302
    step = ScheduledProcedureStep.objects.get()
    url = f"{LIST}{step.pk}/change/"
    assert "Typed^In" in client.get(url).content.decode()
    assert client.post(url, {**FORM, "PatientName": "Changed^Name"}).status_code == 302
    step = ScheduledProcedureStep.objects.select_related("procedure__service_request").get()
    assert step.procedure.service_request.patient_name == "Changed^Name"
    assert client.get(f"{LIST}?q=T-9").status_code == 200
    for query, shown in (("start=past", True), ("start=7", False), ("state=open", True),
                         ("state=COMPLETED", False), ("start=nonsense", True)):  # fmt: skip
        page = client.get(f"{LIST}?{query}").content.decode()
        assert ("T-9" in page) is shown, query


def test_entries_are_cancelled_after_a_page_that_says_so() -> None:
    client = client_of()
    step = entry(PatientName=HOSTILE)
    chosen = {"_selected_action": [step.pk], "action": "cancel_entries"}
    page = client.post(LIST, chosen).content.decode()
    assert "stay on record" in page
    assert "<script>alert" not in page
    step.refresh_from_db()
    assert step.scheduled_procedure_step_status == "SCHEDULED"
    client.post(LIST, {**chosen, "confirmed": "1"})
    step.refresh_from_db()
    assert step.scheduled_procedure_step_status == "CANCELED"
    client.post(LIST, {"_selected_action": [entry().pk], "action": "patient_arrived"})
    assert ScheduledProcedureStep.objects.filter(scheduled_procedure_step_status="ARRIVED").exists()


def test_performed_steps_show_what_is_missing() -> None:
    client = client_of(superuser=True)
    step = entry()
    start_step(ASKER, StepReport("1.2.3", begun(scheduled_item(step), PatientName=HOSTILE)))
    change_step(ASKER, "1.2.3", ended("1.2.4", "1.2.5"))
    listed = client.get("/admin/worklist/performedprocedurestep/").content.decode()
    assert "1 of 1 missing" in listed
    assert "<script>alert" not in listed
    performed = PerformedProcedureStep.objects.get()
    shown = client.get(
        reverse("admin:worklist_performedprocedurestep_change", args=[performed.pk])
    ).content.decode()
    assert "1.2.5" in shown
    assert "<script>alert" not in shown
    assert client.get(f"{LIST}{step.pk}/change/").status_code == 200


def test_a_person_assigns_a_study_to_an_order() -> None:
    client = client_of()
    step = entry(AccessionNumber="A1")
    study = make_study(make_patient(PatientID="T-1"), PatientID="T-1", AccessionNumber="A2")
    link_study(study)
    row = UnlinkedStudy.objects.get()
    index = client.get("/admin/").content.decode()
    assert "1 to assign" in index
    assert client.get("/admin/worklist/unlinkedstudy/").status_code == 200
    url = reverse("admin:worklist_unlinkedstudy_change", args=[row.pk])
    page = client.get(url).content.decode()
    assert "accession A1" in page
    assert "belongs to no order" in page
    assert client.post(url, {"procedure": step.procedure_id}).status_code == 302
    assert StudyLink.objects.get().basis == "person"
    links = client.get("/admin/worklist/studylink/?basis__exact=person").content.decode()
    assert 'alt="False"' in links, "the images have another Study Instance UID than was given out"


def test_messages_to_other_systems_are_tried_again_or_given_up() -> None:
    client = client_of()
    entity = ApplicationEntity.objects.create(title="RIS")
    peer = WorkflowPeer.objects.create(application_entity=entity, forward_mpps=True)
    message = Delivery.objects.create(
        destination=peer, kind="n-set", sop_instance_uid="1.2", document={}, state="refused",
        next_attempt_at=timezone.now(),
    )  # fmt: skip
    url = "/admin/worklist/delivery/"
    assert client.get(url).status_code == 200
    chosen = {"_selected_action": [message.pk], "action": "try_again"}
    client.post(url, chosen)
    message.refresh_from_db()
    assert message.state == "waiting"
    assert "will not be told" in client.post(url, {**chosen, "action": "give_up"}).content.decode()
    client.post(url, {**chosen, "action": "give_up", "confirmed": "1"})
    message.refresh_from_db()
    assert message.state == "cancelled"
    with pytest.raises(WrongState, match="workflow of RIS"):
        drop_rule(system_principal("test"), entity)
    sent = Delivery.objects.create(
        destination=peer, destination_title="RIS", kind="n-set", sop_instance_uid="1.3",
        document={}, next_attempt_at=timezone.now(),
    )  # fmt: skip
    drop_rule(system_principal("test"), peer)
    deliver()
    sent.refresh_from_db()
    assert (sent.state, sent.last_error) == ("cancelled", "RIS was removed here.")
    assert Event.objects.get(kind="DeliveryCancelled", payload__delivery=sent.pk)
    assert "RIS" in client.get(url).content.decode()
    refused = client.post(url, {"_selected_action": [sent.pk], "action": "try_again"}, follow=True)
    assert "The other system was removed here." in refused.content.decode()
    for name in ("servicerequest", "workflowpeer", "unlinkedstudy"):
        assert client.get(f"/admin/worklist/{name}/").status_code == 200


def test_work_items_are_shown_and_cancelled_after_a_page_that_says_what_that_means() -> None:
    client = client_of()
    item = create_work_item(ASKER, "1.2.3.300", data_set(
        ScheduledProcedureStepPriority="LOW", ProcedureStepLabel=HOSTILE,
        ScheduledProcedureStepStartDateTime="20240705", InputReadinessState="READY",
        ProcedureStepState="SCHEDULED"))  # fmt: skip
    url = "/admin/worklist/workitem/"
    for page in (url, f"{url}{item.pk}/change/", "/admin/worklist/workitemsubscription/"):
        answer = client.get(page)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.content.decode()
    chosen = {"_selected_action": [item.pk], "action": "ask_to_cancel"}
    assert "may decline" in client.post(url, chosen).content.decode()
    client.post(url, {**chosen, "confirmed": "1"})
    item.refresh_from_db()
    assert item.state == "CANCELED"


def test_who_may_not_schedule_cannot_in_the_admin_either() -> None:
    client = client_of(role="clinician")
    step = entry()
    assert client.get(f"{LIST}add/").status_code == 404
    assert client.post(f"{LIST}add/", FORM).status_code == 404
    answer = client.post(f"{LIST}{step.pk}/change/", {**FORM, "PatientName": "Evil^Change"})
    step.procedure.service_request.refresh_from_db()
    assert step.procedure.service_request.patient_name == "Test^Patient", answer.status_code
