"""DELETE rejects, with a reason; what was rejected can come back until it is purged."""

from __future__ import annotations

import pytest
import requests

from tests.builders import ct_slice
from tests.protocol.dicomweb_archive import Archive, path_of

JSON = "application/dicom+json"


def delete(archive: Archive, path: str, **options) -> requests.Response:
    return requests.delete(
        archive.root + path, **{"auth": archive.stack.auth, "timeout": 60, **options}
    )


def found(archive: Archive, query: str) -> int:
    response = archive.get(f"/instances?{query}", JSON)
    return len(response.json()) if response.status_code == 200 else 0


@pytest.fixture
def study(archive: Archive):
    first = ct_slice()
    second = ct_slice(study=first.StudyInstanceUID, series=first.SeriesInstanceUID, number=2)
    other = ct_slice(study=first.StudyInstanceUID, Modality="MR")
    assert archive.store(first, second, other).status_code == 200
    return first, second, other


def test_a_rejected_instance_is_nowhere_and_comes_back_as_it_was(archive: Archive, study):
    first, _, other = study
    uid = first.StudyInstanceUID
    before = archive.json(f"/studies/{uid}/metadata")
    answer = delete(archive, path_of(first) + "?reason=113001%5EDCM")
    assert answer.json() == {"rejected": 1, "reason": "113001"}
    assert archive.get(path_of(first), "application/dicom").status_code == 404
    assert archive.get(path_of(first) + "/frames/1").status_code == 404
    assert archive.get(path_of(first) + "/metadata").status_code == 404
    assert found(archive, f"StudyInstanceUID={uid}") == 2
    (row,) = archive.json(f"/studies?StudyInstanceUID={uid}")
    assert row["00201208"]["Value"] == [2]
    assert delete(archive, path_of(other).partition("/instances/")[0]).status_code == 200
    (row,) = archive.json(f"/studies?StudyInstanceUID={uid}")
    assert row["00080061"]["Value"] == ["CT"]
    back = archive.post(f"/studies/{uid}/restore", b"")
    assert back.json() == {"restored": 2, "remaining": 0}
    after = archive.json(f"/studies/{uid}/metadata")
    assert sorted(map(str, after)) == sorted(map(str, before))
    assert archive.get(path_of(first) + "/frames/1").status_code == 200
    assert archive.post(f"/studies/{uid}/restore", b"").status_code == 404


def test_a_purged_study_is_gone_and_can_be_stored_anew(archive: Archive, study):
    uid = study[0].StudyInstanceUID
    drafts = archive.stack.url(f"/api/studies/{uid}/measurements/")
    auth = archive.stack.auth
    draft = requests.put(drafts, json={"version": 0, "measurements": []}, auth=auth, timeout=30)
    assert (draft.status_code, draft.json()["version"]) == (200, 1)
    assert delete(archive, f"/studies/{uid}?reason=113039").json()["rejected"] == 3
    assert archive.get(f"/studies?StudyInstanceUID={uid}", JSON).status_code == 204
    assert archive.get(f"/studies/{uid}/metadata").status_code == 404
    assert archive.post(f"/studies/{uid}/purge", b"").json() == {"purged": 3}
    assert archive.post(f"/studies/{uid}/restore", b"").status_code == 404
    assert archive.store(*study).status_code == 200
    assert found(archive, f"StudyInstanceUID={uid}") == 3
    draft = requests.get(drafts, auth=auth, timeout=30)
    assert draft.json()["version"] == 0, "gone with the study"


def test_what_is_sent_again_can_be_rejected_again(archive: Archive, study):
    uid = study[0].StudyInstanceUID
    for _ in range(2):
        assert delete(archive, f"/studies/{uid}").json() == {"rejected": 3, "reason": ""}
        assert archive.store(*study).status_code == 200
        assert found(archive, f"StudyInstanceUID={uid}") == 3
    assert archive.post(f"/studies/{uid}/restore", b"").status_code == 409
    # What was not sent again comes back, once, however often it was rejected.
    assert delete(archive, f"/studies/{uid}").json()["rejected"] == 3
    assert archive.store(study[0]).status_code == 200
    answer = archive.post(f"/studies/{uid}/restore", b"").json()
    assert answer == {"restored": 2, "remaining": 1}
    assert found(archive, f"StudyInstanceUID={uid}") == 3
    assert archive.post(f"/studies/{uid}/purge", b"").status_code == 200
    # The bytes of what is stored now are its own.
    for ds in study:
        assert archive.get(path_of(ds), "application/dicom").status_code == 200


def test_who_may_not_and_what_makes_no_sense(archive: Archive, study):
    uid = study[0].StudyInstanceUID
    assert delete(archive, f"/studies/{uid}", auth=None).status_code == 401
    refusal = delete(archive, f"/studies/{uid}?reason=because")
    assert refusal.status_code == 400
    assert "113001" in refusal.json()["message"]
    assert delete(archive, "/studies/1.2.3.4.5").status_code == 404
    assert delete(archive, f"/studies/{uid}/metadata").status_code == 405


def test_the_change_feed_is_followed_by_sequence_numbers(archive: Archive, study):
    uid = study[0].StudyInstanceUID
    start = archive.json("/changes?limit=1")["latest"]
    delete(archive, f"/studies/{uid}")
    archive.post(f"/studies/{uid}/restore", b"")
    seen, after = [], start
    for _ in range(50):
        page = archive.json(f"/changes?after={after}&limit=2")
        seen += [each for each in page["changes"] if each["study"] == uid]
        assert page["next"] >= after
        after = page["next"]
        if not page["more"]:
            break
    kinds = [each["kind"] for each in seen]
    assert kinds.index("InstancesRejected") < kinds.index("StudyDeleted")
    assert kinds.index("StudyDeleted") < kinds.index("InstancesRestored")
    assert [each["sequence"] for each in seen] == sorted(each["sequence"] for each in seen)
    assert archive.json(f"/changes?after={after}")["changes"] == []
    assert archive.get("/changes?after=x").status_code == 400
