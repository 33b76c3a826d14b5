"""Archives that speak DICOMweb, below `/remotes/`: our own as a second one, and odd ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from django.core.exceptions import ValidationError

from apps.dicomweb.remotes.forward import relinked
from apps.network.models import WebArchive
from tests.builders import ct_slice, new_uid, part10
from tests.protocol.dicomweb_archive import Archive
from tests.servers import free_port
from tests.stack import Stack

PREPARED = """
from apps.network.models import WebArchive
add = WebArchive.objects.create
add(name="second", url="{second}", user="{user}", secret="{password}")
add(name="wrong-password", url="{second}", user="{user}", secret="no")
add(name="odd", url="http://127.0.0.1:{odd}/base/", secret="token-17")
add(name="off", url="{second}", enabled=False)
add(name="away", url="http://127.0.0.1:{nobody}")
"""


class Odd(BaseHTTPRequestHandler):
    """Answers by the last piece of the path, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.end_headers()

    def do_GET(self) -> None:
        self.asked.append((self.path, dict(self.headers)))
        kind = self.path.partition("?")[2]
        status, media_type, body = {
            "leads": (302, "text/plain", b""),
            "markup": (200, "text/html", b"<script>alert(1)</script>"),
            "drawing": (200, "image/svg+xml", b"<svg/>"),
            "fails": (500, "text/plain", b"Traceback: secret"),
            "unknown": (404, "text/html", b"<h1>secret</h1>"),
        }.get(kind, (200, "application/dicom+json", b"[]"))
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "theirs=1")
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def odd(stack: Stack) -> Iterator[type[Odd]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    Thread(target=server.serve_forever, daemon=True).start()
    user, password = stack.auth
    second = stack.url("/dicom-web")
    prepared = PREPARED.format(
        second=second, user=user, password=password, odd=server.server_port, nobody=free_port()
    )
    stack.manage("shell", "-c", prepared)
    yield Odd
    server.shutdown()
    server.server_close()


def client(stack: Stack) -> DICOMwebClient:
    session = requests.Session()
    session.auth = stack.auth
    return DICOMwebClient(stack.url("/dicom-web/remotes/second"), session=session)


@pytest.mark.usefixtures("odd")
def test_a_stranger_uses_a_dicomweb_archive_through_us(stack: Stack, archive: Archive) -> None:
    uid, series = new_uid(), new_uid()
    made = [ct_slice(study=uid, series=series, number=n, PatientID="WEB-1") for n in (1, 2)]
    second = client(stack)
    answer = second.store_instances([pydicom.dcmread(io.BytesIO(part10(each))) for each in made])
    base = stack.url(f"/dicom-web/remotes/second/studies/{uid}")
    assert answer.RetrieveURL == base
    (found,) = second.search_for_studies(search_filters={"PatientID": "WEB-1"})
    assert found["00081190"]["Value"] == [base]
    rows = second.retrieve_series_metadata(uid, series)
    link = rows[0]["7FE00010"]["BulkDataURI"]
    assert link.startswith(f"{base}/series/{series}/instances/")
    got = {each.SOPInstanceUID: each.PixelData for each in second.retrieve_series(uid, series)}
    assert got == {each.SOPInstanceUID: each.PixelData for each in made}
    first = made[0]
    assert requests.get(link, auth=stack.auth, timeout=30).status_code == 200
    (frame,) = second.retrieve_instance_frames(uid, series, first.SOPInstanceUID, [1])
    assert frame == first.PixelData
    path = f"/remotes/second/studies/{uid}/series/{series}/instances/{first.SOPInstanceUID}"
    picture = archive.get(f"{path}/rendered", "image/png")
    assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")
    part = archive.get(f"{path}/bulkdata/7FE00010", "application/octet-stream",
                       headers={"Range": "bytes=0-9"})  # fmt: skip
    assert (part.status_code, part.content) == (206, first.PixelData[:10])
    page = archive.get("/remotes/second/studies", params={"limit": 1})
    assert "additional results" in page.headers.get("Warning", "additional results")
    assert archive.get("/remotes/second/studies/1.2.3.4/metadata").status_code == 404


def test_only_what_is_meant_goes_there_and_comes_back(archive: Archive, odd: type[Odd]) -> None:
    odd.asked.clear()
    sent = {"X-Forwarded-Host": "evil", "X-Anything": "1", "Cookie": "ours=1"}
    answer = archive.get("/remotes/odd/studies?PatientName=M%C3%BCller%26", headers=sent)
    assert (answer.status_code, answer.json()) == (200, [])
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    ((path, headers),) = odd.asked
    assert path == "/base/studies?PatientName=M%C3%BCller%26"
    assert headers["Authorization"] == "Bearer token-17"
    assert not {"Cookie", "X-Forwarded-Host", "X-Anything"} & headers.keys()
    odd.asked.clear()
    for hostile in (
        "studies/..%2F..%2Fadmin",
        "studies/%2e%2e/series",
        "studies/1/series/%5C/metadata",
        "studies/1/series/2/instances/3/bulk/../../../../../x",
    ):
        url = f"{archive.root}/remotes/odd/{hostile}"
        prepared = requests.Request("GET", url, auth=archive.stack.auth).prepare()
        prepared.url = url
        refused = requests.Session().send(prepared, timeout=30)
        assert refused.status_code == 404, hostile
    assert odd.asked == []


@pytest.mark.usefixtures("odd")
def test_an_archive_that_answers_oddly_is_told_in_words(archive: Archive) -> None:
    for query, status, words in (
        ("leads", 502, "not followed"), ("markup", 502, "not passed on"),
        ("drawing", 502, "not passed on"), ("fails", 502, "answered 500"),
        ("unknown", 404, "answered 404"),
    ):  # fmt: skip
        answer = archive.get(f"/remotes/odd/studies/1.2.3/rendered?{query}")
        assert (answer.status_code, words in answer.json()["message"]) == (status, True), query
        assert "secret" not in answer.text
    answer = archive.get("/remotes/wrong-password/studies")
    assert (answer.status_code, "credentials" in answer.json()["message"]) == (502, True)
    answer = archive.get("/remotes/away/studies")
    assert (answer.status_code, "cannot be reached" in answer.json()["message"]) == (504, True)
    assert archive.get("/remotes/off/studies").status_code == 404
    names = {each["name"] for each in archive.get("/remotes").json()}
    assert "second" in names
    assert "off" not in names


@pytest.mark.usefixtures("odd")
def test_who_does_not_read_the_answer_holds_no_place(archive: Archive) -> None:
    url = f"{archive.root}/remotes/odd/studies"
    for number in range(30):
        method = ("HEAD", "GET")[number % 2]
        answer = requests.request(method, url, auth=archive.stack.auth, stream=True, timeout=30)
        assert answer.status_code in {200, 503}
        answer.close()
    archive.stack.wait_until(
        lambda: all(archive.get("/remotes/odd/studies").status_code == 200 for _ in range(10))
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_links_are_changed_wherever_chunks_end(size: int) -> None:
    body = b'["http://a/b/studies","http://a/bhttp://a/b","http://a/","x"]'
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    ours = b"http://a/b/remotes/c"
    assert b"".join(relinked(chunks, b"http://a/b", ours)) == body.replace(b"http://a/b", ours)


def test_an_address_with_more_than_an_address_is_refused() -> None:
    for url, user in (("http://u:p@h/x", ""), ("http://h/x?y=1", ""), ("http://h/x", "a:b")):
        with pytest.raises(ValidationError):
            WebArchive(name="a", url=url, user=user).clean()
