"""The conformance statement: derived, versioned, readable, and closed to strangers."""

from __future__ import annotations

import ast
import base64
import inspect
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from django.test import Client
from reportlab.lib.pagesizes import A4

from apps.access.models import User
from apps.access.principals import system_principal
from apps.conformance import answers, claims, hl7, provocations, query_keys
from apps.conformance.actions.record_self_test import record_self_test
from apps.conformance.actions.record_statement import record_statement
from apps.conformance.changes import Changes, changes
from apps.conformance.claims import QUERY_ENTITIES
from apps.conformance.document import Row, Section, Statement, Table
from apps.conformance.models import StatementVersion
from apps.conformance.outcome import Outcome
from apps.conformance.printed import Edition, column_widths, printed
from apps.conformance.statement import conformance_statement
from apps.dicom import sub_operations
from apps.dicom.attributes import TABLE as ATTRIBUTES
from apps.dicom.character_sets import DEFINED_TERMS, character_set
from apps.dicom.sop_classes import TABLE as SOP_CLASSES
from apps.dimse import offered, status, store
from apps.dimse.service import Service
from apps.errors import PacsError

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
        ("transfers/gateway_store.py", "sop_class"),
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


class _Codes:
    """Statuses that a module gives to Response and Refused, as far as they are named there."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._assigned: dict[str, list[ast.expr]] = {}
        tree = ast.parse(inspect.getsource(module))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._assigned.setdefault(node.targets[0].id, []).append(node.value)
        self.found = {
            code
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"Response", "Refused"}
            for code in self._values(node.args[0])
        }

    def _values(self, node: ast.expr) -> Iterator[int]:
        if isinstance(node, ast.IfExp):
            yield from (*self._values(node.body), *self._values(node.orelse))
        elif isinstance(node, ast.Name) and hasattr(self._module, node.id):
            yield getattr(self._module, node.id)
        elif isinstance(node, ast.Name):
            for each in self._assigned.get(node.id, ()):
                yield from self._values(each)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            value = getattr(getattr(self._module, node.value.id, None), node.attr, None)
            if isinstance(value, int):
                yield int(value)


def test_every_status_a_handler_names_is_in_the_statement_and_the_other_way_round() -> None:
    claimed: dict[str, set[int]] = {}
    for service in offered.TABLE:
        for field, handler in service.handlers.items():
            own = answers.OWN[service.right, field]  # a new service needs its words
            claimed.setdefault(handler.__module__, set()).update(code for code, _ in own)
    shared = {sub_operations.SUCCESS, sub_operations.PENDING, sub_operations.SOME_FAILED,
              sub_operations.ALL_FAILED, sub_operations.CANCELLED}  # fmt: skip
    assert len(claimed) > 5
    for name, codes in claimed.items():
        used = _Codes(sys.modules[name]).found
        if name.endswith((".get", ".move")):
            used |= shared
        if "until_cancelled" in vars(sys.modules[name]):
            used |= {status.SUCCESS, status.CANCEL}
        assert used == codes, name


def test_every_request_that_must_be_refused_proves_a_row() -> None:
    claimed = conformance_statement().claims()
    assert {each.claim.id for each in provocations.TABLE} <= set(claimed)


def test_every_error_becomes_a_status_with_plain_words() -> None:
    kinds = {kind for kind, _ in status.TABLE}
    kinds |= {kind for rows in status.BY_REQUEST.values() for kind, _ in rows}
    assert kinds <= set(answers.CAUSES)


def test_a_table_that_changes_changes_the_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A status, a key of the worklist, a key of queries, an HL7 message: none can hide."""
    before = conformance_statement()

    class TooSlow(PacsError):
        """It takes too long."""

    def told() -> Changes:
        return changes(before.said(), conformance_statement().said())

    with monkeypatch.context() as patch:
        patch.setattr(status, "TABLE", ((TooSlow, 0xC123), *status.TABLE))
        assert any("C123; cannot understand; It takes too long." in each for each in told().added)
    with monkeypatch.context() as patch:
        patch.setattr(query_keys, "WORKLIST", query_keys.WORKLIST[1:])
        [removed] = told().removed
        assert "is a key of the worklist" in removed
    with monkeypatch.context() as patch:
        patch.setattr(claims, "ATTRIBUTES", claims.ATTRIBUTES[1:])
        assert len(told().removed) == 1
    with monkeypatch.context() as patch:
        message = hl7.Hl7Message("ORM^O01", "received", "2.5.1", "ACK", "schedules an order")
        patch.setattr(hl7, "MESSAGES", (message,))
        assert any("ORM^O01" in each for each in told().added)


def test_the_HL7_part_is_as_honest_as_the_program() -> None:
    """An app that speaks HL7 needs its rows in the table, and no rows come without one."""
    speaks = any((APPS / name).is_dir() for name in ("hl7", "mllp"))
    assert bool(hl7.MESSAGES) is speaks
    titles = {part.title: part for part in conformance_statement().all_sections()}
    assert speaks or "Not offered yet: no port listens for MLLP" in titles["HL7"].text[0]


def test_the_printed_statement_has_contents_pages_and_every_row(root: Client) -> None:
    statement = conformance_statement()
    [claim, *_] = statement.claims().values()
    record_self_test(system_principal("test"), [Outcome(claim, True, "")])
    answer = root.get("/conformance/", {"format": "pdf"})
    assert answer["Content-Type"] == "application/pdf"
    raw = answer.content
    assert raw.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type /Page\b", raw))
    text = _text_of(raw)
    assert f"Page {pages} of {pages}" in text
    assert "DICOM Conformance Statement" in text
    for section in statement.all_sections():
        assert section.title.split(" ")[0] in text
    for uid in (row.uid for row in SOP_CLASSES if row.storage):
        assert uid in text
    assert text.count("not tested yet") > 100


def test_columns_are_never_wider_than_the_page() -> None:
    wide = ["1.2.840.10008.5.1.4.1.1.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19"] * 4
    for rows in ([wide, ["a"] * 4], [["a", "b"]], [["", ""]], [["word " * 200, "x"]]):
        assert sum(column_widths(rows)) <= A4[0]


def test_what_people_typed_is_no_markup_in_the_PDF() -> None:
    hostile = Edition("<b>&CT", "<para>", "1", "now", "", {}, (("1", "<i>", "Ελλάς"),))
    rows = (Row(("<font size=900>", "]]>")),)
    document = Statement("<b>", (Section("1", "<u>", ("&lt;",), (Table("<", ("<",), rows),)),))
    drawn = _text_of(printed(document, hostile)).replace("\n", "")
    assert "<font size=900>" in drawn
    assert "?????" in drawn


def _text_of(raw: bytes) -> str:
    """The strings of every content stream."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", raw, re.DOTALL):
        body = zlib.decompress(base64.a85decode(stream.strip().removesuffix(b"~>")))
        found += re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", body)
    return "\n".join(re.sub(rb"\\(.)", rb"\1", each).decode("cp1252") for each in found)
