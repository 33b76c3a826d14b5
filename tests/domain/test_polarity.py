"""The incident of the inverted radiographs: a rule turns display round, nothing that is stored."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from apps.access.models import User
from apps.access.principals import system_principal
from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.errors import InvalidRequest
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.network.actions.set_polarity_rule import lift_polarity_rule, set_polarity_rule
from apps.network.models import PolarityRule
from apps.storage.stores import blob_store
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db(transaction=True)
CR = "1.2.840.10008.5.1.4.1.1.1"


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


def arrive(sender: str, **attributes: Any) -> Instance:
    """A radiograph whose left half is air (0)."""
    dataset = ct_slice()
    dataset.SOPClassUID = CR
    dataset.Modality, dataset.StationName = "CR", "ROOM1"
    pixels = np.zeros((dataset.Rows, dataset.Columns), dtype=np.uint16)
    pixels[:, dataset.Columns // 2 :] = 1000
    dataset.PixelData = pixels.tobytes()
    dataset.WindowCenter, dataset.WindowWidth = "500", "1000"
    dataset.RescaleIntercept = "0"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    raw = part10(dataset)
    provenance = Provenance("dimse", sender, "PACSWEB", "10.0.0.1")
    inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)
    return Instance.objects.get(sop_instance_uid=dataset.SOPInstanceUID)


def rule(**fields: Any) -> PolarityRule:
    today = timezone.now().date()
    made = PolarityRule(
        **{"source_ae_title": "CR1", "first_day": today, "reason": "states MONOCHROME2"} | fields
    )
    set_polarity_rule(system_principal("test"), made)
    return made


def path(instance: Instance) -> str:
    return (
        f"/dicom-web/studies/{instance.study.study_instance_uid}"
        f"/series/{instance.series.series_instance_uid}/instances/{instance.sop_instance_uid}"
    )


def air(root: Client, instance: Instance) -> int:
    """Grey of the air as a rendered picture shows it."""
    answer = root.get(path(instance) + "/rendered", headers={"Accept": "image/png"})
    assert answer.status_code == 200, answer.content
    return int(np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"))[2, 2])


def metadata(root: Client, instance: Instance) -> dict[str, Any]:
    answer = root.get(path(instance) + "/metadata", headers={"Accept": "application/dicom+json"})
    return answer.json()[0]


def test_a_rule_changed_by_another_process_counts_at_once(root: Client) -> None:
    """Whatever wrote it: nothing here is told of the change."""
    image = arrive("CR1")
    rules = PolarityRule.objects.filter(pk=rule().pk)
    for enabled in (True, False, True):
        rules.update(enabled=enabled)
        assert air(root, image) == (255 if enabled else 0)
        shown = "MONOCHROME1" if enabled else "MONOCHROME2"
        assert metadata(root, image)["00280004"]["Value"] == [shown]
    rules.update(source_ae_title="CR2")
    assert air(root, image) == 0


def test_the_incident_replayed(root: Client) -> None:
    wrong, right = arrive("CR1"), arrive("CR2")
    before = (air(root, wrong), air(root, right), metadata(root, wrong))
    assert before[:2] == (0, 0)
    key = wrong.blob_key
    stored = hashlib.sha256(b"".join(blob_store().stream(key))).hexdigest()
    made = rule()
    assert air(root, wrong) == 255
    assert air(root, right) == 0
    shown = metadata(root, wrong)
    assert shown["00280004"]["Value"] == ["MONOCHROME1"]
    original = shown["04000561"]["Value"][0]
    assert original["04000550"]["Value"][0]["00280004"]["Value"] == ["MONOCHROME2"]
    assert original["04000565"]["Value"] == ["CORRECT"]
    same = {tag: value for tag, value in shown.items() if tag not in {"00280004", "04000561"}}
    assert same == {tag: value for tag, value in before[2].items() if tag != "00280004"}
    assert hashlib.sha256(b"".join(blob_store().stream(key))).hexdigest() == stored
    lift_polarity_rule(system_principal("test"), made)
    assert air(root, wrong) == 0
    assert metadata(root, wrong) == before[2]
    kinds = Event.objects.filter(kind__startswith="Polarity").values_list("kind", flat=True)
    assert list(kinds.order_by("sequence")) == ["PolarityRuleSet", "PolarityRuleLifted"]


@pytest.mark.parametrize(
    ("stated", "shape", "meant", "meant_shape"),
    [
        ("MONOCHROME2", "IDENTITY", "MONOCHROME1", "INVERSE"),
        ("MONOCHROME1", "INVERSE", "MONOCHROME2", "IDENTITY"),
        ("MONOCHROME2", "INVERSE", "MONOCHROME2", "IDENTITY"),
    ],
)
def test_photometric_interpretation_and_shape_turn_round_together(
    root: Client, stated: str, shape: str, meant: str, meant_shape: str
) -> None:
    instance = arrive("CR1", PhotometricInterpretation=stated, PresentationLUTShape=shape)
    before = air(root, instance)
    rule()
    assert air(root, instance) == 255 - before
    found = metadata(root, instance)
    assert found["00280004"]["Value"] == [meant]
    assert found["20500020"]["Value"] == [meant_shape]


@pytest.mark.parametrize(
    "fields",
    [
        {"station_name": "ROOM2"},
        {"enabled": False},
        {"source_ae_title": "CR2"},
        {"first_day": timezone.now().date() + timedelta(days=1)},
        {
            "first_day": timezone.now().date() - timedelta(days=9),
            "last_day": timezone.now().date() - timedelta(days=2),
        },
    ],
)
def test_a_rule_is_for_its_source_and_period_alone(root: Client, fields: dict[str, Any]) -> None:
    instance = arrive("CR1")
    rule(**fields)
    assert air(root, instance) == 0
    assert "04000561" not in metadata(root, instance)


def test_cached_answers_are_not_taken_for_the_other_polarity(root: Client) -> None:
    instance = arrive("CR1")
    tags = []
    for _ in range(2):
        tags += [root.get(path(instance) + each)["ETag"] for each in ("/rendered", "/metadata")]
        rule()
    assert len(set(tags)) == 4


def test_a_period_does_not_end_before_it_begins() -> None:
    today = timezone.now().date()
    with pytest.raises(InvalidRequest, match="ends before it begins"):
        rule(first_day=today, last_day=today - timedelta(days=1))


def test_setting_one_in_the_admin_is_an_event(root: Client) -> None:
    form = {"source_ae_title": "CR1", "first_day": "2026-01-01", "enabled": "on", "reason": "x"}
    done = root.post(reverse("admin:network_polarityrule_add"), form)
    assert done.status_code == 302
    assert Event.objects.get(kind="PolarityRuleSet").actor_name == "root"
