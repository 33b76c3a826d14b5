"""STOW-RS over real HTTP: what is answered is what happened."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
import requests
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid

from apps.dicomweb.stow_rs.views import INDEX_SECONDS
from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import STORE, Archive, multipart, path_of, read

DICOM_JSON = "application/dicom+json"
FAILED, REFERENCED, RETRIEVE_URL = "00081198", "00081199", "00081190"


def uids(response: requests.Response, sequence: str) -> set[str]:
    items = response.json().get(sequence, {}).get("Value", [])
    return {item["00081155"]["Value"][0] for item in items if "Value" in item["00081155"]}


def reasons(response: requests.Response) -> dict[str, int]:
    return {
        item["00081155"].get("Value", [""])[0]: item["00081197"]["Value"][0]
        for item in response.json().get(FAILED, {}).get("Value", [])
    }


def test_STW_01_all_stored_is_200_and_searchable_at_once(archive: Archive):
    study = new_uid()
    slices = [ct_slice(study=study, number=n) for n in range(1, 4)]
    response = archive.store(*slices)
    assert response.status_code == 200
    assert uids(response, REFERENCED) == {ds.SOPInstanceUID for ds in slices}
    assert FAILED not in response.json()
    found = archive.json(f"/studies/{study}/instances")
    assert {each["00080018"]["Value"][0] for each in found} == uids(response, REFERENCED)


def test_STW_01_some_stored_is_202_with_each_instance_once(archive: Archive):
    good = ct_slice()
    response = archive.post("/studies", multipart(b"this is no DICOM" * 30, part10(good)))
    assert response.status_code == 202
    assert uids(response, REFERENCED) == {good.SOPInstanceUID}
    assert reasons(response) == {"": 0xC000}
    assert "Part 1" in response.headers["Warning"]


def test_STW_01_none_stored_is_409(archive: Archive):
    response = archive.post("/studies", multipart(b"no DICOM at all, " * 20))
    assert response.status_code == 409
    assert REFERENCED not in response.json()


def test_STW_01_an_answer_does_not_wait_for_the_index_and_a_search_does(archive: Archive):
    """The indexer is stopped, as if it had much to do: stored all the same, and found after."""
    study, series = new_uid(), new_uid()
    first, second, third = (ct_slice(study=study, series=series, number=n) for n in range(1, 4))
    assert archive.store(first).status_code == 200
    indexer = archive.stack.pid("worker-index")
    os.kill(indexer, signal.SIGSTOP)
    try:
        response = archive.store(second, third)
        assert response.status_code == 200
        assert response.elapsed.total_seconds() < INDEX_SECONDS, "it waited for the index in vain"
        assert "Warning" not in response.headers
        assert uids(response, REFERENCED) == {second.SOPInstanceUID, third.SOPInstanceUID}
        assert response.json()[REFERENCED]["Value"][0][RETRIEVE_URL]["Value"] == [
            archive.root + path_of(second)
        ]
        early = archive.get(f"/studies/{study}/instances", "application/dicom+json")
        assert "not searchable yet" in early.headers["Warning"]
        assert len(early.json()) == 1
    finally:
        os.kill(indexer, signal.SIGCONT)
    # As a rule the first search finds it; on a machine that is very busy it says that it does not.
    archive.stack.wait_until(
        lambda: "Warning" not in archive.get(f"/studies/{study}/instances", DICOM_JSON).headers
    )
    assert len(archive.json(f"/studies/{study}/instances")) == 3
    assert archive.get(path_of(second), "application/dicom; transfer-syntax=*").status_code == 200


def test_STW_04_one_uid_at_once_by_several_is_stored_for_one_of_them(archive: Archive):
    """Each has bytes of its own; whoever is answered 200 finds their own bytes stored."""
    study, series, uid = new_uid(), new_uid(), new_uid()
    assert archive.store(ct_slice(study=study, series=series)).status_code == 200
    several = [ct_slice(study=study, series=series, number=7, seed=n) for n in range(6)]
    for ds in several:
        ds.SOPInstanceUID = uid
    with ThreadPoolExecutor(len(several)) as pool:
        answers = list(pool.map(archive.store, several))
    assert sorted(each.status_code for each in answers) == [200] + [409] * 5
    stored = several[[each.status_code for each in answers].index(200)]
    kept = read(archive.get(path_of(stored), "application/dicom; transfer-syntax=*").content)
    assert kept.PixelData == stored.PixelData
    assert {reasons(each)[uid] for each in answers if each.status_code == 409} == {0x0111}


def test_STW_02_every_instance_has_its_retrieve_url(archive: Archive):
    ds = ct_slice()
    response = archive.store(ds)
    item = response.json()[REFERENCED]["Value"][0]
    assert item[RETRIEVE_URL]["Value"] == [archive.root + path_of(ds)]
    assert item["00081150"]["Value"] == [ds.SOPClassUID]
    assert archive.get(path_of(ds), "application/dicom; transfer-syntax=*").status_code == 200


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_STW_03_another_study_than_the_url_fails_alone(archive: Archive, syntax):
    mine, other = ct_slice(), ct_slice()
    response = archive.post(
        f"/studies/{mine.StudyInstanceUID}", multipart(part10(other, syntax), part10(mine, syntax))
    )
    assert response.status_code == 202
    assert uids(response, REFERENCED) == {mine.SOPInstanceUID}
    assert reasons(response) == {other.SOPInstanceUID: 0xA900}
    assert archive.get(f"/studies/{other.StudyInstanceUID}/metadata").status_code == 404


def test_STW_04_the_same_uid_with_other_bytes_is_refused_and_the_first_kept(archive: Archive):
    first = ct_slice(seed=1)
    second = ct_slice(seed=2)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(second, keyword, first[keyword].value)
    assert archive.store(first).status_code == 200
    response = archive.store(second)
    assert response.status_code == 409
    assert reasons(response) == {first.SOPInstanceUID: 0x0111}
    kept = read(archive.get(path_of(first), "application/dicom; transfer-syntax=*").content)
    assert kept.PixelData == first.PixelData


def test_STW_04_the_same_bytes_again_are_a_success_and_stored_once(archive: Archive):
    ds = ct_slice()
    file = part10(ds)
    assert archive.store(file).status_code == 200
    again = archive.store(file)
    assert again.status_code == 200
    assert uids(again, REFERENCED) == {ds.SOPInstanceUID}
    assert len(archive.json(f"/studies/{ds.StudyInstanceUID}/instances")) == 1


def test_STW_06_a_single_instance_as_the_whole_body(archive: Archive):
    ds = ct_slice()
    response = archive.post("/studies", part10(ds), "application/dicom")
    assert response.status_code == 200
    assert uids(response, REFERENCED) == {ds.SOPInstanceUID}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 415),
        ("multipart/form-data; boundary=edge", 415),
        ('multipart/related; type="application/dicom+json"; boundary=edge', 400),
        ('multipart/related; type="text/csv"; boundary=edge', 415),
        ('multipart/related; type="application/dicom"', 400),
        ("multipart/related; type=application/dicom; boundary=other", 400),
        ("", 415),
    ],
)
def test_STW_01_bad_syntax_is_400_and_a_strange_type_415(archive: Archive, content_type, status):
    response = archive.post("/studies", multipart(part10(ct_slice())), content_type)
    assert response.status_code == status
    assert response.json()["message"].endswith(".")


def test_an_empty_body_is_the_senders_fault(archive: Archive):
    assert archive.post("/studies", b"").status_code == 400
    assert archive.post("/studies", b"--edge--\r\n").status_code == 400


def test_STW_08_lenient_where_senders_err(archive: Archive):
    one, two = ct_slice(), ct_slice()
    body = (
        b"--edge\nContent-Type: application/octet-stream\n\n"
        + part10(one)
        + b"\n--edge\nContent-Type: image/x-strange\n\n"
        + part10(two)
        + b"\n--edge--"
    )
    response = archive.post("/studies", body)
    assert response.status_code == 200
    assert uids(response, REFERENCED) == {one.SOPInstanceUID, two.SOPInstanceUID}


def test_STW_09_location_of_the_study(archive: Archive):
    ds = ct_slice()
    response = archive.store(ds)
    url = f"{archive.root}/studies/{ds.StudyInstanceUID}"
    assert response.headers["Location"] == response.headers["Content-Location"] == url
    assert response.json()[RETRIEVE_URL]["Value"] == [url]


def test_answers_in_xml_where_asked(archive: Archive):
    ds = ct_slice()
    headers = {"Accept": "application/dicom+xml"}
    response = archive.post("/studies", multipart(part10(ds)), headers=headers)
    assert response.headers["Content-Type"] == "application/dicom+xml"
    assert ds.SOPInstanceUID in response.text


def _connect(archive: Archive, framing: str, content_type: str = STORE) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", archive.stack.http_port))
    name = b64encode(":".join(archive.stack.auth).encode()).decode()
    connection.sendall(
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {name}\r\n"
        f"Content-Type: {content_type}\r\n{framing}\r\n\r\n".encode()
    )
    return connection


def test_STW_10_a_cut_connection_keeps_the_complete_parts(archive: Archive):
    study = new_uid()
    slices = [ct_slice(study=study, number=n, size=256) for n in range(1, 4)]
    body = multipart(*map(part10, slices))
    connection = _connect(archive, f"Content-Length: {len(body)}")
    connection.sendall(body[: -len(body) // 6])
    connection.close()

    def found() -> set[str]:
        answer = archive.get(f"/studies/{study}/instances", "application/dicom+json")
        rows = json.loads(answer.content) if answer.status_code == 200 else []
        return {each["00080018"]["Value"][0] for each in rows}

    wanted = {ds.SOPInstanceUID for ds in slices[:2]}
    archive.stack.wait_until(lambda: found() == wanted, 20, "the complete parts")
    time.sleep(0.5)
    assert found() == wanted
    assert not list((archive.stack.inbox / "writing").iterdir())


def test_STW_10_an_instance_of_unknown_length_is_not_kept_by_half(archive: Archive):
    """Else the half would stay, and the whole be refused when it is sent again."""
    ds = ct_slice(size=256)
    file = part10(ds)
    chunked = "Transfer-Encoding: chunked\r\nConnection: close"
    with _connect(archive, chunked, "application/dicom") as connection:
        connection.sendall(b"%x\r\n" % len(file) + file[:-1000])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"ended too early" in answer
    whole = archive.post("/studies", iter([file[:1000], file[1000:]]), "application/dicom")
    assert whole.status_code == 200, whole.text


def _resident(pid: int) -> int:
    """Bytes of the process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 + sum(_resident(int(child)) for child in children)


def test_STW_10_memory_stays_flat_while_a_large_object_arrives(archive: Archive):
    ds = ct_slice(size=16)
    ds.Rows = ds.Columns = 512
    ds.NumberOfFrames = 400
    marker = b"\0PIXELS\0"
    ds.PixelData = marker * (512 * 512 * 2 // len(marker))
    file = part10(ds)
    frame = ds.PixelData
    total = len(frame) * 400
    head = file[: file.index(frame)]
    head = head[:-4] + total.to_bytes(4, "little")
    web = archive.stack.pid("web")
    archive.store(ct_slice())
    before, peak = _resident(web), 0

    def body():
        nonlocal peak
        yield b"--edge\r\nContent-Type: application/dicom\r\n\r\n" + head
        for number in range(400):
            yield frame
            if number % 25 == 0:
                peak = max(peak, _resident(web))
        yield b"\r\n--edge--\r\n"

    response = archive.post("/studies", body())
    assert response.status_code == 200, response.text
    assert peak - before < 64 << 20
    last = archive.get(path_of(ds) + "/frames/400", "application/octet-stream; transfer-syntax=*")
    assert last.content == frame


def test_who_may_not_store_is_told_so(archive: Archive):
    body = multipart(part10(ct_slice()))
    nobody = archive.post("/studies", body, auth=None)
    assert nobody.status_code == 401
    assert nobody.headers["WWW-Authenticate"].startswith("Basic")
    wrong = archive.post("/studies", body, auth=("admin", "wrong"))
    assert wrong.status_code == 401


@pytest.mark.parametrize("chunked", [False, True])
def test_a_refusal_reaches_who_is_still_sending_and_the_connection_lives_on(
    archive: Archive, chunked: bool
):
    piece = b"x" * 65536
    pieces = 40

    def body() -> Iterator[bytes]:
        for _ in range(pieces):
            time.sleep(0.002)
            yield piece

    session = requests.Session()
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=edge'}
    for _ in range(3):
        data = body() if chunked else piece * pieces
        refused = session.post(archive.root + "/studies", data=data, headers=headers)
        assert refused.status_code == 401
        assert "Connection" not in refused.headers


def test_a_session_needs_its_csrf_token_to_store(archive: Archive):
    session = requests.Session()
    login = archive.stack.url("/login/")
    session.get(login)
    token = session.cookies["pacsweb_csrf"]
    form = {
        "username": archive.stack.username,
        "password": archive.stack.password,
        "csrfmiddlewaretoken": token,
    }
    session.post(login, data=form, headers={"Referer": login})
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=edge'}
    body = multipart(part10(ct_slice()))
    refused = session.post(archive.root + "/studies", data=body, headers=headers)
    assert refused.status_code == 403
    headers["X-CSRFToken"] = session.cookies["pacsweb_csrf"]
    assert session.post(archive.root + "/studies", data=body, headers=headers).status_code == 200
    assert session.get(archive.root + "/studies?limit=1").status_code == 200
    # Every process knows the session by now, and asks for the token all the same.
    for _ in range(8):
        assert (
            session.post(archive.root + "/studies", data=body, headers=headers).status_code == 200
        )
    for token in ("", "x" * 64):
        headers["X-CSRFToken"] = token
        for _ in range(4):
            refused = session.post(archive.root + "/studies", data=body, headers=headers)
            assert refused.status_code == 403


def test_a_part_10_file_that_a_stranger_wrote_comes_back_the_same(archive: Archive, corpus):
    path = min((corpus / "dicom" / "ct").iterdir())
    stored = pydicom.dcmread(path)
    assert archive.store_files(path).status_code == 200
    back = archive.get(path_of(stored), "application/dicom; transfer-syntax=*")
    assert read(back.content) == stored
