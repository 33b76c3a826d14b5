"""The resources of the DICOMweb service, below `/dicom-web/` (PS3.18 section 10)."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path

from apps.dicomweb import non_patient
from apps.dicomweb.capabilities import NON_PATIENT, openapi_document
from apps.dicomweb.changes import list_changes
from apps.dicomweb.commitment import check_result, request_commitment
from apps.dicomweb.door import resource
from apps.dicomweb.qido.views import search_instances, search_series, search_studies
from apps.dicomweb.rejection import purge, reject, restore
from apps.dicomweb.remotes import search as remotes
from apps.dicomweb.remotes.forward import nothing, served
from apps.dicomweb.remotes.retrieve import Retrieve, fetched, retrieve_arriving
from apps.dicomweb.remotes.store import store_instances as store_remotely
from apps.dicomweb.stow_rs.views import store_instances
from apps.dicomweb.ups_rs import subscriptions
from apps.dicomweb.ups_rs import views as ups_rs
from apps.dicomweb.wado_rs.bulk_resources import (
    retrieve_bulk_resource,
    retrieve_pixel_resource,
)
from apps.dicomweb.wado_rs.bulkdata import retrieve_bulkdata, retrieve_pixel_data
from apps.dicomweb.wado_rs.frames import retrieve_frames
from apps.dicomweb.wado_rs.instances import retrieve_instances
from apps.dicomweb.wado_rs.metadata import retrieve_metadata
from apps.dicomweb.wado_rs.rendered import retrieve_rendered, retrieve_thumbnail

app_name = "dicomweb"

_STUDY = "studies/<str:study>"
_SERIES = f"{_STUDY}/series/<str:series>"
_INSTANCE = f"{_SERIES}/instances/<str:instance>"
_FRAMES = f"{_INSTANCE}/frames/<str:frames>"
_REMOTE = "remotes/<str:remote>"
_WORKITEM = "workitems/<str:workitem>"
_SUBSCRIBER = f"{_WORKITEM}/subscribers/<str:aetitle>"


def _non_patient(npi: str) -> list[URLPattern]:
    kept = {"npi": npi}
    return [
        path(npi, resource(GET=non_patient.search_instances), kept, name=npi),
        path(f"{npi}/<str:uid>", resource(GET=non_patient.retrieve_instance), kept),
        path(
            f"{npi}/<str:uid>/bulkdata/<path:element>",
            resource(GET=non_patient.retrieve_bulkdata),
            kept,
        ),
    ]


# What is had of our own archive is had of another one by the same views.
_RETRIEVED: Final[tuple[tuple[str, Retrieve], ...]] = (
    (_INSTANCE, retrieve_instances),
    *((f"{level}/metadata", retrieve_metadata) for level in (_STUDY, _SERIES, _INSTANCE)),
    *((f"{level}/rendered", retrieve_rendered) for level in (_STUDY, _SERIES, _INSTANCE, _FRAMES)),
    *(
        (f"{level}/thumbnail", retrieve_thumbnail)
        for level in (_STUDY, _SERIES, _INSTANCE, _FRAMES)
    ),
    (_FRAMES, retrieve_frames),
    (f"{_INSTANCE}/bulkdata/<path:element>", retrieve_bulkdata),
    (f"{_INSTANCE}/pixeldata", retrieve_pixel_data),
    *((f"{level}/bulkdata", retrieve_bulk_resource) for level in (_STUDY, _SERIES, _INSTANCE)),
    *((f"{level}/pixeldata", retrieve_pixel_resource) for level in (_STUDY, _SERIES)),
)


urlpatterns = [
    # The busiest first.
    path(_FRAMES, resource(GET=retrieve_frames), name="frames"),
    path(f"{_SERIES}/metadata", resource(GET=retrieve_metadata), name="series-metadata"),
    path(f"{_INSTANCE}/metadata", resource(GET=retrieve_metadata), name="instance-metadata"),
    path(f"{_STUDY}/metadata", resource(GET=retrieve_metadata), name="study-metadata"),
    path("studies", resource(GET=search_studies, POST=store_instances), name="studies"),
    path(f"{_STUDY}/series", resource(GET=search_series), name="study-series"),
    path(f"{_STUDY}/instances", resource(GET=search_instances), name="study-instances"),
    path(f"{_SERIES}/instances", resource(GET=search_instances), name="series-instances"),
    path("series", resource(GET=search_series), name="series-search"),
    path("instances", resource(GET=search_instances), name="instances-search"),
    path(
        _STUDY, resource(GET=retrieve_instances, POST=store_instances, DELETE=reject), name="study"
    ),
    path(_SERIES, resource(GET=retrieve_instances, DELETE=reject), name="series"),
    path(_INSTANCE, resource(GET=retrieve_instances, DELETE=reject), name="instance"),
    path(f"{_INSTANCE}/bulkdata/<path:element>", resource(GET=retrieve_bulkdata), name="bulkdata"),
    path(f"{_INSTANCE}/pixeldata", resource(GET=retrieve_pixel_data), name="pixeldata"),
    path(f"{_INSTANCE}/bulkdata", resource(GET=retrieve_bulk_resource), name="instance-bulkdata"),
    path(f"{_SERIES}/bulkdata", resource(GET=retrieve_bulk_resource), name="series-bulkdata"),
    path(f"{_STUDY}/bulkdata", resource(GET=retrieve_bulk_resource), name="study-bulkdata"),
    path(f"{_SERIES}/pixeldata", resource(GET=retrieve_pixel_resource), name="series-pixeldata"),
    path(f"{_STUDY}/pixeldata", resource(GET=retrieve_pixel_resource), name="study-pixeldata"),
    path(f"{_FRAMES}/rendered", resource(GET=retrieve_rendered), name="frames-rendered"),
    path(f"{_FRAMES}/thumbnail", resource(GET=retrieve_thumbnail), name="frames-thumbnail"),
    path(f"{_INSTANCE}/rendered", resource(GET=retrieve_rendered), name="instance-rendered"),
    path(f"{_INSTANCE}/thumbnail", resource(GET=retrieve_thumbnail), name="instance-thumbnail"),
    path(f"{_SERIES}/rendered", resource(GET=retrieve_rendered), name="series-rendered"),
    path(f"{_SERIES}/thumbnail", resource(GET=retrieve_thumbnail), name="series-thumbnail"),
    path(f"{_STUDY}/rendered", resource(GET=retrieve_rendered), name="study-rendered"),
    path(f"{_STUDY}/thumbnail", resource(GET=retrieve_thumbnail), name="study-thumbnail"),
    path("workitems", resource(GET=ups_rs.search, POST=ups_rs.create), name="workitems"),
    path(_WORKITEM, resource(GET=ups_rs.retrieve, POST=ups_rs.update), name="workitem"),
    path(f"{_WORKITEM}/state", resource(PUT=ups_rs.change_state), name="workitem-state"),
    path(f"{_WORKITEM}/cancelrequest", resource(POST=ups_rs.cancel), name="workitem-cancel"),
    path(
        _SUBSCRIBER,
        resource(POST=subscriptions.subscribe, DELETE=subscriptions.unsubscribe),
        name="workitem-subscriber",
    ),
    path(f"{_SUBSCRIBER}/suspend", resource(POST=subscriptions.suspend), name="workitem-suspend"),
    path(
        "subscribers/<str:aetitle>",
        resource(GET=subscriptions.event_channel),
        name="event-channel",
    ),
    path(
        "commitment-requests/<str:transaction>",
        resource(GET=check_result, POST=request_commitment),
        name="commitment-request",
    ),
    path("remotes", resource(GET=remotes.list_remotes), name="remotes"),
    path(
        f"{_REMOTE}/studies",
        resource(GET=served(remotes.search_studies), POST=served(store_remotely)),
    ),
    path(f"{_REMOTE}/series", resource(GET=served(remotes.search_series))),
    path(f"{_REMOTE}/instances", resource(GET=served(remotes.search_instances))),
    path(f"{_REMOTE}/{_STUDY}/series", resource(GET=served(remotes.search_series))),
    path(f"{_REMOTE}/{_STUDY}/instances", resource(GET=served(remotes.search_instances))),
    path(f"{_REMOTE}/{_SERIES}/instances", resource(GET=served(remotes.search_instances))),
    path(
        f"{_REMOTE}/{_STUDY}",
        resource(GET=served(retrieve_arriving), POST=served(store_remotely)),
    ),
    path(f"{_REMOTE}/{_SERIES}", resource(GET=served(retrieve_arriving))),
    *(
        path(f"{_REMOTE}/{below}", resource(GET=served(fetched(view))))
        for below, view in _RETRIEVED
    ),
    path(f"{_REMOTE}/{_INSTANCE}/<path:element>", resource(GET=served(nothing))),
    path("", resource(GET=openapi_document), name="service"),
    path("openapi.json", resource(GET=openapi_document), name="openapi"),
    path("changes", resource(GET=list_changes), name="changes"),
    path(f"{_STUDY}/restore", resource(POST=restore), name="study-restore"),
    path(f"{_STUDY}/purge", resource(POST=purge), name="study-purge"),
    *(each for npi in NON_PATIENT for each in _non_patient(npi)),
]
