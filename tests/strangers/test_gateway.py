"""DCMTK's archive, and odd ones, served over DICOMweb below `/remotes/`."""

from __future__ import annotations

import io
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from tests.builders import ct_slice, new_uid, part10
from tests.programs import need
from tests.protocol.dicomweb_archive import Archive, multipart
from tests.protocol.test_fetching_the_rest import IMAGES, Source
from tests.servers import free_port
from tests.stack import Stack

pytestmark = pytest.mark.stranger
SLICES = 4
PREPARED = """
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from apps.network.models import ApplicationEntity
for title, port, gateway in (
    ("OLDPACS", {old}, "search"), ("ODD", {odd}, "search"), ("SHUT", {odd}, "closed"),
    ("GONE", {nobody}, "keep"), ("KEEPPACS", {old}, "keep"), ("MOVEONLY", {moves}, "keep"),
    ("FALTERS", {falters}, "keep"),
):
    ApplicationEntity.objects.create(
        title=title, host="127.0.0.1", port=port, gateway=gateway
    )
user = get_user_model().objects.create_user("doc17", password="long enough 99")
user.groups.add(Group.objects.get(name="clinician"))
"""


class Odd:
    """A C-FIND SCP that ignores every key, goes on for ever, or refuses."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers: list[Dataset] = []
        self.endless = False
        self.status = 0x0000
        self.asked: list[Dataset] = []
        self.stopped = threading.Event()
        self._never = threading.Event()

    def start(self) -> Any:
        ae = AE(ae_title="ODD")
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers = [(evt.EVT_C_FIND, self._find), (evt.EVT_ABORTED, self._aborted)]
        return ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def _aborted(self, _event: Any) -> None:
        """Where the machine is too busy for a C-CANCEL to be read within seconds."""
        self.stopped.set()

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        for each in self.answers:
            yield 0xFF00, each
        while self.endless:
            if event.is_cancelled:
                self.stopped.set()
                yield 0xFE00, None
                return
            yield 0xFF00, found(new_uid())
            self._never.wait(0.01)
        if self.status:
            yield self.status, None


def found(study: str, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.QueryRetrieveLevel, ds.StudyInstanceUID = "STUDY", study
    ds.PatientName, ds.PatientID, ds.StudyDate = "Odd^Ödön", "O-1", "20240301"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture(scope="module")
def archive(stack: Stack) -> Archive:
    return Archive(stack)


@pytest.fixture(scope="module")
def odd() -> Iterator[Odd]:
    made = Odd()
    server = made.start()
    yield made
    server.shutdown()


@pytest.fixture(scope="module")
def moves(stack: Stack) -> Iterator[Source]:
    """An archive without C-GET, which ignores keys below the study."""
    made = Source(stack.dicom_port)
    server = made.start()
    yield made
    server.shutdown()


@pytest.fixture(scope="module")
def falters(stack: Stack) -> Iterator[Source]:
    """Another, which fails to send all but two."""
    made = Source(stack.dicom_port)
    made.fails = 100
    server = made.start()
    yield made
    server.shutdown()


@pytest.fixture(autouse=True)
def _calm(odd: Odd) -> None:
    odd.answers, odd.asked, odd.status, odd.endless = [], [], 0, False


@pytest.fixture(scope="module")
def study(
    stack: Stack,
    odd: Odd,
    moves: Source,
    falters: Source,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Dataset]]:
    """What DCMTK's archive has, in two series; it knows us as a destination."""
    need("dcmqrscp")
    folder = tmp_path_factory.mktemp("dcmqrscp")
    port = free_port()
    (folder / "storage").mkdir()
    (folder / "dcmqrscp.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nus = ({stack.ae_title}, 127.0.0.1, {stack.dicom_port})\n"
        f"HostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nOLDPACS {folder / 'storage'} RW (100, 1024mb) ANY\n"
        f"KEEPPACS {folder / 'storage'} RW (100, 1024mb) ANY\nAETable END\n"
    )
    uid, series = new_uid(), (new_uid(), new_uid())
    made = [
        ct_slice(
            study=uid,
            series=series[number % 2],
            number=number + 1,
            SeriesNumber=number % 2 + 1,
            PatientID="GW-1",
            PatientName="Ström^Åsa",
            SpecificCharacterSet="ISO_IR 192",
            StudyDate="20240229",
        )
        for number in range(SLICES)
    ]
    files = []
    for number, each in enumerate(made):
        files.append(folder / f"{number}.dcm")
        files[-1].write_bytes(part10(each))
    process = subprocess.Popen(["dcmqrscp", "-c", str(folder / "dcmqrscp.cfg")])
    try:
        stack.manage(
            "shell",
            "-c",
            PREPARED.format(
                old=port, odd=odd.port, nobody=free_port(), moves=moves.port, falters=falters.port
            ),
        )
        sent = ["storescu", "-aec", "OLDPACS", "127.0.0.1", str(port), *map(str, files)]
        stack.wait_until(
            lambda: subprocess.run(sent, check=False, capture_output=True).returncode == 0
        )
        yield made
    finally:
        process.terminate()
        process.wait()


def client(stack: Stack, remote: str) -> DICOMwebClient:
    session = requests.Session()
    session.auth = stack.auth
    return DICOMwebClient(stack.url(f"/dicom-web/remotes/{remote}"), session=session)


def patiently(archive: Archive, path: str) -> requests.Response:
    """As a client does that is told to come again."""
    answers: list[requests.Response] = []

    def settled() -> bool:
        answers.append(archive.get(path))
        return answers[-1].status_code != 503

    archive.stack.wait_until(settled)
    return answers[-1]


def value(answer: dict[str, Any], tag: str) -> Any:
    return answer[tag]["Value"][0]


def test_a_stranger_searches_an_old_archive_at_every_level(
    stack: Stack, study: list[Dataset]
) -> None:
    old = client(stack, "OLDPACS")
    uid, series = study[0].StudyInstanceUID, study[0].SeriesInstanceUID
    (answer,) = old.search_for_studies(search_filters={"PatientID": "GW-1"})
    assert value(answer, "0020000D") == uid
    assert value(answer, "00100010") == {"Alphabetic": "Ström^Åsa"}
    assert value(answer, "00080056") in {"ONLINE", "NEARLINE"}
    url = stack.url(f"/dicom-web/remotes/OLDPACS/studies/{uid}")
    assert value(answer, "00081190") == url
    assert old.search_for_studies(search_filters={"StudyDate": "20240301-"}) == []
    rows = old.search_for_series(uid)
    assert {value(each, "0020000E") for each in rows} == {e.SeriesInstanceUID for e in study}
    assert "00100010" not in rows[0]
    rows = old.search_for_instances(uid, series)
    expected = {e.SOPInstanceUID for e in study if e.SeriesInstanceUID == series}
    assert {value(each, "00080018") for each in rows} == expected
    assert value(rows[0], "00081190").startswith(f"{url}/series/{series}/instances/")
    # Without a series each is asked in its turn; without a study each study of the patient.
    assert len(old.search_for_instances(uid)) == SLICES
    assert len(old.search_for_instances(search_filters={"PatientID": "GW-1"})) == SLICES
    (first, second) = old.search_for_series(search_filters={"PatientID": "GW-1"})
    assert value(first, "00100020") == value(second, "00100020") == "GW-1"


def test_pages_of_an_old_archive_say_that_there_is_more(
    archive: Archive, study: list[Dataset]
) -> None:
    path = f"/remotes/OLDPACS/studies/{study[0].StudyInstanceUID}/instances"
    got = []
    for offset in range(SLICES):
        page = archive.get(path, params={"limit": 1, "offset": offset})
        assert ("additional results" in page.headers.get("Warning", "")) == (offset < SLICES - 1)
        got += [value(each, "00080018") for each in page.json()]
    assert sorted(got) == sorted(each.SOPInstanceUID for each in study)
    assert archive.get(path, params={"offset": SLICES}).status_code == 204
    xml = archive.get(path, 'multipart/related; type="application/dicom+xml"')
    assert xml.content.count(b"<NativeDicomModel") == SLICES


@pytest.mark.usefixtures("study")
def test_answers_that_do_not_match_are_left_out(archive: Archive, odd: Odd) -> None:
    """A peer that ignores keys widens nothing; what cannot be checked is said."""
    odd.answers = [
        found("1.2.3.41", PatientID="O-1", ModalitiesInStudy=["CT", "SR"]),
        found("1.2.3.42", PatientID="O-2", ModalitiesInStudy="CT"),
        found("1.2.3.43", PatientID="", ModalitiesInStudy="CT"),
        found("1.2.3.44", PatientID="O-1", ModalitiesInStudy="MR"),
        found("../../admin", PatientID="O-1", ModalitiesInStudy="CT"),
        found("1.2.3.45", PatientID="O-1", PatientName="<img src=x>^\x1b[2J"),
    ]
    query = {"PatientID": "O-1", "ModalitiesInStudy": "CT,SR", "includefield": "StudyDescription"}
    answer = archive.get("/remotes/ODD/studies", params=query)
    assert [value(each, "0020000D") for each in answer.json()] == ["1.2.3.41", "1.2.3.45"]
    assert "no value of ModalitiesInStudy" in answer.headers["Warning"]
    (asked,) = odd.asked
    odd.asked.clear()
    assert (asked.PatientID, asked.ModalitiesInStudy) == ("O-1", "")
    # Series of another study are none of this one.
    odd.answers = [
        found("1.2.3.41", SeriesInstanceUID="1.2.3.41.1"),
        found("1.2.3.42", SeriesInstanceUID="1.2.3.42.1"),
    ]
    answer = archive.get("/remotes/ODD/studies/1.2.3.41/series")
    assert [value(each, "0020000E") for each in answer.json()] == ["1.2.3.41.1"]
    # One interval (PS3.18 8.3.4): the hours are checked here, or the peer would want them daily.
    odd.answers = [found("1.2.3.46", StudyTime="070000"), found("1.2.3.47", StudyTime="090000")]
    query = {"StudyDate": "20240301-20240302", "StudyTime": "080000-073000"}
    answer = archive.get("/remotes/ODD/studies", params=query)
    assert [value(each, "0020000D") for each in answer.json()] == ["1.2.3.47"]
    assert (odd.asked[-1].StudyDate, odd.asked[-1].StudyTime) == ("20240301-20240302", "")


@pytest.mark.usefixtures("study")
def test_who_has_enough_stops_the_other_archive(archive: Archive, odd: Odd) -> None:
    odd.endless = True
    odd.stopped.clear()
    answer = archive.get("/remotes/ODD/studies", params={"limit": 3})
    assert (answer.status_code, len(answer.json())) == (200, 3)
    assert "additional results" in answer.headers["Warning"]
    assert odd.stopped.wait(30)


@pytest.mark.usefixtures("study")
def test_a_remote_that_fails_or_is_closed_is_answered_in_words(
    stack: Stack, archive: Archive, odd: Odd
) -> None:
    odd.status = 0xA700
    answer = archive.get("/remotes/ODD/studies")
    assert (answer.status_code, "A700" in answer.json()["message"]) == (502, True)
    answer = archive.get("/remotes/GONE/studies")
    assert (answer.status_code, "cannot be reached" in answer.json()["message"]) == (504, True)
    for name in ("SHUT", "NEVERHEARD"):
        answer = archive.get(f"/remotes/{name}/studies")
        assert answer.json()["message"] == "There is no remote archive of that name."
        assert answer.status_code == 404
    for query in ("StudyDate=99", "explain=1", "TimezoneOffsetFromUTC=%2B0100", "00090010=X",
                  "RequestAttributesSequence.ScheduledProcedureStepID=1"):  # fmt: skip
        answer = archive.get(f"/remotes/ODD/studies?{query}")
        assert (answer.status_code, bool(answer.json()["message"])) == (400, True), query
    listed = {each["name"]: each["retrieve"] for each in archive.get("/remotes").json()}
    assert listed["OLDPACS"] is False
    assert "SHUT" not in listed
    url = stack.url("/dicom-web/remotes/ODD/studies")
    refused = requests.get(url, auth=("doc17", "long enough 99"), timeout=30)
    assert refused.status_code == 403


def test_a_stranger_retrieves_from_an_old_archive(
    stack: Stack, archive: Archive, study: list[Dataset]
) -> None:
    old = client(stack, "KEEPPACS")
    uid, series = study[0].StudyInstanceUID, study[0].SeriesInstanceUID
    refused = archive.get(f"/remotes/OLDPACS/studies/{uid}/metadata")
    assert (refused.status_code, "searches only" in refused.json()["message"]) == (403, True)
    assert archive.get(f"/studies/{uid}/metadata").status_code == 404
    (frame,) = old.retrieve_instance_frames(uid, series, study[0].SOPInstanceUID, [1])
    assert frame == study[0].PixelData
    expected = {e.SOPInstanceUID: e.PixelData for e in study if e.SeriesInstanceUID == series}
    got = {e.SOPInstanceUID: e.PixelData for e in old.retrieve_series(uid, series)}
    assert got == expected
    # The other series has not been asked for, and comes with the study.
    assert len(archive.get(f"/studies/{uid}/metadata").json()) == len(expected)
    assert len(old.retrieve_study_metadata(uid)) == SLICES
    picture = archive.get(f"/remotes/KEEPPACS/studies/{uid}/series/{series}/rendered", "image/png")
    assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")
    one = f"/studies/{uid}/series/{series}/instances/{study[0].SOPInstanceUID}"
    whole = archive.get(f"/remotes/KEEPPACS{one}", "application/dicom")
    assert pydicom.dcmread(io.BytesIO(whole.content)).PixelData == study[0].PixelData
    for place in (f"{one}/bulkdata/7FE00010", f"{one}/bulkdata", f"{one}/pixeldata"):
        bulk = archive.get(f"/remotes/KEEPPACS{place}", "*/*")
        assert (bulk.status_code, study[0].PixelData in bulk.content) == (200, True), place
    small = archive.get(f"/remotes/KEEPPACS{one}/thumbnail", "image/jpeg")
    assert (small.status_code, small.content[:2]) == (200, b"\xff\xd8")
    for path in ("/studies/1.2.3.4.5", f"/studies/{uid}/series/1.2", "/studies/..1/metadata"):
        missing = archive.get(f"/remotes/KEEPPACS{path}")
        assert (missing.status_code, bool(missing.json()["message"])) == (404, True), path


def test_a_stranger_stores_in_an_old_archive(
    stack: Stack, archive: Archive, study: list[Dataset]
) -> None:
    uid, series = new_uid(), new_uid()
    made = [ct_slice(study=uid, series=series, number=n, PatientID="GW-2") for n in (1, 2, 3)]
    sent = [pydicom.dcmread(io.BytesIO(part10(each))) for each in made[:2]]
    answer = client(stack, "KEEPPACS").store_instances(sent)
    assert answer.RetrieveURL == stack.url(f"/dicom-web/remotes/KEEPPACS/studies/{uid}")
    stored = {each.ReferencedSOPInstanceUID for each in answer.ReferencedSOPSequence}
    assert stored == {each.SOPInstanceUID for each in made[:2]}
    there = client(stack, "OLDPACS").search_for_instances(uid, series)
    assert {value(each, "00080018") for each in there} == stored
    assert archive.get(f"/studies/{uid}/series").status_code == 204
    # DCMTK's archive takes no JPEG 2000 as it is started here; the other part is no DICOM.
    packed = ct_slice(study=uid, series=series, number=4)
    packed.PixelData = encapsulate([b"\0" * 16])
    packed["PixelData"].VR = "OB"
    compressed = part10(packed, JPEG2000Lossless)
    body = multipart(part10(made[2]), compressed, b"nonsense")
    answer = archive.post("/remotes/KEEPPACS/studies", body)
    assert answer.status_code == 202
    reasons = [value(each, "00081197") for each in answer.json()["00081198"]["Value"]]
    assert reasons == [0x0122, 0xC000]
    assert "does not take this kind of object" in answer.headers["Warning"]
    elsewhere = archive.post("/remotes/KEEPPACS/studies/1.2.3", multipart(part10(made[2])))
    assert elsewhere.status_code == 409
    for remote, status, words in (
        ("GONE", 504, "cannot be reached"), ("OLDPACS", 403, "searches only"),
        ("SHUT", 404, "no remote archive"),
    ):  # fmt: skip
        answer = archive.post(f"/remotes/{remote}/studies", multipart(part10(made[0])))
        assert (answer.status_code, words in answer.json()["message"]) == (status, True)


@pytest.mark.usefixtures("study")
def test_what_several_ask_for_is_fetched_once(archive: Archive, moves: Source) -> None:
    series = f"/studies/{moves.study}/series/{moves.series}"
    instances = [f"{series}/instances/{each.SOPInstanceUID}/frames/1" for each in moves.made]
    paths = [f"/remotes/MOVEONLY{each}" for each in (f"{series}/metadata", *instances[:2])]
    with ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(partial(patiently, archive), paths))
    assert [each.status_code for each in answers] == [200] * len(paths)
    assert len(answers[0].json()) == IMAGES
    assert archive.get(f"/remotes/MOVEONLY/studies/{moves.study}/metadata").status_code == 200
    (moved,) = moves.moved
    assert (moved.QueryRetrieveLevel, moved.SeriesInstanceUID) == ("SERIES", moves.series)


@pytest.mark.usefixtures("study")
def test_what_an_archive_fails_to_send_is_said(archive: Archive, falters: Source) -> None:
    series = f"/remotes/FALTERS/studies/{falters.study}/series/{falters.series}"
    answer = patiently(archive, f"{series}/metadata")
    assert answer.status_code == 502
    assert "could not send 3 of the instances" in answer.json()["message"]
    first = f"{series}/instances/{falters.made[0].SOPInstanceUID}/metadata"
    archive.stack.wait_until(lambda: archive.get(first).status_code == 200)
    for row in archive.stack.get("/api/transfers/").json():
        if row["peer_title"] == "FALTERS":
            url = archive.stack.url(f"/api/transfers/{row['id']}/")
            assert requests.delete(url, auth=archive.stack.auth, timeout=30).status_code == 200


@pytest.fixture
def slow(stack: Stack) -> Iterator[Source]:
    """An archive that sends two instances and then waits until it is told to go on."""
    made = Source(stack.dicom_port)
    made.go.clear()
    server = made.start()
    title = f"SLOW{made.port}"
    body = {"title": title, "host": "127.0.0.1", "port": made.port, "gateway": "keep"}
    answer = requests.post(
        stack.url("/api/application-entities/"), json=body, auth=stack.auth, timeout=30
    )
    assert answer.status_code == 201
    made.title = title
    yield made
    made.go.set()
    server.shutdown()


def path_of(source: Source) -> str:
    return f"/remotes/{source.title}/studies/{source.study}"


def stream(archive: Archive, source: Source) -> requests.Response:
    headers = {"Accept": 'multipart/related; type="application/dicom"'}
    url = archive.root + path_of(source)
    return requests.get(url, headers=headers, auth=archive.stack.auth, stream=True, timeout=60)


def parts_in(body: bytes) -> int:
    return body.count(b"Content-Type: application/dicom;")


def test_what_has_come_is_sent_while_the_rest_is_on_its_way(archive: Archive, slow: Source) -> None:
    with stream(archive, slow) as answer:
        assert answer.status_code == 200
        body = b""
        chunks = answer.iter_content(None)
        while parts_in(body) < 2:
            body += next(chunks)
        assert not slow.go.is_set(), "the other archive holds the rest back"
        slow.go.set()
        body += b"".join(chunks)
    assert parts_in(body) == IMAGES
    assert body.endswith(b"--\r\n")
    again = archive.get(path_of(slow), 'multipart/related; type="application/dicom"')
    assert (again.status_code, parts_in(again.content)) == (200, IMAGES)
    assert len(slow.moved) == 1


def test_who_leaves_before_all_has_come_frees_the_place(archive: Archive, slow: Source) -> None:
    """More than may wait at a time, of whom nobody stays; the other archive sends nothing more."""
    for _ in range(12):
        with stream(archive, slow) as answer:
            assert answer.status_code in {200, 503}

    def has_a_place() -> bool:
        with stream(archive, slow) as answer:
            return answer.status_code == 200

    archive.stack.wait_until(lambda: all(has_a_place() for _ in range(5)))


def _take(answer: requests.Response, body: bytearray, slow: Source) -> None:
    for chunk in answer.iter_content(None):
        body += chunk
        slow.go.set()


def test_an_answer_that_cannot_be_completed_lacks_its_end(archive: Archive, slow: Source) -> None:
    """Nobody takes it for a whole one, and the next one is told why."""
    slow.fails = 100
    with stream(archive, slow) as answer:
        assert answer.status_code == 200
        body = bytearray()
        # As a rule the connection breaks as well, where the server can tell which one it was.
        with suppress(requests.exceptions.ChunkedEncodingError):
            _take(answer, body, slow)
    assert parts_in(bytes(body)) == 2
    assert not body.endswith(b"--\r\n")
    for path in (f"{path_of(slow)}/metadata", path_of(slow)):
        told = archive.get(path)
        assert (told.status_code, "could not send" in told.json()["message"]) == (502, True)


def test_a_search_elsewhere_is_an_event(stack: Stack) -> None:
    """That of the first test here: searches are recorded some seconds later."""
    old = client(stack, "OLDPACS")
    assert len(old.search_for_studies(search_filters={"PatientID": "GW-1"})) == 1
    script = """
import time
from apps.events.models import Event
for _ in range(300):
    rows = Event.objects.filter(kind="ArchiveSearched")
    found = [e.payload["query"] for e in rows if e.payload["resource"] == "studies at OLDPACS"]
    if {"PatientID": "GW-1"} in found:
        print("recorded")
        break
    time.sleep(0.1)
"""
    assert "recorded" in stack.manage("shell", "-c", script).stdout
