"""Drafts of measurements: one reader's, on one study, whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.archive.models import Study
from apps.events.models import Event
from apps.measurements.models import MeasurementDraft
from tests.domain.archive_rows import make_study

pytestmark = pytest.mark.django_db


def reader(name: str, role: str = "clinician") -> Client:
    user = User.objects.create_user(name, password="correct horse")
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def study() -> Study:
    # A user of an earlier test may have had the same key.
    forget_remembered()
    return make_study(PatientName="Doe^Jane", StudyInstanceUID="1.2.3")


def length(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"m{number}",
        "tool": "length",
        "series_instance_uid": "1.2.3.1",
        "sop_instance_uid": f"1.2.3.1.{number}",
        "frame_number": 1,
        "points": [[10.5, 20], [40, 20]],
        "label_at": [45.0, 22.0],
        "text": "",
        "note": "",
        "readings": [{"name": "Length", "value": 14.75, "unit": "mm"}],
        **changes,
    }


def url(study: str = "1.2.3") -> str:
    return f"/api/studies/{study}/measurements/"


def put(client: Client, version: int, *measurements: Any, study: str = "1.2.3") -> Any:
    body = {"version": version, "measurements": list(measurements)}
    return client.put(url(study), body, content_type="application/json")


def test_what_was_saved_is_there_again_for_its_reader_alone(study: Study) -> None:
    jane, john = reader("jane"), reader("john")
    assert jane.get(url()).json() == {"version": 0, "saved_at": None, "measurements": []}
    answer = put(jane, 0, length(1), length(2, tool="arrow", text="<b>hostile</b>"))
    assert answer.status_code == 200
    assert answer.json()["version"] == 1
    kept = jane.get(url()).json()
    assert [each["id"] for each in kept["measurements"]] == ["m1", "m2"]
    assert kept["measurements"][0] == {**length(1), "points": [[10.5, 20.0], [40.0, 20.0]]}
    assert john.get(url()).json()["measurements"] == []


def test_each_save_is_one_event_without_what_was_written(study: Study) -> None:
    jane = reader("jane")
    put(jane, 0, length(text="Doe^Jane has a lump"))
    [event] = Event.objects.filter(kind="MeasurementDraftSaved")
    assert (event.actor_name, event.study_instance_uid) == ("jane", "1.2.3")
    assert event.payload == {"measurements": 1, "version": 1}


def test_the_older_window_is_told_and_writes_nothing(study: Study) -> None:
    jane = reader("jane")
    put(jane, 0, length(1))
    late = put(jane, 0, length(2))
    assert late.status_code == 409
    assert late.json()["version"] == 1
    assert [each["id"] for each in late.json()["measurements"]] == ["m1"]
    assert put(jane, 1, length(1), length(2)).json()["version"] == 2
    assert Event.objects.filter(kind="MeasurementDraftSaved").count() == 2


def test_strangers_integrations_without_a_view_and_unknown_studies_are_refused(
    study: Study,
) -> None:
    assert Client().get(url()).status_code == 401
    nobody = Client()
    nobody.force_login(User.objects.create_user("nobody"))
    assert nobody.get(url()).status_code == 403
    assert put(nobody, 0, length()).status_code == 403
    jane = reader("jane")
    assert jane.get(url("9.9.9")).status_code == 404
    assert put(jane, 0, length(), study="9.9.9").status_code == 404
    assert not MeasurementDraft.objects.exists()


@pytest.mark.parametrize(
    "bad",
    [
        "text",
        length(tool="scalpel"),
        length(frame_number=0),
        length(frame_number=True),
        length(id=""),
        length(points=[]),
        length(points=[[1, 2, 3]]),
        length(points=[["1", 2]]),
        length(points=[[1, 2]] * 17),
        length(label_at="here"),
        length(text="x" * 1001),
        length(sop_instance_uid="1" * 257),
        length(readings=[{"name": "Length", "value": "long", "unit": "mm"}]),
        length(readings=[7]),
    ],
)
def test_what_is_no_measurement_is_refused_in_words(study: Study, bad: Any) -> None:
    jane = reader("jane")
    answer = put(jane, 0, length(1), bad)
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith(".")
    assert not MeasurementDraft.objects.exists()


def test_ids_are_unique_and_drafts_have_an_end(study: Study) -> None:
    jane = reader("jane")
    assert put(jane, 0, length(1), length(1)).status_code == 400
    assert put(jane, 0, *[length(number) for number in range(1001)]).status_code == 400
    assert jane.put(url(), [1], content_type="application/json").status_code == 400
    assert put(jane, "0", length(1)).status_code == 400  # type: ignore[arg-type]


def test_unknown_members_are_not_kept(study: Study) -> None:
    jane = reader("jane")
    put(jane, 0, length(1, PatientName="Doe^Jane"))
    [draft] = MeasurementDraft.objects.all()
    assert "PatientName" not in draft.measurements[0]
    assert str(draft) == "jane on 1.2.3"
