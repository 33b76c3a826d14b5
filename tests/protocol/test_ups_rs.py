"""UPS-RS over real HTTP (PS3.18 11): every transaction, every refusal, the same work over DIMSE."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset

from apps.dicom import uids, ups
from apps.dicom.native_xml import parse_xml
from tests.domain.worklist_rows import data_set
from tests.protocol.dicomweb_archive import Archive, parts_of

JSON = "application/dicom+json"
XML = "application/dicom+xml"
# No UID that is made anew begins so.
KEY = "1.3.12.2.31"


def code(value: str) -> dict[str, Any]:
    return data_set(CodeValue=value, CodingSchemeDesignator="99X", CodeMeaning=value)


def work(**changes: Any) -> dict[str, Any]:
    """A data set for Create."""
    values = {
        "ScheduledProcedureStepPriority": "MEDIUM",
        "ProcedureStepLabel": "Segment",
        "WorklistLabel": "tests",
        "ScheduledProcedureStepStartDateTime": "20240705100000",
        "InputReadinessState": "READY",
        "ProcedureStepState": "SCHEDULED",
        "PatientID": "T-1",
        "PatientName": "Meyer^Anna",
        **changes,
    }
    return data_set(**{name: value for name, value in values.items() if value is not None})


def performed(**changes: Any) -> dict[str, Any]:
    values = {
        "PerformedStationNameCodeSequence": [code("WS1")],
        "PerformedProcedureStepStartDateTime": "20240705100000",
        "PerformedWorkitemCodeSequence": [code("SEG")],
        "PerformedProcedureStepEndDateTime": "20240705110000",
        "OutputInformationSequence": [],
        **changes,
    }
    return data_set(UnifiedProcedureStepPerformedProcedureSequence=[data_set(**values)])


class Worklist:
    """The service as a client sees it."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.root = archive.root + "/workitems"

    def send(
        self, method: str, path: str, body: Any = None, content_type: str = JSON, **options: Any
    ) -> requests.Response:
        data = json.dumps(body) if isinstance(body, (dict, list)) else body
        headers = {"Content-Type": content_type, **options.pop("headers", {})}
        settings = {"auth": self.archive.stack.auth, "timeout": 30, **options}
        return requests.request(method, self.root + path, data=data, headers=headers, **settings)

    def create(self, uid: str = "", **changes: Any) -> str:
        uid = uid or uids.mint()
        response = self.send("POST", f"?{uid}", work(**changes))
        assert response.status_code == 201, response.text
        return uid

    def state(self, uid: str, state: str, key: str = KEY) -> requests.Response:
        body = data_set(ProcedureStepState=state, TransactionUID=key)
        return self.send("PUT", f"/{uid}/state", body)

    def claimed(self) -> str:
        uid = self.create()
        assert self.state(uid, ups.IN_PROGRESS).status_code == 200
        return uid

    def completed(self) -> str:
        uid = self.claimed()
        assert self.send("POST", f"/{uid}?{KEY}", performed()).status_code == 200
        assert self.state(uid, ups.COMPLETED).status_code == 200
        return uid

    def document(self, uid: str) -> dict[str, Any]:
        response = self.send("GET", f"/{uid}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


@pytest.fixture
def worklist(archive: Archive) -> Worklist:
    return Worklist(archive)


def refused(response: requests.Response, status: int, word: str = "") -> None:
    """The status, and a sentence in words."""
    assert response.status_code == status, (response.status_code, response.text)
    message = response.json()["message"]
    assert message.strip(), response.text
    assert word in message + response.headers.get("Warning", ""), (message, response.headers)


def test_a_work_item_is_created_and_read_as_json_and_xml(worklist: Worklist) -> None:
    uid = uids.mint()
    response = worklist.send("POST", f"?{uid}", work())
    assert (response.status_code, response.content) == (201, b"")
    assert response.headers["Location"] == f"{worklist.root}/{uid}"
    assert response.headers["Content-Location"] == f"{worklist.root}/{uid}"
    assert "Warning" not in response.headers

    found = Dataset.from_json(worklist.document(uid))
    assert (found.SOPInstanceUID, found.ProcedureStepState) == (uid, "SCHEDULED")
    assert str(found.PatientName) == "Meyer^Anna"
    assert found.ScheduledStationNameCodeSequence == [], "created empty, as the table wants"

    alone = worklist.send("GET", f"/{uid}", headers={"Accept": XML})
    assert alone.headers["Content-Type"] == XML
    assert alone.headers["Content-Location"] == f"{worklist.root}/{uid}"
    assert Dataset.from_json(parse_xml(alone.content)) == found
    accept = 'multipart/related; type="application/dicom+xml"'
    ((_, part),) = parts_of(worklist.send("GET", f"/{uid}", headers={"Accept": accept}))
    assert part == alone.content


def test_the_uid_may_stand_in_the_data_set_or_be_ours_to_make(worklist: Worklist) -> None:
    inside = uids.mint()
    response = worklist.send("POST", "", [work(SOPInstanceUID=inside)])
    assert response.headers["Location"].endswith(f"/workitems/{inside}")
    made = worklist.send("POST", "", work()).headers["Location"].rpartition("/")[2]
    assert uids.is_valid(made)
    named = uids.mint()
    xml = worklist.send("GET", f"/{inside}", headers={"Accept": XML}).content
    xml = xml.replace(inside.encode(), named.encode())
    assert worklist.send("POST", f"?workitem={named}", xml, XML).status_code == 201
    again = worklist.document(named)
    assert again["00741204"] == worklist.document(inside)["00741204"]
    changed = worklist.send("POST", "", work(WorklistLabel=""))
    assert changed.status_code == 201
    assert "created with modifications" in changed.headers["Warning"]
    label = worklist.document(changed.headers["Location"].rpartition("/")[2])["00741202"]
    assert label["Value"] == ["default"]


def test_what_a_create_is_refused_for(worklist: Worklist) -> None:
    uid = worklist.create()
    refused(worklist.send("POST", f"?{uid}", work()), 409, "already")
    fresh = uids.mint()
    refused(worklist.send("POST", f"?{fresh}", work(ProcedureStepLabel=None)), 400, "type 1")
    refused(worklist.send("POST", f"?{fresh}", work(InputReadinessState="")), 400, "no value")
    refused(worklist.send("POST", f"?{fresh}", work(InputReadinessState="SOON")), 400, "enumerated")
    refused(worklist.send("POST", f"?{fresh}", work(ProcedureStepState="COMPLETED")), 400, "SCHED")
    refused(worklist.send("POST", f"?{fresh}", work(TransactionUID=KEY)), 400, "Transaction UID")
    refused(worklist.send("POST", f"?{fresh}", work(PatientID="x" * 300)), 400, "too long")
    refused(worklist.send("POST", f"?{fresh}", work(SOPInstanceUID=uid)), 400, "different")
    never = work(ScheduledProcedureStepStartDateTime="tomorrow")
    refused(worklist.send("POST", f"?{fresh}", never), 400, "date and time")
    refused(worklist.send("POST", "?workitem=no-uid", work()), 400, "no UID")
    refused(worklist.send("POST", f"?{ups.GLOBAL_SUBSCRIPTION}", work()), 400, "no UID")
    assert worklist.send("GET", f"/{fresh}").status_code == 404


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (JSON, b"", 400),
        (JSON, b"{", 400),
        (JSON, b"[]", 400),
        (JSON, b"[{}, {}]", 400),
        (JSON, b'{"00741204": 5}', 400),
        (JSON, b'{"00741204": {"vr": "LO", "Value": 7}}', 400),
        (JSON, b'{"00741204": {"vr": "LO", "Value": [{"a": {}}]}}', 400),
        (JSON, b'{"00741204": {"vr": "QQ", "Value": ["x"]}}', 400),
        (JSON, b'{"00741210": {"vr": "SQ", "Value": ["x"]}}', 400),
        (JSON, b'{"00741204": {"vr": "LO", "Value": ["a\\u0000b"]}}', 400),
        (JSON, b'{"00741204": {"vr": "LO", "Value": ["\\ud800"]}}', 400),
        (JSON, b'{"00420011": {"vr": "OB", "BulkDataURI": "http://127.0.0.1/"}}', 400),
        (JSON, b"[" * 100_000, 400),
        (XML, b"<NativeDicomModel", 400),
        (XML, b"<!DOCTYPE a><NativeDicomModel/>", 400),
        ("multipart/related; type=application/dicom+json", b"x", 400),
        ("application/dicom", b"DICM", 415),
        ("text/plain", b"work", 415),
        ("application/x-www-form-urlencoded", b"a=b", 415),
    ],
)
def test_malformed_bodies_get_a_sentence(
    worklist: Worklist, content_type: str, body: bytes, status: int
) -> None:
    refused(worklist.send("POST", f"?{uids.mint()}", body, content_type), status)


def test_a_body_without_end_is_refused_in_flat_memory(worklist: Worklist) -> None:
    chunk = b" " * (1 << 20)
    response = worklist.send("POST", "", iter([chunk] * 20))
    refused(response, 413, "longer than")


def test_UPS_01_claimed_work_is_locked_by_its_transaction_uid(worklist: Worklist) -> None:
    uid = worklist.create()
    refused(worklist.state(uid, ups.IN_PROGRESS, ""), 400, "Transaction UID is missing")
    refused(worklist.state(uid, ups.COMPLETED), 409, "did not reference a claimed Workitem")
    label = data_set(ProcedureStepLabel="Contour")
    refused(worklist.send("POST", f"/{uid}?{KEY}", label), 409, "claimed")
    assert worklist.send("POST", f"/{uid}", label).status_code == 200
    taken = worklist.state(uid, ups.IN_PROGRESS)
    assert (taken.status_code, taken.content) == (200, b"")
    refused(worklist.state(uid, ups.IN_PROGRESS), 409, "inconsistent with the current state")
    refused(worklist.state(uid, ups.IN_PROGRESS, "2.25.9"), 400, "Transaction UID is incorrect")
    refused(worklist.send("POST", f"/{uid}", label), 400, "Transaction UID is missing")
    refused(worklist.send("POST", f"/{uid}?2.25.9", label), 400, "Transaction UID is incorrect")
    refused(worklist.state(uid, ups.SCHEDULED), 409)
    refused(worklist.state(uid, "DONE"), 400, "no state")
    both = data_set(ProcedureStepLabel="Other", TransactionUID="2.25.9")
    refused(worklist.send("POST", f"/{uid}?{KEY}", both), 400, "different Transaction UIDs")
    changed = data_set(ProcedureStepLabel="Register")
    assert worklist.send("POST", f"/{uid}?transaction-uid={KEY}", changed).status_code == 200
    found = worklist.document(uid)
    assert found["00741204"]["Value"] == ["Register"]
    assert f'"{KEY}"' not in json.dumps(found), "the key to the lock is never given out"


def test_UPS_02_completed_only_with_all_that_the_final_state_needs(worklist: Worklist) -> None:
    uid = worklist.claimed()
    refused(worklist.state(uid, ups.COMPLETED), 409, "final state")
    assert worklist.send("POST", f"/{uid}?{KEY}", performed()).status_code == 200
    assert worklist.state(uid, ups.COMPLETED).status_code == 200
    again = worklist.state(uid, ups.COMPLETED)
    assert again.status_code == 200
    assert "already in the requested state of COMPLETED" in again.headers["Warning"]
    assert again.headers["Warning"].startswith("299 ")
    label = data_set(ProcedureStepLabel="Late")
    refused(worklist.send("POST", f"/{uid}?{KEY}", label), 400, "inconsistent")
    refused(worklist.state(uid, ups.CANCELED), 409)


def test_what_an_update_is_refused_for(worklist: Worklist) -> None:
    uid = worklist.create()
    state = data_set(ProcedureStepState=ups.COMPLETED)
    refused(worklist.send("POST", f"/{uid}", state), 400, "its own resource")
    refused(worklist.send("POST", f"/{uid}", data_set(ProcedureStepLabel="")), 400, "no value")
    refused(worklist.send("POST", f"/{uid}", b""), 400, "no attribute")
    refused(worklist.send("POST", f"/{uid}", data_set(PatientName="Other^Eva")), 400, "stays")
    assert worklist.send("POST", f"/{uid}", data_set(PatientID="T-1")).status_code == 200
    refused(worklist.send("POST", f"/{uid}?nonsense", data_set(ProcedureStepLabel="x")), 400)
    label = data_set(ProcedureStepLabel="x")
    for method, path in (("POST", ""), ("PUT", "/state"), ("POST", "/cancelrequest"), ("GET", "")):
        body = data_set(ProcedureStepState=ups.IN_PROGRESS, TransactionUID=KEY)
        refused(worklist.send(method, f"/1.9{path}", body if path else label), 404, "no such UPS")


def test_cancellation_is_done_asked_for_or_refused(worklist: Worklist) -> None:
    uid = worklist.create()
    reason = data_set(ReasonForCancellation="patient left")
    response = worklist.send("POST", f"/{uid}/cancelrequest", reason)
    assert (response.status_code, response.content) == (202, b"")
    found = Dataset.from_json(worklist.document(uid))
    assert found.ProcedureStepState == "CANCELED"
    progress = found.ProcedureStepProgressInformationSequence[0]
    assert progress.ReasonForCancellation == "patient left"
    again = worklist.send("POST", f"/{uid}/cancelrequest")
    assert again.status_code == 202
    assert "already in the requested state of CANCELED" in again.headers["Warning"]
    refused(
        worklist.send("POST", f"/{worklist.completed()}/cancelrequest"), 409, "already COMPLETED"
    )
    refused(
        worklist.send("POST", f"/{worklist.claimed()}/cancelrequest"), 409, "cannot be contacted"
    )


def test_a_search_by_keys_sequences_and_sounds(worklist: Worklist) -> None:
    label = f"L{uids.mint()[-12:]}"
    first = worklist.create(WorklistLabel=label, PatientName="Schmidt^Eva")
    second = worklist.create(
        WorklistLabel=label, PatientID="T-2", ScheduledStationNameCodeSequence=[code("WS7")]
    )

    def search(query: str) -> list[str]:
        response = worklist.send("GET", f"?WorklistLabel={label}&{query}")
        assert response.status_code in {200, 204}, response.text
        rows = response.json() if response.content else []
        return [row["00080018"]["Value"][0] for row in rows]

    assert search("") == [first, second], "the oldest first"
    assert search("PatientID=T-2") == [second]
    assert search("00100010=meyer*") == [second]
    assert search("ScheduledStationNameCodeSequence.CodeValue=WS7") == [second]
    assert search("ProcedureStepState=COMPLETED") == []
    assert search("ScheduledProcedureStepStartDateTime=20240705-20240706") == [first, second]
    assert search("ScheduledProcedureStepStartDateTime=20250101-") == []
    assert search("PatientName=Smith") == []
    assert search("PatientName=Smith&fuzzymatching=true") == [first]
    assert search(f"SOPInstanceUID={first},1.2.3") == [first]


def test_a_search_in_pages_says_how_many_remain(worklist: Worklist) -> None:
    label = f"P{uids.mint()[-12:]}"
    made = [worklist.create(WorklistLabel=label) for _ in range(3)]
    page = worklist.send("GET", f"?WorklistLabel={label}&limit=2")
    assert page.status_code == 206
    assert "There are 1 additional results that can be requested" in page.headers["Warning"]
    last = worklist.send("GET", f"?WorklistLabel={label}&limit=2&offset=2")
    assert last.status_code == 200
    assert [row["00080018"]["Value"][0] for row in page.json() + last.json()] == made
    beyond = worklist.send("GET", f"?WorklistLabel={label}&offset=3")
    assert (beyond.status_code, beyond.content) == (204, b"")
    rows = worklist.send("GET", f"?WorklistLabel={label}&limit=1&includefield=all").json()
    assert rows[0]["00404041"]["Value"] == ["READY"]
    asked = worklist.send(
        "GET",
        f"?WorklistLabel={label}&limit=1&includefield=OutputInformationSequence,TransactionUID",
    )
    assert "00404033" in asked.json()[0]
    assert "00081195" not in asked.json()[0]
    accept = 'multipart/related; type="application/dicom+xml"'
    xml = worklist.send("GET", f"?WorklistLabel={label}", headers={"Accept": accept})
    assert [parse_xml(part)["00080018"]["Value"][0] for _, part in parts_of(xml)] == made


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("TransactionUID=2.25.31", "cannot be used"),
        ("Nonsense=1", "no attribute"),
        ("limit=-1", "whole number"),
        ("offset=x", "whole number"),
        ("fuzzymatching=maybe", "true or false"),
        ("SOPInstanceUID=x%09y", "no list of UIDs"),
        ("ScheduledProcedureStepStartDateTime=monday", "DT"),
        ("PatientName=%FF", "UTF-8"),
        ("00091001=x", "cannot be used"),
    ],
)
def test_what_a_search_is_refused_for(worklist: Worklist, query: str, word: str) -> None:
    refused(worklist.send("GET", f"?{query}"), 400, word)


def test_media_types_and_methods_that_do_not_exist(worklist: Worklist) -> None:
    uid = worklist.create()
    refused(worklist.send("GET", f"/{uid}", headers={"Accept": "image/png"}), 406, "available")
    refused(worklist.send("GET", "", headers={"Accept": XML}), 406, "multipart/related")
    refused(worklist.send("DELETE", f"/{uid}"), 405)
    assert worklist.send("PATCH", f"/{uid}/state").headers["Allow"] == "PUT"
    options = worklist.send("OPTIONS", f"/{uid}", headers={"Accept": "application/json"})
    assert options.headers["Allow"] == "GET, POST, HEAD, OPTIONS"
    operations = options.json()["paths"]["/workitems/{workitem}"]
    assert operations["post"]["operationId"] == "UpdateWorkitem"


def test_a_session_needs_its_csrf_token_to_change_work(worklist: Worklist) -> None:
    uid = worklist.create()
    with requests.Session() as session:
        login = worklist.archive.stack.url("/login/")
        session.get(login, timeout=10)
        form = {
            "username": worklist.archive.stack.username,
            "password": worklist.archive.stack.password,
            "csrfmiddlewaretoken": session.cookies["pacsweb_csrf"],
        }
        session.post(login, data=form, headers={"Referer": login}, timeout=10)
        body = json.dumps(data_set(ProcedureStepState=ups.IN_PROGRESS, TransactionUID=KEY))
        headers = {"Content-Type": JSON}
        path = f"{worklist.root}/{uid}"
        assert session.get(path, timeout=10).status_code == 200
        for method, resource in (("PUT", "/state"), ("POST", ""), ("POST", "/cancelrequest")):
            answer = session.request(method, path + resource, data=body, headers=headers)
            refused(answer, 403, "CSRF token")
        headers["X-CSRFToken"] = session.cookies["pacsweb_csrf"]
        assert session.put(f"{path}/state", data=body, headers=headers).status_code == 200
    refused(worklist.send("GET", f"/{uid}", auth=None), 401)
    refused(worklist.send("PUT", f"/{uid}/state", body, auth=("admin", "wrong")), 401)


def test_twenty_clients_claim_one_work_item_and_one_gets_it(worklist: Worklist) -> None:
    uid = worklist.create()
    answers: list[tuple[str, int]] = []
    together = threading.Barrier(20)

    def claim(key: str) -> None:
        together.wait()
        answers.append((key, worklist.state(uid, ups.IN_PROGRESS, key).status_code))

    threads = [threading.Thread(target=claim, args=(f"2.25.{n}",)) for n in range(100, 120)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Counter(status for _, status in answers) == {200: 1, 400: 19}
    (winner,) = [key for key, status in answers if status == 200]
    label = data_set(ProcedureStepLabel="mine")
    assert worklist.send("POST", f"/{uid}?{winner}", label).status_code == 200
