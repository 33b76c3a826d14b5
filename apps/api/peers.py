"""Other archives: who they are, whether they answer, and what they have beside what is here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.db.models import F
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission, Principal
from apps.api.parameters import asked_number
from apps.api.principal import PrincipalView
from apps.api.transfers import valid
from apps.archive.study_list import StudyListFilter, stored_counts
from apps.dicom.whole_numbers import read_whole_number
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.peer_searches import (
    MOST_ANSWERS,
    Found,
    begin_search,
    give_up_search,
    search_page,
)
from apps.transfers.remote import Other, archive_named, peer_named
from apps.transfers.searched import query_other, verify

_SETTINGS: Final = frozenset({"level", "limit"})
_MOST_PLAIN: Final = 1000
_MOST_COUNTED: Final = 10**9 - 1  # beyond any study
_NAMED: Final = ("title", "description", "queried")
_SHOWN: Final = (
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "ReferringPhysicianName",
)


class PeerSerializer(serializers.Serializer[object]):
    """Another archive that can be called: an application entity, or one that speaks DICOMweb."""

    kind = serializers.ChoiceField(["dimse", "dicomweb"])
    title = serializers.CharField(help_text="AE title, or name.")
    description = serializers.CharField()
    queried = serializers.BooleanField(help_text="It is offered beside the study list.")


class PeersView(PrincipalView):
    """Whom one can fetch from and send to."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(responses=PeerSerializer(many=True))
    def get(self, _request: Request) -> Response:
        peers = ApplicationEntity.objects.filter(enabled=True, port__isnull=False).exclude(host="")
        archives = WebArchive.objects.filter(enabled=True)
        rows = [
            *({"kind": "dimse", **each} for each in peers.values(*_NAMED)),
            *(
                {"kind": "dicomweb", **each}
                for each in archives.values("description", "queried", title=F("name"))
            ),
        ]
        rows.sort(key=lambda each: str(each["title"]).lower())
        return Response(PeerSerializer(rows, many=True).data)


class PeerEchoView(PrincipalView):
    """POST asks whether it is there (C-ECHO)."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(request=None, responses={200: serializers.DictField()})
    def post(self, _request: Request, title: str) -> Response:
        return Response({"status": f"{verify(self.principal, peer_named(title)):04X}"})


class ArchiveEchoView(PrincipalView):
    """POST asks whether it is there, and lets us in: a search for one study."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(request=None, responses={200: serializers.DictField()})
    def post(self, _request: Request, name: str) -> Response:
        return Response({"status": verify(self.principal, archive_named(name))})


class PeerSearchView(PrincipalView):
    """Searches another system: query parameters are keys by keyword (C-FIND)."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(
        parameters=[OpenApiParameter("level", str), OpenApiParameter("limit", int)],
        responses={200: serializers.ListField(child=serializers.DictField())},
    )
    def get(self, request: Request, title: str) -> Response:
        """All answers at once, for programs; whoever waits at a screen begins a search."""
        return _answers(self.principal, peer_named(title), request)


class ArchiveSearchView(PrincipalView):
    """Searches an archive that speaks DICOMweb: query parameters are keys by keyword (QIDO-RS)."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(
        parameters=[OpenApiParameter("level", str), OpenApiParameter("limit", int)],
        responses={200: serializers.ListField(child=serializers.DictField())},
    )
    def get(self, request: Request, name: str) -> Response:
        """All answers at once, for programs; whoever waits at a screen begins a search."""
        return _answers(self.principal, archive_named(name), request)


def _answers(principal: Principal, other: Other, request: Request) -> Response:
    asked = request.query_params
    keys = {name: asked[name] for name in asked if name not in _SETTINGS}
    limit = min(asked_number(request, "limit", 200), _MOST_PLAIN)
    return Response(list(query_other(principal, other, asked.get("level", "STUDY"), keys, limit)))


class SearchSerializer(serializers.Serializer[object]):
    """The filters of the study list that another archive can be asked for."""

    q = serializers.CharField(required=False, allow_blank=True, max_length=200)
    date = serializers.CharField(required=False, allow_blank=True, max_length=16)
    date_from = serializers.CharField(required=False, allow_blank=True, max_length=16)
    date_to = serializers.CharField(required=False, allow_blank=True, max_length=16)
    today = serializers.CharField(required=False, allow_blank=True, max_length=16)
    modality = serializers.ListField(
        child=serializers.CharField(max_length=16), required=False, max_length=100
    )
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)
    accession = serializers.CharField(required=False, allow_blank=True, max_length=64)
    referring = serializers.CharField(required=False, allow_blank=True, max_length=200)
    patient_id = serializers.CharField(required=False, allow_blank=True, max_length=64)
    limit = serializers.IntegerField(default=200, min_value=1, max_value=MOST_ANSWERS)


class BegunSerializer(serializers.Serializer[object]):
    """The search that was begun."""

    search = serializers.CharField()


class RemoteStudySerializer(serializers.Serializer[object]):
    """A study as the other archive names it, and how much of it is here."""

    StudyInstanceUID = serializers.CharField()
    PatientName = serializers.CharField()
    PatientID = serializers.CharField()
    PatientBirthDate = serializers.CharField()
    PatientSex = serializers.CharField()
    StudyDate = serializers.CharField()
    StudyTime = serializers.CharField()
    AccessionNumber = serializers.CharField()
    StudyDescription = serializers.CharField()
    ReferringPhysicianName = serializers.CharField()
    ModalitiesInStudy = serializers.ListField(child=serializers.CharField())
    series = serializers.IntegerField(allow_null=True, help_text="There, where it says so.")
    there = serializers.IntegerField(allow_null=True, help_text="Instances there.")
    here = serializers.IntegerField(allow_null=True, help_text="Instances here.")


class FoundSerializer(serializers.Serializer[object]):
    """What has come since `after`."""

    state = serializers.CharField(help_text="running, done, failed or cancelled.")
    message = serializers.CharField()
    studies = RemoteStudySerializer(many=True)
    next = serializers.IntegerField(help_text="`after` of the next request.")
    more = serializers.BooleanField(help_text="The other archive has more than were asked for.")
    unusable = serializers.IntegerField(help_text="Answers left out: they name no study.")


class PeerSearchesView(PrincipalView):
    """POST begins a search in another archive."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(request=SearchSerializer, responses={201: BegunSerializer})
    def post(self, request: Request, title: str) -> Response:
        """Returns at once; the answers are asked for by the name it gives."""
        return _begun(self.principal, peer_named(title), request)


class ArchiveSearchesView(PrincipalView):
    """POST begins a search in an archive that speaks DICOMweb."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(request=SearchSerializer, responses={201: BegunSerializer})
    def post(self, request: Request, name: str) -> Response:
        """Returns at once; it is followed like any other."""
        return _begun(self.principal, archive_named(name), request)


def _begun(principal: Principal, other: Other, request: Request) -> Response:
    asked = valid(SearchSerializer(data=request.data))
    most = asked.pop("limit")
    modality = tuple(asked.pop("modality", ()))
    filters = StudyListFilter(**asked, modality=modality)
    return Response({"search": begin_search(principal, other, filters, most)}, status=201)


class PeerSearchPageView(PrincipalView):
    """Answers of a search as they come; DELETE gives it up."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(parameters=[OpenApiParameter("after", int)], responses=FoundSerializer)
    def get(self, request: Request, search: str) -> Response:
        after = asked_number(request, "after", 0)
        return Response(_found(self.principal, search_page(self.principal, search, after)))

    @extend_schema(responses={204: OpenApiResponse(description="The peer is told to stop.")})
    def delete(self, _request: Request, search: str) -> Response:
        give_up_search(self.principal, search)
        return Response(status=204)


def _found(principal: Principal, found: Found) -> dict[str, Any]:
    return {
        "state": found.state.value,
        "message": found.message,
        "studies": _rows(principal, found.answers),
        "next": found.next,
        "more": found.more,
        "unusable": found.unusable,
    }


def _rows(principal: Principal, answers: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """One query for what is here of all of them."""
    answers = list(answers)
    here: Mapping[str, int] | None = None
    if principal.may(Permission.VIEW_IMAGES):
        here = stored_counts(principal, [each["StudyInstanceUID"] for each in answers])
    return [
        {
            **{name: each.get(name, "") for name in _SHOWN},
            "ModalitiesInStudy": [one for one in _modalities(each).split("\\") if one],
            "series": _count(each.get("NumberOfStudyRelatedSeries", "")),
            "there": _count(each.get("NumberOfStudyRelatedInstances", "")),
            "here": None if here is None else here.get(each["StudyInstanceUID"], 0),
        }
        for each in answers
    ]


def _modalities(answer: Mapping[str, str]) -> str:
    return answer.get("ModalitiesInStudy", "")


def _count(text: str) -> int | None:
    """An IS value of theirs; None where it is none."""
    return read_whole_number(text.strip().removeprefix("+"), most=_MOST_COUNTED)
