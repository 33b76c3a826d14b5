"""Storage commitment over DICOMweb (PS3.18 13): the same promise as over DIMSE, fetched."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.archive.models import Receipt
from apps.commitment.actions.deliver_reports import deliver_reports
from apps.commitment.actions.verify_requests import verify_requests
from apps.commitment.models import CommitmentPolicy, CommitmentRequest
from apps.dicomweb import commitment as door
from apps.events.models import Event
from tests.builders import CT_IMAGE_STORAGE
from tests.domain.test_commitment import alter, blob_path, stored
from tests.domain.test_receipts import signed_in

pytestmark = pytest.mark.django_db
JSON = "application/dicom+json"
URL = "/dicom-web/commitment-requests/2.25.77"
MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture(autouse=True)
def _folders(data_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CommitmentPolicy.objects.create(pk=1, verify_rate=10_000, scrub_rate=10_000)
    monkeypatch.setattr(door, "_WAIT_SECONDS", 0.0)  # no worker runs beside these tests


def asked(*uids: str, sop_class: str = CT_IMAGE_STORAGE) -> dict[str, Any]:
    items = [
        {
            "00081150": {"vr": "UI", "Value": [sop_class]},
            "00081155": {"vr": "UI", "Value": [uid]},
        }
        for uid in uids
    ]
    return {"00081199": {"vr": "SQ", "Value": items}}


def post(client: Client, body: Any, url: str = URL, **headers: str) -> Any:
    raw = json.dumps(body).encode()
    # Django's own stand-in for a socket cannot be read to its end.
    socket: dict[str, Any] = {"wsgi.input": BytesIO(raw)}
    return client.post(url, raw, content_type=JSON, headers={"Accept": JSON, **headers}, **socket)


def listed(answer: dict[str, Any], tag: str) -> dict[str, int]:
    items = answer.get(tag, {}).get("Value", [])
    return {
        item["00081155"]["Value"][0]: item.get("00081197", {}).get("Value", [0])[0]
        for item in items
    }


def test_a_commitment_over_the_web_is_what_was_read_back():
    good, gone, bad = stored(3)
    blob_path(gone).unlink()
    alter(bad, -1)
    client = signed_in("technologist")
    uids = [each.sop_instance_uid for each in (good, gone, bad)]
    assert post(client, asked(*uids, "1.2.3.4")).status_code == 202
    assert not verify_requests(30)
    assert deliver_reports() == 0  # nobody is called: the client comes
    assert not Receipt.objects.exclude(committed_at=None).exists()
    answer = client.get(URL, headers={"Accept": JSON})
    assert answer.status_code == 200
    assert listed(answer.json(), "00081199") == {good.sop_instance_uid: 0}
    assert listed(answer.json(), "00081198") == {
        gone.sop_instance_uid: 0x0112,
        bad.sop_instance_uid: 0x0110,
        "1.2.3.4": 0x0112,
    }
    assert "00081195" not in answer.json()  # the path has it
    receipt = Receipt.objects.exclude(committed_at=None).get()
    assert (receipt.instance_id, receipt.committed_to) == (good.pk, "technologist")
    told = Event.objects.get(kind="CommitmentRequested")
    assert (told.actor_kind, told.actor_name, told.door) == ("user", "technologist", "dicomweb")
    assert client.get(URL, headers={"Accept": JSON}).json() == answer.json()
    again = post(client, asked(*uids, "1.2.3.4"))  # its answer was lost
    assert (again.status_code, again.json()) == (200, answer.json())


def test_a_commitment_that_takes_longer_is_checked_for():
    (instance,) = stored(1)
    client = signed_in("technologist")
    first = post(client, asked(instance.sop_instance_uid))
    assert (first.status_code, first.content) == (202, b"")
    assert int(first["Retry-After"]) > 0
    assert client.get(URL).status_code == 202
    assert post(client, asked(instance.sop_instance_uid)).status_code == 202
    assert CommitmentRequest.objects.count() == 1
    assert not verify_requests(30)
    answer = client.get(URL, headers={"Accept": "application/dicom+xml"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/dicom+xml")
    assert instance.sop_instance_uid in answer.content.decode()


def test_a_transaction_is_its_askers_alone_and_not_used_twice():
    (instance,) = stored(1)
    client = signed_in("technologist")
    assert post(client, asked(instance.sop_instance_uid)).status_code == 202
    assert post(client, asked("1.2.3")).status_code == 409
    other = signed_in("administrator")
    assert other.get(URL).status_code == 404
    assert post(other, asked(instance.sop_instance_uid)).status_code == 202
    assert CommitmentRequest.objects.count() == 2
    assert signed_in("clinician").get(URL).status_code == 403
    assert Client().get(URL).status_code == 401


@pytest.mark.parametrize(
    ("body", "url"),
    [
        ({}, URL),
        (asked(), URL),
        ({"00081199": {"vr": "SQ", "Value": [{}]}}, URL),
        (asked("1.2.3"), "/dicom-web/commitment-requests/not-a-uid"),
        (asked("1" * 65), URL),
    ],
    ids=["nothing", "no item", "no UID", "path", "long UID"],
)
def test_a_request_that_lacks_something_is_400_in_words(body, url):
    answer = post(signed_in("technologist"), body, url)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert not CommitmentRequest.objects.exists()


def test_another_sop_class_than_the_stored_one_is_not_promised():
    (instance,) = stored(1)
    client = signed_in("technologist")
    post(client, asked(instance.sop_instance_uid, sop_class=MR))
    verify_requests(30)
    answer = client.get(URL, headers={"Accept": JSON}).json()
    assert listed(answer, "00081198") == {instance.sop_instance_uid: 0x0119}
    assert "00081199" not in answer
