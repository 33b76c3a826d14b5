"""`manage.py import`: files, folders and archives, with a report, resumable."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.archive.models import Instance
from apps.errors import InvalidRequest, NotPermitted, Unavailable
from apps.events.models import Event
from apps.ingest import sources, spool
from apps.ingest.actions import import_files as importing
from apps.ingest.actions.import_files import import_files
from apps.ingest.models import ImportJob, ImportRefusal, QuarantinedInstance
from apps.ingest.sources import found_in
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = system_principal("test")


@pytest.fixture(autouse=True)
def _folders(data_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs here that would have to be waited for before the command indexes itself."""
    monkeypatch.setattr("apps.ingest.management.commands.import._PATIENCE_SECONDS", 0.05)


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """A folder as people have them: instances, a list of them, notes, an archive, junk."""
    disc = tmp_path / "disc"
    (disc / "B" / "deep").mkdir(parents=True)
    for number, name in enumerate(["B/deep/IM2", "A", "B/IM1.dcm"]):
        (disc / name).write_bytes(part10(ct_slice(size=4, number=number)))
    (disc / "remove_all.dicom").write_text("I look like DICOM by my name alone. " * 10)
    (disc / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (disc / "empty").write_bytes(b"")
    (disc / "cut.dcm").write_bytes(part10(ct_slice())[:300])
    with zipfile.ZipFile(disc / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/IM", part10(ct_slice(size=4, number=7)))
        archive.writestr("in/readme.txt", "hello there")
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as nested:
            nested.writestr("../../IM", part10(ct_slice(size=4, number=8)))
        archive.writestr("nested.zip", inner.getvalue())
    return disc


def run(*arguments: str | Path, **options) -> str:
    out = io.StringIO()
    call_command("import", *map(str, arguments), stdout=out, **options)
    return out.getvalue()


def test_a_folder_with_everything_in_it(disc: Path):
    report = json.loads(run(disc, json=True))
    assert report["state"] == "done"
    assert report["found"] == 10
    assert report["accepted"] == 6
    refused = {Path(each["path"]).name: each["reason"] for each in report["refused"]}
    assert set(refused) == {"remove_all.dicom", ".DS_Store", "empty", "readme.txt"}
    assert "not a DICOM object" in refused["remove_all.dicom"]
    assert refused["empty"] == "The file is empty."
    (quarantined,) = report["quarantined"]
    assert quarantined["reason"] == "unreadable"
    assert Instance.objects.count() == 5
    assert {row.source_door for row in Instance.objects.all()} == {"import"}
    assert spool.waiting() == []
    kinds = list(
        Event.objects.filter(kind__startswith="Import")
        .order_by("sequence")
        .values_list("kind", flat=True)
    )
    assert kinds == ["ImportStarted", "ImportFinished"]


def test_the_report_for_people_says_what_was_refused_and_why(disc: Path):
    report = run(disc)
    assert "10 files: 6 accepted, 4 refused, 1 instances in quarantine." in report
    assert "remove_all.dicom: This is not a DICOM object" in report
    assert "quarantined" in report


def test_no_wait_leaves_the_indexing_to_the_workers(disc: Path):
    run(disc, no_wait=True)
    assert len(spool.waiting()) == 6


def test_a_dicomdir_is_no_instance_but_its_files_are(corpus: Path):
    folder = corpus / "dicom" / "fileset"
    report = json.loads(run(folder, json=True))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert report["found"] == len(files)
    lists = {path.name for path in files if path.name.startswith("DICOMDIR")}
    reasons = {Path(each["path"]).name: each["reason"] for each in report["refused"]}
    assert {name for name, reason in reasons.items() if "DICOMDIR" in reason} >= lists


def test_the_same_files_again_change_nothing(disc: Path):
    run(disc)
    again = json.loads(run(disc, json=True))
    assert again["accepted"] == 6
    assert Instance.objects.count() == 5
    assert ImportJob.objects.count() == 2


def test_an_interrupted_import_goes_on_where_it_was(disc: Path, monkeypatch):
    seen: list[int] = []

    def interrupt(job: ImportJob) -> None:
        seen.append(job.found)
        if job.found == 4 and len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_files(ADMIN, [disc], progress=interrupt)
    job = ImportJob.objects.get()
    assert job.state == ImportJob.State.CANCELLED
    assert job.found == 4
    resumed = import_files(ADMIN, [disc], progress=interrupt)
    assert resumed.pk == job.pk
    assert resumed.found == 10
    assert seen[5:] == [5, 6, 7, 8, 9, 10, 10]
    assert len(spool.waiting()) == 6
    assert ImportRefusal.objects.count() == 4
    assert import_files(ADMIN, [disc]).pk != job.pk


def test_restart_begins_at_the_first_file(disc: Path):
    job = import_files(ADMIN, [disc])
    ImportJob.objects.filter(pk=job.pk).update(state=ImportJob.State.FAILED)
    again = import_files(ADMIN, [disc], restart=True)
    assert again.pk != job.pk
    assert again.found == 10


def test_a_killed_import_goes_on_too(disc: Path, monkeypatch):
    monkeypatch.setattr(importing, "_SAVED_EVERY", 1)
    with pytest.raises(RuntimeError):
        import_files(ADMIN, [disc], progress=_die_at(3))
    job = ImportJob.objects.get()
    assert job.state == ImportJob.State.RUNNING
    assert job.found == 3
    assert import_files(ADMIN, [disc]).found == 10


def _die_at(count: int):
    def progress(job: ImportJob) -> None:
        if job.found == count:
            raise RuntimeError

    return progress


def test_a_full_or_broken_disk_stops_the_import_and_it_can_be_resumed(
    disc: Path, data_folders: Path
):
    spool.folder("ready").rmdir()
    (data_folders / "inbox" / "ready").write_text("in the way")
    with pytest.raises(Unavailable):
        import_files(ADMIN, [disc])
    assert ImportJob.objects.get().state == ImportJob.State.FAILED
    with pytest.raises(CommandError, match="disk failed"):
        run(disc)
    (data_folders / "inbox" / "ready").unlink()
    spool.folder("ready").mkdir()
    run(disc)
    assert Instance.objects.count() == 5


def test_a_deep_inbox_is_worked_off_where_nobody_else_does(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(importing, "_DEEP", 10)
    monkeypatch.setattr(importing, "_SHALLOW", 2)
    monkeypatch.setattr(importing, "_SAVED_EVERY", 5)
    monkeypatch.setattr(importing, "_PATIENCE_SECONDS", 0.2)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02d}").write_bytes(part10(ct_slice(size=2, number=number)))
    deepest = 0

    def watch(_job: ImportJob) -> None:
        nonlocal deepest
        deepest = max(deepest, len(spool.waiting()))

    import_files(ADMIN, [folder], progress=watch)
    assert deepest <= 15
    assert Instance.objects.count() >= 15


def test_who_may_not_store_may_not_import(disc: Path):
    with pytest.raises(NotPermitted):
        import_files(Principal(PrincipalKind.USER, "eve", "console"), [disc])
    with pytest.raises(InvalidRequest):
        import_files(ADMIN, [])
    with pytest.raises(CommandError, match="no file or folder"):
        run(disc / "nowhere")


# --- archives that mean no good (SEC-05) -------------------------------------------------------


def refusals(path: Path) -> dict[str, str]:
    return {Path(each.name).name: each.refusal for each in found_in([path]) if each.refusal}


def test_SEC_05_an_entry_that_grows_beyond_measure_is_refused(tmp_path: Path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("zeros", "w", force_zip64=True) as entry:
            for _ in range(80):
                entry.write(b"\0" * (1 << 20))
        archive.writestr("IM", part10(ct_slice(size=4)))
    assert 80 * (1 << 20) / bomb.stat().st_size > 900
    job = import_files(ADMIN, [bomb])
    assert job.found == 2
    # zeros are no DICOM: refused by ratio or by their first bytes, but never unpacked whole
    assert job.accepted == 1


def test_SEC_05_the_whole_archive_has_a_budget(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sources, "_SMALL_GROWTH", 1000)
    monkeypatch.setattr(sources, "_GROWTH", 1)
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            raw = part10(ct_slice(size=64, SOPInstanceUID=f"1.2.{number}"))
            archive.writestr(f"IM{number}", raw + b"\0" * 50_000)
    job = import_files(ADMIN, [path])
    assert job.refused >= 1
    assert "beyond all measure" in ImportRefusal.objects.first().reason
    assert spool.waiting() == [] or len(spool.waiting()) < 5


def test_SEC_05_archives_in_archives_end_somewhere(tmp_path: Path):
    body = b"innermost"
    for _ in range(6):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("next.zip", body)
        body = out.getvalue()
    path = tmp_path / "deep.zip"
    path.write_bytes(body)
    assert "too many archives" in refusals(path)["next.zip"]


def test_damaged_and_encrypted_archives_are_refused_with_a_reason(tmp_path: Path):
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("IM", part10(ct_slice(size=64)))
        archive.writestr("IM2", part10(ct_slice(size=4)))
    raw = bytearray(path.read_bytes())
    raw[3000:3010] = b"\xff" * 10
    path.write_bytes(raw)
    job = import_files(ADMIN, [path])
    assert (job.accepted, job.refused) == (1, 1)
    assert "damaged" in ImportRefusal.objects.get().reason

    path.write_bytes(raw[:2000])
    assert "damaged" in refusals(path)["damaged.zip"]

    encrypted = bytearray(raw)
    for marker in (b"PK\x03\x04", b"PK\x01\x02"):
        offset = encrypted.index(marker)
        encrypted[offset + (6 if marker == b"PK\x03\x04" else 8)] |= 1
    path.write_bytes(encrypted)
    assert "encrypted" in refusals(path)["IM"]


def test_names_no_unicode_has_and_things_that_are_no_files(tmp_path: Path):
    odd = os.fsencode(tmp_path) + b"/\xff\xfe.txt"
    Path(os.fsdecode(odd)).write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    job = import_files(ADMIN, [tmp_path])
    assert job.accepted == 0
    reasons = dict(ImportRefusal.objects.values_list("path", "reason"))
    assert any("no file and no folder" in reason for reason in reasons.values())
    assert len(reasons) >= 3


def test_a_cut_instance_is_quarantined_not_refused(disc: Path):
    run(disc / "cut.dcm")
    assert QuarantinedInstance.objects.get().reason == QuarantinedInstance.Reason.UNREADABLE
