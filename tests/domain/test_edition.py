"""What is made differently from now on has other tags, so no browser goes on with the old."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from apps.access.models import User
from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.dicomweb.wado_rs import frames
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.retrieve import polarity
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("below", ["/frames/1", "/rendered"])
def test_another_edition_is_sent_to_who_has_the_old_one(
    data_folders: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    raw = part10(ct_slice(study="1.2.826.0.1.7.1", series="1.2.826.0.1.7.2", number=1))
    source = Provenance("import", source_address="127.0.0.1")
    inbox.receive_part10(source, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(100)
    uid = Instance.objects.get().sop_instance_uid
    path = f"/dicom-web/studies/1.2.826.0.1.7.1/series/1.2.826.0.1.7.2/instances/{uid}{below}"
    client = Client()
    client.force_login(
        User.objects.create_user("adam", is_superuser=True),
        "django.contrib.auth.backends.ModelBackend",
    )
    held = {"If-None-Match": client.get(path)["ETag"]}
    assert client.get(path, headers=held).status_code == 304

    for module in (frames, polarity):
        monkeypatch.setattr(module, "EDITION", "another")

    answer = client.get(path, headers=held)
    assert answer.status_code == 200
    assert answer["ETag"] != held["If-None-Match"]
