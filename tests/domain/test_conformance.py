"""The conformance statement: derived, versioned, readable, and closed to strangers."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from django.test import Client

from apps.access.models import User
from apps.access.principals import system_principal
from apps.conformance.actions.record_self_test import record_self_test
from apps.conformance.actions.record_statement import record_statement
from apps.conformance.changes import changes
from apps.conformance.claims import QUERY_ENTITIES
from apps.conformance.models import StatementVersion
from apps.conformance.self_test import Outcome
from apps.conformance.statement import conformance_statement
from apps.dicom.attributes import TABLE as ATTRIBUTES
from apps.dicom.character_sets import DEFINED_TERMS, character_set
from apps.dimse import offered, status, store
from apps.dimse.service import Service

pytestmark = pytest.mark.django_db
APPS = Path(offered.__file__).parents[1]
PRINTING = "1.2.840.10008.5.1.1.9"


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", password="a long password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def test_every_key_and_service_of_the_tables_is_a_claim() -> None:
    claims = conformance_statement().claims()
    for row in ATTRIBUTES:
        if row.entity in QUERY_ENTITIES:
            assert f"key:{row.entity.value}:{row.keyword}" in claims
    for service in offered.TABLE:
        assert {f"service:{uid}" for uid in service.abstract_syntaxes} <= set(claims)


def test_every_character_set_claimed_is_a_defined_term_that_is_read() -> None:
    for term in DEFINED_TERMS:
        terms = ("", term) if term.startswith("ISO 2022 IR") else (term,)
        warned = character_set(terms).warnings
        assert not warned, (term, warned)


def test_every_place_that_opens_an_association_is_in_the_table() -> None:
    """A new place that proposes contexts belongs into `apps.conformance.initiated` too."""
    places = {
        (str(path.relative_to(APPS)), ast.unparse(node.args[0]))
        for path in APPS.rglob("*.py")
        if "conformance" not in path.parts and path.name != "probe.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "ProposedContext"
    }
    assert places == {
        ("network/scu.py", "VERIFICATION"),
        ("network/scu.py", "STUDY_ROOT_FIND"),
        ("network/scu.py", "STUDY_ROOT_MOVE"),
        ("network/getting.py", "STUDY_ROOT_GET"),
        ("network/getting.py", "row.uid"),
        ("network/storage_commitment.py", "PUSH_MODEL_CLASS"),
        ("network/normalized.py", "abstract_syntax"),
        ("transfers/sending.py", "sop_class"),
    }
    titles = {part.title for part in conformance_statement().all_sections()}
    assert "Association initiation policy" in titles


def test_section_numbers_rise_and_claims_are_unique() -> None:
    statement = conformance_statement()
    numbers = [tuple(map(int, part.number.split("."))) for part in statement.all_sections()]
    assert numbers == sorted(set(numbers))
    rows = [
        row.claim.id
        for part in statement.all_sections()
        for table in part.tables
        for row in table.rows
        if row.claim
    ]
    assert len(rows) == len(set(rows))


def test_every_status_C_STORE_answers_is_in_its_table() -> None:
    """By the names the module uses, and by what errors become."""
    claimed = {code for code, _ in store.STATUSES}
    used = {
        getattr(status, node.attr)
        for node in ast.walk(ast.parse(inspect.getsource(store)))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "status"
        and node.attr.isupper()
    }
    assert used <= claimed
    raised = {"IdentityConflict", "OutOfResources", "Unavailable", "PacsError"}
    assert {code for kind, code in status.TABLE if kind.__name__ in raised} <= claimed


def test_a_changed_claim_is_a_new_version_and_says_what_changed(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = system_principal("test")
    first = record_statement(principal, conformance_statement())
    assert record_statement(principal, conformance_statement()) == first
    more = Service("Printing", (PRINTING,), None, {})
    monkeypatch.setattr(offered, "TABLE", (*offered.TABLE, more))
    page = root.get("/conformance/").content.decode()
    assert StatementVersion.objects.count() == 2
    assert f"Changed since version {first.pk}" in page
    assert f"New: Basic Grayscale Print Management Meta SOP Class ({PRINTING})" in page
    assert root.get("/conformance/", {"since": first.pk}).status_code == 200
    assert root.get("/conformance/", {"since": "x"}).status_code == 404


def test_changes_name_what_came_went_and_differs() -> None:
    found = changes({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"})
    assert found.added == ("5",)
    assert found.removed == ("1",)
    assert found.changed == (("3", "4"),)
    assert not changes({"a": "1"}, {"a": "1"})


def test_a_claim_carries_the_test_that_proved_it(root: Client) -> None:
    [claim, other, *_] = conformance_statement().claims().values()
    outcomes = [Outcome(claim, True, "64 contexts"), Outcome(other, False, "was refused")]
    assert record_self_test(system_principal("test"), outcomes) == 1
    page = root.get("/conformance/").content.decode()
    assert "✓ tested" in page
    assert "■ failed" in page
    found = root.get("/conformance/", {"format": "json"}).json()["claims"]
    assert found[claim.id]["test"]["passed"] is True
    assert found[other.id]["test"]["detail"] == "was refused"


def test_a_result_of_another_wording_does_not_count(root: Client) -> None:
    [claim, *_] = conformance_statement().claims().values()
    older = type(claim)(claim.id, "It said something else.", claim.kind)
    record_self_test(system_principal("test"), [Outcome(older, True, "")])
    assert "▲ test again" in root.get("/conformance/").content.decode()
    found = root.get("/conformance/", {"format": "json"}).json()["claims"]
    assert found[claim.id]["test"] is None


def test_strangers_sign_in_and_others_are_refused() -> None:
    client = Client()
    assert client.get("/conformance/").status_code == 302
    clara = User.objects.create_user("clara", password="a long password")
    client.force_login(clara, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/conformance/").status_code == 403
