"""The durable spool: what is acknowledged waits, what is not leaves nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.dicom.part10 import Provenance, read_file_meta
from apps.errors import OutOfResources, PacsError, Unavailable
from apps.ingest import inbox, spool
from apps.ingest.inbox import Commit, Incoming, Kept
from apps.ingest.leftovers import clean_provenance, clean_writing
from apps.ingest.spool import SpoolName
from apps.storage import capacity as room
from apps.storage import durable
from apps.storage.models import StoragePolicy

FROM = Provenance("dimse", "CT1", "PACSWEB", "10.0.0.1", "2026-01-01T00:00:00+00:00")
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

pytestmark = pytest.mark.django_db


def incoming() -> inbox.Incoming:
    return inbox.receive(
        FROM, sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax_uid=EXPLICIT
    )


def files(name: str) -> list[Path]:
    return list(spool.folder(name).iterdir())


def test_a_committed_object_waits_with_file_meta_of_ours_and_its_bytes_untouched(data_folders):
    body = os.urandom(3_000_001)
    with incoming() as arriving:
        for start in range(0, len(body), 700_000):
            arriving.write(memoryview(body)[start : start + 700_000])
        name = arriving.commit()
    (path,) = files("ready")
    assert path.name == name
    raw = path.read_bytes()
    meta = read_file_meta(raw[:65536])
    assert meta.provenance == FROM
    assert (meta.sop_class_uid, meta.sop_instance_uid) == (CT, "1.2.3")
    assert meta.transfer_syntax_uid == EXPLICIT
    assert raw[meta.dataset_offset :] == body
    parsed = SpoolName.parse(name)
    assert str(parsed) == name
    assert parsed.dataset_sha256 == hashlib.sha256(body).hexdigest()
    assert parsed.size == len(raw)
    assert files("writing") == []


def test_an_object_that_was_not_committed_leaves_nothing(data_folders):
    with incoming() as arriving:
        arriving.write(b"half")
        assert len(files("writing")) == 1
    assert files("writing") == []
    assert files("ready") == []
    assert inbox.depth() == inbox.InboxDepth(0, 0, 0.0)


def test_STO_12_below_the_watermark_nothing_is_written(data_folders):
    StoragePolicy.objects.create(
        pk=1, refuse_associations_below=100.0, refuse_instances_below=100.0
    )
    room.forget()
    try:
        with pytest.raises(OutOfResources, match="free"):
            incoming()
        with pytest.raises(OutOfResources, match="free"):
            inbox.receive_part10(FROM, b"\0" * 200, [])
        assert files("writing") == []
        assert not room.capacity().accepts_associations
        StoragePolicy.objects.filter(pk=1).update(refuse_instances_below=0.0)
        room.forget()
        assert room.capacity().accepts_instances
        assert not room.capacity().accepts_associations
        assert "new senders" in room.capacity().message
    finally:
        StoragePolicy.objects.all().delete()
        room.forget()


def test_a_part_10_stream_keeps_its_data_set_bytes(data_folders, corpus: Path):
    source = corpus / "dicom" / "odd" / "1403-OB.dcm"
    raw = source.read_bytes()
    for cut in (200, 5000, len(raw)):
        name = inbox.receive_part10(FROM, raw[:cut], [raw[cut : cut + 9], raw[cut + 9 :]])
        stored = (spool.folder("ready") / name).read_bytes()
        ours, theirs = read_file_meta(stored), read_file_meta(raw)
        assert stored[ours.dataset_offset :] == raw[theirs.dataset_offset :]
        assert ours.provenance == FROM
        assert ours.transfer_syntax_uid == theirs.transfer_syntax_uid


def test_what_is_no_dicom_is_kept_as_it_is_with_its_provenance_beside_it(data_folders):
    name = inbox.receive_part10(FROM, b"not at all", [b" DICOM"])
    assert (spool.folder("ready") / name).read_bytes() == b"not at all DICOM"
    assert "CT1" in spool.read_provenance(SpoolName.parse(name))


def test_depth_counts_files_bytes_and_age(data_folders):
    names = []
    for _ in range(3):
        with incoming() as arriving:
            arriving.write(b"x" * 100)
            names.append(arriving.commit())
    time.sleep(0.05)
    depth = inbox.depth()
    assert depth.files == 3
    assert depth.bytes == sum(path.stat().st_size for path in files("ready"))
    assert 0.05 <= depth.oldest_seconds < 5
    assert [str(name) for name in spool.waiting()] == sorted(names) == names


def test_what_a_dead_process_left_half_written_is_cleaned_and_nothing_else(data_folders):
    alive = incoming()
    alive.write(b"still writing")
    dead = spool.folder("writing") / "left"
    dead.write_bytes(b"half")
    young = spool.folder("writing") / "young"
    young.write_bytes(b"just made, not locked yet")
    for path in [dead, *files("writing")]:
        if path != young:
            os.utime(path, (time.time() - 100,) * 2)
    assert clean_writing() == 1
    assert not dead.exists()
    assert young.exists()
    assert len(alive.commit()) > 0


@pytest.fixture
def left_behind(data_folders) -> tuple[Path, SpoolName]:
    """As after a loss of power that took away the move into `ready/`."""
    with incoming() as arriving:
        arriving.write(os.urandom(100_000))
        name = SpoolName.parse(arriving.commit())
    path = spool.folder("writing") / str(name)
    (spool.folder("ready") / str(name)).rename(path)
    return path, name


def test_what_was_acknowledged_and_not_moved_for_good_goes_into_ready(left_behind):
    path, name = left_behind
    raw = path.read_bytes()
    assert clean_writing() == 0
    assert not path.exists()
    assert spool.waiting() == [name]
    assert (spool.folder("ready") / str(name)).read_bytes() == raw


def test_bytes_without_file_meta_of_ours_go_there_too(data_folders):
    with inbox.begin_part10(FROM, b"no part 10 and no data set", []) as arriving:
        name = arriving.commit()
    (spool.folder("ready") / name).rename(spool.folder("writing") / name)
    assert clean_writing() == 0
    assert [str(each) for each in spool.waiting()] == [name]


def test_how_an_object_came_is_forgotten_where_there_is_no_object(data_folders):
    def came(text: bytes) -> tuple[Incoming, SpoolName]:
        arriving = inbox.begin_part10(FROM, text, [])
        return arriving, arriving.write_out()

    (half, half_name), (written, written_name), (third, young) = map(came, (b"a", b"b", b"c"))
    half.abort()
    written.sync(written_name)
    with inbox.begin_part10(FROM, b"d", []) as arriving:
        ready = arriving.commit()
    for path in files("provenance"):
        if path.name != str(young):
            os.utime(path, (time.time() - 4000,) * 2)
    assert clean_provenance() == 1
    assert {path.name for path in files("provenance")} == {str(written_name), str(young), ready}
    assert spool.read_provenance(half_name) == ""
    assert clean_provenance() == 0
    written.abort()
    third.abort()


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), lambda raw: raw[:-1]]
)
def test_what_is_not_whole_is_not_taken_for_it(left_behind, change):
    """A loss of power may leave a name without all of the bytes."""
    path, _ = left_behind
    path.write_bytes(change(path.read_bytes()))
    os.utime(path, (time.time() - 100,) * 2)
    assert clean_writing() == 1
    assert files("writing") == files("ready") == []


def test_what_cannot_be_put_back_keeps_nothing_else_from_it(left_behind, monkeypatch):
    _, name = left_behind
    older = spool.folder("writing") / str(SpoolName.mint(4, hashlib.sha256(b"four").hexdigest()))
    older.write_bytes(b"four")
    (spool.folder("writing") / "folder").mkdir()
    os.utime(spool.folder("writing") / "folder", (time.time() - 100,) * 2)
    make_ready = spool.make_ready

    def fails_for_one(files: list[tuple[Path, SpoolName]]) -> None:
        if files[0][0] == older:
            raise OSError(5, "Input/output error")
        make_ready(files)

    with monkeypatch.context() as broken:
        broken.setattr(spool, "make_ready", fails_for_one)
        assert clean_writing() == 0
    assert spool.waiting() == [name]
    assert older.exists()
    assert clean_writing() == 0
    assert len(spool.waiting()) == 2


def test_what_is_whole_and_still_written_is_left_alone(data_folders):
    name = SpoolName.mint(4, hashlib.sha256(b"four").hexdigest())
    path, descriptor = spool.open_for_writing()
    os.write(descriptor, b"four")
    path = spool.name_whole(path, name)
    os.utime(path, (time.time() - 100,) * 2)
    assert clean_writing() == 0
    assert path.exists()
    os.close(descriptor)
    assert clean_writing() == 0
    assert spool.waiting() == [name]


@pytest.mark.parametrize("follows", [True, False])
def test_the_folder_is_synced_where_names_do_not_follow_their_files(
    data_folders, monkeypatch, follows
):
    synced: list[Path] = []
    monkeypatch.setattr(spool, "names_follow_files", lambda _folder: follows)
    monkeypatch.setattr(spool, "sync_folder", synced.append)
    with incoming() as arriving:
        arriving.commit()
    assert synced == ([] if follows else [spool.folder("ready")])


@pytest.fixture
def told(tmp_path, monkeypatch) -> Iterator[Callable[..., bool]]:
    """What is said of a folder where the system tells this of its file system."""
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts, system = tmp_path / "mountinfo", tmp_path / "sys"
    (system / "dev/block").mkdir(parents=True)
    (system / "devices/vdx").mkdir(parents=True)
    (system / "dev/block" / number).symlink_to("../../devices/vdx")
    (system / "fs/ext4/vdx").mkdir(parents=True)
    monkeypatch.setattr(durable, "_MOUNTS", mounts)
    monkeypatch.setattr(durable, "_SYSTEM", system)

    def follows(kind: str, journal: str = "") -> bool:
        mounts.write_text(
            f"20 1 0:5 / /proc rw shared:1 - proc proc rw\n"
            f"21 1 {number} / / rw,relatime shared:2 - {kind} /dev/vdx rw\n"
            f"22 1 {number} /inbox /mnt/a\\040-\\040b rw - {kind} /dev/vdx rw\n"
        )
        if journal:
            (system / "fs/ext4/vdx/journal_task").write_text(f"{journal}\n")
        durable._has_log.cache_clear()
        return durable.names_follow_files(tmp_path)

    yield follows
    durable._has_log.cache_clear()


def test_of_file_systems_that_are_not_known_nothing_is_assumed(told, tmp_path):
    assert told("xfs")
    assert told("ext3")
    assert not told("nfs4")
    assert not told("btrfs")
    (tmp_path / "mountinfo").unlink()
    durable._has_log.cache_clear()
    assert not durable.names_follow_files(tmp_path)


def test_without_a_journal_folders_are_written_in_any_order(told):
    """The move can take the old name from the disk before the new one is there."""
    assert not told("ext4")
    assert not told("ext4", journal="<none>")
    assert told("ext4", journal="312")


def test_a_claim_excludes_others_until_released(data_folders):
    with incoming() as arriving:
        name = SpoolName.parse(arriving.commit())
    held = spool.claim(name)
    assert held is not None
    assert spool.claim(name) is None
    held.release()
    held.release()
    again = spool.claim(name)
    assert again is not None
    spool.settle([again])
    assert spool.claim(name) is None
    assert files("ready") == []


def test_foreign_files_in_ready_are_left_alone(data_folders):
    (spool.folder("ready") / "README").write_text("hello")
    (spool.folder("ready") / "a-b-c-d").write_text("hello")
    assert spool.waiting() == []


def test_a_removed_inbox_is_made_again(data_folders):
    incoming().abort()
    spool.folder("writing").rmdir()
    with incoming() as arriving:
        arriving.commit()
    assert len(files("ready")) == 1


def test_100000_waiting_files_are_listed_fast(data_folders):
    ready = spool.folder("ready")
    sha = "0" * 64
    for n in range(100_000):
        os.close(os.open(ready / str(SpoolName(n, "aabbccdd", 1, sha)), os.O_CREAT | os.O_WRONLY))
    started = time.process_time()
    names = spool.waiting()
    assert len(names) == 100_000
    assert names[0].received_ns == 0
    assert time.process_time() - started < 3


def committed(objects: list[Incoming]) -> list[Kept | PacsError]:
    commit = Commit(objects)
    commit.sync()
    return commit.finish()


def test_objects_committed_together_each_have_their_own_outcome(data_folders):
    bodies = [os.urandom(200_000), os.urandom(10), b"no part 10 and no data set"]
    arrived = [inbox.begin_part10(FROM, body[:65536], [body[65536:]]) for body in bodies]
    broken = incoming()
    broken.write(b"lost to the disk")
    os.close(broken.descriptor)
    broken.descriptor = os.open("/dev/null", os.O_RDONLY)  # cannot be written
    outcomes = committed([*arrived[:1], broken, *arrived[1:]])
    assert isinstance(outcomes[1], Unavailable)
    kept = [each.name for each in outcomes if isinstance(each, Kept)]
    assert sorted(path.name for path in files("ready")) == sorted(kept)
    assert files("writing") == []
    for name, body in zip(kept, bodies, strict=True):
        assert (spool.folder("ready") / name).read_bytes() == body
        assert json.loads(spool.read_provenance(SpoolName.parse(name)))["door"] == FROM.door
    for each in (*arrived, broken):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(each.descriptor)


def test_a_folder_that_cannot_be_written_fails_all_that_was_to_be_committed(data_folders):
    arrived = [inbox.begin_part10(FROM, b"x" * 200, []) for _ in range(2)]
    shutil.rmtree(spool.folder("ready"))
    spool.folder("writing").joinpath("..", "ready").resolve().touch()
    assert all(isinstance(each, Unavailable) for each in committed(arrived))
    assert files("writing") == []
