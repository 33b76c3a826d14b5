"""The REST resources behind the study list: read marks, alerts, saved filters, preferences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from apps.access.actions.record_searches import record_searches
from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.access.searches import TYPING_SECONDS, Search, note_search, passing
from apps.archive.actions.mark_read import mark_read
from apps.archive.actions.raise_alerts import raise_alerts
from apps.archive.models import Study, StudyAlert
from apps.archive.study_list import StudyListFilter, study_list
from apps.errors import InvalidRequest
from apps.events.log import Actor, record
from apps.events.models import Event
from tests.domain.archive_rows import make_study

pytestmark = pytest.mark.django_db
ASKER = system_principal("test")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget_remembered()  # keys of users come again from test to test


def person(role: str, name: str = "") -> Client:
    user = User.objects.create_user(name or role, password="a long enough password")
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def complete(study: Study) -> Study:
    study.state = Study.State.COMPLETE
    study.save()
    return study


def kinds() -> list[str]:
    return list(Event.objects.order_by("sequence").values_list("kind", flat=True))


# --- read marks ----------------------------------------------------------------------------------


def test_a_complete_study_is_marked_read_once_and_unread_again() -> None:
    study = complete(make_study())
    url = f"/api/studies/{study.study_instance_uid}/read/"
    clara, other = person("clinician", "clara"), person("clinician", "otto")
    assert clara.put(url).json()["read_by"] == "clara"
    assert other.put(url).json()["read_by"] == "clara"  # the first reader stays
    answer = other.get("/api/studies/?state=read").json()
    assert [row["state"] for row in answer["studies"]] == ["read"]
    assert other.delete(url).json()["state"] == "complete"
    marks = [kind for kind in kinds() if kind.startswith("StudyMarked")]
    assert marks == ["StudyMarkedRead", "StudyMarkedUnread"]
    assert clara.put("/api/studies/1.2.3/read/").status_code == 404


def test_what_is_arriving_cannot_be_read_yet() -> None:
    study = make_study()
    with pytest.raises(InvalidRequest):
        mark_read(ASKER, study.study_instance_uid)


def test_marking_needs_its_permission() -> None:
    study = complete(make_study())
    url = f"/api/studies/{study.study_instance_uid}/read/"
    assert person("technologist").put(url).status_code == 403
    assert Client().put(url).status_code == 401
    study.refresh_from_db()
    assert study.state == Study.State.COMPLETE


# --- alerts --------------------------------------------------------------------------------------


def test_an_alert_is_shown_filtered_by_and_settled() -> None:
    study, calm = make_study(), make_study()
    actor = Actor("system", "test")
    uids = [study.study_instance_uid, calm.study_instance_uid, "1.2.3"]
    events = raise_alerts(
        StudyAlert.Cause.QUARANTINE, dict(zip(uids, ["look", "", "gone"], strict=True)), actor
    )
    record(events)
    assert [each.kind for each in events] == ["StudyAlertRaised"]
    page = study_list(StudyListFilter(state="attention"), ASKER)
    assert [each.pk for each in page.studies] == [study.pk]
    rows = person("clinician").get("/api/studies/?state=attention").json()["studies"]
    assert rows[0]["alerts"] == [{"cause": "quarantine", "text": "look"}]
    cause = StudyAlert.Cause.QUARANTINE
    assert raise_alerts(cause, {study.study_instance_uid: "look"}, actor) == []  # no news
    [settled] = raise_alerts(cause, {study.study_instance_uid: ""}, actor)
    assert settled.kind == "StudyAlertSettled"
    assert study_list(StudyListFilter(state="attention"), ASKER).total == 0


# --- saved filters and preferences ---------------------------------------------------------------


def test_saved_filters_are_counted_ordered_and_each_users_own() -> None:
    for day in ("20260105", "20260106", "20260106"):
        make_study(StudyDate=day)
    clara, other = person("clinician", "clara"), person("clinician", "otto")

    def keep(name: str, asked: dict[str, Any]) -> int:
        body = {"name": name, "asked": asked, "sort": "-study_date"}
        answer = clara.post("/api/saved-filters/", body, content_type="application/json")
        assert answer.status_code == 201, answer.content
        return answer.json()["id"]

    today, ct = keep("Today", {"date": "today"}), keep("CT", {"modality": ["CT"]})
    rows = clara.get("/api/saved-filters/?today=20260106").json()
    assert [(row["name"], row["count"], row["count_is_exact"]) for row in rows] == [
        ("Today", 2, True),
        ("CT", 0, True),
    ]
    assert keep("Today", {"date": "yesterday"}) == today  # in place of the former
    assert clara.get("/api/saved-filters/?today=20260106").json()[0]["count"] == 1
    order = {"order": [ct, today]}
    answer = clara.patch("/api/saved-filters/", order, content_type="application/json")
    assert answer.status_code == 204
    assert [row["id"] for row in clara.get("/api/saved-filters/").json()] == [ct, today]
    assert other.get("/api/saved-filters/").json() == []
    assert other.delete(f"/api/saved-filters/{ct}/").status_code == 404
    assert clara.delete(f"/api/saved-filters/{ct}/").status_code == 204
    assert [row["id"] for row in clara.get("/api/saved-filters/").json()] == [today]


@pytest.mark.parametrize(
    "asked",
    [{"colour": "red"}, {"q": 7}, {"modality": "CT"}, {"modality": [7]}, {"date": "someday"},
     {"state": "odd"}, {"q": "x" * 257}, {"uid": ["1.2.3"]}],
)  # fmt: skip
def test_a_filter_that_is_none_is_not_kept(asked: dict[str, Any]) -> None:
    body = {"name": "odd", "asked": asked}
    clara = person("clinician")
    answer = clara.post("/api/saved-filters/", body, content_type="application/json")
    assert answer.status_code == 400
    assert clara.get("/api/saved-filters/").json() == []


def test_preferences_follow_the_user() -> None:
    clara, other = person("clinician", "clara"), person("clinician", "otto")
    url = "/api/preferences/study-list/"
    assert clara.get(url).json() == {}
    value = {"columns": ["patient", "date"]}
    assert clara.put(url, value, content_type="application/json").json() == value
    assert clara.get(url).json() == value
    assert other.get(url).json() == {}
    assert clara.put(url, [], content_type="application/json").status_code == 400
    too_long = {"columns": ["x" * 70_000]}
    assert clara.put(url, too_long, content_type="application/json").status_code == 400
    odd = "/api/preferences/odd/"
    assert clara.put(odd, value, content_type="application/json").status_code == 400


def test_days_count_from_the_persons_own_calendar() -> None:
    for day in ("20260101", "20260106", "20260107"):
        make_study(StudyDate=day)

    def found(date: str, today: str) -> int:
        return study_list(StudyListFilter(date=date, today=today), ASKER).total

    assert [found("today", "20260107"), found("yesterday", "20260107")] == [1, 1]
    assert [found("7d", "20260107"), found("7d", "20260108"), found("30d", "20260107")] == [3, 2, 3]
    for wrong in ({"date": "someday"}, {"date": "today", "today": "20261332"}):
        with pytest.raises(InvalidRequest):
            study_list(StudyListFilter(**wrong), ASKER)


# --- searches as events --------------------------------------------------------------------------

HAND = Actor("user", "clara", "192.0.2.1", "api")


def typed(*texts: str, apart: float = 0.2) -> list[Search]:
    return [
        Search(HAND, "studies", {"q": text} if text else {}, at=1000 + place * apart)
        for place, text in enumerate(texts)
    ]


def test_what_was_typed_on_the_way_is_left_out() -> None:
    def left(searches: list[Search]) -> list[str]:
        dropped = passing(searches)
        return [s.query.get("q", "") for i, s in enumerate(searches) if i not in dropped]

    assert left(typed("", "m", "mu", "mue", "mueller")) == ["mueller"]
    assert left(typed("mueller", "muell", "m", "", "d", "doe")) == ["mueller", "doe"]
    assert left(typed("doe", "roe")) == ["doe", "roe"]
    assert left(typed("m", "mueller", apart=TYPING_SECONDS + 1)) == ["m", "mueller"]


def test_SEC_02_a_search_is_an_event_with_its_query_once_in_five_minutes() -> None:
    clara = Principal(PrincipalKind.USER, "clara", "api", "192.0.2.1")
    note_search(clara, "studies", {"q": "doe", "modality": ""})
    assert record_searches() == 0  # somebody may still be typing
    assert not Event.objects.filter(kind="ArchiveSearched").exists()
    with pytest.MonkeyPatch.context() as patch:
        later = timezone.now() + timedelta(seconds=TYPING_SECONDS + 1)
        patch.setattr("apps.access.actions.record_searches.timezone.now", lambda: later)
        assert record_searches() == 1
        note_search(clara, "studies", {"q": "doe"})
        later += timedelta(seconds=TYPING_SECONDS + 1)
        assert record_searches() == 0
    event = Event.objects.get(kind="ArchiveSearched")
    assert (event.actor_name, event.actor_address, event.door) == ("clara", "192.0.2.1", "api")
    assert event.payload["query"] == {"q": "doe"}
    assert event.payload["resource"] == "studies"


def test_SEC_02_without_redis_a_search_is_recorded_at_once(redis_server: Any) -> None:
    clara = Principal(PrincipalKind.USER, "clara", "api", "192.0.2.1")
    redis_server.kill()
    try:
        note_search(clara, "studies", {"q": "doe"})
    finally:
        redis_server.start()
    assert Event.objects.get(kind="ArchiveSearched").payload["query"] == {"q": "doe"}


def test_SEC_02_list_qido_and_fhir_note_their_searches() -> None:
    clara = person("clinician", "clara")
    assert clara.get("/api/studies/?q=doe&modality=CT&modality=MR").status_code == 200
    assert clara.get("/api/studies/?uid=1.2.3").status_code == 200  # rows of the list, no search
    assert clara.get("/dicom-web/studies?PatientName=DOE*&limit=5").status_code == 204
    assert clara.get("/fhir/ImagingStudy?patient.identifier=7&_count=5").status_code == 200
    with pytest.MonkeyPatch.context() as patch:
        later = timezone.now() + timedelta(seconds=TYPING_SECONDS + 1)
        patch.setattr("apps.access.actions.record_searches.timezone.now", lambda: later)
        assert record_searches() == 3
    events = Event.objects.filter(kind="ArchiveSearched").order_by("sequence")
    assert [(each.door, each.payload["query"]) for each in events] == [
        ("api", {"q": "doe", "modality": "CT\\MR"}),
        ("dicomweb", {"PatientName": "DOE*"}),
        ("dicomweb", {"patient.identifier": "7"}),
    ]
