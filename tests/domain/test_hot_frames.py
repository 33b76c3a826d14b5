"""Frames answered before Django: what the whole stack would answer, or nothing at all."""

from __future__ import annotations

import base64
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client, RequestFactory
from django.utils import timezone

from apps.access import audit
from apps.access.actions.issue_token import issue_token
from apps.access.authentication import forget_remembered
from apps.access.models import ApiToken, User
from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance, read_file_meta
from apps.dicomweb.door import forget_principals
from apps.dicomweb.hot_frames import forget_patterns, hot_frame
from apps.dicomweb.patterns import Answer
from apps.events.log import Actor
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough password"
ANY = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
ACCEPTS = (
    ANY,
    "multipart/related; type=application/octet-stream; transfer-syntax=*",
    "multipart/related; type=image/jls, multipart/related; type=image/jp2; q=0.5, */*; q=0.1",
    'multipart/related; type="image/*"; transfer-syntax=1.2.840.10008.1.2.4.90',
    "application/octet-stream; transfer-syntax=*",
    "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
    "multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.5",
    "text/html",
    "application/dicom+json, image/png",
    "*/*",
    "",
)
_whole = WSGIHandler()


@dataclass(frozen=True)
class Whole:
    """What the whole stack answered."""

    status: int
    headers: dict[str, str]
    content: bytes


def _environ(path: str, **headers: str) -> dict[str, Any]:
    return RequestFactory().get(path, headers=headers).environ


def _forget() -> None:
    forget_patterns()
    forget_principals()
    forget_remembered()


def _by_the_whole_stack(path: str, **headers: str) -> Whole:
    """Nobody is remembered; a single frame's answer is learnt from."""
    _forget()
    return _answered(_environ(path, **headers))


def _answered(environ: dict[str, Any]) -> Whole:
    """As Django's own test client, leaves the test's transaction open."""
    said: list[tuple[str, list[tuple[str, str]]]] = []
    signals = (request_started, request_finished)
    for each in signals:
        each.disconnect(close_old_connections)
    try:
        answer = _whole(environ, lambda *each: said.append(each))
        content = b"".join(answer)
        answer.close()
    finally:
        for each in signals:
            each.connect(close_old_connections)
    status, found = said[0]
    assert len(dict(found)) == len(found)
    return Whole(int(status.split()[0]), dict(found), content)


def _hot(path: str, **headers: str) -> Answer | None:
    return hot_frame(_environ(path, **headers))


def _assert_same(hot: Answer | None, whole: Whole) -> bool:
    """Nothing where the whole stack does not say 200; else the same. True if it was answered."""
    if hot is None:
        return False
    assert whole.status == 200
    assert dict(hot.headers) == whole.headers
    assert len(hot.headers) == len(whole.headers)
    assert hot.content == whole.content
    return True


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _forget()
    yield
    _forget()


def _store(*files: bytes) -> list[str]:
    for raw in files:
        inbox.receive_part10(
            Provenance("import", source_address="127.0.0.1"), raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]]
        )
    drain_inbox(100)
    return [_path(each) for each in Instance.objects.select_related("series", "study")]


def _path(row: Instance, frame: int = 1) -> str:
    return (
        f"/dicom-web/studies/{row.study.study_instance_uid}"
        f"/series/{row.series.series_instance_uid}/instances/{row.sop_instance_uid}/frames/{frame}"
    )


@pytest.fixture
def frames(data_folders: Path) -> list[str]:
    """Two slices of one series: their first frames."""
    study, series = "1.2.826.0.1.7.1", "1.2.826.0.1.7.2"
    made = [ct_slice(study=study, series=series, number=number) for number in (1, 2)]
    return _store(*(part10(each) for each in made))


@pytest.fixture
def clara() -> User:
    user = User.objects.create_user("clara", password=PASSWORD)
    user.groups.add(Group.objects.get(name="clinician"))
    return user


def _basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _session(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return {"Cookie": f"pacsweb_session={client.cookies['pacsweb_session'].value}"}


def _token(user: User, **when: Any) -> dict[str, str]:
    row, text = issue_token(Actor("system", "test"), user, "script")
    ApiToken.objects.filter(pk=row.pk).update(**when)
    return {"Authorization": f"Bearer {text}"}


def _without_right() -> User:
    return User.objects.create_user("walter", password=PASSWORD)


def _disabled() -> User:
    user = User.objects.create_user("dora", password=PASSWORD, is_superuser=True)
    User.objects.filter(pk=user.pk).update(is_active=False)
    return user


def _credentials(clara: User) -> dict[str, dict[str, str]]:
    admin = User.objects.create_user("adam", password=PASSWORD, is_superuser=True)
    past = timezone.now() - timedelta(seconds=1)
    return {
        "none": {},
        "basic": _basic("clara"),
        "superuser": _basic("adam"),
        "wrong password": _basic("clara", "wrong"),
        "unreadable": {"Authorization": "Basic !!!"},
        "session": _session(clara),
        "superuser's session": _session(admin),
        "unknown session": {"Cookie": "pacsweb_session=abcdefghijklmnopqrstuvwxyz012345"},
        "token": _token(clara),
        "expired token": _token(clara, expires_at=past),
        "revoked token": _token(clara, revoked_at=past),
        "disabled": _basic(_disabled().username),
        "without right": _basic(_without_right().username),
    }


GOOD = {"basic", "superuser", "session", "superuser's session", "token"}


def test_every_credential_gets_the_same_answer_or_none(frames: list[str], clara: User) -> None:
    first, second = frames
    answered = set()
    for name, credentials in _credentials(clara).items():
        expected = _by_the_whole_stack(second, Accept=ANY, **credentials)
        learnt = _by_the_whole_stack(first, Accept=ANY, **credentials)
        assert (learnt.status == 200) == (name in GOOD), name
        if _assert_same(_hot(second, Accept=ANY, **credentials), expected):
            answered.add(name)
    assert answered == GOOD


def test_who_was_learnt_lends_nobody_else_his_pattern(frames: list[str], clara: User) -> None:
    known = _credentials(clara)
    _by_the_whole_stack(frames[0], Accept=ANY, **known["session"])
    assert _hot(frames[1], Accept=ANY, **known["session"]) is not None
    others = [each for each in known if each != "session"]
    assert [each for each in others if _hot(frames[1], Accept=ANY, **known[each])] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "Mozilla/5.0"},
        {"Origin": "https://viewer.example"},
        {"Origin": "https://stranger.example"},
        {"Host": "other.example:8042"},
        {"X-Forwarded-Host": "pacs.example", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=pacs.example;proto=https"},
        {"Accept-Encoding": "gzip", "Sec-Fetch-Mode": "cors"},
    ],
    ids=" ".join,
)
def test_every_header_counts(frames: list[str], clara: User, settings, headers) -> None:
    settings.PACSWEB = dataclasses.replace(
        settings.PACSWEB,
        cors_origins=("https://viewer.example",),
        trusted_proxies=("127.0.0.1",),
    )
    credentials = _token(clara)
    plain = _by_the_whole_stack(frames[1], Accept=ANY, **credentials)
    expected = _by_the_whole_stack(frames[1], Accept=ANY, **credentials, **headers)
    _by_the_whole_stack(frames[0], Accept=ANY, **credentials)
    assert _hot(frames[1], Accept=ANY, **credentials, **headers) is None
    _by_the_whole_stack(frames[0], Accept=ANY, **credentials, **headers)
    assert _assert_same(_hot(frames[1], Accept=ANY, **credentials, **headers), expected)
    assert expected.status == plain.status == 200


def test_a_host_that_is_not_allowed_stays_so(frames: list[str], clara: User, settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, public_url="https://pacs.example")
    credentials = _token(clara)
    assert _by_the_whole_stack(frames[0], Accept=ANY, **credentials).status == 200
    odd = _environ(frames[0], Accept=ANY, Host="evil.example", **credentials)
    # The caller is remembered, the host is new.
    assert _answered(odd).status == 400
    assert hot_frame(odd) is None


def _remove_from_group(user: User) -> None:
    user.groups.clear()


def _change_group(_user: User) -> None:
    group = Group.objects.get(name="clinician")
    group.permissions.remove(Permission.objects.get(codename="view_images"))


CHANGES: dict[str, Callable[[User], object]] = {
    "new password": lambda user: User.objects.filter(pk=user.pk).update(password="other"),
    "deactivated": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "renamed": lambda user: User.objects.filter(pk=user.pk).update(username="klara"),
    "promoted": lambda user: User.objects.filter(pk=user.pk).update(is_superuser=True),
    "out of the group": _remove_from_group,
    "group without the right": _change_group,
    "deleted": lambda user: User.objects.get(pk=user.pk).delete(),
}


SIGN_INS = {"session": _session, "token": _token}


@pytest.mark.parametrize("kind", ["basic", "session", "token"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_ends_a_sign_in_ends_it_at_once(
    frames: list[str], clara: User, change: str, kind: str
) -> None:
    credentials = {"basic": _basic("clara")} if kind == "basic" else {}
    credentials = credentials.get(kind) or (_session(clara) if kind == "session" else _token(clara))
    _by_the_whole_stack(frames[0], Accept=ANY, **credentials)
    assert _hot(frames[0], Accept=ANY, **credentials) is not None
    CHANGES[change](clara)
    assert _hot(frames[0], Accept=ANY, **credentials) is None
    # The door's own memory answers no longer either.
    remembered = _answered(_environ(frames[0], Accept=ANY, **credentials))
    assert remembered.status == _by_the_whole_stack(frames[0], Accept=ANY, **credentials).status


def test_signing_out_and_expiry_count_at_once(frames: list[str], clara: User) -> None:
    client = Client()
    client.force_login(clara, "django.contrib.auth.backends.ModelBackend")
    cookie = {"Cookie": f"pacsweb_session={client.cookies['pacsweb_session'].value}"}
    _by_the_whole_stack(frames[0], Accept=ANY, **cookie)
    assert _hot(frames[0], Accept=ANY, **cookie) is not None
    client.post("/logout/")
    assert _hot(frames[0], Accept=ANY, **cookie) is None
    for when in ("revoked_at", "expires_at"):
        token = _token(clara)
        _by_the_whole_stack(frames[0], Accept=ANY, **token)
        assert _hot(frames[0], Accept=ANY, **token) is not None
        ApiToken.objects.update(**{when: timezone.now() - timedelta(seconds=1)})
        assert _hot(frames[0], Accept=ANY, **token) is None


def test_what_is_gone_is_gone_at_once(frames: list[str], clara: User) -> None:
    credentials = _basic("clara")
    _by_the_whole_stack(frames[0], Accept=ANY, **credentials)
    assert _hot(frames[1], Accept=ANY, **credentials) is not None
    Instance.objects.get(sop_instance_uid=frames[1].split("/")[7]).delete()
    assert _hot(frames[1], Accept=ANY, **credentials) is None
    assert _by_the_whole_stack(frames[1], Accept=ANY, **credentials).status == 404


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("", {"Range": "bytes=0-9"}),
        ("", {"If-None-Match": "*"}),
        ("", {"If-Range": "x"}),
        ("?accept=image/jpeg", {}),
        (",1", {}),
        ("0", {}),
        ("/rendered", {}),
    ],
)
def test_the_unusual_is_left_to_the_whole_stack(
    frames: list[str], clara: User, path: str, headers: dict[str, str]
) -> None:
    credentials = _basic("clara")
    _by_the_whole_stack(frames[0], Accept=ANY, **credentials)
    assert _hot(frames[0], Accept=ANY, **credentials) is not None
    assert _hot(frames[0] + path, Accept=ANY, **credentials, **headers) is None
    for method in ("HEAD", "POST", "OPTIONS"):
        environ = _environ(frames[0], Accept=ANY, **credentials)
        assert hot_frame({**environ, "REQUEST_METHOD": method}) is None


def test_a_view_is_recorded_whichever_way(frames: list[str], clara: User) -> None:
    credentials = _basic("clara")
    _by_the_whole_stack(frames[0], Accept=ANY, **credentials)
    audit.forget_views()
    before = Event.objects.filter(kind="StudyViewed").count()
    assert _hot(frames[1], Accept=ANY, **credentials) is not None
    assert _hot(frames[0], Accept=ANY, **credentials) is not None
    assert Event.objects.filter(kind="StudyViewed").count() == before + 1


def test_corpus_frames_are_the_same_for_every_accept(
    data_folders: Path, corpus: Path, clara: User
) -> None:
    """One file a Transfer Syntax, with all its first and last frames, under every Accept."""
    _store(*_one_per_syntax(corpus / "dicom"))
    rows = Instance.objects.select_related("series", "study", "frame_table")
    paths = [_path(row) for row in rows] + [_path(row, 2) for row in rows]
    credentials = _token(clara)
    browser = {"User-Agent": "Mozilla/5.0"}
    answered = 0
    for accept, extra in itertools.product(ACCEPTS, ({}, browser)):
        headers = {"Accept": accept, **credentials, **extra}
        whole = {path: _by_the_whole_stack(path, **headers) for path in paths}
        first = next((path for path in paths if whole[path].status == 200), paths[0])
        _by_the_whole_stack(first, **headers)
        answered += sum(_assert_same(_hot(path, **headers), whole[path]) for path in paths)
    assert len({row.transfer_syntax_uid for row in rows}) >= 10
    assert answered > 100


def _one_per_syntax(folder: Path) -> list[bytes]:
    """The smallest file of each Transfer Syntax that has one with images."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*"), key=lambda each: each.stat().st_size):
        if path.is_file() and path.stat().st_size > 4_000:
            raw = path.read_bytes()
            if raw[128:132] == b"DICM" and b"\xe0\x7f\x10\x00" in raw:
                found.setdefault(read_file_meta(raw[:HEAD_LENGTH]).transfer_syntax_uid, raw)
    return list(found.values())
