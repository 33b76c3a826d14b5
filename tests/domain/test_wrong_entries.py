"""MPP-08: images made under a wrong worklist entry are rejected until a person brings them back."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from apps.access.principals import Principal, PrincipalKind
from apps.archive.models import Instance, Study
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.errors import NotPermitted, WrongState
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.actions.reject_wrong_entries import bring_back, reject_wrong_entries
from apps.ingest.models import QuarantinedInstance
from apps.worklist.actions.assign_study import assign_study
from apps.worklist.actions.change_step import change_step
from apps.worklist.actions.link_study import link_study
from apps.worklist.actions.start_step import StepReport, start_step
from apps.worklist.models import PerformedProcedureStep, StudyLink, UnlinkedStudy
from tests.builders import ct_slice, part10
from tests.domain.worklist_rows import ASKER, begun, ended, entry, scheduled_item, wrong_entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    pass


def receive(*images: Dataset) -> None:
    for each in images:
        raw = part10(each)
        inbox.receive_part10(Provenance("dimse", "CT1"), raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)


def stored() -> set[str]:
    return set(Instance.objects.values_list("sop_instance_uid", flat=True))


def test_MPP_08_images_of_a_wrong_entry_are_rejected_until_they_are_brought_back() -> None:
    step = entry()
    study = step.procedure.study_instance_uid
    first, second, other = (
        ct_slice(study=study, series=f"1.2.4.{series}", number=number, PatientName="Test^Patient")
        for series, number in ((1, 1), (1, 2), (2, 1))
    )
    start_step(ASKER, StepReport("1.2.3", begun(scheduled_item(step))))
    receive(first, other)
    reason = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": wrong_entry()}
    change_step(ASKER, "1.2.3", ended(
        "1.2.4.1", first.SOPInstanceUID, second.SOPInstanceUID, status="DISCONTINUED", **reason
    ))  # fmt: skip
    assert reject_wrong_entries() == 1
    receive(second)  # late, and no better
    assert (reject_wrong_entries(), reject_wrong_entries()) == (1, 0)
    assert stored() == {other.SOPInstanceUID}, "what the step did not make stays"
    kept = QuarantinedInstance.objects.filter(reason=QuarantinedInstance.Reason.REJECTED)
    assert kept.count() == 2
    assert all("Worklist" in row.explanation for row in kept)

    performed = PerformedProcedureStep.objects.get()
    nobody = Principal(PrincipalKind.USER, "nobody", door="admin")
    with pytest.raises(NotPermitted):
        bring_back(nobody, performed.pk)
    assert bring_back(ASKER, performed.pk) == 2
    assert reject_wrong_entries() == 0
    assert len(stored()) == 3
    link_study(Study.objects.get())
    assert UnlinkedStudy.objects.get().state == "waiting"
    assert not StudyLink.objects.exists()
    right = entry()
    assign_study(ASKER, Study.objects.get().pk, right.procedure_id)
    assert StudyLink.objects.get().procedure_id == right.procedure_id
    with pytest.raises(WrongState):
        bring_back(ASKER, performed.pk)
    assert Event.objects.filter(kind="StepImagesReleased").count() == 1


def test_MPP_08_a_step_discontinued_for_another_reason_keeps_its_images() -> None:
    step = entry()
    image = ct_slice(study=step.procedure.study_instance_uid, series="1.2.4.1")
    start_step(ASKER, StepReport("1.2.3", begun(scheduled_item(step))))
    receive(image)
    change_step(ASKER, "1.2.3", ended("1.2.4.1", image.SOPInstanceUID, status="DISCONTINUED"))
    assert reject_wrong_entries() == 0
    assert stored() == {image.SOPInstanceUID}
