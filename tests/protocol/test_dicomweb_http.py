"""What any HTTP client may do to any resource of the service: plain answers, never a 500."""

from __future__ import annotations

import socket
import time

import pytest
import requests

from tests.builders import ct_slice
from tests.protocol.dicomweb_archive import Archive, path_of


@pytest.fixture(scope="module")
def image(archive: Archive):
    ds = ct_slice(frames=2)
    assert archive.store(ds).status_code == 200
    return ds


def test_head_has_the_headers_and_no_body(archive: Archive, image):
    for resource in ("/metadata", "/frames/1", "/bulkdata/7FE00010", ""):
        url = archive.root + path_of(image) + resource
        response = requests.head(url, auth=archive.stack.auth, timeout=10)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["Content-Type"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_methods_the_resource_does_not_know(archive: Archive, image, method):
    url = archive.root + path_of(image)
    response = requests.request(method, url, auth=archive.stack.auth, timeout=10)
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_options_tell_what_a_resource_takes(archive: Archive):
    response = requests.options(archive.root + "/studies", timeout=10)
    assert response.status_code == 204
    assert {"GET", "POST"} <= set(response.headers["Allow"].replace(" ", "").split(","))


@pytest.mark.parametrize(
    "path",
    [
        "/studies/%00",
        "/studies/%00/metadata",
        "/studies/1.2/series/%00/instances/%FF/frames/1",
        "/studies/" + "9" * 4000,
        "/studies/..%2F..%2Fetc/metadata",
        "/studies/1'%20or%20'1'='1/metadata",
        "/studies/1/series/2/instances/3/frames/" + "1," * 3000 + "1",
        "/studies/1/series/2/instances/3/frames/99999999999999999999",
        "/studies/1/series/2/instances/3/bulkdata/../../x",
        "/studies/1/series/2/instances/3/bulkdata/7FE00010/99999999999999999999/00100010",
    ],
)
def test_paths_that_name_nothing(archive: Archive, path):
    assert archive.get(path).status_code in {400, 404}


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": ';;;,,,==="""'},
        {"Accept": 'multipart/related; type="'},
        {"Accept": "a/b;q=high, */*;q=-1, */*;q=nan"},
        {"Accept": "*/*;" * 1500},
        {"Range": "bytes=5-1"},
        {"Range": "bytes=-"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=0-1,3-4"},
        {"If-None-Match": '"' + "x" * 5000},
        {"Forwarded": 'for=";host="'},
        {"X-Forwarded-Host": "evil example"},
        {"Accept-Encoding": ";q=,gzip;q=x"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer "},
        {"Authorization": "Digest x"},
    ],
)
def test_headers_that_make_no_sense(archive: Archive, image, headers):
    for resource in ("/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010", ""):
        response = requests.get(
            archive.root + path_of(image) + resource,
            auth=None if "Authorization" in headers else archive.stack.auth,
            headers=headers,
            timeout=10,
        )
        assert response.status_code in {200, 206, 400, 401, 406, 416}, response.text


def test_a_sign_out_counts_within_seconds(archive: Archive, image):
    session = requests.Session()
    login = archive.stack.url("/login/")
    session.get(login, timeout=10)
    form = {
        "username": archive.stack.username,
        "password": archive.stack.password,
        "csrfmiddlewaretoken": session.cookies["pacsweb_csrf"],
    }
    session.post(login, data=form, headers={"Referer": login}, timeout=10)
    kept = dict(session.cookies)
    url = archive.root + path_of(image) + "/frames/1"
    assert requests.get(url, cookies=kept, timeout=10).status_code == 200
    token = {"csrfmiddlewaretoken": session.cookies["pacsweb_csrf"]}
    session.post(archive.stack.url("/logout/"), data=token, headers={"Referer": login}, timeout=10)

    def signed_out() -> bool:
        return requests.get(url, cookies=kept, timeout=10).status_code == 401

    # Each request renews nothing: the memory ends on its own.
    archive.stack.wait_until(signed_out, 6, "the sign-out to count")


def test_a_silent_upload_does_not_hold_up_others(archive: Archive, image):
    connections = [
        socket.create_connection(("127.0.0.1", archive.stack.http_port)) for _ in range(4)
    ]
    try:
        for each in connections:
            each.sendall(
                b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"
            )
        started = time.monotonic()
        assert archive.get(path_of(image) + "/frames/1").status_code == 200
        assert time.monotonic() - started < 5
    finally:
        for each in connections:
            each.close()
