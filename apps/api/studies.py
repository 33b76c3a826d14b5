"""The study list as the front end shows it, and the demo studies."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission, Principal
from apps.access.searches import note_search
from apps.api.parameters import asked_number
from apps.api.principal import PrincipalView
from apps.archive.models import Study, StudyAlert
from apps.archive.study_list import SORTS, StudyListFilter, study_list
from apps.errors import InvalidRequest
from apps.ingest.demonstration import load_demonstration

_TEXT_FILTERS = (
    "q",
    "date",
    "date_from",
    "date_to",
    "description",
    "body_part",
    "accession",
    "referring",
    "station",
    "state",
    "patient_id",
    "issuer",
    "today",
)
_LIST_FILTERS = ("modality", "uid")
_MOST_VALUES = 200
_LONGEST_PAGE = 10**6 - 1  # no sensible page is longer


class AlertSerializer(serializers.Serializer[object]):
    """Why somebody has to look at a study."""

    cause = serializers.ChoiceField(choices=StudyAlert.Cause.choices)
    text = serializers.CharField(help_text="In a sentence.")


class StudyRowSerializer(serializers.Serializer[object]):
    """One row: attributes by their keyword, the product's own facts in lower case."""

    StudyInstanceUID = serializers.CharField()
    PatientName = serializers.CharField()
    PatientID = serializers.CharField()
    IssuerOfPatientID = serializers.CharField()
    PatientBirthDate = serializers.CharField(help_text="YYYYMMDD")
    PatientSex = serializers.CharField()
    PatientAge = serializers.CharField()
    StudyDate = serializers.CharField(help_text="YYYYMMDD")
    StudyTime = serializers.CharField()
    AccessionNumber = serializers.CharField()
    StudyDescription = serializers.CharField()
    ReferringPhysicianName = serializers.CharField()
    ModalitiesInStudy = serializers.ListField(child=serializers.CharField())
    NumberOfStudyRelatedSeries = serializers.IntegerField()
    NumberOfStudyRelatedInstances = serializers.IntegerField()
    body_parts = serializers.ListField(child=serializers.CharField())
    stations = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=Study.State.choices)
    read_by = serializers.CharField()
    read_at = serializers.DateTimeField(allow_null=True)
    alerts = AlertSerializer(many=True)
    sender = serializers.CharField(help_text="AE title of the first sender, else its door.")
    door = serializers.CharField()
    received_at = serializers.DateTimeField()
    last_received_at = serializers.DateTimeField()
    size_bytes = serializers.IntegerField()


class ExclusionSerializer(serializers.Serializer[object]):
    """A filter that alone keeps studies away."""

    filter = serializers.CharField()
    count = serializers.IntegerField(help_text="How many studies there are without it.")


class StudyPageSerializer(serializers.Serializer[object]):
    """One page of the list."""

    studies = StudyRowSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Cursor of the next page.")
    total = serializers.IntegerField()
    total_is_exact = serializers.BooleanField(help_text="False: there are more than `total`.")
    excluded_by = ExclusionSerializer(many=True)
    found_by = ExclusionSerializer(
        many=True, help_text="What each filter finds alone, where lifting one is not enough."
    )
    archive_is_empty = serializers.BooleanField()


class DemoSerializer(serializers.Serializer[object]):
    """How many example instances were handed in."""

    accepted = serializers.IntegerField()


def _several(text: str) -> list[str]:
    return [value for value in text.split("\\") if value]


def study_row(study: Study) -> dict[str, Any]:
    """A study as the list shows it."""
    return {
        "StudyInstanceUID": study.study_instance_uid,
        "PatientName": study.patient_name,
        "PatientID": study.patient_id,
        "IssuerOfPatientID": study.issuer_of_patient_id,
        "PatientBirthDate": study.patient_birth_date,
        "PatientSex": study.patient_sex,
        "PatientAge": study.patient_age,
        "StudyDate": study.study_date,
        "StudyTime": study.study_time,
        "AccessionNumber": study.accession_number,
        "StudyDescription": study.study_description,
        "ReferringPhysicianName": study.referring_physician_name,
        "ModalitiesInStudy": _several(study.modalities_in_study),
        "NumberOfStudyRelatedSeries": study.number_of_study_related_series,
        "NumberOfStudyRelatedInstances": study.number_of_study_related_instances,
        "body_parts": _several(study.body_parts_examined),
        "stations": _several(study.station_names),
        "state": study.state,
        "read_by": study.read_by,
        "read_at": study.read_at,
        "alerts": [{"cause": each.cause, "text": each.text} for each in study.alerts.all()],
        "sender": study.source_ae_title or study.source_door,
        "door": study.source_door,
        "received_at": study.received_at,
        "last_received_at": study.last_received_at,
        "size_bytes": study.size_bytes,
    }


def _asked(request: Request) -> StudyListFilter:
    """The filter in the query string; raises InvalidRequest for lists without bound."""
    given = request.query_params
    lists = {name: tuple(given.getlist(name)) for name in _LIST_FILTERS}
    for name, values in lists.items():
        if len(values) > _MOST_VALUES:
            raise InvalidRequest(
                f"At most {_MOST_VALUES} values of `{name}` at once.", offending=(name,)
            )
    texts: dict[str, Any] = {name: given.get(name, "") for name in _TEXT_FILTERS}
    return StudyListFilter(**texts, modality=lists["modality"], uid=lists["uid"])


def _note(principal: Principal, asked: StudyListFilter, request: Request) -> None:
    """The search as an event; following pages and rows asked for by UID are no new search."""
    if asked.uid or request.query_params.get("cursor"):
        return
    values = ((name, getattr(asked, name)) for name in asked.active)
    query = {name: value if isinstance(value, str) else "\\".join(value) for name, value in values}
    note_search(principal, "studies", query)


class StudiesView(PrincipalView):
    """`GET /api/studies/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(
        parameters=[
            *[OpenApiParameter(name, str) for name in _TEXT_FILTERS],
            *[OpenApiParameter(name, str, many=True) for name in _LIST_FILTERS],
            OpenApiParameter("sort", str, enum=[*SORTS, *(f"-{each}" for each in SORTS)]),
            OpenApiParameter("cursor", str, description="`next` of the page before."),
            OpenApiParameter("limit", int),
        ],
        responses=StudyPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """Studies that pass every filter given, sorted, one page of them."""
        asked = _asked(request)
        _note(self.principal, asked, request)
        page = study_list(
            asked,
            self.principal,
            sort=request.query_params.get("sort", "-received_at"),
            cursor=request.query_params.get("cursor", ""),
            limit=asked_number(request, "limit", 100, most=_LONGEST_PAGE),
        )
        return Response(
            {
                "studies": [study_row(study) for study in page.studies],
                "next": page.next or None,
                "total": page.total,
                "total_is_exact": page.total_is_exact,
                "excluded_by": [
                    {"filter": name, "count": count} for name, count in page.excluded_by
                ],
                "found_by": [{"filter": name, "count": count} for name, count in page.found_by],
                "archive_is_empty": page.archive_is_empty,
            }
        )


class DemoView(PrincipalView):
    """`POST /api/demo/`."""

    permission = Permission.STORE_INSTANCES

    @extend_schema(request=None, responses=DemoSerializer)
    def post(self, _request: Request) -> Response:
        """Stores the example instances that ship with the product; harmless to repeat."""
        return Response({"accepted": len(load_demonstration(self.principal.name))})
