"""The product's own parts as small programs of their own, to be killed by the tests.

python -m tests.crash.program receive FOLDER   hands each file to the inbox; a line per success
python -m tests.crash.program receive-groups FOLDER   the same, three at a time as STOW-RS does
python -m tests.crash.program receive-answered FOLDER   the same into stored series; a line for each
                                               that is answered before it is indexed
python -m tests.crash.program receive-at-once FOLDER   the same, one by one from memory
python -m tests.crash.program index            works the inbox off once
python -m tests.crash.program check FOLDER     what became of the files, as JSON
python -m tests.crash.program A then B         one after the other, in one process
python -m tests.crash.program cases            what was quarantined, as JSON
python -m tests.crash.program compress FOLDER  for each step of compression its files are stored and
                                               compressed by a child that is killed there, then by
                                               one that is not; what is given out, as JSON
"""

# ruff: noqa: T201 - a program answers on its standard output
from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from pathlib import Path

import django


def receive(folder: Path) -> None:
    from apps.dicom.part10 import HEAD_LENGTH, Provenance, read_file_meta
    from apps.ingest import receiving

    for path in sorted(folder.iterdir()):
        raw = path.read_bytes()
        meta = read_file_meta(raw[:HEAD_LENGTH])
        with receiving.receive(
            Provenance("dimse", "CT1", "PACSWEB", "127.0.0.1"),
            sop_class_uid=meta.sop_class_uid,
            sop_instance_uid=meta.sop_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
        ) as incoming:
            body = memoryview(raw)[meta.dataset_offset :]
            for start in range(0, len(body), 70_000):
                incoming.write(body[start : start + 70_000])
            incoming.commit()
        print(path.name, flush=True)


def receive_groups(folder: Path, *, first: int | None = None, answered: bool = False) -> None:
    from apps.dicom.part10 import HEAD_LENGTH, Provenance
    from apps.ingest import inbox

    provenance = Provenance("stow", "", "", "127.0.0.1")
    paths = sorted(folder.iterdir())[:first]
    for start in range(0, len(paths), 3):
        group = paths[start : start + 3]
        bodies = [path.read_bytes() for path in group]
        commit = inbox.Commit(
            [
                inbox.begin_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
                for raw in bodies
            ],
            inbox.Waiter.NOW,
        )
        if answered:
            # As for the last parts of a request, behind which nobody waits for the disk.
            commit.foretell()
        commit.sync()
        for path, outcome in zip(group, commit.finish(), strict=True):
            # What is not certain yet is not answered: its request waits.
            if isinstance(outcome, inbox.Kept) and (outcome.place or not answered):
                print(path.name, flush=True)


def receive_answered(folder: Path) -> None:
    """One of each series is indexed first, so that what becomes of all others is certain."""
    from apps.ingest.actions.drain_inbox import drain_inbox

    receive_groups(folder, first=2)
    drain_inbox(120)
    receive_groups(folder, answered=True)


def receive_at_once(folder: Path) -> None:
    """As a small Store request of one instance; what is not certain yet is not answered."""
    from apps.dicom.in_memory import InMemory
    from apps.dicom.part10 import Provenance
    from apps.ingest import inbox
    from apps.ingest.actions.drain_inbox import drain_inbox

    receive_groups(folder, first=2)
    drain_inbox(120)
    for path in sorted(folder.iterdir()):
        if inbox.take_at_once(InMemory(path.read_bytes()), Provenance("stow")) is not None:
            print(path.name, flush=True)


def index() -> None:
    from apps.errors import PacsError
    from apps.ingest import acknowledged
    from apps.ingest.actions.drain_inbox import drain_inbox
    from apps.ingest.leftovers import clean_writing

    clean_writing(older_than=0)
    acknowledged.MAKING_SECONDS = 0.0  # as if the dead receiver were dead for longer
    try:
        result = drain_inbox(120)
    except PacsError as error:
        print(type(error).__name__, error.message)
        sys.exit(3)
    print(json.dumps([result.stored, result.already_stored, result.quarantined]))


def cases() -> None:
    from apps.ingest.models import QuarantinedInstance

    print(json.dumps(list(QuarantinedInstance.objects.values("reason", "explanation"))))


def compress() -> None:
    from django.utils import timezone

    from apps.archive.models import CompressedInstance
    from apps.compression.actions.compress_blobs import compress_blobs
    from apps.compression.actions.remove_originals import remove_originals
    from apps.compression.models import CompressionRule, CompressionRun

    said = {"older_than_days": 0, "smallest_kb": 0}
    CompressionRule.objects.get_or_create(name="all", defaults=said)
    CompressionRun.objects.update(leased_until=None)  # as if the dead one's lease were over
    compress_blobs(120)
    CompressedInstance.objects.filter(state="kept").update(removal_due_at=timezone.now())
    remove_originals(120)


def compress_and_die(folder: Path) -> None:
    """Children in place of programs of their own: starting one takes longer than all they do."""
    from django.db import connections

    from apps.ingest import crash_points

    for point in crash_points.COMPRESSION_POINTS:
        report = {"point": point}
        for name, times in (("killed", 2 if point in ONE_BY_ONE else 1), ("after", 0)):
            connections.close_all()
            child = os.fork()
            if not child:
                crash_points._AT, crash_points._TIMES = (point, str(times)) if times else ("", "")
                if times:
                    receive(folder / point)
                    index()
                compress()
                os._exit(0)
            report[f"{name} by"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            report[name] = pixels(folder, point)
        print(json.dumps(report), flush=True)


ONE_BY_ONE = {"compression-written", "compressed", "original-removing", "original-removed"}


def pixels(folder: Path, up_to: str) -> dict:
    """What is given out uncompressed against the files of all steps up to this one."""
    from apps.archive.models import CompressedInstance, Instance
    from apps.dicom.part10 import HEAD_LENGTH, read_file_meta
    from apps.ingest.crash_points import COMPRESSION_POINTS
    from apps.ingest.models import QuarantinedInstance
    from apps.retrieve.conversion import converted
    from apps.retrieve.locations import locations_by_key
    from apps.storage.stores import blob_store

    wrong = []
    points = COMPRESSION_POINTS[: COMPRESSION_POINTS.index(up_to) + 1]
    paths = [path for point in points for path in sorted((folder / point).iterdir())]
    for path in paths:
        raw = path.read_bytes()
        meta = read_file_meta(raw[:HEAD_LENGTH])
        row = Instance.objects.get(sop_instance_uid=meta.sop_instance_uid)
        back = b"".join(converted(next(locations_by_key([row.pk]))).chunks)
        start = read_file_meta(back[:HEAD_LENGTH]).dataset_offset
        if back[start:] != raw[meta.dataset_offset :]:
            wrong.append(path.name)
    states = CompressedInstance.objects.values_list("state", flat=True)
    return {
        "wrong": wrong,
        "states": sorted(set(states)),
        "files": len(paths),
        "compressed": len(states),
        "blobs": len(list(blob_store().keys())),
        "instances": Instance.objects.count(),
        "quarantined": QuarantinedInstance.objects.count(),
    }


def check(folder: Path) -> None:
    from apps.archive.models import Instance, Study
    from apps.dicom.part10 import HEAD_LENGTH, read_file_meta
    from apps.events.models import Event
    from apps.ingest import spool
    from apps.ingest.models import QuarantinedInstance
    from apps.storage.stores import blob_store

    found, wrong, studies = {}, [], set()
    for path in sorted(folder.iterdir()):
        raw = path.read_bytes()
        meta = read_file_meta(raw[:HEAD_LENGTH])
        rows = Instance.objects.filter(sop_instance_uid=meta.sop_instance_uid)
        found[path.name] = len(rows)
        for row in rows:
            studies.add(row.study_id)
            wrong += wrong_with(row, raw[meta.dataset_offset :])
    uids = []
    for study in Study.objects.filter(pk__in=studies):
        uids.append(study.study_instance_uid)
        wrong += wrong_counts(study)
    told = [
        uid
        for event in Event.objects.filter(kind="InstancesStored", study_instance_uid__in=uids)
        for uid in event.payload["sop_instance_uids"]
    ]
    report = {
        "found": found,
        "wrong": wrong,
        "told": len(told),
        "told_once": len(told) == len(set(told)),
        "waiting": len(spool.waiting()),
        "writing": sum(not spool.is_claim(each.name) for each in spool.folder("writing").iterdir()),
        "blobs": len(list(blob_store().keys())),
        "quarantined": QuarantinedInstance.objects.filter(study_instance_uid__in=uids).count(),
    }
    print(json.dumps(report))


def wrong_with(row, dataset: bytes) -> list[str]:
    from apps.storage.stores import blob_store

    blob = b"".join(blob_store().stream(row.blob_key))
    facts = {
        "data set": blob[row.dataset_offset :] == dataset,
        "hash": hashlib.sha256(dataset).digest() == bytes(row.dataset_sha256),
        "size": row.size_bytes == len(blob),
        "metadata": len(row.metadata.fragment) > 0,
        "frame table": len(row.frame_table.packed) > 0,
    }
    return [f"{what} of {row.sop_instance_uid}" for what, right in facts.items() if not right]


def wrong_counts(study) -> list[str]:
    patient = study.patient_entity
    counts = {
        "instances of study": (study.number_of_study_related_instances, study.instances.count()),
        "series of study": (study.number_of_study_related_series, study.series.count()),
        "studies of patient": (patient.number_of_patient_related_studies, patient.studies.count()),
        "instances of patient": (
            patient.number_of_patient_related_instances,
            sum(each.instances.count() for each in patient.studies.all()),
        ),
        "bytes of study": (study.size_bytes, sum(row.size_bytes for row in study.instances.all())),
        "instances by series": (
            [row.number_of_series_related_instances for row in study.series.all()],
            [row.instances.count() for row in study.series.all()],
        ),
    }
    return [f"{what}: {said} {there}" for what, (said, there) in counts.items() if said != there]


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "pacsweb.settings"
    django.setup()
    programs = {
        "receive": receive,
        "receive-groups": receive_groups,
        "receive-answered": receive_answered,
        "receive-at-once": receive_at_once,
        "index": index,
        "check": check,
        "cases": cases,
        "compress": compress_and_die,
    }
    for _, command in itertools.groupby(sys.argv[1:], lambda word: word == "then"):
        name, *arguments = command
        if name != "then":
            programs[name](*map(Path, arguments))
