"""The receipt ledger: when it says that something is safe, and when it must not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.archive.models import Instance, Receipt, Study
from apps.commitment.actions.note_committed import note_copied
from apps.commitment.actions.scrub_blobs import check_new_blobs, scrub_blobs, start_scrub
from apps.commitment.ledger import association_account, ledger_page, study_account
from apps.commitment.models import CommitmentPolicy, CommitmentRequest, ScrubRun
from apps.conformance.commitment import commitment_tables
from apps.errors import NotFound
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.network.models import AssociationRecord
from tests.builders import ct_slice
from tests.domain.test_commitment import ADMIN, ask, blob_path, outcome, send, stored

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> Iterator[None]:
    CommitmentPolicy.objects.create(pk=1, verify_rate=10_000, scrub_rate=10_000)
    yield
    forget_remembered()  # the next test has other users under the same keys


def the_study() -> str:
    return str(Study.objects.get().study_instance_uid)


def signed_in(role: str) -> Client:
    user = User.objects.create_user(role, password="pw-of-a-test", is_staff=role == "administrator")
    user.groups.add(Group.objects.get(name=role))
    forget_remembered()
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def test_nothing_is_safe_before_it_was_read_back():
    instances = stored(3)
    account = study_account(ADMIN, the_study()).account
    assert (account.safe, account.verified) == (False, 0)
    assert account.sentence.startswith("Not yet: 0 of 3 instances")
    start_scrub(ADMIN, the_study())
    assert not scrub_blobs(10)
    account = study_account(ADMIN, the_study()).account
    assert account.safe
    assert account.sentence == "3 instances are safe: the sender may delete them."
    assert account.verified_from is not None
    assert account.indexed_at is not None

    blob_path(instances[0]).unlink()
    start_scrub(ADMIN, the_study())
    scrub_blobs(10)
    account = study_account(ADMIN, the_study()).account
    assert (account.safe, account.damaged) == (False, 1)
    assert account.sentence == "Do not delete: 1 of 3 instances are damaged here."


def test_what_waits_in_quarantine_keeps_a_study_from_being_safe():
    ds = ct_slice()
    send(ds)
    drain_inbox(60)
    start_scrub(ADMIN, the_study())
    scrub_blobs(10)
    assert study_account(ADMIN, the_study()).account.safe
    ds.PixelData = bytes(len(ds.PixelData))
    send(ds)
    drain_inbox(60)
    account = study_account(ADMIN, the_study()).account
    assert (account.safe, account.quarantined) == (False, 1)
    assert "quarantine" in account.sentence


def test_new_arrivals_are_read_back_within_minutes_and_only_once():
    early = stored(2)
    assert not check_new_blobs(5)  # an archive older than the walk: the scrub's matter
    assert not Receipt.objects.exists()
    late = ct_slice()
    send(late)
    drain_inbox(60)
    assert not check_new_blobs(5)
    assert not Receipt.objects.exists()  # not a minute old
    Instance.objects.update(indexed_at=timezone.now() - timedelta(minutes=2))
    assert not check_new_blobs(5)
    (receipt,) = Receipt.objects.all()
    assert receipt.instance.sop_instance_uid == late.SOPInstanceUID
    assert receipt.instance_id not in {each.pk for each in early}
    run = ScrubRun.objects.get()
    assert (run.scope, run.state, run.checked) == ("new", "running", 1)
    check_new_blobs(5)
    run.refresh_from_db()
    assert run.checked == 1


def test_what_a_commitment_has_read_back_is_not_read_again():
    ScrubRun.objects.create(scope="new", started_at=timezone.now())
    first, second = stored(2)
    outcome(ask(first.sop_instance_uid))
    Instance.objects.update(indexed_at=timezone.now() - timedelta(minutes=2))
    check_new_blobs(5)
    assert ScrubRun.objects.get().checked == 1
    assert Receipt.objects.count() == 2
    assert second.pk in set(Receipt.objects.values_list("instance_id", flat=True))


def recorded(stored_count: int) -> AssociationRecord:
    now = timezone.now()
    return AssociationRecord.objects.create(
        name=f"test {stored_count}",
        calling_ae_title="CT1",
        called_ae_title="PACSWEB",
        address="10.0.0.1",
        started_at=now - timedelta(minutes=1),
        ended_at=now,
        written_at=now,
        operations={"C-STORE": {"0000": stored_count, "A700": 1}},
    )


def test_an_association_is_held_against_what_was_acknowledged_on_it():
    stored(3)
    start_scrub(ADMIN)
    scrub_blobs(10)
    _, account = association_account(ADMIN, recorded(3).pk)
    assert (account.safe, account.acknowledged, account.instances) == (True, 3, 3)
    _, account = association_account(ADMIN, recorded(4).pk)
    assert not account.safe
    assert "4 were acknowledged and 3 are found" in account.sentence
    with pytest.raises(NotFound):
        association_account(ADMIN, 4711)


def test_a_sender_sees_its_own_studies_in_pages(django_assert_max_num_queries):
    for number in range(4):
        send(ct_slice(number=number))
    drain_inbox(60)
    with django_assert_max_num_queries(4):
        page = ledger_page(ADMIN, sender="CT1")
    assert len(page.studies) == 4
    assert page.next == ""
    assert [name for name, _ in page.studies[0].senders] == ["CT1"]
    assert ledger_page(ADMIN, sender="MR9").studies == ()


def test_pages_follow_one_another(monkeypatch):
    from apps.commitment import ledger

    monkeypatch.setattr(ledger, "PAGE", 3)
    send(*(ct_slice(number=number) for number in range(5)))
    drain_inbox(60)
    first = ledger_page(ADMIN)
    second = ledger_page(ADMIN, cursor=first.next)
    uids = [each.study.study_instance_uid for each in (*first.studies, *second.studies)]
    assert len(set(uids)) == len(uids) == 5
    assert second.next == ""


def test_copies_are_remembered():
    (instance,) = stored(1)
    note_copied([instance.sop_instance_uid], "ARCHIVE", timezone.now())
    note_copied([instance.sop_instance_uid], "CLOUD", timezone.now())
    account = study_account(ADMIN, the_study()).account
    assert (account.copied, account.verified) == (1, 0)
    assert Receipt.objects.get().copied_to == "ARCHIVE\\CLOUD"


# --- page, REST, admin ----------------------------------------------------------------------------


def test_a_technologist_reads_prints_and_checks():
    ds = ct_slice(PatientName="<b>Doe</b>^Jane")
    send(ds)
    drain_inbox(60)
    client = signed_in("technologist")
    text = client.get("/receipts/").content.decode()
    assert "Not yet: 0 of 1 instance" in text
    assert "&lt;b&gt;Doe&lt;/b&gt;, Jane" in text
    url = f"/receipts/studies/{the_study()}/"
    assert "Read back" in client.get(url).content.decode()
    assert client.post(f"{url}check/").status_code == 302
    scrub_blobs(10)
    assert "1 instance is safe: the sender may delete it." in client.get(url).content.decode()
    assert client.get("/receipts/studies/1.2.3/").status_code == 404
    assert client.get("/receipts/?since=never").status_code == 400
    association = client.get(f"/receipts/associations/{recorded(1).pk}/").content.decode()
    assert "C-STORE requests answered with success" in association


def test_a_clinician_may_not_start_a_check_and_a_stranger_sees_nothing():
    stored(1)
    url = f"/receipts/studies/{the_study()}/"
    assert signed_in("clinician").post(f"{url}check/").status_code == 403
    assert not ScrubRun.objects.exists()
    answer = Client().get(url)
    assert (answer.status_code, answer["Location"].startswith("/login/")) == (302, True)
    assert Client().get("/api/receipts/").status_code == 401


def test_programs_read_the_same():
    stored(2)
    client = signed_in("technologist")
    (row,) = client.get("/api/receipts/?sender=CT1").json()["studies"]
    assert (row["safe"], row["instances"], row["verified"]) == (False, 2, 0)
    url = f"/api/receipts/studies/{the_study()}/"
    assert client.post(url).status_code == 202
    scrub_blobs(10)
    found = client.get(url).json()
    assert found["safe"]
    assert found["senders"][0]["sender"] == "CT1"
    assert client.get(f"/api/receipts/associations/{recorded(2).pk}/").json()["acknowledged"] == 2
    assert client.get("/api/receipts/?since=x").status_code == 400


def test_the_console_shows_and_settles_what_did_not_get_through():
    (instance,) = stored(1)
    request = ask(instance.sop_instance_uid)
    outcome(request)
    CommitmentRequest.objects.update(state="given-up", problem="CT1 cannot be reached.")
    blob_path(instance).unlink()
    start_scrub(ADMIN)
    scrub_blobs(10)
    client = signed_in("administrator")
    today = client.get("/admin/").content.decode()
    assert "1 not settled" in today
    assert "1 damaged" in today
    page = client.get("/admin/commitment/commitmentrequest/").content.decode()
    assert "CT1 cannot be reached." in page
    selected = {"action": "try_again", "_selected_action": [request.pk]}
    client.post("/admin/commitment/commitmentrequest/", selected)
    request.refresh_from_db()
    assert request.state == "verified"
    for name in ("commitmentinquiry", "scrubrun", "commitmentpolicy"):
        assert client.get(f"/admin/commitment/{name}/", follow=True).status_code == 200
    assert "pacsweb_damaged_instances 1.0" in client.get("/metrics").content.decode()
    selected = {"action": "check_everything", "_selected_action": [ScrubRun.objects.get().pk]}
    client.post("/admin/commitment/scrubrun/", selected)
    assert ScrubRun.objects.count() == 2


def test_SC_10_the_conformance_statement_says_what_a_commitment_means_now():
    CommitmentPolicy.objects.update(report_for_days=9)
    conditions, reasons = commitment_tables()
    said = dict(row.cells for row in conditions.rows)
    assert {"persistence", "deletion", "volatility", "capacity", "latency"} <= said.keys()
    assert "tried for 9 days" in said["report"]
    assert [row.cells[0] for row in reasons.rows] == [
        "0110",
        "0112",
        "0119",
        "0122",
        "0131",
        "0213",
    ]
