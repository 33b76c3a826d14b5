"""The admin: every page renders, dangerous actions ask first, and strangers stay out."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from apps.access.models import ApiToken, User
from apps.archive.models import Instance
from apps.console.archive import person_name
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.models import QuarantinedInstance
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


def test_replacing_asks_first_and_then_exchanges(
    root: Client, conflict: QuarantinedInstance
) -> None:
    url = reverse("admin:ingest_quarantinedinstance_changelist")
    before = bytes(Instance.objects.get().dataset_sha256)
    form = {"action": "decide_replace", "_selected_action": [conflict.pk]}
    asked = root.post(url, form)
    assert b"become the instance that everybody sees" in asked.content
    assert bytes(Instance.objects.get().dataset_sha256) == before
    done = root.post(url, {**form, "confirmed": "yes"}, follow=True)
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
