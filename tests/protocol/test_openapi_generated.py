"""Both OpenAPI documents, used by schemathesis: what it makes up is answered as they say.

`test_openapi.py` sends what breaks the rules; here requests keep them, or nearly so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.builders import ct_slice
from tests.protocol.dicomweb_archive import Archive
from tests.stack import Stack

CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# What is no fault of ours: no room for what was asked, another system that cannot be reached.
EXCUSED = {502, 504, 507}
SOME = settings(
    max_examples=2,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PREPARED = """
from apps.network.models import WebArchive
add = WebArchive.objects.create
add(name="mirror", url="{mirror}", user="{user}", secret="{password}")
"""


@pytest.fixture(scope="module")
def known(production_stack: Stack) -> dict[str, list[str]]:
    """Values by the name of a path's place that lead somewhere; `mirror` leads back to us."""
    user, password = production_stack.auth
    mirror = production_stack.url("/dicom-web")
    production_stack.manage(
        "shell", "-c", PREPARED.format(mirror=mirror, user=user, password=password)
    )
    ds = ct_slice(frames=2)
    assert Archive(production_stack).store(ds).status_code == 200
    return {
        "study": [str(ds.StudyInstanceUID)],
        "series": [str(ds.SeriesInstanceUID)],
        "instance": [str(ds.SOPInstanceUID)],
        "frames": ["1", "2,1"],
        "element": ["7FE00010"],
        "remote": ["mirror"],
        "title": ["PACSWEB"],
    }


def operations(described: dict[str, Any], known: dict[str, list[str]]) -> list[Any]:
    """Those of the document, whose places may take known values beside any others."""
    media_types = set()
    for methods in described["paths"].values():
        for operation in (each for each in methods.values() if isinstance(each, dict)):
            media_types |= set(operation.get("requestBody", {}).get("content", {}))
            for each in operation.get("parameters", []):
                if each["in"] == "path" and each["name"] in known:
                    each["schema"] = {"anyOf": [{"enum": known[each["name"]]}, each["schema"]]}
    for media_type in media_types:
        if "json" not in media_type or "multipart" in media_type:
            schemathesis.serializer(media_type)(lambda _, value: str(value).encode())
    return [each.ok() for each in schemathesis.openapi.from_dict(described).get_all_operations()]


def asked(operation: Any, base: str, session: requests.Session) -> tuple[int, list[str]]:
    """How many requests were made, and what is wrong with the answers, each as one line."""
    wrong: list[str] = []
    count = 0

    def ask(case: Any) -> None:
        nonlocal count
        count += 1
        answer = case.call(session=session, base_url=base, timeout=60, allow_redirects=False)
        if answer.status_code not in EXCUSED:
            try:
                case.validate_response(answer, checks=CHECKED)
            except AssertionError as failure:
                wrong.append(f"{failure} {case.as_curl_command()[:400]}")
            except BaseExceptionGroup as failures:
                told = " ".join(map(str, failures.exceptions))
                wrong.append(f"{told} {case.as_curl_command()[:400]}")
        clear_away(answer, session)

    repeat: Callable[[], None] = SOME(given(case=operation.as_strategy())(ask))
    repeat()
    return count, wrong


def clear_away(answer: Any, session: requests.Session) -> None:
    """A rule that was made up must not meet the other tests of this installation."""
    made = answer.json() if answer.status_code == 201 and answer.content else {}
    if isinstance(made, dict) and "id" in made:
        gone = session.delete(f"{answer.request.url}{made['id']}/", timeout=60)
        assert gone.status_code == 204, gone.text


@pytest.mark.parametrize(
    ("document", "base"), [("/api/schema/", ""), ("/dicom-web/openapi.json", "/dicom-web")]
)
def test_requests_made_up_from_the_description_are_answered_as_it_says(
    production_stack: Stack, known: dict[str, list[str]], document: str, base: str
) -> None:
    described = yaml.safe_load(production_stack.get(document).text)
    described["servers"] = [{"url": production_stack.url(base)}]
    found: list[str] = []
    count = 0
    with requests.Session() as session:
        session.auth = production_stack.auth
        for operation in operations(described, known):
            made, wrong = asked(operation, production_stack.url(base), session)
            count += made
            found += wrong
    assert found == []
    assert count > 120, "the document describes the service"
