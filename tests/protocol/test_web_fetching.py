"""Studies found in an archive that speaks DICOMweb, and fetched from it, whatever it does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
import requests

from tests.builders import ct_slice, new_uid
from tests.protocol.dicomweb_archive import Archive
from tests.protocol.odd_web_archive import SECRET, USER, OddWebArchive, serving
from tests.protocol.test_move import counts, move
from tests.stack import Stack

NAME = "another-house.with-a-long-name"
PREPARED = """
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from apps.network.models import WebArchive
add = WebArchive.objects.create
add(name="{name}", url="http://127.0.0.1:{port}/base/", user="{user}", secret="{secret}",
    parallel_transfers=16)
add(name="FARWEB", url="http://127.0.0.1:{port}/base/", user="{user}", secret="{secret}",
    move_destination=True)
add(name="wrong-secret", url="http://127.0.0.1:{port}/base/", user="{user}", secret="no")
user = get_user_model().objects.create_user("doc31", password="long enough 99")
user.groups.add(Group.objects.get(name="clinician"))
"""


@pytest.fixture(scope="module")
def far(stack: Stack) -> Iterator[type[OddWebArchive]]:
    with serving() as port:
        made = PREPARED.format(name=NAME, port=port, user=USER, secret=SECRET)
        stack.manage("shell", "-c", made)
        yield OddWebArchive


def call(stack: Stack, method: str, path: str, **options: Any) -> requests.Response:
    options = {"auth": stack.auth, "timeout": 30, **options}
    return requests.request(method, stack.url("/api" + path), **options)


def fetch(stack: Stack, study: str, **more: Any) -> str:
    """The path of the transfer."""
    asked = {"archive": NAME, "keys": {"StudyInstanceUID": study}, **more}
    answer = call(stack, "POST", "/transfers/fetch/", json=asked)
    assert answer.status_code == 201, answer.text
    return f"/transfers/{answer.json()['id']}/"


def standing(stack: Stack, path: str) -> dict[str, Any]:
    found: dict[str, Any] = call(stack, "GET", path).json()
    return found


def after_an_attempt(stack: Stack, path: str) -> dict[str, Any]:
    """As soon as it runs no more and has said why, or is done."""

    def over() -> bool:
        row = standing(stack, path)
        return row["state"] not in {"waiting", "running"} or (
            row["state"] == "waiting" and bool(row["message"])
        )

    stack.wait_until(over)
    return standing(stack, path)


def here(stack: Stack, study: str) -> int:
    rows = call(stack, "GET", f"/studies/?uid={study}").json()["studies"]
    return int(rows[0]["NumberOfStudyRelatedInstances"]) if rows else 0


def test_a_study_is_found_and_fetched_and_its_source_is_known(
    stack: Stack, far: type[OddWebArchive]
) -> None:
    study = far.new_study("chunks", PatientName="WEBFAR^ONE", PatientID="W-1")
    begun = call(stack, "POST", f"/archives/{NAME}/searches/", json={"q": "webfar"})
    assert begun.status_code == 201, begun.text
    search = f"/peer-searches/{begun.json()['search']}/"
    stack.wait_until(lambda: call(stack, "GET", search).json()["state"] != "running")
    (found,) = call(stack, "GET", search).json()["studies"]
    assert (found["StudyInstanceUID"], found["there"], found["here"]) == (study, 5, 0)
    assert found["ModalitiesInStudy"] == ["CT", "SR"]
    assert found["PatientName"] == "WEBFAR^ONE"

    path = fetch(stack, study)
    row = after_an_attempt(stack, path)
    assert (row["state"], row["total"], row["completed"]) == ("succeeded", 5, 5), row
    assert (row["protocol"], row["peer_title"], row["method"]) == ("dicomweb", NAME, "wado-rs")
    stack.wait_until(lambda: here(stack, study) == 5)
    (row,) = call(stack, "GET", f"/studies/?uid={study}").json()["studies"]
    assert row["sender"] == NAME
    assert far.asked[study][-1] == f"/studies/{study}"
    rows = call(stack, "GET", path + "instances/").json()
    assert {each["state"] for each in rows} == {"sent"}
    # Once more: all is here, and nothing is sent again.
    far.asked[study].clear()
    again = after_an_attempt(stack, fetch(stack, study))
    assert (again["state"], again["total"]) == ("succeeded", 0)
    assert all(each.endswith("/instances") for each in far.asked[study])


def test_after_a_break_only_what_is_missing_is_asked_for(
    stack: Stack, far: type[OddWebArchive]
) -> None:
    study = far.new_study("breaks off", images=6)
    row = after_an_attempt(stack, fetch(stack, study))
    assert (row["state"], row["total"], row["completed"], row["attempts"]) == (
        "succeeded", 6, 6, 1,
    ), row  # fmt: skip
    stack.wait_until(lambda: here(stack, study) == 6)
    whole, *rest = [each for each in far.asked[study] if not each.endswith("/instances")]
    assert whole == f"/studies/{study}"
    came = [each.SOPInstanceUID for each in far.studies[study][:2]]
    assert not any(each.rsplit("/", 1)[-1] in came for each in rest)
    assert len([each for each in rest if "/instances/" in each]) == 4  # the series of one too


@pytest.mark.parametrize(
    ("manner", "state", "words"),
    [
        ("nothing but a start", "waiting", "broke off"),
        ("cut chunks", "waiting", "broke off"),
        ("ends early", "waiting", "broke off"),
        ("other boundary", "waiting", "does not begin with the boundary"),
        ("other study", "waiting", "did not send 5 of the 5 instances it lists, but"),
        ("markup", "waiting", "something else than DICOM"),
        ("busy", "waiting", "answered 503 and asks to wait for 10 minutes"),
        ("forbidden", "failed", "does not take our credentials (401)"),
        ("unknown", "waiting", "did not send 5 of the 5 instances it lists"),
        (
            "in no form",
            "failed",
            "no DICOM instances as parts of an answer, nor one by itself (406)",
        ),
        ("without end", "waiting", "does not say where its answer ends"),
        ("endless", "waiting", "keeps sending what it was not asked for"),
    ],
)
def test_an_archive_that_fails_is_told_in_words_and_tried_again(
    stack: Stack, far: type[OddWebArchive], manner: str, state: str, words: str
) -> None:
    study = far.new_study(manner)
    path = fetch(stack, study)
    row = after_an_attempt(stack, path)
    assert (row["state"], words in row["message"]) == (state, True), row
    assert row["message"].startswith(NAME)
    if manner == "busy":
        pause = datetime.fromisoformat(row["not_before"]) - datetime.fromisoformat(
            row["started_at"]
        )
        assert pause.total_seconds() >= 599
    far.manner[study] = ""
    assert call(stack, "POST", path + "retry/").status_code == 200
    stack.wait_until(lambda: standing(stack, path)["state"] == "succeeded")
    row = standing(stack, path)
    assert (row["total"], row["completed"], row["failed"]) == (5, 5, 0)
    stack.wait_until(lambda: here(stack, study) == 5)


def test_what_is_left_out_is_asked_for_by_itself(stack: Stack, far: type[OddWebArchive]) -> None:
    for manner in ("leaves one out", "lists nothing"):
        study = far.new_study(manner)
        row = after_an_attempt(stack, fetch(stack, study))
        assert (row["state"], row["total"], row["completed"]) == ("succeeded", 5, 5), row


@pytest.mark.parametrize(
    ("manner", "refusals"), [("no wild card", 1), ("old", 1), ("one at a time", 2 * 2 + 2)]
)
def test_an_archive_is_asked_in_the_forms_it_knows(
    stack: Stack, far: type[OddWebArchive], manner: str, refusals: int
) -> None:
    study = far.new_study(manner)
    row = after_an_attempt(stack, fetch(stack, study))
    assert (row["state"], row["completed"], row["attempts"]) == ("succeeded", 5, 1), row
    # The form it took is kept to: nothing is refused after it.
    assert [each.endswith(" refused") for each in far.asked[study]].count(True) == refusals


def test_one_series_and_one_instance(stack: Stack, far: type[OddWebArchive]) -> None:
    study = far.new_study()
    image = far.studies[study][0]
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": image.SeriesInstanceUID}
    for level, more, came in (("IMAGE", {"SOPInstanceUID": image.SOPInstanceUID}, 1),
                              ("SERIES", {}, 3)):  # fmt: skip
        row = after_an_attempt(stack, fetch(stack, study, level=level, keys={**keys, **more}))
        assert (row["state"], row["completed"]) == ("succeeded", came), row
        stack.wait_until(lambda: here(stack, study) >= 1)
    stack.wait_until(lambda: here(stack, study) == 4)


def test_a_silent_archive_does_not_keep_anybody_from_cancelling(
    stack: Stack, far: type[OddWebArchive]
) -> None:
    far.go.clear()
    study = far.new_study("slow")
    path = fetch(stack, study)
    stack.wait_until(lambda: len(far.asked[study]) >= 3)
    assert call(stack, "DELETE", path).status_code == 200
    stack.wait_until(lambda: standing(stack, path)["state"] == "cancelled")
    far.go.set()
    far.manner[study] = ""
    call(stack, "POST", path + "retry/")
    stack.wait_until(lambda: standing(stack, path)["state"] == "succeeded")
    row = standing(stack, path)
    assert (row["total"], row["completed"], row["failed"]) == (5, 5, 0)


def test_who_asks_for_the_same_at_once_has_one_transfer(
    stack: Stack, far: type[OddWebArchive]
) -> None:
    """It is asked for once more at its end: what came to the archive meanwhile comes too."""
    far.go.clear()
    study = far.new_study("slow")
    asked = {"archive": NAME, "keys": {"StudyInstanceUID": study}}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: call(stack, "POST", "/transfers/fetch/", json=asked), range(8))
        )
    assert sorted(each.status_code for each in answers) == [*[200] * 7, 201]
    (key,) = {each.json()["id"] for each in answers}
    stack.wait_until(lambda: f"/studies/{study}" in far.asked[study])
    image = far.studies[study][0]
    one = {**asked["keys"], "SeriesInstanceUID": image.SeriesInstanceUID}
    joined = call(
        stack, "POST", "/transfers/fetch/", json={**asked, "level": "SERIES", "keys": one}
    )
    assert (joined.status_code, joined.json()["id"]) == (200, key)
    far.studies[study].append(ct_slice(study=study, series=new_uid(), number=9))
    far.go.set()
    path = f"/transfers/{key}/"
    stack.wait_until(lambda: standing(stack, path)["state"] == "succeeded")
    row = standing(stack, path)
    assert (row["total"], row["completed"], row["failed"]) == (6, 6, 0)
    kinds = "TransferRequested", "TransferJoined"
    counted = stack.manage("shell", "-c", COUNTED.format(key=key, kinds=kinds)).stdout
    assert counted.splitlines()[-1] == "[1, 8]"
    again = call(stack, "POST", "/transfers/fetch/", json=asked)
    assert again.status_code == 201


COUNTED = """
from apps.events.models import Event
print([sum(row.payload["transfer"] == {key} for row in Event.objects.filter(kind=kind))
       for kind in {kinds}])
"""


def test_a_c_move_to_an_archive_that_speaks_dicomweb_is_sent_by_stow_rs(
    stack: Stack, archive: Archive, far: type[OddWebArchive]
) -> None:
    study, series, patient = new_uid(), new_uid(), new_uid()[-12:]
    made = [
        ct_slice(study=study, series=series, number=number, PatientID=patient)
        for number in (1, 2, 3)
    ]
    assert archive.store(*made).status_code == 200
    far.manner[patient] = "refuses one"
    final, identifier = move(stack, "FARWEB", study)[-1]
    assert (final.Status, counts(final)) == (0xB000, (2, 1, 0))
    assert identifier is not None
    assert identifier.FailedSOPInstanceUIDList == made[2].SOPInstanceUID
    far.manner[patient] = "forbidden"
    final, _ = move(stack, "FARWEB", study)[-1]
    assert (final.Status, counts(final)) == (0xA702, (0, 3, 0))
    # Known, and no destination as nobody said so.
    final, _ = move(stack, "wrong-secret", study)[-1]
    assert final.Status == 0xA801


def test_programs_ask_such_an_archive_as_they_ask_others(
    stack: Stack, far: type[OddWebArchive]
) -> None:
    study = far.new_study(PatientName="PROGRAM^ONE")
    path = f"/archives/{NAME}"
    assert call(stack, "POST", f"{path}/echo/").json() == {"status": 200}
    refused = call(stack, "POST", "/archives/wrong-secret/echo/")
    assert (refused.status_code, "credentials" in refused.text) == (502, True)
    (found,) = call(stack, "GET", f"{path}/search/?PatientName=program*").json()
    assert (found["StudyInstanceUID"], found["ModalitiesInStudy"]) == (study, "CT\\SR")
    below = f"{path}/search/?level=IMAGE&StudyInstanceUID={study}"
    series = far.studies[study][0].SeriesInstanceUID
    images = call(stack, "GET", f"{below}&SeriesInstanceUID={series}").json()
    assert {each["SeriesInstanceUID"] for each in images} == {series}
    assert {each["StudyInstanceUID"] for each in images} == {study}
    assert call(stack, "GET", f"{path}/search/?Nothing=1").status_code == 400
    doctor = ("doc31", "long enough 99")
    for method, what in (("POST", "echo/"), ("GET", "search/?PatientName=x")):
        assert call(stack, method, f"{path}/{what}", auth=doctor).status_code == 403


def test_who_may_fetch_and_from_where(stack: Stack, far: type[OddWebArchive]) -> None:
    study = far.new_study()
    asked = {"archive": NAME, "keys": {"StudyInstanceUID": study}}
    doctor = ("doc31", "long enough 99")
    assert call(stack, "POST", "/transfers/fetch/", json=asked, auth=doctor).status_code == 403
    path = f"/archives/{NAME}/searches/"
    assert call(stack, "POST", path, json={"q": "x"}, auth=doctor).status_code == 403
    for wrong, status in (
        ({"archive": "nobody"}, 404), ({"peer": "ALSO"}, 400), ({"archive": ""}, 400),
        ({"keys": {"StudyInstanceUID": f"{study}\\1.2"}}, 400),
        ({"keys": {"StudyInstanceUID": ".."}}, 400),
    ):  # fmt: skip
        answer = call(stack, "POST", "/transfers/fetch/", json={**asked, **wrong})
        assert answer.status_code == status, answer.text
    begun = call(stack, "POST", "/archives/wrong-secret/searches/", json={"q": "x"}).json()
    search = f"/peer-searches/{begun['search']}/"
    stack.wait_until(lambda: call(stack, "GET", search).json()["state"] == "failed")
    assert "credentials" in call(stack, "GET", search).json()["message"]
    peers = {each["title"]: each["kind"] for each in call(stack, "GET", "/peers/").json()}
    assert peers[NAME] == "dicomweb"
    events = call(stack, "GET", f"/transfers/?archive={NAME}").json()
    assert events
    assert all(each["protocol"] == "dicomweb" for each in events)
    assert call(stack, "GET", f"/transfers/?peer={NAME}").json() == []
    assert SECRET not in stack.log(10_000_000)


@pytest.mark.parametrize(
    ("manner", "state", "counts", "words"),
    [
        ("", "succeeded", (3, 0), ""),
        ("hangs up", "succeeded", (3, 0), ""),
        ("refuses one", "partly", (2, 1), ""),
        ("hates two", "waiting", (1, 0), "cannot be reached"),
        ("likes them short", "partly", (2, 1), ""),
        ("none of it", "failed", (0, 3), "answered 400 to this request"),
        ("busy", "waiting", (0, 0), "answered 503 and asks to wait for 10 minutes"),
        ("markup", "waiting", (0, 0), "not what became of the instances"),
        ("status of no name", "waiting", (0, 0), "answered 299 and not what became"),
        ("forbidden", "failed", (0, 3), "does not take our credentials (401)"),
    ],
)
def test_a_study_is_sent_there_and_each_instance_has_its_outcome(  # noqa: PLR0917
    stack: Stack,
    archive: Archive,
    far: type[OddWebArchive],
    manner: str,
    state: str,
    counts: tuple[int, int],
    words: str,
) -> None:
    study, series, patient = new_uid(), new_uid(), new_uid()[-12:]
    made = [
        ct_slice(study=study, series=series, number=number, PatientID=patient)
        for number in (1, 2, 3)
    ]
    assert archive.store(*made).status_code == 200
    far.manner[patient] = manner
    answer = call(stack, "POST", "/transfers/", json={"archive": NAME, "studies": [study]})
    assert answer.status_code == 201, answer.text
    path = f"/transfers/{answer.json()['id']}/"
    row = after_an_attempt(stack, path)
    assert (row["state"], (row["completed"], row["failed"])) == (state, counts), row
    assert words in row["message"]
    assert (row["protocol"], row["method"], row["kind"]) == ("dicomweb", "stow-rs", "send")
    far.manner[patient] = ""
    if state != "succeeded":
        assert call(stack, "POST", path + "retry/").status_code == 200
        stack.wait_until(lambda: standing(stack, path)["state"] == "succeeded")
    row = standing(stack, path)
    assert (row["total"], row["completed"], row["failed"]) == (3, 3, 0)
    arrived = {
        each.SOPInstanceUID: each.PixelData for each in far.stored if each.PatientID == patient
    }
    assert arrived == {each.SOPInstanceUID: each.PixelData for each in made}
