"""Store requests as a test makes them, and what the whole stack answers."""

from __future__ import annotations

import io
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client, RequestFactory
from pydicom import Dataset

from apps.access.models import User
from tests.builders import ct_slice, part10

TYPE = 'multipart/related; type="application/dicom"; boundary=edge'
_whole = WSGIHandler()


def session_of(user: User) -> dict[str, str]:
    """The headers of a session with its CSRF token."""
    client = Client()
    client.force_login(user)
    client.get("/login/")
    token = "a" * 32
    cookies = {each.key: each.value for each in client.cookies.values()}
    cookies["pacsweb_csrf"] = token
    return {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "X-CSRFToken": token,
    }


def next_of(first: Dataset, number: int, **said: Any) -> Dataset:
    """One more instance of the series."""
    uids = {"study": first.StudyInstanceUID, "series": first.SeriesInstanceUID}
    return ct_slice(number=number, seed=number, **{**uids, **said})


def body_with(*parts: bytes) -> bytes:
    """Instances as the parts of a body."""
    head = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + each + b"\r\n" for each in parts) + b"--edge--\r\n"


def body_of(first: Dataset, number: int) -> bytes:
    """A body of one more instance of the series."""
    return body_with(part10(next_of(first, number)))


def environ(
    body: bytes, path: str = "/dicom-web/studies", kind: str = TYPE, **headers: str
) -> dict[str, Any]:
    """The request as the server hands it over."""
    asked = RequestFactory().post(path, body, content_type=kind, headers=headers).environ
    # As the server's own: at the end of the body there is nothing, and no error.
    return {**asked, "wsgi.input": io.BytesIO(body)}


def by_the_whole_stack(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """As Django's own test client, leaves the test's transaction open."""
    said: list[tuple[str, list[tuple[str, str]]]] = []
    signals = (request_started, request_finished)
    for each in signals:
        each.disconnect(close_old_connections)
    try:
        answer = _whole(asked, lambda *each: said.append(each))
        content = b"".join(answer)
        answer.close()
    finally:
        for each in signals:
            each.connect(close_old_connections)
    return int(said[0][0].split()[0]), dict(said[0][1]), content
