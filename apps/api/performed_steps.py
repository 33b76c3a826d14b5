"""What modalities say they did, what of it has arrived, and studies that wait for their order."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.audit import view_event
from apps.access.principals import Permission
from apps.api.parameters import asked_number
from apps.api.principal import PrincipalView
from apps.archive.selectors import study_of
from apps.worklist.actions.assign_study import assign_study
from apps.worklist.models import PerformedProcedureStep, RequestedProcedure, UnlinkedStudy
from apps.worklist.selectors import (
    candidates_for,
    missing_instances,
    performed_step,
    performed_steps,
    unannounced_instances,
    unlinked_studies,
    with_counts,
)

_MOST: Final = 500
_MOST_LISTED: Final = 1000
_MOST_OFFERED: Final = 50
_FILTERS: Final = ("status", "patient_id", "study_instance_uid")


class PerformedStepSerializer(serializers.Serializer[object]):
    """A performed procedure step and how its images stand."""

    SOPInstanceUID = serializers.CharField()
    status = serializers.ChoiceField(choices=PerformedProcedureStep.Status.choices)
    PatientName = serializers.CharField()
    PatientID = serializers.CharField()
    AccessionNumber = serializers.CharField()
    Modality = serializers.CharField()
    PerformedStationAETitle = serializers.CharField()
    PerformedProcedureStepStartDate = serializers.CharField()
    PerformedProcedureStepStartTime = serializers.CharField()
    PerformedProcedureStepEndDate = serializers.CharField()
    PerformedProcedureStepEndTime = serializers.CharField()
    studies = serializers.ListField(child=serializers.CharField())
    entries = serializers.ListField(
        child=serializers.IntegerField(), help_text="Worklist entries; none: unscheduled."
    )
    wrong_entry = serializers.BooleanField(help_text="Done under the wrong worklist entry.")
    expected = serializers.IntegerField(help_text="How many instances it refers to.")
    missing = serializers.IntegerField(help_text="How many of them have not arrived.")


class PerformedStepPageSerializer(serializers.Serializer[object]):
    """Performed steps, the newest first."""

    performed_steps = PerformedStepSerializer(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="`offset` of the next page.")


class PerformedStepDetailSerializer(PerformedStepSerializer):
    """With the instances in question, at most a thousand of each, and the whole data set."""

    missing_instances = serializers.ListField(child=serializers.CharField())
    unannounced_instances = serializers.ListField(
        child=serializers.CharField(),
        help_text="Arrived in its series without the step referring to them.",
    )
    document = serializers.DictField(help_text="The data set in the DICOM JSON Model.")


class CandidateSerializer(serializers.Serializer[object]):
    """A procedure that a study may belong to."""

    procedure = serializers.IntegerField()
    AccessionNumber = serializers.CharField()
    PatientID = serializers.CharField()
    RequestedProcedureID = serializers.CharField()
    RequestedProcedureDescription = serializers.CharField()
    StudyInstanceUID = serializers.CharField()


class UnlinkedStudySerializer(serializers.Serializer[object]):
    """A study that finds no order, and why."""

    StudyInstanceUID = serializers.CharField()
    PatientID = serializers.CharField()
    AccessionNumber = serializers.CharField()
    reason = serializers.CharField()
    found_at = serializers.DateTimeField()


class StudyOrderSerializer(serializers.Serializer[object]):
    """Which orders a study has or could have."""

    linked = CandidateSerializer(many=True)
    candidates = CandidateSerializer(many=True)


class AssignmentSerializer(serializers.Serializer[object]):
    """Where a study belongs."""

    procedure = serializers.IntegerField(allow_null=True, help_text="null: to no order.")


def performed_row(step: Any) -> dict[str, Any]:
    """A performed step, annotated by `with_counts`, as programs see it."""
    return {
        "SOPInstanceUID": step.sop_instance_uid,
        "status": step.status,
        "PatientName": step.patient_name,
        "PatientID": step.patient_id,
        "AccessionNumber": step.accession_number,
        "Modality": step.modality,
        "PerformedStationAETitle": step.performed_station_ae_title,
        "PerformedProcedureStepStartDate": step.start_date,
        "PerformedProcedureStepStartTime": step.start_time,
        "PerformedProcedureStepEndDate": step.end_date,
        "PerformedProcedureStepEndTime": step.end_time,
        "studies": [each.study_instance_uid for each in step.studies.all()],
        "entries": [each.pk for each in step.steps.all()],
        "wrong_entry": step.wrong_entry,
        "expected": step.expected,
        "missing": step.missing,
    }


class PerformedStepsView(PrincipalView):
    """`GET /api/worklist/performed-steps/`."""

    permission = Permission.VIEW_WORKLIST

    @extend_schema(
        parameters=[
            *[OpenApiParameter(name, str) for name in _FILTERS],
            OpenApiParameter("limit", int),
            OpenApiParameter("offset", int),
        ],
        responses=PerformedStepPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """Performed steps, the newest first, with what is missing of their images."""
        filters = {name: request.query_params.get(name, "") for name in _FILTERS}
        limit = asked_number(request, "limit", 100, most=_MOST)
        offset = asked_number(request, "offset", 0, most=10**9 - 1)
        page = list(performed_steps(self.principal, **filters)[offset : offset + limit + 1])
        view_event(self.principal, "WorklistRead", "")
        return Response(
            {
                "performed_steps": [performed_row(each) for each in page[:limit]],
                "next": offset + limit if len(page) > limit else None,
            }
        )


class PerformedStepView(PrincipalView):
    """`GET /api/worklist/performed-steps/{SOPInstanceUID}/`."""

    permission = Permission.VIEW_WORKLIST

    @extend_schema(responses=PerformedStepDetailSerializer)
    def get(self, _request: Request, uid: str) -> Response:
        """One performed step, compared with what arrived."""
        step = performed_step(uid, self.principal)
        row = performed_row(with_counts(PerformedProcedureStep.objects.filter(pk=step.pk)).get())
        view_event(self.principal, "WorklistRead", row["studies"][0] if row["studies"] else "")
        missing = missing_instances(step).values_list("sop_instance_uid", flat=True)
        unannounced = unannounced_instances(step).values_list("sop_instance_uid", flat=True)
        return Response(
            {
                **row,
                "missing_instances": list(missing[:_MOST_LISTED]),
                "unannounced_instances": list(unannounced[:_MOST_LISTED]),
                "document": step.document,
            }
        )


def _candidate(procedure: RequestedProcedure) -> dict[str, Any]:
    return {
        "procedure": procedure.pk,
        "AccessionNumber": procedure.service_request.accession_number,
        "PatientID": procedure.service_request.patient_id,
        "RequestedProcedureID": procedure.requested_procedure_id,
        "RequestedProcedureDescription": procedure.requested_procedure_description,
        "StudyInstanceUID": procedure.study_instance_uid,
    }


def _unlinked(row: UnlinkedStudy) -> dict[str, Any]:
    return {
        "StudyInstanceUID": row.study.study_instance_uid,
        "PatientID": row.study.patient_id,
        "AccessionNumber": row.study.accession_number,
        "reason": row.reason,
        "found_at": row.found_at,
    }


class UnlinkedStudiesView(PrincipalView):
    """`GET /api/worklist/unlinked-studies/`."""

    permission = Permission.VIEW_WORKLIST

    @extend_schema(
        parameters=[OpenApiParameter("limit", int)],
        responses=UnlinkedStudySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Studies that wait for a person to say which order they belong to."""
        rows = unlinked_studies(self.principal)[: asked_number(request, "limit", 50, most=100)]
        view_event(self.principal, "WorklistRead", "")
        return Response([_unlinked(row) for row in rows])


class AssignmentView(PrincipalView):
    """`GET` and `PUT /api/worklist/studies/{StudyInstanceUID}/order/`."""

    permission = Permission.VIEW_WORKLIST

    @extend_schema(responses=StudyOrderSerializer)
    def get(self, _request: Request, study: str) -> Response:
        """The procedures a study is linked to, and those it could belong to."""
        found = study_of(study, self.principal)
        linked = RequestedProcedure.objects.filter(links__study=found)
        rows = linked.select_related("service_request").order_by("pk")
        view_event(self.principal, "WorklistRead", study)
        return Response(
            {
                "linked": [_candidate(each) for each in rows],
                "candidates": [_candidate(each) for each in candidates_for(found)[:_MOST_OFFERED]],
            }
        )

    @extend_schema(
        request=AssignmentSerializer, responses={204: OpenApiResponse(description="Assigned.")}
    )
    def put(self, request: Request, study: str) -> Response:
        """Says which procedure a study belongs to, or that it has no order."""
        given = AssignmentSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        found = study_of(study, self.principal)
        assign_study(self.principal, found.pk, given.validated_data["procedure"])
        return Response(status=204)
