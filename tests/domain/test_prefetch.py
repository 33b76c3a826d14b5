"""Prefetch rules: earlier studies of who arrives or is expected, from a peer nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone
from pydicom import Dataset
from pynetdicom import AE, evt

from apps.access.principals import system_principal
from apps.events.log import Actor, NewEvent, record
from apps.forwarding.actions import run_prefetch
from apps.forwarding.actions.follow_patients import follow_patients
from apps.forwarding.actions.run_prefetch import run_due_prefetches
from apps.forwarding.models import Prefetch, PrefetchRule
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.actions.request_transfer import fetch_from_other
from apps.transfers.models import Transfer
from apps.transfers.running import run_due_transfers
from apps.worklist.models import ServiceRequest
from tests.domain.test_forwarding import arrive
from tests.protocol.dimse.conftest import free_port
from tests.protocol.odd_web_archive import SECRET, USER, OddWebArchive, serving

pytestmark = pytest.mark.django_db(transaction=True)
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


class OldArchive:
    """A Study Root C-FIND SCP that answers everything it holds, whatever it was asked."""

    def __init__(self) -> None:
        self.holds: list[dict[str, str]] = []
        self.asked: list[Dataset] = []
        entity = AE(ae_title="OLDPACS")
        entity.add_supported_context(STUDY_ROOT_FIND)
        self.server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, self._find)]
        )
        self.port = self.server.server_address[1]

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        for row in self.holds:
            answer = Dataset()
            answer.QueryRetrieveLevel = "STUDY"
            for keyword, value in row.items():
                setattr(answer, keyword, value)
            yield 0xFF00, answer

    def hold(self, uid: str, years_ago: float, **other: str) -> None:
        day = timezone.now() - timedelta(days=365 * years_ago + 1)
        self.holds.append(
            {
                "StudyInstanceUID": uid,
                "StudyDate": day.strftime("%Y%m%d"),
                "PatientID": "P1",
                "ModalitiesInStudy": "CT",
            }
            | other
        )


@pytest.fixture
def old() -> Iterator[OldArchive]:
    made = OldArchive()
    yield made
    made.server.shutdown()


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    follow_patients()


def rule(port: int, **fields: Any) -> PrefetchRule:
    peer, _ = ApplicationEntity.objects.get_or_create(
        title="OLDPACS", defaults={"host": "127.0.0.1", "port": port}
    )
    return PrefetchRule.objects.create(name="priors", peer=peer, **fields)


def fetched() -> list[str]:
    transfers = Transfer.objects.order_by("pk")
    assert {each.kind for each in transfers} <= {Transfer.Kind.PULL}
    return [each.keys["StudyInstanceUID"] for each in transfers]


def test_the_newest_wanted_priors_of_who_arrives_are_fetched_once(old: OldArchive) -> None:
    rule(old.port, modalities="CT, MR", years=5, most=2)
    study = arrive(PatientID="P1", PatientBirthDate="19610312")
    old.hold("1.2.1", 3)
    old.hold("1.2.2", 1)
    old.hold("1.2.3", 2, ModalitiesInStudy="US")
    old.hold("1.2.4", 9)
    old.hold("1.2.5", 2, ModalitiesInStudy="SR\\MR")
    old.hold("1.2.6", 1, PatientID="P10")
    old.hold("1.2.7", 1, PatientBirthDate="19990101")
    old.hold(study.study_instance_uid, 0)
    assert follow_patients() == 1
    assert run_due_prefetches() == 2
    assert fetched() == ["1.2.2", "1.2.5"]
    assert old.asked[0].PatientID == "P1"
    # Another study of the same patient the same day, such as a prior that has arrived.
    arrive(PatientID="P1")
    assert follow_patients() == 0


def test_an_order_fetches_priors_before_the_patient_comes(old: OldArchive) -> None:
    rule(old.port, by_arrival=False)
    old.hold("1.2.1", 1)
    arrive(PatientID="P1")
    assert follow_patients() == 0
    order = ServiceRequest.objects.create(patient_id="P1")
    record([NewEvent("OrderScheduled", Actor("system", "test"), payload={"order": order.pk})])
    assert follow_patients() == 1
    assert run_due_prefetches() == 1
    assert fetched() == ["1.2.1"]


def test_a_peer_that_is_away_is_asked_again_later() -> None:
    made = rule(free_port())
    arrive(PatientID="P1")
    follow_patients()
    assert run_due_prefetches() == 0
    job = Prefetch.objects.get()
    assert (job.state, job.attempts) == (Prefetch.State.WAITING, 1)
    assert job.not_before > timezone.now() + timedelta(minutes=1)
    made.refresh_from_db()
    assert "cannot be reached" in made.last_problem
    assert "P1" not in made.last_problem


def test_what_nobody_foresaw_is_an_attempt_and_keeps_nobody_from_his_turn(
    old: OldArchive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = rule(old.port)
    old.hold("1.2.3.4", 1)
    for patient in ("P0", "P1"):
        arrive(PatientID=patient)
    follow_patients()
    search = run_prefetch.searched
    broken = iter([RuntimeError("about P0")])

    def breaks_once(source: Any) -> Any:
        for error in broken:
            raise error
        return search(source)

    monkeypatch.setattr(run_prefetch, "searched", breaks_once)
    assert run_due_prefetches() == 1
    first, second = Prefetch.objects.order_by("pk")
    assert (first.state, first.attempts) == (Prefetch.State.WAITING, 1)
    assert first.detail == "Something unforeseen ended it (RuntimeError)."
    assert second.state == Prefetch.State.DONE
    assert "P0" not in caplog.text
    Prefetch.objects.filter(pk=first.pk).update(attempts=4, not_before=timezone.now())
    broken = iter([RuntimeError("again")])
    assert run_due_prefetches() == 0
    first.refresh_from_db()
    made.refresh_from_db()
    assert first.state == Prefetch.State.FAILED
    assert made.last_problem == first.detail


@pytest.mark.parametrize("patient_id", ["*", "P?"])
def test_a_patient_id_that_would_match_others_asks_nobody(old: OldArchive, patient_id: str) -> None:
    rule(old.port)
    arrive(PatientID=patient_id)
    follow_patients()
    assert run_due_prefetches() == 0
    assert not old.asked
    assert Prefetch.objects.get().state == Prefetch.State.FAILED


def test_a_dicomweb_archive_is_asked_too_and_its_priors_come_by_wado_rs() -> None:
    """What a person fetches from it at that moment is not fetched twice."""
    with serving() as port:
        far = WebArchive.objects.create(
            name="far", url=f"http://127.0.0.1:{port}/base", user=USER, secret=SECRET
        )
        PrefetchRule.objects.create(name="from far", archive=far)
        day = (timezone.now() - timedelta(days=100)).strftime("%Y%m%d")
        about = {"PatientID": "PRIOR-7", "StudyDate": day}
        priors = [OddWebArchive.new_study(**about, images=images) for images in (2, 3)]
        OddWebArchive.new_study(PatientID="PRIOR-78", StudyDate=day)
        OddWebArchive.new_study(PatientID="PRIOR-7", StudyDate="19990101")
        keys = {"StudyInstanceUID": priors[1]}
        asked = system_principal("a person")
        running = fetch_from_other(asked, other=far, level="STUDY", keys=keys).transfer
        arrive(PatientID="PRIOR-7")
        assert follow_patients() == 1
        assert run_due_prefetches() == 1
        assert fetched() == [priors[1], priors[0]]
        assert {each.method for each in Transfer.objects.all()} == {"wado-rs"}
        run_due_transfers()
        running.refresh_from_db()
        assert (running.state, running.completed) == ("succeeded", 3)
        Transfer.objects.all().delete()
        far.enabled = False
        far.save()
        arrive(PatientID="PRIOR-9")
        follow_patients()
        assert run_due_prefetches() == 0
        assert PrefetchRule.objects.get().last_problem == "far is switched off."


@pytest.mark.parametrize("both", [True, False])
def test_a_rule_asks_one_archive_and_not_two(both: bool) -> None:
    peer = ApplicationEntity.objects.create(title="OLDPACS", host="h", port=1) if both else None
    far = WebArchive.objects.create(name="far", url="http://h/") if both else None
    with pytest.raises(ValidationError, match="or else"):
        PrefetchRule(name="x", peer=peer, archive=far).full_clean()
    with pytest.raises(IntegrityError):
        PrefetchRule.objects.create(name="x", peer=peer, archive=far)
