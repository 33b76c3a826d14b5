"""Orders, worklist entries, performed steps and links with studies (PS3.4 F.7, K; IHE SWF)."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from apps.access.principals import Permission, Principal, PrincipalKind
from apps.dicom.mpps import tag_of
from apps.dicom.query import Key
from apps.errors import (
    AlreadyExists,
    InvalidRequest,
    InvalidValue,
    MissingAttribute,
    MissingValue,
    NotFound,
    NotPermitted,
    WrongState,
)
from apps.events.models import Event
from apps.network.models import ApplicationEntity
from apps.worklist.actions.announce_images import announce_images, availability_documents
from apps.worklist.actions.assign_study import assign_study
from apps.worklist.actions.cancel_order import cancel_order
from apps.worklist.actions.change_order import change_order
from apps.worklist.actions.change_step import change_step, complete_step, discontinue_step
from apps.worklist.actions.follow_events import follow_events
from apps.worklist.actions.link_study import link_study
from apps.worklist.actions.receive_patient import receive_patient
from apps.worklist.actions.schedule_order import number_is_free, schedule_order
from apps.worklist.actions.start_step import StepReport, start_step
from apps.worklist.checks import check_worklist_columns
from apps.worklist.models import (
    Delivery,
    PerformedProcedureStep,
    ScheduledProcedureStep,
    ServiceRequest,
    StudyLink,
    UnlinkedStudy,
    WorkflowPeer,
)
from apps.worklist.orders import Order, ProcedureOrder, StepOrder, order_of
from apps.worklist.selectors import missing_instances, search_worklist, unannounced_instances
from tests.domain.archive_rows import make_instance, make_patient, make_series, make_study
from tests.domain.worklist_rows import (
    ASKER,
    begun,
    data_set,
    ended,
    entry,
    scheduled_item,
    wrong_entry,
)

pytestmark = pytest.mark.django_db

STEPS = 0x00400100
CT1 = Principal(
    PrincipalKind.APPLICATION_ENTITY,
    "CT1",
    door="dimse",
    permissions=frozenset({Permission.VIEW_WORKLIST, Permission.PERFORM_STEPS}),
)


def key(keyword: str, value: str = "", *, step: bool = False) -> Key:
    tag = int(tag_of(keyword), 16)
    return Key((STEPS, tag) if step else (tag,), (value,))


def listed(*keys: Key, principal: Principal = ASKER) -> list[str]:
    """IDs of the scheduled steps that answer."""
    asked = [*keys, key("ScheduledProcedureStepID", step=True)]
    if any(each.path == asked[-1].path for each in keys):
        asked.pop()
    found = search_worklist(asked, principal).entries
    return [each["00400100"]["Value"][0]["00400009"]["Value"][0] for each in found]


def status_of(step: ScheduledProcedureStep) -> str:
    step.refresh_from_db()
    return step.scheduled_procedure_step_status


def start(*scheduled: Any, uid: str = "1.2.3.100", **changes: Any) -> PerformedProcedureStep:
    return start_step(CT1, StepReport(uid, begun(*scheduled, **changes)))


def study_of(uid: str, **attributes: str) -> Any:
    values = {"PatientID": "T-1", "PatientName": "Test^Patient", **attributes}
    patient = make_patient(**{k: v for k, v in values.items() if k.startswith("Patient")})
    return make_study(patient, StudyInstanceUID=uid, **values)


# --- orders ---------------------------------------------------------------------------------------


def test_every_attribute_of_the_table_has_its_column() -> None:
    assert check_worklist_columns() == []


def test_scheduling_mints_what_was_not_given_and_says_so_once() -> None:
    step = entry()
    procedure = step.procedure
    assert procedure.study_instance_uid.startswith("2.25.")
    assert procedure.requested_procedure_id == f"P{procedure.pk}"
    assert step.scheduled_procedure_step_id == f"S{step.pk}"
    assert status_of(step) == "SCHEDULED"
    event = Event.objects.get(kind="OrderScheduled")
    assert event.study_instance_uid == procedure.study_instance_uid
    assert "Test" not in str(event.payload)


def test_a_given_study_uid_and_given_ids_are_kept() -> None:
    step = entry(StudyInstanceUID="1.2.3", RequestedProcedureID="RP", ScheduledProcedureStepID="SP")
    assert step.procedure.study_instance_uid == "1.2.3"
    assert (step.procedure.requested_procedure_id, step.scheduled_procedure_step_id) == ("RP", "SP")


@pytest.mark.parametrize(
    ("attributes", "error", "named"),
    [
        ({"PatientID": ""}, MissingValue, "PatientID"),
        ({"Modality": ""}, MissingValue, "Modality"),
        ({"AccessionNumber": "12345678901234567"}, InvalidValue, "AccessionNumber"),
        ({"StudyInstanceUID": "1.02"}, InvalidValue, "StudyInstanceUID"),
        ({"ScheduledProcedureStepStartDate": "20241301"}, InvalidValue, "StartDate"),
        ({"PregnancyStatus": "x"}, InvalidValue, "PregnancyStatus"),
        ({"AccessionNumber": "a\\b"}, InvalidValue, "AccessionNumber"),
        ({"Rows": "1"}, InvalidRequest, "Rows"),
        ({"ScheduledProcedureStepStatus": "COMPLETED"}, InvalidRequest, "Status"),
    ],
)
def test_an_order_that_no_modality_could_use_is_refused(
    attributes: dict[str, str], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        entry(**attributes)
    assert not ScheduledProcedureStep.objects.exists()


def test_HL7_16_an_accession_number_belongs_to_one_patient() -> None:
    first = entry(AccessionNumber="A1", RequestedProcedureID="R1")
    second = entry(AccessionNumber="A1", RequestedProcedureID="R2", Modality="MR")
    assert second.procedure.service_request_id == first.procedure.service_request_id
    with pytest.raises(AlreadyExists):
        entry(AccessionNumber="A1", RequestedProcedureID="R2")
    with pytest.raises(AlreadyExists):
        entry(AccessionNumber="A1", PatientID="OTHER")


def test_HL7_16_of_two_orders_at_once_one_gets_the_number() -> None:
    """The look before the write may see nothing: the database decides."""
    entry(AccessionNumber="A1")
    with pytest.raises(AlreadyExists), number_is_free(), transaction.atomic():
        ServiceRequest.objects.create(accession_number="A1", patient_id="OTHER")
    first, second = (
        ServiceRequest.objects.create(accession_number="", patient_id=each) for each in "AB"
    )
    assert first.pk != second.pk, "any number of orders have none"
    with pytest.raises(AlreadyExists):
        change_order(ASKER, second.pk, order_of({"AccessionNumber": "A1"}))


def test_changing_an_order_keeps_what_it_does_not_name() -> None:
    step = entry(PatientWeight="70")
    request = step.procedure.service_request
    change_order(ASKER, request.pk, order_of({"PatientName": "Tést^Ny", "Modality": "MR"}))
    request.refresh_from_db()
    step.refresh_from_db()
    assert request.patient_name == "Tést^Ny"
    assert request.patient_name_alphabetic == "test^ny"
    assert (request.patient_weight, step.modality) == ("70", "MR")
    assert step.scheduled_station_ae_title == "CT1"


def test_changing_adds_a_procedure_and_refuses_what_has_begun() -> None:
    step = entry(RequestedProcedureID="R1")
    request = step.procedure.service_request
    more = StepOrder({"Modality": "US", "ScheduledProcedureStepStartDate": "20240706",
                      "ScheduledProcedureStepStartTime": "08"})  # fmt: skip
    change_order(ASKER, request.pk, Order({}, (ProcedureOrder(
        {"RequestedProcedureID": "R2"}, (more,)),)))  # fmt: skip
    assert request.procedures.count() == 2
    start(scheduled_item(step))
    with pytest.raises(WrongState):
        change_order(ASKER, request.pk, order_of({"RequestedProcedureID": "R1", "Modality": "MR"}))
    with pytest.raises(NotFound):
        change_order(ASKER, 0, order_of({}))


def test_rights_are_checked_at_every_action() -> None:
    step = entry()
    nobody = Principal(PrincipalKind.USER, "nobody", door="api")
    request = step.procedure.service_request_id
    for act in (
        lambda: schedule_order(nobody, order_of({})),
        lambda: change_order(nobody, request, order_of({})),
        lambda: cancel_order(nobody, request),
        lambda: receive_patient(nobody, step.pk, "READY"),
        lambda: start_step(nobody, StepReport("1.2", {})),
        lambda: change_step(nobody, "1.2", {}),
        lambda: assign_study(nobody, 1, None),
        lambda: search_worklist((), nobody),
    ):
        with pytest.raises(NotPermitted):
            act()


# --- the list -------------------------------------------------------------------------------------


def test_MWL_01_an_answer_has_exactly_one_step_with_the_required_keys() -> None:
    entry(ScheduledPerformingPhysicianName="Doc^One", PatientName="Yamada^Tarou=山田^太郎")
    (found,) = search_worklist(
        [
            key("PatientName"),
            key("PatientID"),
            *(key(each, step=True) for each in (
                "ScheduledStationAETitle", "Modality", "ScheduledProcedureStepStartDate",
                "ScheduledProcedureStepStartTime", "ScheduledPerformingPhysicianName",
            )),
        ],
        ASKER,
    ).entries  # fmt: skip
    (step,) = found["00400100"]["Value"]
    assert step == {
        "00400001": {"vr": "AE", "Value": ["CT1"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00400002": {"vr": "DA", "Value": ["20240705"]},
        "00400003": {"vr": "TM", "Value": ["100000"]},
        "00400006": {"vr": "PN", "Value": [{"Alphabetic": "Doc^One"}]},
    }
    assert found["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}
    ]


def test_MWL_01_a_query_without_the_step_sequence_gets_it_whole() -> None:
    step = entry()
    (found,) = search_worklist([key("PatientID", "T-1")], ASKER).entries
    (item,) = found["00400100"]["Value"]
    assert item["00400009"]["Value"] == [step.scheduled_procedure_step_id]


def test_keys_match_inside_the_step_and_beside_it() -> None:
    first = entry(PatientID="P1", AccessionNumber="A1").scheduled_procedure_step_id
    second = entry(PatientID="P2", Modality="MR", ScheduledStationAETitle="MR1\\MR2")
    other = second.scheduled_procedure_step_id
    assert listed(key("Modality", "CT", step=True)) == [first]
    assert listed(key("ScheduledStationAETitle", "MR2", step=True)) == [other]
    assert listed(key("PatientID", "P*")) == [first, other]
    assert listed(key("AccessionNumber", "A1"), key("Modality", "MR", step=True)) == []
    assert listed(key("PatientName", "test^pat*")) == [first, other]


def test_start_date_and_time_ranges_are_one_interval() -> None:
    """PS3.4 K.6.1.2.2: 5-7 July and 10-18 h is from the 5th, 10 h to the 7th, 18 h."""
    ids = [
        entry(ScheduledProcedureStepStartDate=day, ScheduledProcedureStepStartTime=time,
              ScheduledProcedureStepID=name).scheduled_procedure_step_id
        for name, day, time in (("a", "20240705", "09"), ("b", "20240705", "10"),
                                ("c", "20240706", "03"), ("d", "20240707", "18"),
                                ("e", "20240707", "1801"))
    ]  # fmt: skip
    asked = (
        key("ScheduledProcedureStepStartDate", "20240705-20240707", step=True),
        key("ScheduledProcedureStepStartTime", "10-18", step=True),
    )
    assert listed(*asked) == ids[1:4]
    assert listed(asked[0], key("ScheduledProcedureStepStartTime", "10", step=True)) == ["b"]


def test_codes_match_in_one_item_and_unknown_keys_are_admitted() -> None:
    code = data_set(CodeValue="CTHEAD", CodingSchemeDesignator="99X", CodeMeaning="Head")
    schedule_order(ASKER, order_of(
        {"PatientName": "A^B", "PatientID": "X", "Modality": "CT",
         "ScheduledProcedureStepStartDate": "20240101", "ScheduledProcedureStepStartTime": "08",
         "ScheduledProcedureStepID": "coded"},
        {"ScheduledProtocolCodeSequence": [code]},
    ))  # fmt: skip
    entry()
    path = (STEPS, 0x00400008, 0x00080100)
    assert listed(Key(path, ("CTHEAD",))) == ["coded"]
    assert listed(Key(path, ("OTHER",))) == []
    page = search_worklist([Key((0x00280010,), ("5",))], ASKER)
    assert [each.tag for each in page.unsupported] == [0x00280010]
    assert len(list(page.entries)) == 2


def test_a_key_given_twice_or_out_of_form_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest) as raised:
        search_worklist([key("ScheduledProcedureStepStartDate", "tomorrow", step=True)], ASKER)
    assert raised.value.offending == ("00400002",)
    with pytest.raises(InvalidRequest):
        search_worklist([key("PatientID"), key("PatientID")], ASKER)


def test_MWL_03_an_entry_leaves_on_mpps_or_cancel_and_never_by_time() -> None:
    old = entry(ScheduledProcedureStepStartDate="19990101")
    going, done = entry(), entry()
    assert len(listed()) == 3
    start(scheduled_item(going))
    cancel_order(ASKER, done.procedure.service_request_id)
    assert listed() == [old.scheduled_procedure_step_id]
    assert listed(key("ScheduledProcedureStepStatus", "STARTED", step=True)) == [
        going.scheduled_procedure_step_id
    ]
    receive_patient(ASKER, old.pk, "ARRIVED")
    assert listed() == [old.scheduled_procedure_step_id]


def test_cancelling_twice_is_harmless_and_what_began_cannot_be_cancelled() -> None:
    step = entry()
    order = step.procedure.service_request_id
    assert [cancel_order(ASKER, order), cancel_order(ASKER, order)] == [1, 0]
    assert Event.objects.filter(kind="OrderCancelled").count() == 1
    other = entry()
    start(scheduled_item(other))
    with pytest.raises(WrongState):
        cancel_order(ASKER, other.procedure.service_request_id)
    with pytest.raises(WrongState):
        receive_patient(ASKER, other.pk, "READY")


def test_MWL_04_own_entries_only_when_so_set() -> None:
    mine = entry().scheduled_procedure_step_id
    theirs = entry(ScheduledStationAETitle="CT2").scheduled_procedure_step_id
    assert listed(principal=CT1) == [mine, theirs]
    entity = ApplicationEntity.objects.create(title="CT1")
    WorkflowPeer.objects.create(application_entity=entity, own_entries_only=True)
    assert listed(principal=CT1) == [mine]
    assert listed(key("ScheduledStationAETitle", step=True), principal=CT1) == [mine]
    assert listed(key("ScheduledStationAETitle", "CT2", step=True), principal=CT1) == [theirs]
    assert listed() == [mine, theirs]


# --- performed steps ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "keyword"),
    [
        (
            {"PerformedProcedureStepStatus": "COMPLETED"},
            InvalidValue,
            "PerformedProcedureStepStatus",
        ),
        ({"Modality": None}, MissingAttribute, "Modality"),
        ({"Modality": ""}, MissingValue, "Modality"),
        ({"ScheduledStepAttributesSequence": []}, MissingValue, "ScheduledStepAttributesSequence"),
    ],
)
def test_MPP_01_a_step_begins_in_progress_with_all_it_needs(
    changes: dict[str, Any], error: type[InvalidRequest], keyword: str
) -> None:
    with pytest.raises(error) as raised:
        start(**{"ScheduledStepAttributesSequence": [scheduled_item(None, "1.2.9")], **changes})
    assert tag_of(keyword) in raised.value.offending
    assert not PerformedProcedureStep.objects.exists()


def test_MPP_01_a_second_step_under_a_uid_is_refused() -> None:
    step = entry()
    start(scheduled_item(step))
    with pytest.raises(AlreadyExists):
        start(scheduled_item(step))


def test_MPP_02_an_ended_step_is_never_changed_again() -> None:
    step = entry()
    performed = start(scheduled_item(step))
    change_step(CT1, performed.sop_instance_uid, ended("1.2.4", "1.2.5"))
    before = PerformedProcedureStep.objects.get().document
    with pytest.raises(WrongState, match="may no longer be updated"):
        change_step(
            CT1, performed.sop_instance_uid, data_set(PerformedProcedureStepDescription="x")
        )
    assert PerformedProcedureStep.objects.get().document == before
    with pytest.raises(NotFound):
        change_step(CT1, "1.9.9", {})


def test_MPP_03_a_sequence_replaces_the_whole_sequence() -> None:
    performed = start(scheduled_item(entry()))
    change_step(CT1, performed.sop_instance_uid, ended("1.2.4", "1", "2", status="IN PROGRESS"))
    change_step(CT1, performed.sop_instance_uid, ended("1.2.4", "3", status="IN PROGRESS"))
    assert [each.sop_instance_uid for each in performed.instances.all()] == ["3"]


def test_MPP_04_what_was_not_created_or_may_not_change_is_left_and_told() -> None:
    performed = start(scheduled_item(entry()))
    ignored = change_step(
        CT1,
        performed.sop_instance_uid,
        data_set(Modality="MR", TotalNumberOfExposures="3", PatientID="T-1",
                 PerformedProcedureStepDescription="Head"),
    )  # fmt: skip
    assert set(ignored) == {tag_of("Modality"), tag_of("TotalNumberOfExposures")}
    document = PerformedProcedureStep.objects.get().document
    assert document[tag_of("Modality")]["Value"] == ["CT"]
    assert document[tag_of("PerformedProcedureStepDescription")]["Value"] == ["Head"]
    # What the standard makes of itself, even unsaid (type 2), can be set.
    assert not change_step(CT1, performed.sop_instance_uid,
                           data_set(PerformedProcedureTypeDescription="x"))  # fmt: skip


def test_MPP_04_an_attribute_that_was_listed_empty_can_be_set() -> None:
    performed = start(scheduled_item(entry()), CommentsOnThePerformedProcedureStep="")
    assert not change_step(CT1, performed.sop_instance_uid,
                           data_set(CommentsOnThePerformedProcedureStep="went well"))  # fmt: skip


def test_MPP_06_nothing_made_is_a_legal_end_but_a_completed_step_names_a_series() -> None:
    performed = start(scheduled_item(entry()))
    with pytest.raises(MissingValue) as raised:
        change_step(CT1, performed.sop_instance_uid, ended(""))
    assert raised.value.offending == (tag_of("PerformedSeriesSequence"),)
    complete_step(CT1, performed.sop_instance_uid, ended("1.2.4"))
    assert not performed.instances.exists()
    other = start(scheduled_item(entry()), uid="1.2.3.101")
    discontinue_step(CT1, other.sop_instance_uid, ended("", status="DISCONTINUED"))
    third = start(scheduled_item(entry()), uid="1.2.3.102")
    with pytest.raises(MissingValue):
        change_step(CT1, third.sop_instance_uid, data_set(PerformedProcedureStepStatus="COMPLETED"))


def test_MPP_07_nothing_but_the_modality_changes_a_step_before_it_ends() -> None:
    step = entry()
    performed = start(scheduled_item(step))
    sent = begun(scheduled_item(step))
    change_order(ASKER, step.procedure.service_request_id, order_of({"PatientName": "New^Name"}))
    document = PerformedProcedureStep.objects.get(pk=performed.pk).document
    assert {tag: document[tag] for tag in sent} == sent


def test_MPP_08_a_wrong_entry_goes_back_to_the_list_and_its_images_wait_for_a_person() -> None:
    step = entry()
    uid = step.procedure.study_instance_uid
    performed = start(scheduled_item(step))
    study = study_of(uid)
    assert link_study(study)
    make_instance(make_series(study, SeriesInstanceUID="1.2.4"), SOPInstanceUID="1.2.5")
    reason = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": wrong_entry()}
    change_step(CT1, performed.sop_instance_uid,
                ended("1.2.4", "1.2.5", status="DISCONTINUED", **reason))  # fmt: skip
    assert status_of(step) == "SCHEDULED"
    assert not StudyLink.objects.exists()
    waiting = UnlinkedStudy.objects.get(study=study)
    assert (waiting.state, "wrong" in waiting.reason) == ("waiting", True)
    assert announce_images() == 0, "images of the wrong patient are announced to nobody"
    right = entry()
    assign_study(ASKER, study.pk, right.procedure_id)
    performed.refresh_from_db()
    assert not performed.wrong_entry
    assert StudyLink.objects.get().procedure_id == right.procedure_id
    assert link_study(study), "a person's decision stays"
    assert announce_images() == 1


def test_MPP_09_append_two_performed_steps_of_one_entry() -> None:
    step = entry()
    first = start(scheduled_item(step))
    change_step(CT1, first.sop_instance_uid, ended("1.2.4", "1"))
    assert status_of(step) == "COMPLETED"
    second = start(scheduled_item(step), uid="1.2.3.101")
    assert status_of(step) == "STARTED"
    change_step(CT1, second.sop_instance_uid, ended("1.2.6", "2"))
    assert status_of(step) == "COMPLETED"
    assert step.performed_steps.count() == 2


def test_MPP_09_group_one_performed_step_of_several_entries() -> None:
    one = entry(RequestedProcedureID="R1", AccessionNumber="A1")
    two = entry(RequestedProcedureID="R2", AccessionNumber="A1")
    uid = one.procedure.study_instance_uid
    # In the group case the images have one study, which the items of both entries may name.
    performed = start(scheduled_item(one), scheduled_item(two, uid))
    assert set(performed.steps.all()) == {one, two}
    separate = start(scheduled_item(one), scheduled_item(two), uid="1.2.3.101")
    assert set(separate.steps.all()) == {one, two}
    change_step(CT1, separate.sop_instance_uid, ended("1.2.4", "1"))
    assert [status_of(one), status_of(two)] == ["COMPLETED", "COMPLETED"]


def test_MPP_09_unscheduled_belongs_to_no_entry() -> None:
    entry()
    performed = start(scheduled_item(None, "1.2.77"), PatientID="OTHER")
    assert not performed.steps.exists()
    study = study_of("1.2.77", PatientID="OTHER")
    assert not link_study(study)
    assert "names no order" in UnlinkedStudy.objects.get().reason


@pytest.mark.parametrize("images_first", [True, False])
def test_MPP_10_images_before_or_after_the_step_end_the_same(images_first: bool) -> None:
    step = entry()
    uid = step.procedure.study_instance_uid

    def images() -> None:
        series = make_series(study_of(uid), SeriesInstanceUID="1.2.4")
        for number in ("1", "2", "3"):
            make_instance(series, SOPInstanceUID=number)

    if images_first:
        images()
    performed = start(scheduled_item(step))
    change_step(CT1, performed.sop_instance_uid, ended("1.2.4", "1", "2"))
    if not images_first:
        assert {each.sop_instance_uid for each in missing_instances(performed)} == {"1", "2"}
        assert announce_images() == 0
        images()
        Event.objects.create(kind="StudyCompleted", study_instance_uid=uid, actor_kind="system",
                             occurred_at=Event.objects.latest("pk").occurred_at)  # fmt: skip
        assert follow_events() == 1
    link = StudyLink.objects.get()
    assert (link.procedure_id, link.basis) == (step.procedure_id, "uid")
    assert not missing_instances(performed).exists()
    assert [each.sop_instance_uid for each in unannounced_instances(performed)] == ["3"]
    assert announce_images() == 1
    assert announce_images() == 0
    assert follow_events() == 0


def test_IAN_01_the_notice_names_each_instance_with_its_availability() -> None:
    step = entry()
    entity = ApplicationEntity.objects.create(title="RIS", host="127.0.0.1", port=1)
    WorkflowPeer.objects.create(application_entity=entity, notify_availability=True)
    series = make_series(study_of(step.procedure.study_instance_uid), SeriesInstanceUID="1.2.4")
    performed = start(scheduled_item(step))
    change_step(CT1, performed.sop_instance_uid, ended("1.2.4", "1", "2"))
    make_instance(series, SOPInstanceUID="1", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    assert (announce_images(), Delivery.objects.count()) == (0, 0)
    make_instance(series, SOPInstanceUID="2", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    assert (announce_images(), Delivery.objects.count()) == (1, 1)
    notice = Delivery.objects.get().document
    assert notice == availability_documents(performed)[step.procedure.study_instance_uid]
    (listed_series,) = notice[tag_of("ReferencedSeriesSequence")]["Value"]
    found = listed_series[tag_of("ReferencedSOPSequence")]["Value"]
    assert [each[tag_of("ReferencedSOPInstanceUID")]["Value"] for each in found] == [["1"], ["2"]]
    assert {each[tag_of("InstanceAvailability")]["Value"][0] for each in found} == {"ONLINE"}
    (step_item,) = notice[tag_of("ReferencedPerformedProcedureStepSequence")]["Value"]
    assert step_item[tag_of("ReferencedSOPInstanceUID")]["Value"] == [performed.sop_instance_uid]


# --- linking --------------------------------------------------------------------------------------


def test_MWL_02_images_under_another_study_uid_are_linked_by_accession_and_marked() -> None:
    step = entry(AccessionNumber="A1")
    study = study_of("1.2.88", AccessionNumber="A1")
    assert link_study(study)
    link = StudyLink.objects.get()
    assert (link.procedure_id, link.basis) == (step.procedure_id, "accession")


def test_an_accession_number_links_within_one_patient_only() -> None:
    entry(AccessionNumber="A1")
    assert not link_study(study_of("1.2.88", AccessionNumber="A1", PatientID="OTHER"))
    assert "another patient" in UnlinkedStudy.objects.get().reason


def test_a_study_uid_of_another_patient_is_not_linked() -> None:
    step = entry()
    assert not link_study(study_of(step.procedure.study_instance_uid, PatientID="OTHER"))
    assert "another patient" in UnlinkedStudy.objects.get().reason


def test_of_several_procedures_the_modality_decides_or_a_person() -> None:
    entry(AccessionNumber="A1", RequestedProcedureID="R1")
    mr = entry(AccessionNumber="A1", RequestedProcedureID="R2", Modality="MR")
    undecided = study_of("1.2.88", AccessionNumber="A1")
    assert not link_study(undecided)
    assert "Several" in UnlinkedStudy.objects.get().reason
    make_series(undecided, Modality="MR")
    assert link_study(undecided)
    assert StudyLink.objects.get().procedure_id == mr.procedure_id
    assert not UnlinkedStudy.objects.exists()


def test_an_archive_without_orders_troubles_nobody() -> None:
    assert not link_study(study_of("1.2.88", AccessionNumber="A1"))
    assert not UnlinkedStudy.objects.exists()


def test_an_order_that_comes_after_its_images_finds_them() -> None:
    study = study_of("1.2.88", AccessionNumber="A1")
    step = entry(AccessionNumber="A1", StudyInstanceUID="1.2.88")
    assert StudyLink.objects.get().study_id == study.pk
    assert StudyLink.objects.get().procedure_id == step.procedure_id


def test_a_person_may_say_that_a_study_has_no_order() -> None:
    entry()
    study = study_of("1.2.88")
    link_study(study)
    assign_study(ASKER, study.pk, None)
    assert not link_study(study)
    assert UnlinkedStudy.objects.get().state == "without"
