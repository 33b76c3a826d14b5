"""The admin: every page renders, dangerous actions ask first, and strangers stay out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.access.models import ApiToken, User
from apps.archive.models import Instance, Study
from apps.console.wording import person_name
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.models import ImportJob, QuarantinedInstance
from apps.network.models import AssociationRecord
from apps.storage.stores import blob_store
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    pass


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def root() -> Client:
    return _client(User.objects.create_superuser("root", password="a long password"))


def _send(dataset) -> None:
    raw = part10(dataset)
    inbox.receive_part10(
        Provenance("dimse", "CT1", "PACSWEB", "10.0.0.1"), raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]]
    )


@pytest.fixture
def conflict() -> QuarantinedInstance:
    """Two different objects under one SOP Instance UID: the second is in quarantine."""
    first = ct_slice()
    second = ct_slice()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"):
        setattr(second, keyword, getattr(first, keyword))
    second.StationName = "OTHER"
    _send(first)
    drain_inbox(60)
    _send(second)
    drain_inbox(60)
    return QuarantinedInstance.objects.get()


def test_every_list_and_form_renders(root: Client, conflict: QuarantinedInstance) -> None:
    assert root.get(reverse("admin:index")).status_code == 200
    for model, model_admin in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        assert root.get(reverse(f"admin:{name}_changelist"), follow=True).status_code == 200, name
        search = {"q": "x"} if model_admin.search_fields else {}
        answer = root.get(reverse(f"admin:{name}_changelist"), search, follow=True)
        assert answer.status_code == 200, name
        row = model._default_manager.first()
        if row is not None:
            page = root.get(reverse(f"admin:{name}_change", args=[row.pk]))
            assert page.status_code == 200, name


def test_a_clinician_does_not_see_the_admin() -> None:
    user = User.objects.create_user("clara", password="a long password")
    user.groups.add(Group.objects.get(name="clinician"))
    assert _client(user).get(reverse("admin:index")).status_code == 302


def test_an_administrator_by_role_sees_quarantine(conflict: QuarantinedInstance) -> None:
    user = User.objects.create_user("adam", password="a long password", is_staff=True)
    user.groups.add(Group.objects.get(name="administrator"))
    page = _client(user).get(reverse("admin:ingest_quarantinedinstance_change", args=[conflict.pk]))
    assert page.status_code == 200
    assert b"same SOP Instance UID" in page.content


def _case(number: int, door: str) -> QuarantinedInstance:
    return QuarantinedInstance(
        reason="unreadable", explanation="Look", blob_key=f"quarantine/{door}-{number}",
        size_bytes=1, sha256=f"{door}{number}".encode().ljust(32, b"."), source_door=door,
        received_at=timezone.now(),
    )  # fmt: skip


def test_confirming_many_stays_within_the_filter_and_asks_again_when_more_came(
    root: Client,
) -> None:
    QuarantinedInstance.objects.bulk_create(
        [*(_case(number, "stow") for number in range(120)), _case(0, "dimse")]
    )
    url = reverse("admin:ingest_quarantinedinstance_changelist") + "?source_door=stow"
    first = QuarantinedInstance.objects.filter(source_door="stow").first()
    assert first is not None
    chosen = {"action": "decide_discard", "select_across": "1", "_selected_action": [first.pk]}
    asked = root.post(url, {**chosen, "index": "0"})
    form = re.search(r'<form method="post"(?P<rest>[^>]*)>\s*<input[^>]*csrf.*?</form>',
                     asked.content.decode(), re.DOTALL)  # fmt: skip
    assert form is not None
    assert "action=" not in form["rest"]  # so a browser posts to the address it is at: `url`
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[0]):
        fields.setdefault(name, []).append(value)
    assert fields["confirmed"] == ["120"]

    QuarantinedInstance.objects.bulk_create([_case(120, "stow")])
    again = root.post(url, fields)
    assert b"<strong>121</strong>" in again.content
    assert not QuarantinedInstance.objects.filter(state="discarded").exists()
    root.post(url, {**fields, "confirmed": "121"})
    states = QuarantinedInstance.objects.values_list("source_door", "state").distinct()
    assert set(states) == {("stow", "discarded"), ("dimse", "waiting")}


def test_replacing_asks_first_and_then_exchanges(
    root: Client, conflict: QuarantinedInstance
) -> None:
    url = reverse("admin:ingest_quarantinedinstance_changelist")
    before = bytes(Instance.objects.get().dataset_sha256)
    form = {"action": "decide_replace", "_selected_action": [conflict.pk]}
    asked = root.post(url, form)
    assert b"become the instance that everybody sees" in asked.content
    assert bytes(Instance.objects.get().dataset_sha256) == before
    done = root.post(url, {**form, "confirmed": "1"}, follow=True)
    assert b"done for 1" in done.content
    assert bytes(Instance.objects.get().dataset_sha256) != before
    conflict.refresh_from_db()
    assert conflict.state == QuarantinedInstance.State.REPLACED


def test_quarantined_bytes_can_be_downloaded(root: Client, conflict: QuarantinedInstance) -> None:
    url = reverse("admin:ingest_quarantinedinstance_bytes", args=[conflict.pk])
    answer = root.get(url)
    body = b"".join(answer.streaming_content)
    assert body[128:132] == b"DICM"
    assert b"OTHER" in body


def test_a_token_is_shown_once(root: Client) -> None:
    user = User.objects.get(username="root")
    form = {"user": user.pk, "name": "script", "expires_at_0": "", "expires_at_1": ""}
    answer = root.post(reverse("admin:access_apitoken_add"), form, follow=True)
    assert b"copy it now" in answer.content
    token = ApiToken.objects.get()
    again = root.get(reverse("admin:access_apitoken_change", args=[token.pk]))
    assert b"copy it now" not in again.content
    assert bytes(token.digest).hex().encode() not in again.content


def test_names_are_readable() -> None:
    assert person_name("DOE^JANE^M") == "DOE, JANE M"
    assert person_name("") == "—"


# --- the same over REST --------------------------------------------------------------------------


def test_quarantine_over_rest(root: Client, conflict: QuarantinedInstance) -> None:
    [case] = root.get("/api/quarantine/?state=waiting").json()["cases"]
    assert (case["id"], case["reason"], case["sender"]) == (conflict.pk, "other-bytes", "CT1")
    assert case["conflicts_with_study"] == case["StudyInstanceUID"]
    assert "content differs" in case["explanation"]
    url = f"/api/quarantine/{conflict.pk}/"
    assert root.get(url).json() == case
    received = b"".join(root.get(url + "bytes/").streaming_content)
    assert received == b"".join(blob_store().stream(conflict.blob_key))
    study = Study.objects.get()
    assert [each.text for each in study.alerts.all()] == [
        "1 object of this study waits in quarantine for a decision."
    ]
    assert root.post(url + "keep/").json()["state"] == "kept"
    assert not study.alerts.exists()
    assert root.post(url + "replace/").json()["state"] == "replaced"
    assert Instance.objects.get().dataset_sha256 == conflict.sha256
    assert root.post(url + "discard/").status_code == 400  # decided already
    assert root.post(url + "burn/").status_code == 404
    assert root.get("/api/quarantine/999999/").status_code == 404
    assert root.get("/api/quarantine/?before=x").status_code == 400
    kinds = set(Event.objects.values_list("kind", flat=True))
    assert {"QuarantinedInstanceRetrieved", "QuarantinedInstanceKept", "InstanceReplaced"} <= kinds


def test_quarantine_over_rest_pages_and_needs_its_permission(
    root: Client, conflict: QuarantinedInstance
) -> None:
    _send_broken(2)
    first = root.get("/api/quarantine/?limit=2").json()
    assert (len(first["cases"]), first["waiting"]) == (2, 3)
    rest = root.get(f"/api/quarantine/?limit=2&before={first['next']}").json()
    assert ([case["id"] for case in rest["cases"]], rest["next"]) == ([conflict.pk], None)
    user = User.objects.create_user("clara", password="a long password")
    user.groups.add(Group.objects.get(name="clinician"))
    clara = _client(user)
    for url in ("", f"{conflict.pk}/", f"{conflict.pk}/bytes/"):
        assert clara.get(f"/api/quarantine/{url}").status_code == 403
    assert clara.post(f"/api/quarantine/{conflict.pk}/discard/").status_code == 403


def _send_broken(number: int) -> None:
    for place in range(number):
        inbox.receive_part10(Provenance("import"), b"no DICOM %d" % place, [])
    drain_inbox(60)


def test_a_study_that_comes_after_its_quarantined_object_shows_the_alert(
    data_folders: Path,
) -> None:
    early, late = ct_slice(), ct_slice()
    late.StudyInstanceUID, late.PatientID = early.StudyInstanceUID, early.PatientID
    QuarantinedInstance.objects.create(
        reason="failed", explanation="x", blob_key="q/1", size_bytes=1, sha256=b"1",
        study_instance_uid=early.StudyInstanceUID, received_at=timezone.now(),
    )  # fmt: skip
    _send(late)
    drain_inbox(60)
    assert Study.objects.get().alerts.count() == 1


def test_the_first_page_tells_health_failed_jobs_and_the_last_associations(root: Client) -> None:
    now = timezone.now()
    ImportJob.objects.create(path="[]", state=ImportJob.State.FAILED, started_at=now)
    for name, ending in (("a", "released"), ("b", "rejected"), ("c", "silent")):
        AssociationRecord.objects.create(
            name=name, calling_ae_title=f"AE_{name}", started_at=now, written_at=now,
            ending=ending, operations={"C-STORE": {"0000": 5, "A700": 2}},
        )  # fmt: skip
    page = root.get(reverse("admin:index")).content.decode()
    assert "parts do not serve" in page  # nothing of the product runs beside this test
    assert "1 in the last 7 days" in page
    assert "from AE_a" in page
    assert "7 C-STORE" in page
    assert "AE_c" not in page  # it never said anything


def test_the_search_of_studies_finds_names_as_they_are_written(root: Client) -> None:
    study = ct_slice(PatientName="M\xfcller^Jane")
    study.SpecificCharacterSet = "ISO_IR 192"
    _send(study)
    drain_inbox(60)
    for page in ("study", "patient", "series"):
        for typed in ("M\xfcller", "mull", "MULLER"):
            answer = root.get(reverse(f"admin:archive_{page}_changelist"), {"q": typed})
            assert "1 result" in answer.content.decode(), (page, typed)
    form = root.get(reverse("admin:archive_study_change", args=[Study.objects.get().pk]))
    assert "Study Instance UID" in form.content.decode()
    assert "alphabetic" not in form.content.decode()


@pytest.mark.parametrize("path", ["/nothing/here", "/admin/nothing/"])
def test_an_address_that_is_none_says_so_in_our_words(root: Client, path: str) -> None:
    answer = root.get(path)
    assert answer.status_code == 404
    assert "There is no page at this address" in answer.content.decode()
