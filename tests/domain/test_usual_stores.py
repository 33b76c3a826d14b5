"""One instance more of a stored series, answered before Django begins; all else is not."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission as DjangoPermission
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid

from apps.access.actions.issue_token import issue_token, revoke_tokens
from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.archive.models import Instance
from apps.coercion.models import CoercionRule
from apps.dicom.part10 import HEAD_LENGTH, read_file_meta
from apps.dicomweb.door import forget_principals
from apps.dicomweb.patterns import Answer
from apps.dicomweb.stow_rs import usual
from apps.dicomweb.stow_rs.usual import forget_patterns, usual_store
from apps.events.log import Actor
from apps.ingest import at_once, catching_up, inbox, pacing, spool
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.models import QuarantinedInstance
from apps.network.models import ApplicationEntity
from apps.storage import capacity
from pacsweb import warming
from pacsweb.hot_stores import hot_store
from tests.builders import part10
from tests.domain.store_requests import (
    TYPE,
    body_of,
    body_with,
    by_the_whole_stack,
    environ,
    next_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folders")]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pacing, "_backlog", pacing.Backlog())
    for forget in (forget_principals, forget_remembered, forget_patterns):
        forget()
    yield
    forget_principals()
    forget_patterns()


@pytest.fixture
def known(first: Dataset, signed_in: dict[str, str]) -> dict[str, str]:
    """The headers of a caller whose pattern is known."""
    return made_known(first, signed_in)


def made_known(first: Dataset, headers: dict[str, str]) -> dict[str, str]:
    """First the whole stack, which remembers who asks; then the Store past it, which is learnt."""
    assert by_the_whole_stack(environ(body_of(first, 2), **headers))[0] == 200
    response = hot_store(environ(body_of(first, 3), **headers))
    assert response is not None
    assert response.status_code == 200
    drain_inbox(60)
    return headers


def waiting() -> list[Path]:
    return sorted(spool.folder("ready").iterdir())


def is_left_alone(asked: dict[str, Any], body: bytes) -> None:
    """Nothing was answered, kept or claimed, and whoever comes next reads the whole body."""
    before = waiting()
    assert usual_store(asked) is None
    assert asked["wsgi.input"].read() == body
    assert waiting() == before
    assert list(spool.folder("writing").iterdir()) == []


def test_the_answer_is_that_of_the_whole_stack(first: Dataset, known: dict[str, str]):
    for study in ("", f"/{first.StudyInstanceUID}"):
        path = f"/dicom-web/studies{study}"
        one, other = next_of(first, 4), next_of(first, 5)
        answer = usual_store(environ(body_with(part10(one)), path, **known))
        assert answer is not None
        whole = hot_store(environ(body_with(part10(other)), path, **known))
        assert whole is not None
        assert whole.status_code == 200
        drain_inbox(60)
        assert dict(answer.headers) == {
            **dict(whole.items()),
            "Content-Length": str(len(answer.content)),
        }
        swapped = whole.content.replace(other.SOPInstanceUID.encode(), one.SOPInstanceUID.encode())
        assert orjson.loads(answer.content) == orjson.loads(swapped)


def test_what_is_kept_is_what_the_whole_stack_keeps(first: Dataset, known: dict[str, str]):
    one, other = next_of(first, 4), next_of(first, 5)
    assert usual_store(environ(body_with(part10(one)), **known)) is not None
    assert hot_store(environ(body_with(part10(other)), **known)) is not None
    found = {}
    for path in waiting():
        name, raw = spool.SpoolName.parse(path.name), path.read_bytes()
        meta = read_file_meta(raw[:HEAD_LENGTH])
        assert name.size == len(raw)
        assert name.dataset_sha256 == hashlib.sha256(raw[meta.dataset_offset :]).hexdigest()
        found[meta.sop_instance_uid] = (meta, raw[meta.dataset_offset :], name.waiter)
    mine, theirs = found[one.SOPInstanceUID], found[other.SOPInstanceUID]
    sent = part10(one)
    assert mine[1] == sent[read_file_meta(sent[:HEAD_LENGTH]).dataset_offset :]
    for name in ("door", "source_address", "user", "source_ae_title"):
        assert getattr(mine[0].provenance, name) == getattr(theirs[0].provenance, name)
    assert mine[0].provenance.received_at <= theirs[0].provenance.received_at
    assert (mine[0].transfer_syntax_uid, mine[2]) == (theirs[0].transfer_syntax_uid, theirs[2])
    drain_inbox(60)
    stored = Instance.objects.get(sop_instance_uid=one.SOPInstanceUID)
    assert stored.size_bytes == len(dcm_bytes(stored))


def dcm_bytes(stored: Instance) -> bytes:
    path = Path(settings.PACSWEB.storage_url.removeprefix("file://")) / stored.blob_key
    raw = path.read_bytes()
    assert dcmread(io.BytesIO(raw)).SOPInstanceUID == stored.sop_instance_uid
    return raw


BOUNDARIES = [
    'multipart/related; type="application/dicom"; boundary="edge"',
    "multipart/related; type=application/dicom; boundary=edge",
    'multipart/related; boundary="edge"; type="application/dicom"',
    'Multipart/Related;type="application/dicom";boundary=edge',
]


def test_a_boundary_is_read_however_it_is_written(first: Dataset, known: dict[str, str]):
    for number, kind in enumerate(BOUNDARIES, start=4):
        assert usual_store(environ(body_of(first, number), kind=kind, **known)) is not None, kind


def test_a_body_that_is_the_instance_itself_is_taken(first: Dataset, known: dict[str, str]):
    raw = part10(next_of(first, 4))
    answer = usual_store(environ(raw, kind="application/dicom", **known))
    assert answer is not None
    assert waiting()[0].read_bytes().endswith(raw[-400:])


def _without_end(body: bytes) -> bytes:
    return body.removesuffix(b"--edge--\r\n")


def _with_epilogue(body: bytes) -> bytes:
    return body + b"something behind it"


def _with_preamble(body: bytes) -> bytes:
    return b"something before it\r\n" + body


def _with_line_feeds(body: bytes) -> bytes:
    return body.replace(b"Content-Type: application/dicom\r\n\r\n", b"A: b\n\nC: d\r\n\r\n", 1)


def _with_a_delimiter_inside(body: bytes) -> bytes:
    return body[:2000] + b"\r\n--edge\r\n" + body[2000:]


def _without_a_header(body: bytes) -> bytes:
    """What looks like a header belongs to the part: an empty line stands before it."""
    return body.replace(b"--edge\r\n", b"--edge\r\n\r\n", 1)


def _with_an_empty_line(body: bytes) -> bytes:
    """There is no header, and an end of line before the instance."""
    return body.replace(b"Content-Type: application/dicom\r\n\r\n", b"\r\n\r\n", 1)


def _twice(body: bytes) -> bytes:
    return body.removesuffix(b"--edge--\r\n") + body


def _cut(body: bytes) -> bytes:
    return body[:-700] + b"\r\n--edge--\r\n"


def _no_dicom(_body: bytes) -> bytes:
    return body_with(b"this is no DICOM")


def _empty(_body: bytes) -> bytes:
    return body_with(b"")


ODD: list[Callable[[bytes], bytes]] = [
    _without_end,
    _with_epilogue,
    _with_preamble,
    _with_line_feeds,
    _with_a_delimiter_inside,
    _without_a_header,
    _with_an_empty_line,
    _twice,
    _cut,
    _no_dicom,
    _empty,
]


def test_an_odd_body_is_left_to_the_whole_stack(first: Dataset, known: dict[str, str]):
    for odd in ODD:
        body = odd(body_of(first, 4))
        is_left_alone(environ(body, **known), body)


def test_a_body_that_breaks_off_is_told_as_ever(first: Dataset, known: dict[str, str]):
    body = body_of(first, 4)
    asked = environ(body, **known)
    asked["wsgi.input"] = io.BytesIO(body[:-300])
    assert usual_store(asked) is None
    response = hot_store(asked)
    assert response is not None
    assert response.status_code == 400
    assert b"ended too early" in response.content
    assert waiting() == []


UNUSUAL: list[dict[str, str]] = [
    {"CONTENT_LENGTH": str(usual.LARGEST_BYTES + 1)},
    {"CONTENT_LENGTH": ""},
    {"CONTENT_LENGTH": "-1"},
    {"CONTENT_LENGTH": "9" * 5000},
    {"REQUEST_METHOD": "PUT"},
    {"REQUEST_METHOD": "DELETE"},
    {"QUERY_STRING": "a=b"},
    {"SCRIPT_NAME": "/elsewhere"},
    {"PATH_INFO": "/dicom-web/studies/1.2/series"},
    {"CONTENT_TYPE": "multipart/form-data; boundary=edge"},
    {"CONTENT_TYPE": TYPE.replace("application/dicom", "application/dicom+json")},
    {"HTTP_TRANSFER_ENCODING": "chunked"},
    {"HTTP_CONTENT_ENCODING": "gzip"},
    {"HTTP_X_CSRFTOKEN": "b" * 32},
    {"HTTP_HOST": "elsewhere.example"},
    {"HTTP_ACCEPT": "application/dicom+xml"},
    {"HTTP_ORIGIN": "https://elsewhere.example"},
    {"REMOTE_ADDR": "192.0.2.1"},
]


def test_the_unusual_is_left_to_the_whole_stack(first: Dataset, known: dict[str, str]):
    body = body_of(first, 4)
    for change in UNUSUAL:
        is_left_alone({**environ(body, **known), **change}, body)


def test_zeros_before_a_length_make_no_small_one(first: Dataset, known: dict[str, str]):
    """As much as the header says would be read into memory."""
    asked = environ(body_of(first, 4), **known)
    asked["CONTENT_LENGTH"] = f"{1:020d}0000000000"  # ten thousand million
    assert usual_store(asked) is None
    assert asked["wsgi.input"].tell() == 0


def test_who_lacks_a_part_of_his_sign_in_has_no_pattern(first: Dataset, known: dict[str, str]):
    body = body_of(first, 4)
    for name, value in known.items():
        is_left_alone(environ(body, **{name: value}), body)


def _loses_rank(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_superuser=False)


def _is_disabled(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def _has_another_password(user: User) -> None:
    user.set_password("another password of mine")
    user.save()


@pytest.mark.parametrize("change", [_loses_rank, _is_disabled, _has_another_password])
def test_what_ends_a_sign_in_counts_with_the_next_instance(
    first: Dataset, known: dict[str, str], user: User, change: Callable[[User], None]
):
    assert usual_store(environ(body_of(first, 4), **known)) is not None
    drain_inbox(60)
    change(user)
    body = body_of(first, 5)
    is_left_alone(environ(body, **known), body)


def test_what_a_killed_process_had_not_yet_taken_is_not_stored_for_it(
    first: Dataset, known: dict[str, str], user: User, monkeypatch: pytest.MonkeyPatch
):
    """All bytes are there before the sign-in is asked for, but not yet under their name."""
    left: list[Path] = []

    def asked(*_: Any, **__: Any) -> dict[Any, Any]:
        left.extend(spool.folder("writing").iterdir())
        return {}

    monkeypatch.setattr(at_once, "foretell", asked)
    assert usual_store(environ(body_of(first, 4), **known)) is None
    with pytest.raises(ValueError, match="not a spool name"):
        spool.SpoolName.parse(left[0].name)


def test_a_token_may_store_until_it_is_revoked(first: Dataset, user: User):
    clerk = User.objects.create_user("clerk", password="a long enough password")
    clerk.user_permissions.add(DjangoPermission.objects.get(codename="store_instances"))
    token, text = issue_token(Actor("system", "test"), clerk, "modality")
    headers = made_known(first, {"Authorization": f"Bearer {text}"})
    assert usual_store(environ(body_of(first, 4), **headers)) is not None
    drain_inbox(60)
    revoke_tokens(Actor("system", "test"), [token.pk])
    body = body_of(first, 5)
    is_left_alone(environ(body, **headers), body)


def test_of_another_study_than_the_path_none_is_taken(first: Dataset, known: dict[str, str]):
    body = body_of(first, 4)
    is_left_alone(environ(body, "/dicom-web/studies/1.2.3", **known), body)


def _other_patient(first: Dataset) -> Dataset:
    return next_of(first, 4, PatientID="somebody else")


def _other_series(first: Dataset) -> Dataset:
    return next_of(first, 4, series=new_uid())


def _same_uid(first: Dataset) -> Dataset:
    ds = next_of(first, 4)
    ds.SOPInstanceUID = first.SOPInstanceUID
    return ds


def _other_study(first: Dataset) -> Dataset:
    return next_of(first, 4, study=new_uid())


def _no_series(first: Dataset) -> Dataset:
    ds = next_of(first, 4)
    del ds.SeriesInstanceUID
    return ds


def test_what_is_not_certain_is_left_to_the_whole_stack(first: Dataset, known: dict[str, str]):
    others = [
        part10(each(first))
        for each in (_other_patient, _other_series, _other_study, _same_uid, _no_series)
    ]
    others.append(part10(next_of(first, 4), DeflatedExplicitVRLittleEndian))
    usual_one = next_of(first, 4)
    uid = usual_one.SOPInstanceUID.encode()
    others.append(part10(usual_one).replace(uid, uid[:-1] + b"x", 1))  # in the File Meta
    for raw in [*others, *others]:  # a series is looked at more closely the second time
        body = body_with(raw)
        is_left_alone(environ(body, **known), body)


def test_the_first_of_a_series_is_not_written_in_vain(first: Dataset, known: dict[str, str]):
    writing = spool.folder("writing")
    body = body_with(part10(_other_series(first)))
    changed = []
    for _ in range(2):
        os.utime(writing, (0, 0))
        is_left_alone(environ(body, **known), body)
        changed.append(writing.stat().st_mtime_ns != 0)
    assert changed == [False, True]


def test_the_same_instance_twice_at_once_is_answered_once(first: Dataset, known: dict[str, str]):
    """Before the first is indexed, another of its UID waits for the index."""
    ds, other = next_of(first, 4), next_of(first, 5)
    other.SOPInstanceUID = ds.SOPInstanceUID
    assert usual_store(environ(body_with(part10(ds)), **known)) is not None
    asked = environ(body_with(part10(other)), **known)
    assert usual_store(asked) is None
    assert len(waiting()) == 1
    drain_inbox(60)
    stored = Instance.objects.get(sop_instance_uid=ds.SOPInstanceUID)
    assert dcmread(io.BytesIO(dcm_bytes(stored))).InstanceNumber == ds.InstanceNumber


def test_under_rules_of_the_house_none_is_taken(first: Dataset, known: dict[str, str]):
    body = body_of(first, 4)
    rule = CoercionRule.objects.create(
        name="all",
        direction=CoercionRule.Direction.RECEIVE,
        operations="set InstitutionName = Ours",
    )
    is_left_alone(environ(body, **known), body)
    rule.delete()
    assert usual_store(environ(body, **known)) is not None


def test_rules_for_other_senders_change_nothing(first: Dataset, known: dict[str, str]):
    ApplicationEntity.objects.create(
        title="CT1", host="192.0.2.7", port=104, default_character_set="ISO_IR 100"
    )
    assert usual_store(environ(body_of(first, 4), **known)) is not None


def test_while_the_indexer_is_behind_none_is_taken(
    first: Dataset, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pacing, "MODEST", -1)
    body = body_of(first, 4)
    is_left_alone(environ(body, **known), body)


def test_a_full_disk_is_told_by_the_whole_stack(
    first: Dataset, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    def gone() -> capacity.Capacity:
        raise OSError(5, "Input/output error")

    body = body_of(first, 4)
    for room in (lambda: FULL, gone):
        monkeypatch.setattr(usual, "capacity", room)
        is_left_alone(environ(body, **known), body)


FULL = capacity.Capacity(100, 1, 1.0, False, False, "full")


def test_a_disk_that_fails_leaves_nothing_and_the_whole_stack_tells(
    first: Dataset, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    def fails(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    body = body_of(first, 4)
    asked = environ(body, **known)
    with monkeypatch.context() as broken:
        broken.setattr(spool, "sync", fails)
        is_left_alone(asked, body)
    assert usual_store(environ(body, **known)) is not None


def test_what_is_no_plain_success_is_not_learnt(first: Dataset, signed_in: dict[str, str]):
    assert by_the_whole_stack(environ(body_of(first, 2), **signed_in))[0] == 200
    elsewhere = "/dicom-web/studies/1.2.3"
    for body, path in ((b"no parts at all", "/dicom-web/studies"), (body_of(first, 3), elsewhere)):
        response = hot_store(environ(body, path, **signed_in))
        assert response is not None
        assert response.status_code in {400, 409}
    assert usual_store(environ(body_of(first, 4), **signed_in)) is None
    assert QuarantinedInstance.objects.count() == 0


def test_nothing_is_wrong_with_an_answer(first: Dataset, known: dict[str, str]):
    """What granian is given is what it takes."""
    answer = usual_store(environ(body_of(first, 4), **known))
    assert isinstance(answer, Answer)
    names = [name.lower() for name, _ in answer.headers]
    assert len(names) == len(set(names))
    assert all(isinstance(value, str) for pair in answer.headers for value in pair)


def test_a_process_that_starts_meanwhile_does_not_wait_for_the_indexer(
    first: Dataset, known: dict[str, str]
):
    assert usual_store(environ(body_of(first, 4), **known)) is not None
    assert inbox.on_their_way()
    catching_up._given_up.clear()
    said: list[int] = []

    def application(asked: dict[str, Any], _start: Any) -> list[bytes]:
        said.append(by_the_whole_stack(asked)[0])
        return []

    warming._ask_as_nobody(application)
    assert said == [401, 401]
    assert not catching_up._given_up
