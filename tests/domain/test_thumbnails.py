"""Thumbnails made ahead: the same as rendered when asked for, for complete studies, bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.utils import timezone
from pydicom.dataset import Dataset

from apps.access.models import User
from apps.access.principals import system_principal
from apps.archive.models import Instance, Series
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.dicomweb import pictures
from apps.events.models import Event
from apps.ingest import inbox, spool
from apps.ingest.actions.complete_studies import complete_studies
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.actions.reject_instances import reject_instances
from apps.ingest.models import IngestPolicy
from apps.network.actions.set_polarity_rule import set_polarity_rule
from apps.network.models import PolarityRule
from apps.rendering.actions.make_thumbnails import make_thumbnails
from apps.rendering.models import Thumbnail, ThumbnailPolicy, ThumbnailProgress
from apps.rendering.stored import LISTED
from apps.storage.stores import blob_store
from pacsweb.settings.environment import PROJECT_ROOT
from tests.builders import ct_slice, new_uid, part10

pytestmark = pytest.mark.django_db
MINE = system_principal("test")


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    IngestPolicy.objects.create(pk=1, study_quiet_seconds=0)


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", password="a long password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def arrive(sender: str = "CT1", **made: Any) -> str:
    """A series of three slices in a study of its own; its UID."""
    study, series = made.pop("study", "") or new_uid(), new_uid()
    for number in (1, 2, 3):
        receive(ct_slice(study=study, series=series, number=number, size=64, **made), sender)
    drain_inbox(60)
    return series


def receive(dataset: Dataset, sender: str = "CT1") -> None:
    raw = part10(dataset)
    provenance = Provenance("dimse", sender, "PACSWEB", "10.0.0.1")
    inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])


def url(series: str, *, middle: bool = False) -> str:
    row = Series.objects.get(series_instance_uid=series)
    instance = row.instances.get(instance_number=2).sop_instance_uid
    level = f"/instances/{instance}" if middle else ""
    study = row.study.study_instance_uid
    return f"/dicom-web/studies/{study}/series/{series}{level}/thumbnail?viewport=152,112"


def asked(client: Client, address: str) -> bytes:
    """The answer to a process that remembers nothing."""
    pictures.forget_pictures()
    answer = client.get(address, headers={"Accept": "image/jpeg"})
    assert answer.status_code == 200, answer.content
    return b"".join(answer)


def without_bytes(series: str) -> None:
    """From now on nothing of the series can be rendered."""
    for key in Instance.objects.filter(series__series_instance_uid=series).values_list("blob_key"):
        blob_store().delete(*key)


def test_the_first_to_open_finds_what_would_have_been_rendered(root: Client):
    series = arrive()
    rendered = asked(root, url(series))
    assert make_thumbnails() == 0, "it is still receiving"
    complete_studies()
    assert make_thumbnails() == 1
    assert make_thumbnails() == 0
    without_bytes(series)
    assert asked(root, url(series)) == rendered
    assert asked(root, url(series, middle=True)) == rendered
    pictures.forget_pictures()
    assert root.get(url(series) + "&quality=50").status_code != 200


def test_the_front_end_asks_for_just_that_picture():
    asked_for = f"thumbnail?viewport={LISTED.viewport.width},{LISTED.viewport.height}"
    sources = (PROJECT_ROOT / "frontend" / "src" / "dicomweb").glob("*.ts")
    asking = [line for path in sources for line in path.read_text().splitlines()]
    asking = [line for line in asking if "/thumbnail?" in line]
    assert len(asking) == 2
    assert all(asked_for in line for line in asking)


def test_a_series_that_grows_gets_another_and_loses_the_old(root: Client):
    study = new_uid()
    series = arrive(study=study)
    complete_studies()
    make_thumbnails()
    before = Thumbnail.objects.get()
    for number in (4, 5, 6):
        receive(ct_slice(study=study, series=series, number=number, size=64))
    drain_inbox(60)
    complete_studies()
    assert make_thumbnails() == 1
    after = Thumbnail.objects.get()
    assert after.instance_id != before.instance_id
    assert asked(root, url(series)) == bytes(after.body)


def test_what_is_rejected_leaves_no_thumbnail(root: Client):
    series = arrive()
    complete_studies()
    make_thumbnails()
    address = url(series)
    study = Series.objects.get(series_instance_uid=series).study.study_instance_uid
    reject_instances(MINE, study)
    assert not Thumbnail.objects.exists()
    assert root.get(address).status_code == 404


def test_a_display_rule_shows_at_once_and_only_for_its_source(root: Client):
    turned, other = arrive("CR1"), arrive("CT1")
    complete_studies()
    assert make_thumbnails() == 2
    before = asked(root, url(turned))
    today = timezone.localdate()
    rule = PolarityRule(source_ae_title="CR1", first_day=today, reason="states MONOCHROME2")
    set_polarity_rule(MINE, rule)
    assert asked(root, url(turned)) != before
    without_bytes(other)
    asked(root, url(other))


def test_what_cannot_be_rendered_is_passed_over_for_good(root: Client):
    broken = arrive()
    without_bytes(broken)
    good = arrive()
    complete_studies()
    assert make_thumbnails() == 1
    assert Thumbnail.objects.get().series.series_instance_uid == good
    progress = ThumbnailProgress.objects.get()
    assert progress.sequence == Event.objects.filter(kind="StudyCompleted").latest("pk").pk


def test_little_is_done_while_instances_arrive_and_the_rest_after(root: Client):
    for _ in range(3):
        arrive()
    complete_studies()
    receive(ct_slice())
    assert spool.receiving()
    assert make_thumbnails(60, while_receiving=0) == 0
    drain_inbox(60)
    assert make_thumbnails(60, while_receiving=0) == 3


def test_what_killed_a_worker_is_not_tried_again(root: Client):
    study = new_uid()
    first, second = arrive(study=study), arrive(study=study)
    complete_studies()
    # What is left when the worker dies of the first series' image.
    key = Series.objects.get(series_instance_uid=first).pk
    ThumbnailProgress.objects.create(pk=1, sequence=0, series_key=key, older_key=0)
    assert make_thumbnails() == 1
    assert Thumbnail.objects.get().series.series_instance_uid == second


def test_switched_off_nothing_is_made_and_nothing_is_lost(root: Client):
    policy = ThumbnailPolicy.objects.create(pk=1, enabled=False)
    arrive()
    complete_studies()
    assert make_thumbnails() == 0
    policy.enabled = True
    policy.save()
    assert make_thumbnails() == 1


def test_the_oldest_go_when_there_are_too_many(root: Client):
    ThumbnailPolicy.objects.create(pk=1, most_megabytes=1)
    old = arrive()
    complete_studies()
    make_thumbnails()
    Thumbnail.objects.update(size=999_000)
    new = arrive()
    complete_studies()
    make_thumbnails()
    assert Thumbnail.objects.get().series.series_instance_uid == new
    assert len(asked(root, url(old))) > 500


def upgraded(*, newest: int = 0) -> None:
    """As it is after an upgrade: only the newest are in the log to follow."""
    events = Event.objects.filter(kind="StudyCompleted").order_by("-sequence")
    last = events.values_list("sequence", flat=True)[newest]
    Thumbnail.objects.all().delete()
    ThumbnailProgress.objects.update_or_create(
        pk=1, defaults={"sequence": last, "series_key": 0, "older_key": None}
    )


def test_older_studies_follow_newest_first_and_the_walk_keeps_its_place(root: Client):
    arrived = [arrive() for _ in range(3)]
    complete_studies()
    make_thumbnails()
    log = Event.objects.filter(kind="StudyCompleted").order_by("-sequence")
    new = Series.objects.get(study__study_instance_uid=log[0].study_instance_uid)
    old, middle = [each for each in arrived if each != new.series_instance_uid]
    upgraded(newest=1)
    page = "/admin/rendering/thumbnailpolicy/"
    assert "3 older series are left" in root.get(page, follow=True).content.decode()
    assert make_thumbnails(seconds=0) == 0
    made = [_one_made() for _ in range(3)]
    assert made == [new.series_instance_uid, middle, old]
    assert make_thumbnails() == 0
    assert "All older series have been looked at" in root.get(page, follow=True).content.decode()
    rows = Thumbnail.objects.order_by("made_at").values_list("series__series_instance_uid")
    assert [uid for (uid,) in rows] == [*reversed(made)], "the oldest go first"


def _one_made() -> str:
    """Stopped after one, as by a restart."""
    before = set(Thumbnail.objects.values_list("pk", flat=True))
    clock = "apps.rendering.actions.make_thumbnails.time.monotonic"
    with mock.patch(clock, side_effect=[0.0, 0.0, 9.0]):
        assert make_thumbnails() == 1
    row = Thumbnail.objects.exclude(pk__in=before).get()
    return row.series.series_instance_uid


def test_older_studies_wait_for_room_for_arrivals_and_for_permission(root: Client):
    policy = ThumbnailPolicy.objects.create(pk=1, most_megabytes=1)
    kept, _ = arrive(), arrive()
    complete_studies()
    make_thumbnails()
    upgraded()
    policy.older = False
    policy.save()
    assert make_thumbnails() == 0
    page = "/admin/rendering/thumbnailpolicy/"
    assert "that is switched off" in root.get(page, follow=True).content.decode()
    policy.older = True
    policy.save()
    row = Series.objects.get(series_instance_uid=kept)
    Thumbnail.objects.create(
        series=row, instance=row.instances.first(), width=1, height=1, lossy=True, size=999_000,
        body=b"",
    )  # fmt: skip
    assert make_thumbnails() == 0
    assert "no more room" in root.get(page, follow=True).content.decode()


def test_the_administration_says_how_many_there_are(root: Client):
    arrive()
    complete_studies()
    make_thumbnails()
    page = root.get("/admin/rendering/thumbnailpolicy/", follow=True).content.decode()
    assert "1 series have theirs ready" in page
    figures = root.get("/metrics").content.decode()
    assert "pacsweb_thumbnails 1.0" in figures
    assert "pacsweb_thumbnails_older_left 0.0" in figures
    assert f"pacsweb_thumbnail_bytes {Thumbnail.objects.get().size}.0" in figures
