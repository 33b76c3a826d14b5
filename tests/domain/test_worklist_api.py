"""The worklist over REST: orders in, entries out, performed steps, studies without order."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.events.models import Event
from apps.worklist.actions.change_step import change_step
from apps.worklist.actions.link_study import link_study
from apps.worklist.actions.start_step import StepReport, start_step
from apps.worklist.models import ScheduledProcedureStep, StudyLink
from tests.domain.archive_rows import make_instance, make_patient, make_series, make_study
from tests.domain.worklist_rows import ASKER, begun, ended, entry, scheduled_item

pytestmark = pytest.mark.django_db
ENTRIES = "/api/worklist/entries/"
ORDER = {
    "PatientName": "Test^Patient", "PatientID": "T-1", "Modality": "CT",
    "ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20240705",
    "ScheduledProcedureStepStartTime": "1000", "AccessionNumber": "A1",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget_remembered()


def person(role: str) -> Client:
    user = User.objects.create_user(role, password="a long enough password")
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def send(client: Client, method: str, url: str, body: Any) -> Any:
    return getattr(client, method)(url, body, content_type="application/json")


def test_an_entry_is_made_found_changed_and_cancelled() -> None:
    client = person("technologist")
    made = send(client, "post", ENTRIES, {"attributes": ORDER})
    assert made.status_code == 201, made.json()
    row = made.json()
    assert row["attributes"]["StudyInstanceUID"].startswith("2.25.")
    assert row["status"] == "SCHEDULED"
    url = f"{ENTRIES}{row['id']}/"

    period = "20240701-20240731"
    found = client.get(ENTRIES, {"PatientName": "test*", "Modality": "CT",
                                 "ScheduledProcedureStepStartDate": period})  # fmt: skip
    assert [each["id"] for each in found.json()["entries"]] == [row["id"]]
    assert client.get(ENTRIES, {"Modality": "MR"}).json() == {"entries": [], "next": None}
    assert Event.objects.filter(kind="WorklistRead").count() == 1

    changes = {"PatientName": "New^Name", "ScheduledStationAETitle": "CT2"}
    changed = send(client, "patch", url, {"attributes": changes})
    assert changed.status_code == 200, changed.json()
    assert changed.json()["attributes"]["PatientName"] == "New^Name"
    assert changed.json()["attributes"]["ScheduledStationAETitle"] == "CT2"
    assert changed.json()["attributes"]["Modality"] == "CT"
    assert (
        send(client, "patch", url, {"attributes": {"StudyInstanceUID": "1.2"}}).status_code == 400
    )

    ready = send(client, "put", f"{url}status/", {"status": "READY"})
    assert ready.json()["status"] == "READY"
    assert client.delete(url).status_code == 204
    assert client.get(ENTRIES).json()["entries"] == []
    assert client.get(url).json()["status"] == "CANCELED"
    assert len(client.get(ENTRIES, {"state": "all"}).json()["entries"]) == 1


def test_pages_go_on_where_the_last_one_ended() -> None:
    client = person("technologist")
    ids = [entry(ScheduledProcedureStepStartTime=f"{hour:02}").pk for hour in range(5)]
    first = client.get(ENTRIES, {"limit": "3"}).json()
    second = client.get(ENTRIES, {"limit": "3", "offset": first["next"]}).json()
    assert [each["id"] for each in first["entries"] + second["entries"]] == ids
    assert second["next"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"attributes": {**ORDER, "PatientID": ""}}, 400),
        ({"attributes": {**ORDER, "Rows": "5"}}, 400),
        ({"attributes": {**ORDER, "AccessionNumber": "x" * 17}}, 400),
        ({"attributes": [1]}, 400),
        ({"attributes": {**ORDER, "PatientID": "OTHER"}}, 409),
    ],
)
def test_what_is_wrong_with_an_order_is_a_sentence(body: dict[str, Any], status: int) -> None:
    client = person("technologist")
    entry(AccessionNumber="A1", PatientID="T-1")
    answer = send(client, "post", ENTRIES, body)
    assert answer.status_code == status, answer.json()
    assert ScheduledProcedureStep.objects.count() == 1


def test_wrong_parameters_are_refused_and_unknown_entries_not_found() -> None:
    client = person("technologist")
    for query in ({"Nonsense": "x"}, {"limit": "many"}, {"limit": "501"},
                  {"ScheduledProcedureStepStartDate": "soon"}):  # fmt: skip
        assert client.get(ENTRIES, query).status_code == 400, query
    assert client.get(f"{ENTRIES}999/").status_code == 404
    assert client.delete(f"{ENTRIES}999/").status_code == 404


def test_what_has_begun_cannot_be_cancelled() -> None:
    client = person("technologist")
    step = entry()
    start_step(ASKER, StepReport("1.2.3", begun(scheduled_item(step))))
    assert client.delete(f"{ENTRIES}{step.pk}/").status_code == 409


def test_clinicians_look_and_strangers_do_not() -> None:
    step = entry()
    clinician = person("clinician")
    assert clinician.get(ENTRIES).status_code == 200
    assert send(clinician, "post", ENTRIES, {"attributes": ORDER}).status_code == 403
    assert clinician.delete(f"{ENTRIES}{step.pk}/").status_code == 403
    assert (
        send(clinician, "put", f"{ENTRIES}{step.pk}/status/", {"status": "READY"}).status_code
        == 403
    )
    assert send(clinician, "put", "/api/worklist/studies/1.2/order/",
                {"procedure": None}).status_code in {403, 404}  # fmt: skip
    for url in (ENTRIES, "/api/worklist/performed-steps/", "/api/worklist/unlinked-studies/"):
        assert Client().get(url).status_code == 401


def test_performed_steps_are_compared_with_what_arrived(django_assert_max_num_queries: Any) -> None:
    client = person("clinician")
    step = entry()
    uid = step.procedure.study_instance_uid
    start_step(ASKER, StepReport("1.2.3.1", begun(scheduled_item(step))))
    change_step(ASKER, "1.2.3.1", ended("1.2.4", "1", "2", "3"))
    for number in range(2, 8):
        other = begun(scheduled_item(None, f"1.2.77.{number}"))
        start_step(ASKER, StepReport(f"1.2.3.{number}", other))
    patient = make_patient(PatientID="T-1", PatientName="Test^Patient")
    study = make_study(patient, StudyInstanceUID=uid, PatientID="T-1", PatientName="Test^Patient")
    series = make_series(study, SeriesInstanceUID="1.2.4")
    make_instance(series, SOPInstanceUID="1")
    make_instance(series, SOPInstanceUID="9")

    with django_assert_max_num_queries(10):
        rows = client.get("/api/worklist/performed-steps/").json()["performed_steps"]
    assert len(rows) == 7
    assert (rows[-1]["expected"], rows[-1]["missing"], rows[-1]["entries"]) == (3, 2, [step.pk])
    ended_only = client.get("/api/worklist/performed-steps/", {"status": "COMPLETED"}).json()
    assert [each["SOPInstanceUID"] for each in ended_only["performed_steps"]] == ["1.2.3.1"]
    one = client.get("/api/worklist/performed-steps/1.2.3.1/").json()
    assert sorted(one["missing_instances"]) == ["2", "3"]
    assert one["unannounced_instances"] == ["9"]
    assert one["document"]["00080060"]["Value"] == ["CT"]
    assert client.get("/api/worklist/performed-steps/1.9/").status_code == 404


def test_a_study_without_order_is_assigned_by_a_person() -> None:
    client = person("technologist")
    step = entry(AccessionNumber="A7")
    study = make_study(make_patient(PatientID="T-1"), PatientID="T-1", AccessionNumber="WRONG")
    assert not link_study(study)
    uid = study.study_instance_uid
    (waiting,) = client.get("/api/worklist/unlinked-studies/").json()
    assert (waiting["StudyInstanceUID"], waiting["AccessionNumber"]) == (uid, "WRONG")
    url = f"/api/worklist/studies/{uid}/order/"
    (candidate,) = client.get(url).json()["candidates"]
    assert candidate["AccessionNumber"] == "A7"
    assert send(client, "put", url, {"procedure": candidate["procedure"]}).status_code == 204
    assert StudyLink.objects.get().procedure_id == step.procedure_id
    assert client.get("/api/worklist/unlinked-studies/").json() == []
    assert [each["procedure"] for each in client.get(url).json()["linked"]] == [step.procedure_id]
    assert send(client, "put", url, {"procedure": 999}).status_code == 404


def test_the_openapi_description_has_every_resource() -> None:
    schema = person("administrator").get("/api/schema/", HTTP_ACCEPT="application/json").json()
    paths = {name for name in schema["paths"] if name.startswith("/api/worklist/")}
    assert paths == {
        "/api/worklist/entries/",
        "/api/worklist/entries/{entry}/",
        "/api/worklist/entries/{entry}/status/",
        "/api/worklist/performed-steps/",
        "/api/worklist/performed-steps/{uid}/",
        "/api/worklist/unlinked-studies/",
        "/api/worklist/studies/{study}/order/",
    }
