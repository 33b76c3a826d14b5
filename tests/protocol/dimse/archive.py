"""A receiver with something in it: what query and retrieve tests share."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

from tests.builders import ct_slice, new_uid
from tests.protocol.dimse.conftest import DimseServer

MANY_PATIENTS = """
from django.utils import timezone
from apps.archive.models import Patient, Study
now = timezone.now()
who = Patient.objects.create(identity_key="MANY", patient_id="MANY", patient_name="Many^Studies",
    received_at=now, number_of_patient_related_studies={count})
Study.objects.bulk_create([Study(patient_entity=who, study_instance_uid="1.2.3.%d" % number,
    patient_id="MANY", patient_name="Many^Studies", patient_name_alphabetic="many^studies",
    study_date="20200101", study_description="One of many " * 4, received_at=now,
    last_received_at=now) for number in range({count})], batch_size=500)
"""
INDEX = "from apps.ingest.actions.drain_inbox import drain_inbox; print(drain_inbox(30))"


def three_studies() -> list[Dataset]:
    """Three patients, a study of two series each, two instances a series."""
    names = ("Müller^Jörg", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Smith^John")
    made = []
    for place, name in enumerate(names):
        study = new_uid()
        for series_number in (1, 2):
            series = new_uid()
            made += [
                ct_slice(
                    study=study,
                    series=series,
                    number=number,
                    PatientName=name,
                    PatientID=f"P{place}",
                    AccessionNumber=f"A{place}",
                    StudyDate=f"2024010{place + 5}",
                    StudyTime=("090000", "120000", "230000")[place],
                    SeriesNumber=series_number,
                    Modality="CT",
                )
                for number in (1, 2)
            ]
    return made


def store(server: DimseServer, datasets: list[Dataset], **entity: str) -> None:
    """Sends and indexes them."""
    ae = AE(ae_title=entity.get("ae_title", "SENDER"))
    ae.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", server.port, ae_title="PACSWEB")
    assert association.is_established
    for dataset in datasets:
        dataset.file_meta = None
        ready = Dataset(dataset)
        ready.file_meta = _meta()
        assert association.send_c_store(ready).Status == 0
    association.release()
    done = server.manage("shell", "-c", INDEX)
    assert f"stored={len(datasets)}" in done.stdout, done.stdout + done.stderr


def _meta() -> Dataset:
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return meta


def made_server(folder: Path, database: Path) -> DimseServer:
    """A receiver not yet started."""
    return DimseServer(folder, database)
