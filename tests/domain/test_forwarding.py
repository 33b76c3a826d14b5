"""Forwarding rules: which studies go where, once, when it is time, and never back."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from apps.access.principals import system_principal
from apps.archive.models import Study
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.errors import InvalidRequest
from apps.events.log import Actor, NewEvent, record
from apps.forwarding.actions.follow_completed_studies import follow_completed_studies
from apps.forwarding.conditions import next_opening, validate_conditions
from apps.forwarding.models import ForwardingRule
from apps.forwarding.preview import preview_forwarding
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.models import Transfer, TransferInstance
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    follow_completed_studies()  # from here on the log is followed


@pytest.fixture
def away() -> ApplicationEntity:
    return ApplicationEntity.objects.create(title="AWAY", host="127.0.0.1", port=104)


def rule(away: ApplicationEntity, **fields: Any) -> ForwardingRule:
    made = ForwardingRule(name=fields.pop("name", "to away"), destination=away, **fields)
    made.full_clean()
    made.save()
    return made


def arrive(sender: str = "CT1", *, study: Study | None = None, **attributes: Any) -> Study:
    """One more instance, of a new study or an old one."""
    dataset = ct_slice()
    if study is not None:
        dataset.StudyInstanceUID = study.study_instance_uid
        dataset.PatientID, dataset.PatientName = study.patient_id, study.patient_name
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    raw = part10(dataset)
    provenance = Provenance("dimse", sender, "PACSWEB", "10.0.0.1")
    inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)
    return Study.objects.get(study_instance_uid=dataset.StudyInstanceUID)


def complete(study: Study) -> int:
    record([NewEvent("StudyCompleted", Actor("system", "test"), study.study_instance_uid)])
    return follow_completed_studies()


def test_a_study_that_fits_is_sent_once(away: ApplicationEntity) -> None:
    rule(away, conditions="ModalitiesInStudy=MR, CT\nStudyDescription=*THORAX*")
    study = arrive(StudyDescription="CT THORAX LOW DOSE")
    assert complete(study) == 1
    transfer = Transfer.objects.get()
    assert (transfer.peer_title, transfer.total) == ("AWAY", 1)
    assert transfer.asked_by_name == "rule to away"
    assert complete(study) == 0
    arrive(study=study)
    assert complete(study) == 1
    assert TransferInstance.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "attributes"),
    [
        ({"conditions": "ModalitiesInStudy=MR"}, {}),
        ({"conditions": "StudyDescription=*THORAX*"}, {"StudyDescription": "HEAD"}),
        ({"sources": "CT2, CT3"}, {}),
        ({"enabled": False}, {}),
    ],
)
def test_a_study_that_does_not_fit_stays(
    away: ApplicationEntity, fields: dict[str, Any], attributes: dict[str, str]
) -> None:
    rule(away, **fields)
    assert complete(arrive(**attributes)) == 0


def test_a_study_goes_to_a_dicomweb_archive_once_and_never_back_to_it() -> None:
    north = WebArchive.objects.create(name="an-archive-of-the-north", url="https://n.example.org")
    made = ForwardingRule(name="north", archive=north)
    made.full_clean()
    made.save()
    study = arrive()
    assert complete(study) == 1
    transfer = Transfer.objects.get()
    assert (transfer.archive, transfer.peer, transfer.method) == (north, None, "stow-rs")
    assert (transfer.peer_title, transfer.total) == ("an-archive-of-the-north", 1)
    assert complete(study) == 0
    assert complete(arrive(north.name)) == 0
    north.enabled = False
    north.save()
    assert complete(arrive()) == 0
    made.refresh_from_db()
    assert made.last_problem == "an-archive-of-the-north is switched off."


def test_a_rule_leads_to_one_place(away: ApplicationEntity) -> None:
    north = WebArchive.objects.create(name="north", url="https://n.example.org")
    for both in ({}, {"destination": away, "archive": north}):
        with pytest.raises(ValidationError, match="or else a DICOMweb archive"):
            ForwardingRule(name="x", **both).full_clean()


def test_a_study_never_goes_back_to_its_source(away: ApplicationEntity) -> None:
    rule(away)
    assert complete(arrive("AWAY")) == 0
    assert complete(arrive("CT1")) == 1


def test_a_rule_is_for_what_comes_after_it(away: ApplicationEntity) -> None:
    study = arrive()
    record([NewEvent("StudyCompleted", Actor("system", "test"), study.study_instance_uid)])
    rule(away)
    assert follow_completed_studies() == 0


def test_a_destination_that_is_switched_off_is_told_and_others_go_on(
    away: ApplicationEntity,
) -> None:
    off = ApplicationEntity.objects.create(title="OFF", host="127.0.0.1", port=1, enabled=False)
    broken = rule(off, name="to off")
    rule(away)
    assert complete(arrive()) == 1
    broken.refresh_from_db()
    assert broken.last_problem == "OFF is switched off."


def test_a_transfer_waits_for_the_hours_of_its_rule(away: ApplicationEntity) -> None:
    now = datetime.now(UTC)
    opens = (now + timedelta(hours=2)).time().replace(microsecond=0)
    closes = (now + timedelta(hours=3)).time().replace(microsecond=0)
    rule(away, not_before=opens, not_after=closes)
    complete(arrive())
    wait = Transfer.objects.get().not_before - now
    assert timedelta(hours=1, minutes=59) < wait <= timedelta(hours=2)


@pytest.mark.parametrize(
    ("now", "opens", "closes", "expected"),
    [
        ("12:00", "08:00", "18:00", "0 12:00"),
        ("19:00", "08:00", "18:00", "1 08:00"),
        ("06:00", "08:00", "18:00", "0 08:00"),
        ("23:00", "22:00", "05:00", "0 23:00"),
        ("04:00", "22:00", "05:00", "0 04:00"),
        ("05:00", "22:00", "05:00", "0 22:00"),
        ("12:00", "", "", "0 12:00"),
    ],
)
def test_hours_may_go_over_midnight(now: str, opens: str, closes: str, expected: str) -> None:
    def at(text: str) -> time | None:
        return time.fromisoformat(text) if text else None

    moment = datetime.combine(datetime(2026, 1, 1).date(), at(now) or time(), UTC)
    days, clock = expected.split()
    due = datetime.combine(moment.date(), time.fromisoformat(clock), UTC)
    assert next_opening(moment, at(opens), at(closes)) == due + timedelta(days=int(days))


@pytest.mark.parametrize(
    "text",
    ["ModalitiesInStudy", "Holiday=yes", "StudyDate=yesterday", "ModalitiesInStudy=", "=CT"],
)
def test_a_condition_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        validate_conditions(text)


def test_a_preview_says_of_each_study_whether_it_would_go_and_if_not_why(
    away: ApplicationEntity,
) -> None:
    ours = arrive(StudyDescription="CT THORAX")
    other, theirs = arrive(StudyDescription="CT HEAD"), arrive("AWAY")
    Study.objects.update(completed_at=timezone.now())
    made = ForwardingRule(name="try", destination=away, conditions="StudyDescription=*THORAX*")
    found = {
        each.study_instance_uid: each.reason
        for each in preview_forwarding(system_principal("test"), made)
    }
    assert found == {
        ours.study_instance_uid: "",
        other.study_instance_uid: "It does not meet the conditions.",
        theirs.study_instance_uid: "It came from the destination.",
    }
    assert not Transfer.objects.exists()
    with pytest.raises(InvalidRequest, match="or else a DICOMweb archive"):
        preview_forwarding(system_principal("test"), ForwardingRule(name="nowhere"))
