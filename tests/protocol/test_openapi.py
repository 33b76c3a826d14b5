"""Both OpenAPI documents, walked: malformed requests of every kind get a 4xx with a sentence."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
import yaml

from tests.stack import Stack

PLACES = ("9" * 300, "a\0b", "ö\\'\"<")
VALUES = (
    "1590-09-24T03:12:13-16:07",
    "a\0b",
    "9" * 40,
    "1²",
    "ö,;\\'\"<",
)
BODIES = (
    ("application/json", b"{"),
    ("application/json", b'"text"'),
    ("application/json", b"[" * 100_000),
    ("application/json", b'{"name": "\\u0000", "destination": "a\\u0000", "peer": "\\u0000"}'),
    ("multipart/related; boundary=", b"--\r\n"),
    ("text/\xe9".encode().decode("latin-1"), b"\xff\xfe"),
)
PACKED = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
# What is no fault of ours: no room for what was asked, another system that cannot be reached.
EXCUSED = {502, 507}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, list[str], set[str]]]:
    """Path template, method, query parameters, and the statuses that an answer may have."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method not in {"get", "post", "put", "patch", "delete"}:
                continue
            parameters = operation.get("parameters", [])
            names = [each["name"] for each in parameters if each["in"] == "query"]
            yield path, method.upper(), names, set(operation["responses"])


def malformed(
    path: str, method: str, names: list[str], *, body: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests that no client of sound mind sends."""
    plain = re.sub(r"\{\w+\}", "1", path)
    if "{" in path:
        for place in PLACES:
            yield re.sub(r"\{\w+\}", lambda _, text=place: quote(text, safe=""), path), {}
    if method == "GET" and names:
        for value in VALUES:
            yield plain, {"params": dict.fromkeys(names, value)}
        yield f"{plain}?{names[0]}=%ff&{names[0]}=%00&=&&%", {}
    if body:
        for content_type, content in BODIES:
            yield plain, {"data": content, "headers": {"Content-Type": content_type}}
        yield plain, {"data": gzip.compress(b" " * 10_000_000), "headers": PACKED}


def sentence(response: requests.Response) -> str:
    """What a person is told, in whatever form the resource answers."""
    if response.headers.get("Content-Type", "").startswith(
        ("application/json", "application/fhir")
    ):
        return str(response.json()).strip("{}[] ")
    return response.text.strip()


@pytest.mark.parametrize(
    ("document", "base"), [("/api/schema/", ""), ("/dicom-web/openapi.json", "/dicom-web")]
)
def test_malformed_requests_are_refused_in_words(
    production_stack: Stack, document: str, base: str
) -> None:
    """On PostgreSQL, which refuses what SQLite takes."""
    stack = production_stack
    described = yaml.safe_load(stack.get(document).text)
    asked, wrong = 0, []
    with requests.Session() as session:
        session.auth = stack.auth
        for path, method, names, statuses in operations(described):
            body = method in {"POST", "PUT", "PATCH"}
            for target, options in malformed(path, method, names, body=body):
                response = session.request(
                    method, stack.url(base + target), timeout=30, allow_redirects=False, **options
                )
                asked += 1
                failed = response.status_code >= 500 and response.status_code not in EXCUSED
                mute = 400 <= response.status_code < 500 and not sentence(response)
                told = {str(response.status_code), f"{response.status_code // 100}XX"} & statuses
                if failed or mute or not told:
                    wrong.append((method, target[:80], str(options)[:200], response.status_code))
    assert wrong == []
    assert asked > 150, "the document describes the service"


@pytest.mark.parametrize("resource", ["/api/saved-filters/", "/dicom-web/studies"])
def test_a_packed_body_is_refused_with_what_is_taken(stack: Stack, resource: str) -> None:
    """RFC 9110 15.5.16; nothing is unpacked, however much it would have become."""
    bomb = gzip.compress(b" " * 10_000_000)
    answer = requests.post(stack.url(resource), bomb, headers=PACKED, auth=stack.auth, timeout=30)
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert "Content-Encoding" in answer.text


def test_bodies_of_the_api_have_bounds_and_say_so(stack: Stack) -> None:
    """Too long, too deep, too many fields, of a length nobody told."""
    headers = {"Content-Type": "application/json"}
    many = "&".join(["a=b"] * 2000)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    asked = (
        (b" " * (17 << 20), headers, 413),
        (b"[" * 100_000, headers, 400),
        (many.encode(), form, 400),
        (iter([b"{}"]), headers, 411),
    )
    for body, said, expected in asked:
        answer = requests.post(
            stack.url("/api/saved-filters/"), body, headers=said, auth=stack.auth, timeout=30
        )
        assert answer.status_code == expected
        assert answer.json()["detail"].endswith(".")
