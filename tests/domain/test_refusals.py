"""What reaches no view is refused in words, in the form of the door that was knocked at."""

from __future__ import annotations

import base64
from typing import Any
from unittest import mock

import pytest
from django.test import Client, override_settings

from apps.access.models import User

pytestmark = pytest.mark.django_db

_DOORS = [
    ("/dicom-web/nothing", "application/json"),
    ("/dicom-web/studies/", "application/json"),
    ("/wado/x", "application/json"),
    ("/api/nothing/", "application/json"),
    ("/fhir/Patient", "application/fhir+json; charset=utf-8"),
]


@pytest.fixture
def root() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(
        User.objects.create_superuser("root", password="a long password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def sentence(document: dict[str, Any]) -> str:
    if document.get("resourceType") == "OperationOutcome":
        (issue,) = document["issue"]
        return str(issue["diagnostics"])
    return str(document.get("message") or document["detail"])


@pytest.mark.parametrize(("path", "form"), _DOORS)
@override_settings(ALLOWED_HOSTS=["testserver"])
def test_unknown_paths_and_foreign_hosts(root: Client, path: str, form: str) -> None:
    lost = root.get(path)
    assert (lost.status_code, lost["Content-Type"]) == (404, form)
    assert sentence(lost.json()).startswith("There is no such resource; /")
    assert ("without the slash" in sentence(lost.json())) == path.startswith("/dicom-web/studies/")
    foreign = root.get(path, headers={"Host": "elsewhere.example"})
    assert (foreign.status_code, foreign["Content-Type"]) == (400, form)
    assert "PACSWEB_ALLOWED_HOSTS" in sentence(foreign.json())


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/dicom-web/studies", "application/json"),
        ("/wado", "application/json"),
        ("/fhir/ImagingStudy", "application/fhir+json; charset=utf-8"),
    ],
)
def test_programs_that_failed_to_sign_in_too_often_hear_it_in_their_form(
    path: str, form: str
) -> None:
    User.objects.create_user("clara", password="a long password")
    wrong = "Basic " + base64.b64encode(b"clara:wrong").decode()
    answers = [Client().get(path, headers={"Authorization": wrong}) for _ in range(9)]
    assert answers[0].status_code == 401
    assert (answers[-1].status_code, answers[-1]["Content-Type"]) == (429, form)
    assert answers[-1]["Retry-After"] == "300"
    assert "paused" in sentence(answers[-1].json())


@pytest.mark.parametrize("path", ["/dicom-web/studies", "/api/session/", "/fhir/metadata"])
def test_an_error_of_ours(root: Client, path: str) -> None:
    with mock.patch("apps.access.authentication.principal_for_user", side_effect=ValueError):
        answer = root.get(path)
    assert answer.status_code == 500
    assert sentence(answer.json()) == "Something failed here; the log has the details."


def test_pages_for_people_stay_pages(root: Client) -> None:
    answer = root.get("/nothing")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_fhir_answers_strangers_and_other_methods_with_an_outcome(root: Client) -> None:
    for answer, code in (
        (Client().get("/fhir/metadata"), "login"),
        (root.patch("/fhir/metadata"), "not-supported"),
    ):
        (issue,) = answer.json()["issue"]
        assert (issue["severity"], issue["code"]) == ("error", code)
    assert "WWW-Authenticate" in Client().get("/fhir/metadata")


def test_a_path_of_the_api_is_served_without_its_last_slash(root: Client) -> None:
    """A redirect would lose the body."""
    asked = {"url": "https://example.org/hook"}
    made = root.post("/api/webhooks", asked, content_type="application/json")
    assert (made.status_code, made.json()["url"]) == (201, asked["url"])
    one = f"/api/webhooks/{made.json()['id']}"
    changed = root.patch(one, {"kinds": "StudyCompleted"}, content_type="application/json")
    assert (changed.status_code, changed.json()["kinds"]) == (200, "StudyCompleted")
    assert root.get("/api/webhooks?x=1").json() == root.get("/api/webhooks/").json()
    assert root.delete(one).status_code == 204
    assert sentence(root.post("/api/session").json()) == sentence(root.post("/api/session/").json())
    lost = root.post("/api/nothing", {}, content_type="application/json")
    assert (lost.status_code, "/api/schema/" in sentence(lost.json())) == (404, True)
