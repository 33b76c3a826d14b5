"""The product's own parts as small programs of their own, to be killed by the tests.

python -m tests.crash.program receive FOLDER   hands each file to the inbox; a line per success
python -m tests.crash.program receive-groups FOLDER   the same, three at a time as STOW-RS does
python -m tests.crash.program index            works the inbox off once
python -m tests.crash.program check FOLDER     what became of the files, as JSON
python -m tests.crash.program A then B         one after the other, in one process
python -m tests.crash.program cases            what was quarantined, as JSON
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


def receive_groups(folder: Path) -> None:
    from apps.dicom.part10 import HEAD_LENGTH, Provenance
    from apps.ingest import inbox

    provenance = Provenance("stow", "", "", "127.0.0.1")
    paths = sorted(folder.iterdir())
    for start in range(0, len(paths), 3):
        group = paths[start : start + 3]
        bodies = [path.read_bytes() for path in group]
        names = inbox.commit_together(
            [
                inbox.begin_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
                for raw in bodies
            ]
        )
        for path, name in zip(group, names, strict=True):
            if isinstance(name, str):
                print(path.name, flush=True)


def index() -> None:
    from apps.errors import PacsError
    from apps.ingest import spool
    from apps.ingest.actions.drain_inbox import drain_inbox

    spool.clean_writing(older_than=0)
    try:
        result = drain_inbox(120)
    except PacsError as error:
        print(type(error).__name__, error.message)
        sys.exit(3)
    print(json.dumps([result.stored, result.already_stored, result.quarantined]))


def cases() -> None:
    from apps.ingest.models import QuarantinedInstance

    print(json.dumps(list(QuarantinedInstance.objects.values("reason", "explanation"))))


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
        "writing": len(list(spool.folder("writing").iterdir())),
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
        "index": index,
        "check": check,
        "cases": cases,
    }
    for _, command in itertools.groupby(sys.argv[1:], lambda word: word == "then"):
        name, *arguments = command
        if name != "then":
            programs[name](*map(Path, arguments))
