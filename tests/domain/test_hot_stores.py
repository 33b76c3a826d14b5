"""Store requests answered past the middleware: the same answer, and none where it must stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from pydicom import Dataset

from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.dicomweb.door import forget_principals
from apps.ingest import acknowledged, spool
from apps.ingest.actions.drain_inbox import drain_inbox
from pacsweb import hot_stores
from pacsweb.hot_stores import hot_store
from tests.domain.store_requests import body_of, by_the_whole_stack, environ

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folders")]

EMPTY, NO_PARTS = b"--edge--\r\n", b"no parts at all"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    forget_principals()
    forget_remembered()
    yield
    forget_principals()


def hot(asked: dict[str, Any]) -> HttpResponse:
    response = hot_store(asked)
    assert response is not None
    return response


def test_the_answer_is_that_of_the_whole_stack(first: Dataset, signed_in: dict[str, str]):
    assert hot_store(environ(body_of(first, 2), **signed_in)) is None, "nobody is remembered yet"
    by_the_whole_stack(environ(body_of(first, 2), **signed_in))
    pairs = [(body_of(first, 3), body_of(first, 4)), *[(each, each) for each in (EMPTY, NO_PARTS)]]
    for body, another in pairs:
        status, headers, _ = by_the_whole_stack(environ(body, **signed_in))
        response = hot(environ(another, **signed_in))
        assert response.status_code == status
        assert response["Content-Length"] == str(len(response.content))
        assert "Content-Security-Policy" in headers
        of_its_own = {"Content-Length"}
        assert dict(response.items()).items() ^ headers.items() <= {
            (name, said[name]) for said in (response, headers) for name in of_its_own
        }


@pytest.mark.parametrize("lacks", ["X-CSRFToken", "Cookie"])
def test_who_lacks_the_token_or_the_session_meets_the_whole_stack(
    first: Dataset, signed_in: dict[str, str], lacks: str
):
    by_the_whole_stack(environ(body_of(first, 2), **signed_in))
    less = {name: value for name, value in signed_in.items() if name != lacks}
    asked = environ(body_of(first, 3), **less)
    assert hot_store(asked) is None
    assert by_the_whole_stack(asked)[0] in {401, 403}, "nothing of the body was read before"
    assert hot_store(environ(body_of(first, 3), **signed_in)) is not None


def test_a_right_that_is_taken_away_counts_with_the_next_request(
    first: Dataset, signed_in: dict[str, str], user: User
):
    by_the_whole_stack(environ(body_of(first, 2), **signed_in))
    User.objects.filter(pk=user.pk).update(is_superuser=False)
    asked = environ(body_of(first, 3), **signed_in)
    assert hot_store(asked) is None
    assert by_the_whole_stack(asked)[0] == 403


def test_a_wrong_host_is_refused_as_ever(first: Dataset, signed_in: dict[str, str], settings):
    by_the_whole_stack(environ(body_of(first, 2), **signed_in))
    settings.ALLOWED_HOSTS = ["pacs.example"]
    assert hot(environ(body_of(first, 3), **signed_in)).status_code == 400


def test_a_form_is_left_to_the_whole_stack(first: Dataset, signed_in: dict[str, str]):
    by_the_whole_stack(environ(body_of(first, 2), **signed_in))
    for kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        less = {name: value for name, value in signed_in.items() if name != "X-CSRFToken"}
        asked = {**environ(b"a form", **less), "CONTENT_TYPE": kind}
        assert hot_store(asked) is None
        assert asked["wsgi.input"].read() == b"a form", "it was not read to look for a token"


def test_what_fails_unexpectedly_leaves_no_file_behind(first: Dataset, signed_in: dict[str, str]):
    by_the_whole_stack(environ(body_of(first, 2), **signed_in))
    drain_inbox(60)
    in_hand = spool.folder(acknowledged.IN_HAND)
    in_hand.rmdir()
    in_hand.write_text("no folder")
    assert hot(environ(body_of(first, 3), **signed_in)).status_code == 500
    assert list(spool.folder("writing").iterdir()) == []


def test_over_https_the_answer_has_its_headers(settings: Any):
    settings.SECURE_HSTS_SECONDS = 3600
    name, headers_of = "Strict-Transport-Security", hot_stores._headers.__wrapped__
    assert dict(headers_of("https"))[name] == "max-age=3600"
    assert name not in dict(headers_of("http"))
