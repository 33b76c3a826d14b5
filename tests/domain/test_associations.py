"""Association records: explanation, retention, list, export and page."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.access.models import User
from apps.console.today import today
from apps.network.actions.forget_associations import forget_associations
from apps.network.actions.record_associations import record_associations
from apps.network.association_note import AssociationNote, ContextNote, Ending
from apps.network.association_report import explain, summary
from apps.network.explanation import Why
from apps.network.models import AssociationRecord, NegotiationRecord, NetworkPolicy
from apps.network.recorder import Recorder

pytestmark = pytest.mark.django_db

BIG_ENDIAN = "1.2.840.10008.1.2.2"
EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


def note(name: str, **fields: Any) -> AssociationNote:
    made = AssociationNote(
        name=name, started_at=timezone.now(), address="10.0.0.5", calling_ae_title="CT2"
    )
    made.called_ae_title = "PACSWEB"
    for key, value in fields.items():
        setattr(made, key, value)
    return made


POOR = (
    ContextNote(1, CT, (EXPLICIT,), 0, Why.ACCEPTED, EXPLICIT),
    ContextNote(3, ENHANCED_CT, (BIG_ENDIAN,), 4, Why.SYNTAX_FORBIDDEN),
)


def record(made: AssociationNote) -> AssociationRecord:
    record_associations([made])
    return AssociationRecord.objects.select_related("negotiation").get(name=made.name)


def test_a_refused_context_is_told_in_plain_words() -> None:
    row = record(note("a", contexts=POOR, ending=Ending.RELEASED))
    assert summary(row).endswith(
        "CT2 offers only Explicit VR Big Endian for Enhanced CT Image Storage, "
        "which this AE forbids"
    )
    [finding] = [each for each in explain(row) if "Big Endian" in each.told]
    assert "forbidden Transfer Syntaxes" in finding.remedy


def test_every_reason_has_words() -> None:
    for why in Why:
        contexts = (
            ContextNote(1, CT, (EXPLICIT,), 0 if why is Why.ACCEPTED else 1, why, EXPLICIT),
        )
        row = record(note(why, contexts=contexts, ending=Ending.RELEASED))
        told = " ".join(each.told for each in explain(row))
        assert ("CT Image Storage" in told) is (why is not Why.ACCEPTED)


def test_equal_negotiations_are_kept_once_and_records_grow() -> None:
    made = note("one", contexts=POOR)
    record_associations([made, note("two", contexts=POOR)])
    made.count("C-STORE", 0)
    made.end(Ending.RELEASED, timezone.now())
    record_associations([made])
    assert NegotiationRecord.objects.count() == 1
    assert AssociationRecord.objects.get(name="one").operations == {"C-STORE": {"0000": 1}}
    assert AssociationRecord.objects.count() == 2


def test_a_batch_is_a_constant_number_of_statements(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(8):
        record_associations([note(f"n{number}", contexts=POOR) for number in range(50)])


def test_records_are_forgotten_by_age_and_by_number() -> None:
    NetworkPolicy.objects.create(pk=1, keep_associations_days=2, keep_associations_most=3)
    now = timezone.now()
    record_associations(
        [note(f"h{hours}", started_at=now - timedelta(hours=hours)) for hours in (1, 2, 3, 4, 70)]
    )
    record_associations([note("old", started_at=now - timedelta(days=3), contexts=POOR)])
    forget_associations()
    assert set(AssociationRecord.objects.values_list("name", flat=True)) == {"h1", "h2", "h3"}
    assert not NegotiationRecord.objects.exists()


def test_an_open_record_nobody_writes_any_more_is_closed() -> None:
    row = record(note("stale"))
    AssociationRecord.objects.filter(pk=row.pk).update(
        written_at=timezone.now() - timedelta(minutes=6)
    )
    forget_associations()
    row.refresh_from_db()
    assert row.ending == Ending.UNKNOWN


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", password="a long password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


@pytest.fixture
def hostile() -> AssociationRecord:
    return record(
        note(
            "evil",
            calling_ae_title="=1+1<b>",
            contexts=POOR,
            ending=Ending.REJECTED,
            reason="calling AE title not recognised",
        )
    )


def test_no_cell_of_an_export_is_a_formula(root: Client, hostile: AssociationRecord) -> None:
    answer = root.get("/api/associations/export/", {"as": "csv"})
    text = b"".join(answer.streaming_content).decode()
    [line] = list(csv.DictReader(io.StringIO(text)))
    assert line["calling_ae_title"] == "'=1+1<b>"
    assert line["summary"] == "rejected: calling AE title not recognised"


def test_list_filters_and_detail(root: Client, hostile: AssociationRecord) -> None:
    record(note("fine", ending=Ending.RELEASED))
    found = root.get("/api/associations/", {"ending": "rejected"}).json()
    assert [each["calling_ae_title"] for each in found["associations"]] == ["=1+1<b>"]
    assert found["more"] is False
    assert root.get("/api/associations/", {"limit": 1}).json()["more"] is True
    one = root.get(f"/api/associations/{hostile.pk}/").json()
    assert "Application entities" in one["findings"][-1]["remedy"]
    assert one["contexts"][0]["abstract_syntax_name"] == "CT Image Storage"
    assert root.get("/api/associations/", {"since": "yesterday"}).status_code == 400
    assert root.get("/api/associations/999999/").status_code == 404


def test_others_do_not_see_them(hostile: AssociationRecord) -> None:
    client = Client()
    assert client.get("/api/associations/").status_code == 401
    user = User.objects.create_user("clara", password="a long password")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    for path in ("", "export/", f"{hostile.pk}/"):
        assert client.get(f"/api/associations/{path}").status_code == 403


def test_the_page_explains_and_escapes(root: Client, hostile: AssociationRecord) -> None:
    row = record(note("poor", contexts=POOR, ending=Ending.RELEASED))
    page = root.get(reverse("admin:network_associationrecord_change", args=[row.pk]))
    assert b"which this AE forbids" in page.content
    shown = root.get(reverse("admin:network_associationrecord_changelist"))
    assert b"=1+1&lt;b&gt;" in shown.content
    url = reverse("admin:network_associationrecord_export", args=["csv"])
    answer = root.get(url, {"ending__exact": "rejected"})
    assert len(b"".join(answer.streaming_content).decode().splitlines()) == 2


def test_silent_connections_of_an_address_and_an_hour_are_one_record() -> None:
    recorder = Recorder()
    begun = timezone.now()

    def knock(name: str, address: str, after: timedelta) -> None:
        at = begun + after
        silent = AssociationNote(name, at, address=address)
        silent.end(Ending.SILENT, at, "closed before a whole association request")
        recorder.silent(silent)
        recorder.flush()

    knock("a", "10.0.0.1", timedelta(0))
    knock("b", "10.0.0.1", timedelta(minutes=59))
    knock("c", "10.0.0.2", timedelta(minutes=59))
    knock("d", "10.0.0.1", timedelta(minutes=61))
    recorder.flush()
    rows = AssociationRecord.objects.order_by("started_at", "name")
    assert [(row.name, row.connections) for row in rows] == [("a", 2), ("c", 1), ("d", 1)]
    assert rows[0].ended_at == begun + timedelta(minutes=59)
    figures = {each.label: each.value for each in today()}
    assert figures["Associations in the last 24 h"] == "0"
