"""Principals, tokens, roles and throttling, through real requests."""

from __future__ import annotations

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection
from django.test import Client, RequestFactory
from django.utils import timezone

from apps.access.actions.issue_token import issue_token, revoke_tokens
from apps.access.audit import view_event
from apps.access.authentication import forget_remembered, principal_of
from apps.access.models import ApiToken, User
from apps.access.principals import Permission, Principal, PrincipalKind, permit
from apps.errors import NotAuthenticated, NotPermitted
from apps.events.log import Actor
from apps.events.models import Event

pytestmark = pytest.mark.django_db

ACTOR = Actor("system", "test")
PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget_remembered()


@pytest.fixture
def clinician() -> User:
    user = User.objects.create_user("clara", password=PASSWORD)
    user.groups.add(Group.objects.get(name="clinician"))
    return user


def _request(header: str = "", **extra: str):
    from django.contrib.auth.models import AnonymousUser

    headers = {"Authorization": header} if header else {}
    request = RequestFactory().get("/dicom-web/studies", headers=headers, **extra)
    request.user = AnonymousUser()
    return request


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_roles_hold_their_permissions(clinician: User) -> None:
    assert clinician.has_perm("access.view_images")
    assert not clinician.has_perm("access.store_instances")
    administrator = User.objects.create_user("adam", password=PASSWORD, is_staff=True)
    administrator.groups.add(Group.objects.get(name="administrator"))
    assert administrator.has_perm("access.administer")
    assert administrator.has_perm("network.change_applicationentity")


def test_basic_gives_a_principal_with_the_roles_permissions(clinician: User) -> None:
    principal = principal_of(_request(_basic("clara", PASSWORD)), "dicomweb")
    assert principal.name == "clara"
    assert principal.kind is PrincipalKind.USER
    assert principal.may(Permission.VIEW_IMAGES)
    with pytest.raises(NotPermitted):
        permit(principal, Permission.STORE_INSTANCES)


def test_a_changed_password_ends_a_remembered_basic_login_at_once(clinician: User) -> None:
    header = _basic("clara", PASSWORD)
    principal_of(_request(header), "dicomweb")
    clinician.set_password("another long password")
    clinician.save()
    with pytest.raises(NotAuthenticated):
        principal_of(_request(header), "dicomweb")


def test_a_deactivated_user_is_out_at_once(clinician: User) -> None:
    header = _basic("clara", PASSWORD)
    principal_of(_request(header), "dicomweb")
    User.objects.filter(pk=clinician.pk).update(is_active=False)
    with pytest.raises(NotAuthenticated):
        principal_of(_request(header), "dicomweb")


class Counting(MD5PasswordHasher):
    """Long enough at work for others to come meanwhile."""

    verified: ClassVar[list[str]] = []

    def verify(self, password: str, encoded: str) -> bool:
        self.verified.append(password)
        time.sleep(0.1)
        return super().verify(password, encoded)


@pytest.mark.django_db(transaction=True)
def test_who_comes_with_the_same_password_at_once_waits_for_one_check(
    clinician: User, settings: Any
):
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    Counting.verified.clear()
    together = threading.Barrier(4)

    def comes(_number: int) -> str:
        try:
            together.wait(30)
            return principal_of(_request(_basic("clara", PASSWORD)), "dicomweb").name
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(comes, range(4))) == ["clara"] * 4
    assert Counting.verified == [PASSWORD]


@pytest.mark.parametrize(
    "header", ["Basic !!!", "Basic bm9jb2xvbg==", "Bearer nonsense", "Digest x", "Basic"]
)
def test_unreadable_credentials_are_no_principal(header: str) -> None:
    with pytest.raises(NotAuthenticated):
        principal_of(_request(header), "dicomweb")


def test_a_stranger_is_no_principal() -> None:
    with pytest.raises(NotAuthenticated):
        principal_of(_request(), "dicomweb")


def test_bearer_tokens_work_until_revoked_or_expired(clinician: User) -> None:
    row, text = issue_token(ACTOR, clinician, "script")
    principal = principal_of(_request(f"Bearer {text}"), "dicomweb")
    assert principal.kind is PrincipalKind.TOKEN
    row.refresh_from_db()
    assert row.last_used_at is not None
    assert text.encode() not in bytes(row.digest)
    ApiToken.objects.filter(pk=row.pk).update(revoked_at=timezone.now())
    with pytest.raises(NotAuthenticated):
        principal_of(_request(f"Bearer {text}"), "dicomweb")
    _, expired = issue_token(ACTOR, clinician, "old", timezone.now() - timedelta(seconds=1))
    with pytest.raises(NotAuthenticated):
        principal_of(_request(f"Bearer {expired}"), "dicomweb")


def test_tokens_come_and_go_as_events(clinician: User) -> None:
    row, _ = issue_token(ACTOR, clinician, "script")
    assert [revoke_tokens(ACTOR, [row.pk]), revoke_tokens(ACTOR, [row.pk])] == [1, 0]
    events = Event.objects.filter(kind__startswith="ApiToken").order_by("sequence")
    assert [each.kind for each in events] == ["ApiTokenIssued", "ApiTokenRevoked"]
    assert {each.payload["token"] for each in events} == {row.prefix}


def test_failed_logins_are_throttled(clinician: User) -> None:
    client = Client()
    for _ in range(8):
        client.post("/login/", {"username": "clara", "password": "wrong"})
    answer = client.post("/login/", {"username": "clara", "password": PASSWORD})
    assert answer.status_code == 429
    assert b"five minutes" in answer.content
    with pytest.raises(NotAuthenticated):
        principal_of(_request(_basic("clara", PASSWORD)), "dicomweb")


def test_sign_in_needs_the_csrf_token(clinician: User) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/login/", {"username": "clara", "password": PASSWORD})
    assert answer.status_code == 403


def test_an_unsafe_request_by_session_needs_the_csrf_token(clinician: User) -> None:
    request = RequestFactory().post("/dicom-web/studies", data=b"", content_type="text/plain")
    request.user = clinician
    with pytest.raises(NotPermitted):
        principal_of(request, "dicomweb")


def test_a_forged_forwarded_address_is_not_believed(clinician: User) -> None:
    header = _basic("clara", PASSWORD)
    request = _request(header, REMOTE_ADDR="198.51.100.7", HTTP_X_FORWARDED_FOR="10.0.0.1")
    assert principal_of(request, "dicomweb").address == "198.51.100.7"


def test_reading_a_study_is_one_event_in_five_minutes() -> None:
    principal = Principal(PrincipalKind.USER, f"reader-{id(object())}", "ui", "192.0.2.1")
    uid = f"2.25.{timezone.now().timestamp():.0f}"
    for _ in range(3):
        view_event(principal, "StudyViewed", uid)
    view_event(principal, "StudyRetrieved", uid)
    kinds = list(Event.objects.filter(study_instance_uid=uid).values_list("kind", flat=True))
    assert sorted(kinds) == ["StudyRetrieved", "StudyViewed"]
    event = Event.objects.filter(study_instance_uid=uid).first()
    assert event is not None
    assert (event.actor_name, event.actor_address, event.door) == (
        principal.name,
        "192.0.2.1",
        "ui",
    )
    cache.close()
