"""What any HTTP client may do to any resource of the service: plain answers, never a 500."""

from __future__ import annotations

import re
import socket
import time
import warnings
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
import requests

from apps.dicomweb import urls
from apps.dicomweb.capabilities import TABLE
from tests.builders import ct_slice, new_uid
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


@pytest.mark.parametrize("method", ["PUT", "MOVE", "PATCH"])
def test_methods_the_resource_does_not_know(archive: Archive, image, method):
    url = archive.root + path_of(image)
    response = requests.request(method, url, auth=archive.stack.auth, timeout=10)
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_CAP_01_options_on_any_resource_are_its_capabilities(archive: Archive):
    for path in ("", "/", "/studies", "/studies/1.2.3", "/studies/1.2.3/metadata", "/instances"):
        response = requests.options(archive.root + path, timeout=10)
        assert response.status_code == 200
        assert "GET" in response.headers["Allow"]
        assert response.headers["Content-Type"] == "application/vnd.sun.wadl+xml"
        root = ET.fromstring(response.content)
    methods = {each.get("id") for each in root.iter("{http://wadl.dev.java.net/2009/02}method")}
    assert {"SearchForStudies", "RetrieveFrames", "StoreInstances"} <= methods
    as_json = requests.options(
        archive.root + "/studies", headers={"Accept": "application/json"}, timeout=10
    )
    assert as_json.json()["openapi"].startswith("3.")


def test_CAP_01_the_description_names_every_resource_and_method(archive: Archive):
    """Routes, table and OpenAPI document say the same."""
    document = archive.get("/openapi.json", "application/json").json()
    described = {
        (re.sub(r"\{\w+\}", "{}", path), method)
        for path, methods in document["paths"].items()
        for method in methods
    }
    for route in urls.urlpatterns:
        path = "/" + re.sub(r"<\w+:\w+>", "{}", str(route.pattern))
        placed = archive.root + path.replace("{}", "1")
        allowed = requests.options(placed, timeout=10).headers["Allow"].lower().split(", ")
        for method in set(allowed) - {"options", "head"}:
            assert (path, method) in described, (path, method)
            described.discard((path, method))
    assert described == set()


HOSTILE = (
    *("", "-1", "0", "99999999999999999999", "'; DROP TABLE--", "<script>", "%00", "\\", "*"),
    *("?", "1,2,3,4,5,6", "null", "true", "NaN,NaN,linear", "山"),
)
READING = [row for row in TABLE if row.method == "GET"]


@pytest.mark.parametrize("row", READING, ids=lambda row: row.name)
def test_no_request_of_the_description_is_a_500(archive: Archive, image, row):
    """Every parameter of every resource with values that mean harm, on what is there and is not."""
    places = {
        "study": image.StudyInstanceUID,
        "series": image.SeriesInstanceUID,
        "instance": image.SOPInstanceUID,
        "frames": "1",
        "element": "7FE00010",
        "workitem": "1.2.3",
        "transaction": "1.2.3",
        "aetitle": "WATCHER",
        "remote": "NOWHERE",
        "uid": "1.2.3",
    }
    path = "/" + re.sub(r"\{(\w+)\}", lambda match: places[match[1]], row.path)
    for number, value in enumerate(HOSTILE):
        query = dict.fromkeys(row.parameters[number % 2 :: 2], value) or {"x": value}
        response = archive.get(path, row.answers[number % len(row.answers)], params=query)
        assert response.status_code < 500, (path, query, response.text[:300])
        if response.status_code >= 400:
            assert response.text.strip().strip('"}').endswith(".") or response.json()["offending"]
    for place in re.findall(r"\{(\w+)\}", row.path):
        for value in ("x", "1" * 100, "%2e%2e%2f", "1.2.3'--"):
            wrong = "/" + row.path.format(**{**places, place: value})
            assert archive.get(wrong, row.answers[0]).status_code < 500, wrong


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
        "/no-such-resource",
        "/studies/1.2/nothing",
    ],
)
def test_paths_that_name_nothing(archive: Archive, path):
    answer = archive.get(path)
    assert answer.status_code in {400, 404}
    assert answer.json()["message"]


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


@pytest.mark.parametrize("odd", ["1/2", "/1//x", '%2Fa#b;c=d&e+f"<i>é'])
def test_UID_02_what_is_stored_under_any_uid_is_reached_and_removed(archive: Archive, odd: str):
    image = ct_slice(study=f"1{odd}", series=odd, PatientID=f"ODD-{len(odd)}")
    with warnings.catch_warnings(action="ignore"):  # pydicom's, of such UIDs
        image.SOPInstanceUID = f"{new_uid()[:24]}{odd}"
        answer = archive.store(image)
    assert answer.status_code == 200
    study = f"/studies/{quote(f'1{odd}', safe='')}"
    (row,) = archive.json("/instances", params={"StudyInstanceUID": f"1{odd}"})
    link = row["00081190"]["Value"][0].removeprefix(archive.root)
    assert (
        link == answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0][len(archive.root) :]
    )
    assert link.startswith(f"{study}/series/{quote(odd, safe='')}/instances/")
    for path, accept in (
        (link, "application/dicom"), (f"{link}/metadata", None), (f"{link}/rendered", "image/png"),
        (f"{link}/frames/1", "application/octet-stream"), (f"{link}/bulkdata/7FE00010", None),
        (f"{study}/series", None), (f"{study}/metadata", None), (study, None),
    ):  # fmt: skip
        assert archive.get(path, accept).status_code == 200, path
    named = quote(f"1{odd}", safe="")
    of_study = (f"receipts/studies/{named}/", f"viewer/{named}",
                f"api/receipts/studies/{named}/", f"api/studies/{named}/measurements/")  # fmt: skip
    for page in ("receipts/", *of_study):
        assert archive.stack.get(f"/{page}").status_code == 200, page
    told = archive.get(f"{link}/metdata")
    assert (told.status_code, "no such resource" in told.json()["message"]) == (404, True)
    removed = requests.delete(archive.root + study, auth=archive.stack.auth, timeout=30)
    assert removed.json()["rejected"] == 1
    assert archive.get(link).status_code == 404
