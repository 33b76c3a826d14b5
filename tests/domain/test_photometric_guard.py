"""The photometric guard: what it sees, what it finds of a source, and what a person decides."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from PIL import Image

from apps.access.models import User
from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.archive.models import Instance, StudyAlert
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.errors import InvalidRequest, NotPermitted
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.network.models import PolarityRule
from apps.polarity.actions.decide_finding import (
    correct_images,
    correct_source,
    dismiss_finding,
    end_rules,
    reopen_finding,
)
from apps.polarity.actions.observe_images import observe_images
from apps.polarity.judging import FEWEST_SIBLINGS, likeness_of
from apps.polarity.models import PolarityFinding, PolarityObservation
from apps.polarity.selectors import said_of
from apps.storage.stores import blob_store
from tests.builders import ct_slice, new_uid, part10
from tests.radiographs import radiograph

pytestmark = pytest.mark.django_db

CR = "1.2.840.10008.5.1.4.1.1.1"
PANORAMIC = DX = "1.2.840.10008.5.1.4.1.1.1.1"
XA = "1.2.840.10008.5.1.4.1.1.12.1"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
Verdict = PolarityObservation.Verdict
State = PolarityFinding.State
ADMINISTRATOR = system_principal("test")
MARCH_1 = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    """Each test has folders of its own."""


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", password="a long password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def arrive(
    received_at: datetime = MARCH_1,
    *,
    values: np.ndarray[Any, Any] | None = None,
    sender: str = "CR1",
    **attributes: Any,
) -> Instance:
    """A radiograph in a study of its own, received then; by default a skull, air low."""
    if values is None:
        values = radiograph("skull", np.random.default_rng(1))
    dataset = ct_slice()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = new_uid(), new_uid()
    dataset.SOPClassUID, dataset.Modality, dataset.StationName = CR, "CR", "ROOM1"
    dataset.BodyPartExamined = "SKULL"
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = values.astype("<u2").tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    raw = part10(dataset)
    provenance = Provenance("dimse", sender, "PACSWEB", "10.0.0.1")
    inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)
    rows = Instance.objects.filter(sop_instance_uid=dataset.SOPInstanceUID)
    rows.update(received_at=received_at)
    return rows.get()


def verdict_of(instance: Instance) -> PolarityObservation:
    observe_images(60)
    return PolarityObservation.objects.get(instance=instance)


def path(instance: Instance) -> str:
    return (
        f"/dicom-web/studies/{instance.study.study_instance_uid}"
        f"/series/{instance.series.series_instance_uid}/instances/{instance.sop_instance_uid}"
    )


def corner(client: Client, instance: Instance, suffix: str = "/rendered") -> int:
    """Grey of the corner, where these phantoms have air."""
    answer = client.get(path(instance) + suffix, headers={"Accept": "image/png"})
    assert answer.status_code == 200, answer.content
    picture = Image.open(io.BytesIO(b"".join(answer))).convert("L")
    return int(np.asarray(picture)[2, 2])


def digest(instance: Instance) -> str:
    return hashlib.sha256(b"".join(blob_store().stream(instance.blob_key))).hexdigest()


@pytest.mark.parametrize(
    ("attributes", "verdict"),
    [
        ({}, Verdict.EXPECTED),
        ({"PhotometricInterpretation": "MONOCHROME1"}, Verdict.INVERTED),
        ({"PresentationLUTShape": "INVERSE"}, Verdict.INVERTED),
        ({"RescaleSlope": "-1", "RescaleIntercept": "4095"}, Verdict.INVERTED),
        ({"SOPClassUID": DX, "Modality": "PX"}, Verdict.EXPECTED),
        ({"SOPClassUID": CAPTURE, "Modality": "CR"}, Verdict.EXPECTED),
    ],
)
def test_the_verdict_is_of_the_image_as_it_is_shown(
    attributes: dict[str, Any], verdict: str
) -> None:
    found = verdict_of(arrive(**attributes))
    assert found.verdict == verdict, found.evidence
    assert found.confidence >= 0.9
    assert len(found.signature) == 64


@pytest.mark.parametrize(
    "attributes",
    [
        {"SOPClassUID": CAPTURE, "Modality": "OT"},
        {"SOPClassUID": FOR_PROCESSING, "Modality": "DX"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"},
    ],
)
def test_what_is_no_radiograph_to_look_at_is_passed_over(attributes: dict[str, Any]) -> None:
    arrive(**attributes)
    assert observe_images(60) == 0
    assert not PolarityObservation.objects.exists()


def test_angiography_has_no_usual_polarity_until_its_source_changes() -> None:
    draw = np.random.default_rng(2)
    heart = radiograph("chest", draw, "circle", shutter=True)
    for minute in range(FEWEST_SIBLINGS + 1):
        at = MARCH_1 + timedelta(minutes=minute)
        found = verdict_of(arrive(at, values=heart, SOPClassUID=XA, Modality="XA"))
        assert found.verdict == Verdict.UNSURE
    changed = arrive(
        MARCH_1 + timedelta(hours=1),
        values=heart,
        SOPClassUID=XA,
        Modality="XA",
        PhotometricInterpretation="MONOCHROME1",
    )
    found = verdict_of(changed)
    assert found.verdict == Verdict.INVERTED
    assert any("negative of the" in each for each in found.evidence)
    assert any("earlier images of its source state MONOCHROME2" in each for each in found.evidence)
    assert found.confidence < 0.9


def test_what_cannot_be_decoded_is_unsure_and_says_so() -> None:
    instance = arrive()
    blob_store().delete(instance.blob_key)
    found = verdict_of(instance)
    assert (found.verdict, found.evidence) == (Verdict.UNSURE, ["Its bytes are missing."])


def test_a_look_that_killed_its_worker_is_not_taken_again() -> None:
    instance = arrive()
    PolarityObservation.objects.create(
        instance=instance, sop_class_uid=CR, received_at=MARCH_1, evidence=["cut off"]
    )
    assert observe_images(60) == 0
    assert verdict_of(instance).verdict == Verdict.UNSURE


def test_work_goes_on_where_it_ended(django_assert_max_num_queries: Callable[[int], Any]) -> None:
    for minute in range(3):
        arrive(MARCH_1 + timedelta(minutes=minute))
    assert observe_images(0.0) == 0
    # A busy machine may need more than a millisecond before the first.
    assert any(observe_images(0.001) for _ in range(10_000))
    assert observe_images(60) <= 2
    assert PolarityObservation.objects.count() == 3
    with django_assert_max_num_queries(3):
        assert observe_images(60) == 0


def wrong(at: datetime, **attributes: Any) -> Instance:
    return arrive(at, PhotometricInterpretation="MONOCHROME1", **attributes)


def test_the_first_certain_images_of_a_source_open_a_finding_and_alert_its_studies() -> None:
    right = arrive(MARCH_1)
    instance = wrong(MARCH_1 + timedelta(days=1))
    observe_images(60)
    finding = PolarityFinding.objects.get()
    assert (finding.inverted, finding.expected, finding.state) == (1, 0, State.OPEN)
    alert = StudyAlert.objects.get(cause=StudyAlert.Cause.POLARITY)
    assert alert.study == instance.study != right.study
    assert Event.objects.get(kind="PolarityFindingOpened").payload["source"] == "CR1"
    wrong(MARCH_1 + timedelta(days=2))
    arrive(MARCH_1 + timedelta(days=2, hours=1))
    observe_images(60)
    finding = PolarityFinding.objects.get()
    assert (finding.inverted, finding.expected) == (2, 1)
    assert said_of(finding) == (
        "CR images of CR1 (ROOM1) received since 2 March 2026, 08:00 UTC appear with black and "
        "white exchanged: 2 of 3."
    )


def test_a_source_that_is_right_is_not_accused_for_one_or_two_odd_images() -> None:
    arrive(MARCH_1)
    negative = 4095 - radiograph("skull", np.random.default_rng(1))
    for hour in (1, 2):
        arrive(MARCH_1 + timedelta(hours=hour), values=negative)
        observe_images(60)
        assert not PolarityFinding.objects.exists()
    arrive(MARCH_1 + timedelta(hours=3), values=negative)
    observe_images(60)
    assert PolarityFinding.objects.get().inverted == 3


def test_shown_rightly_is_not_asked_again_unless_something_else_is_stated() -> None:
    wrong(MARCH_1)
    observe_images(60)
    dismiss_finding(ADMINISTRATOR, PolarityFinding.objects.get().pk)
    assert not StudyAlert.objects.exists()
    wrong(MARCH_1 + timedelta(hours=1))
    observe_images(60)
    assert PolarityFinding.objects.count() == 1
    reopen_finding(ADMINISTRATOR, PolarityFinding.objects.get().pk)
    assert StudyAlert.objects.count() == 1
    kinds = Event.objects.filter(kind__startswith="PolarityFinding").order_by("sequence")
    assert list(kinds.values_list("kind", flat=True)) == [
        "PolarityFindingOpened",
        "PolarityFindingDismissed",
        "PolarityFindingReopened",
    ]


def test_some_images_alone_can_be_corrected(root: Client) -> None:
    first, second = wrong(MARCH_1), wrong(MARCH_1 + timedelta(hours=1))
    observe_images(60)
    pk = PolarityFinding.objects.get().pk
    with pytest.raises(InvalidRequest, match="Choose images of this finding"):
        correct_images(ADMINISTRATOR, pk, ["1.2.3"])
    correct_images(ADMINISTRATOR, pk, [first.sop_instance_uid])
    assert (corner(root, first), corner(root, second)) == (0, 255)
    reopen_finding(ADMINISTRATOR, pk)
    assert corner(root, first) == 255
    assert not PolarityRule.objects.exists()


def test_only_an_administrator_decides_and_only_once() -> None:
    wrong(MARCH_1)
    observe_images(60)
    pk = PolarityFinding.objects.get().pk
    reader = Principal(PrincipalKind.USER, "reader", door="web")
    for act in (dismiss_finding, reopen_finding):
        with pytest.raises(NotPermitted):
            act(reader, pk)
    dismiss_finding(ADMINISTRATOR, pk)
    with pytest.raises(InvalidRequest, match="decided already"):
        dismiss_finding(ADMINISTRATOR, pk)


def test_the_incident_of_the_inverted_radiographs_replayed(root: Client) -> None:
    """A CR sends right images, then says MONOCHROME1 of what is MONOCHROME2, then is repaired."""
    days = [MARCH_1 + timedelta(days=day) for day in range(3)]
    before = [arrive(day) for day in [*days, days[0] + timedelta(days=10, hours=23)]]
    observe_images(60)
    assert not PolarityFinding.objects.exists()
    before.append(arrive(MARCH_1 + timedelta(days=11, minutes=-1)))  # the same day, still right
    broken = [wrong(MARCH_1 + timedelta(days=day)) for day in range(11, 14)]
    stored = [digest(each) for each in broken]
    observe_images(60)
    finding = PolarityFinding.objects.get()
    assert (finding.first_at.date(), finding.inverted) == (date(2026, 3, 12), 3)

    page = root.get(f"/polarity/findings/{finding.pk}/").content.decode()
    assert page.count("polarity=opposite") == 3
    assert "Air is shown bright; dark is usual." in page
    assert corner(root, broken[0]) == 255
    assert corner(root, broken[0], "/rendered?polarity=opposite") == 0

    answer = root.post(
        f"/polarity/findings/{finding.pk}/decide/",
        {"decision": "source", "first": "2026-03-12T08:00:00", "last": ""},
    )
    assert answer.status_code == 302
    assert {corner(root, each) for each in broken + before} == {0}
    assert {corner(root, each, "/thumbnail") for each in broken + before} == {0}
    metadata = root.get(path(broken[0]) + "/metadata").json()[0]
    assert metadata["00280004"]["Value"] == ["MONOCHROME2"]
    assert not StudyAlert.objects.exists()
    assert [digest(each) for each in broken] == stored

    # Under the rule it goes on; nobody is asked again.
    observe_images(60)
    later = wrong(MARCH_1 + timedelta(days=20))
    assert verdict_of(later).verdict == Verdict.EXPECTED
    assert PolarityFinding.objects.count() == 1

    # The device is repaired: now the rule is what turns its images wrong, and the guard says so.
    repaired = arrive(MARCH_1 + timedelta(days=30))
    assert verdict_of(repaired).verdict == Verdict.INVERTED
    assert corner(root, repaired) == 255
    outdated = PolarityFinding.objects.get(state=State.OPEN)
    assert outdated.ruled
    with pytest.raises(InvalidRequest, match="end that rule"):
        correct_source(ADMINISTRATOR, outdated.pk, first=days[0], last=None)
    end_rules(ADMINISTRATOR, outdated.pk, last=outdated.first_at - timedelta(seconds=1))
    assert {corner(root, each) for each in [repaired, later, *broken, *before]} == {0}


def test_the_page_is_for_those_who_may_see_images() -> None:
    wrong(MARCH_1)
    observe_images(60)
    pk = PolarityFinding.objects.get().pk
    stranger = Client()
    assert stranger.get(f"/polarity/findings/{pk}/").status_code == 302
    stranger.force_login(
        User.objects.create_user("nobody", password="a long password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    assert stranger.get(f"/polarity/findings/{pk}/").status_code == 403
    assert (
        stranger.post(f"/polarity/findings/{pk}/decide/", {"decision": "dismiss"}).status_code
        == 403
    )
    assert PolarityFinding.objects.get().state == State.OPEN


def test_what_comes_from_images_is_no_markup(root: Client) -> None:
    instance = wrong(MARCH_1, StationName="<script>x", PatientName="<b>Doe")
    observe_images(60)
    pk = PolarityFinding.objects.get().pk
    for page in (f"findings/{pk}", f"studies/{instance.study.study_instance_uid}"):
        text = root.get(f"/polarity/{page}/").content.decode()
        assert "<script>x" not in text
        assert "<b>Doe" not in text
    answer = root.get("/admin/polarity/polarityfinding/")
    assert b"Show both polarities" in answer.content
    assert b"<script>x" not in answer.content


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ({"decision": "source", "first": "soon"}, "Give day and time as"),
        (
            {"decision": "source", "first": "2026-03-02T00:00", "last": "2026-03-01T00:00"},
            "ends before",
        ),
        ({"decision": "images"}, "Choose images of this finding."),
        ({"decision": "end", "last": "2026-03-01T00:00"}, "No rule for this source"),
        ({}, "Choose a decision."),
    ],
)
def test_a_decision_that_says_nothing_is_refused_in_words(
    root: Client, decision: dict[str, str], words: str
) -> None:
    wrong(MARCH_1)
    observe_images(60)
    pk = PolarityFinding.objects.get().pk
    answer = root.post(f"/polarity/findings/{pk}/decide/", decision)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert PolarityFinding.objects.get().state == State.OPEN
    assert not PolarityRule.objects.exists()


def test_likeness_is_of_images_that_are_alike_among_themselves() -> None:
    draw = np.random.default_rng(5)
    one = draw.integers(0, 255, 64).tolist()
    alike = [[value + int(draw.integers(-9, 9)) for value in one] for _ in range(5)]
    assert likeness_of(one, alike) == pytest.approx(1.0, abs=0.05)
    negative = [255 - value for value in one]
    assert likeness_of(negative, alike) == pytest.approx(-1.0, abs=0.05)
    assert likeness_of(one, alike[:3]) is None
    assert likeness_of(one, draw.integers(0, 255, (8, 64)).tolist()) is None
    assert likeness_of([7] * 64, alike) is None


def test_what_a_dead_worker_did_not_compare_the_next_one_does() -> None:
    wrong(MARCH_1)
    observe_images(60)
    PolarityFinding.objects.all().delete()
    StudyAlert.objects.all().delete()
    PolarityObservation.objects.update(compared=False)
    assert observe_images(60) == 0
    assert PolarityFinding.objects.get().inverted == 1
    assert StudyAlert.objects.count() == 1


def test_ending_a_rule_can_be_taken_back_and_one_source_has_one_open_finding() -> None:
    wrong(MARCH_1)
    observe_images(60)
    first = PolarityFinding.objects.get()
    correct_source(ADMINISTRATOR, first.pk, first=MARCH_1, last=None)
    arrive(MARCH_1 + timedelta(days=1))
    observe_images(60)
    outdated = PolarityFinding.objects.get(state=State.OPEN)
    with pytest.raises(InvalidRequest, match="decide that one first"):
        reopen_finding(ADMINISTRATOR, first.pk)
    end_rules(ADMINISTRATOR, outdated.pk, last=MARCH_1 + timedelta(hours=9))
    assert PolarityRule.objects.get().end == MARCH_1 + timedelta(hours=9)
    reopen_finding(ADMINISTRATOR, outdated.pk)
    assert PolarityRule.objects.get().end is None


def test_what_came_without_ae_title_is_corrected_by_station_or_image(root: Client) -> None:
    instance = wrong(MARCH_1, sender="", StationName="")
    observe_images(60)
    pk = PolarityFinding.objects.get().pk
    with pytest.raises(InvalidRequest, match="Name an AE title, a station, or images"):
        correct_source(ADMINISTRATOR, pk, first=MARCH_1, last=None)
    correct_images(ADMINISTRATOR, pk, [instance.sop_instance_uid])
    assert corner(root, instance) == 0
    reopen_finding(ADMINISTRATOR, pk)
    PolarityFinding.objects.update(station_name="ROOM1")
    correct_source(ADMINISTRATOR, pk, first=MARCH_1, last=None)
    assert corner(root, instance) == 255
