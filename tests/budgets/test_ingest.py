"""What indexing may cost: counts, not seconds."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.uid import generate_uid as new_uid

from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.ingest import arrivals, spool
from apps.ingest.actions.index_batch import index_batch
from apps.ingest.receiving import receive, receive_part10
from apps.storage import capacity
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db(transaction=True)

FROM = Provenance("dimse", "CT1", "PACSWEB", "10.0.0.1")


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, settings) -> Iterator[None]:
    settings.PACSWEB = dataclasses.replace(
        django_settings.PACSWEB, inbox=tmp_path / "inbox", storage_url=f"file://{tmp_path}/blobs"
    )
    capacity.forget()
    yield
    capacity.forget()


def a_batch(count: int, *, series: int = 1, studies: int = 1) -> list[spool.SpoolFile]:
    places = [
        (study, new_uid(), f"P{study[-8:]}")
        for study in [new_uid() for _ in range(studies)]
        for _ in range(series)
    ]
    for number in range(count):
        study, one, patient = places[number % len(places)]
        raw = part10(
            ct_slice(study=study, series=one, number=number, size=2, seed=1, PatientID=patient)
        )
        receive_part10(FROM, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    files = [spool.claim(name) for name in spool.waiting()]
    return [file for file in files if file is not None]


def queries_for(files: list[spool.SpoolFile]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        index_batch([files])
    return len(captured)


def test_queries_per_batch_do_not_grow_with_the_batch():
    queries_for(a_batch(1))
    one = queries_for(a_batch(1))
    many = queries_for(a_batch(200))
    mixed = queries_for(a_batch(200, series=5, studies=4))
    assert many == one
    assert mixed == one
    assert one <= 34


def test_one_more_instance_of_a_known_series_costs_few_queries():
    """What a request waits for that stores one instance after the other."""
    study, series = new_uid(), new_uid()
    counts = []
    for number in range(3):
        raw = part10(ct_slice(study=study, series=series, number=number, size=2))
        receive_part10(FROM, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
        counts.append(
            queries_for([file for name in spool.waiting() if (file := spool.claim(name))])
        )
    assert counts[1] == counts[2] <= 22


def test_each_file_is_scanned_once_and_read_little(monkeypatch):
    """One scan; of a large object only its header and a little around Pixel Data is read."""
    scans: Counter[int] = Counter()
    read: Counter[str] = Counter()

    class Watched(arrivals.InstanceReader):
        def scan(self, memory=None):
            scans[id(self)] += 1
            return super().scan(memory)

    original = arrivals._Borrowed.read_at

    def read_at(self, offset: int, length: int) -> bytes:
        data = original(self, offset, length)
        read["bytes"] += len(data)
        return data

    monkeypatch.setattr(arrivals, "InstanceReader", Watched)
    monkeypatch.setattr(arrivals._Borrowed, "read_at", read_at)
    raw = part10(ct_slice(size=1024))
    receive_part10(FROM, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    files = [spool.claim(name) for name in spool.waiting()]
    index_batch([[file for file in files if file is not None]])
    assert list(scans.values()) == [1]
    assert Instance.objects.get().size_bytes > 2_000_000
    assert read["bytes"] < 300_000


def test_a_large_object_is_received_in_flat_memory():
    """200 MB in, a few MB of memory: chunks are written as they come."""
    import tracemalloc

    chunk = os.urandom(1 << 20)
    tracemalloc.start()
    try:
        with receive(
            FROM,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid="1.2.3",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
        ) as incoming:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(200):
                incoming.write(chunk)
            incoming.commit()
            peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < 4 << 20


def test_small_chunks_are_gathered_before_they_are_written(tmp_path: Path):
    """16 KiB PDVs must not become a system call each."""
    with receive(
        FROM,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    ) as incoming:
        path = next(spool.folder("writing").iterdir())
        sizes = set()
        for _ in range(128):
            incoming.write(b"x" * 16_384)
            sizes.add(path.stat().st_size)
        assert len(sizes) <= 4
        name = incoming.commit()
    assert (spool.folder("ready") / name).stat().st_size > 128 * 16_384
