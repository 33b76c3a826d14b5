"""The worklist for programs: orders in, entries listed, changed and cancelled."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.audit import view_event
from apps.access.principals import Permission
from apps.api.parameters import asked_number, one_of
from apps.api.principal import PrincipalView
from apps.dicom.attributes import Entity
from apps.dicom.query import Key
from apps.dicom.worklist import BY_KEYWORD, STEP_SEQUENCE, TABLE
from apps.errors import InvalidRequest
from apps.worklist.actions.cancel_order import cancel_order
from apps.worklist.actions.change_order import change_order
from apps.worklist.actions.receive_patient import receive_patient
from apps.worklist.actions.schedule_order import schedule_order
from apps.worklist.documents import entry_attributes
from apps.worklist.models import ScheduledProcedureStep
from apps.worklist.orders import changes_of, order_of
from apps.worklist.selectors import entry_of, list_entries
from apps.worklist.states import OPEN

_MOST: Final = 500
_OTHERS: Final = frozenset({"limit", "offset", "state", "format"})


class EntryContentSerializer(serializers.Serializer[object]):
    """What a worklist entry says, by attribute keyword."""

    attributes = serializers.DictField(
        child=serializers.CharField(allow_blank=True),
        required=False,
        help_text="Keyword to value, several values joined by backslashes: PatientName, "
        "PatientID, AccessionNumber, Modality, ScheduledStationAETitle, "
        "ScheduledProcedureStepStartDate (YYYYMMDD), ScheduledProcedureStepStartTime (HHMM), …",
    )
    sequences = serializers.DictField(
        child=serializers.ListField(child=serializers.DictField()),
        required=False,
        help_text="Keyword of a code sequence to its items in the DICOM JSON Model.",
    )


class EntrySerializer(EntryContentSerializer):
    """One entry of the worklist."""

    id = serializers.IntegerField()
    order = serializers.IntegerField()
    procedure = serializers.IntegerField()
    status = serializers.ChoiceField(choices=ScheduledProcedureStep.Status.choices)
    studies = serializers.ListField(
        child=serializers.CharField(), help_text="Study Instance UIDs of linked studies."
    )
    performed_steps = serializers.ListField(
        child=serializers.CharField(), help_text="SOP Instance UIDs of performed steps."
    )


class EntryPageSerializer(serializers.Serializer[object]):
    """Entries by start date and time."""

    entries = EntrySerializer(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="`offset` of the next page.")


class PatientStatusSerializer(serializers.Serializer[object]):
    """Where the patient is."""

    status = serializers.ChoiceField(choices=[each.value for each in OPEN])


def entry_row(step: ScheduledProcedureStep) -> dict[str, Any]:
    """An entry as programs see it."""
    procedure = step.procedure
    sequences = {
        **procedure.service_request.sequences, **procedure.sequences, **step.sequences
    }  # fmt: skip
    return {
        "id": step.pk,
        "order": procedure.service_request_id,
        "procedure": procedure.pk,
        "status": step.scheduled_procedure_step_status,
        "attributes": entry_attributes(step),
        "sequences": sequences,
        "studies": [each.study.study_instance_uid for each in procedure.links.all()],
        "performed_steps": [each.sop_instance_uid for each in step.performed_steps.all()],
    }


def _content(request: Request) -> tuple[dict[str, str], dict[str, Any]]:
    given = EntryContentSerializer(data=request.data)
    given.is_valid(raise_exception=True)
    return given.validated_data.get("attributes", {}), given.validated_data.get("sequences", {})


def _keys(request: Request) -> list[Key]:
    """Every attribute of an entry is a parameter, matched as in a worklist query."""
    keys: list[Key] = []
    for keyword, value in request.query_params.items():
        if keyword in _OTHERS:
            continue
        attribute = BY_KEYWORD.get(keyword)
        if attribute is None:
            raise InvalidRequest(f"The worklist has no attribute {keyword}.", offending=(keyword,))
        inside = attribute.entity is Entity.STEP
        keys.append(
            Key((STEP_SEQUENCE, attribute.tag) if inside else (attribute.tag,), (str(value),))
        )
    return keys


class EntriesView(PrincipalView):
    """`GET` and `POST /api/worklist/entries/`."""

    permission = Permission.VIEW_WORKLIST

    @extend_schema(
        parameters=[
            *[OpenApiParameter(each.keyword, str) for each in TABLE],
            OpenApiParameter("state", str, enum=["open", "all"], description="`open` by default."),
            OpenApiParameter("limit", int),
            OpenApiParameter("offset", int),
        ],
        responses=EntryPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """Entries that match: wild cards, ranges and lists as in a worklist query."""
        every_state = one_of(request, "state", ("open", "all")) == "all"
        limit = asked_number(request, "limit", 100, most=_MOST)
        offset = asked_number(request, "offset", 0, most=10**9 - 1)
        rows = list_entries(self.principal, _keys(request), every_state=every_state)
        page = list(rows[offset : offset + limit + 1])
        view_event(self.principal, "WorklistRead", "")
        following = offset + limit if len(page) > limit else None
        return Response({"entries": [entry_row(each) for each in page[:limit]], "next": following})

    @extend_schema(request=EntryContentSerializer, responses={201: EntrySerializer})
    def post(self, request: Request) -> Response:
        """Schedules an order with one procedure and one step.

        A further procedure under a known accession number of the same patient joins its order. UIDs
        and IDs are made unless given.
        """
        scheduled = schedule_order(self.principal, order_of(*_content(request)))
        made = entry_of(scheduled.steps[0].pk, self.principal)
        return Response(entry_row(made), status=201)


class EntryView(PrincipalView):
    """`GET`, `PATCH` and `DELETE /api/worklist/entries/{id}/`."""

    permission = Permission.VIEW_WORKLIST

    @extend_schema(responses=EntrySerializer)
    def get(self, _request: Request, entry: int) -> Response:
        """One entry, whatever its state."""
        found = entry_of(entry, self.principal)
        view_event(self.principal, "WorklistRead", found.procedure.study_instance_uid)
        return Response(entry_row(found))

    @extend_schema(request=EntryContentSerializer, responses=EntrySerializer)
    def patch(self, request: Request, entry: int) -> Response:
        """Changes what is named; the patient's and the order's for all their entries.

        Its IDs and its Study Instance UID stay: devices may have them already.
        """
        found = entry_of(entry, self.principal)
        attributes, sequences = _content(request)
        changes = changes_of(found, attributes, sequences)
        change_order(self.principal, found.procedure.service_request_id, changes)
        return Response(entry_row(entry_of(entry, self.principal)))

    @extend_schema(responses={204: OpenApiResponse(description="Cancelled.")})
    def delete(self, _request: Request, entry: int) -> Response:
        """Cancels the entry; it leaves the worklist and stays on record."""
        found = entry_of(entry, self.principal)
        cancel_order(self.principal, found.procedure.service_request_id, step_id=found.pk)
        return Response(status=204)


class EntryStatusView(PrincipalView):
    """`PUT /api/worklist/entries/{id}/status/`."""

    permission = Permission.MANAGE_WORKLIST

    @extend_schema(request=PatientStatusSerializer, responses=EntrySerializer)
    def put(self, request: Request, entry: int) -> Response:
        """The patient is expected, here or ready."""
        given = PatientStatusSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        receive_patient(self.principal, entry, given.validated_data["status"])
        return Response(entry_row(entry_of(entry, self.principal)))
