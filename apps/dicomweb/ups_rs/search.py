"""Query parameters of a search for work items (PS3.18 11.9, 8.3.4) to a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import keyword_dict

from apps.dicom import ups
from apps.dicom.query import Key
from apps.dicomweb.qido.parameters import LARGEST_PAGE, loose_search
from apps.errors import InvalidRequest
from apps.worklist.work_item_search import WorkItemQuery

PAGE: Final = LARGEST_PAGE
# TABLE: what an answer holds unless more is asked for: the return keys of table CC.2.5-3 that a
# worklist shows.
_ALWAYS: Final = tuple(
    Key((keyword_dict[each],), ())
    for each in (
        "SOPClassUID",
        "SOPInstanceUID",
        "ScheduledProcedureStepPriority",
        "ScheduledProcedureStepModificationDateTime",
        "ProcedureStepLabel",
        "WorklistLabel",
        "ScheduledProcessingParametersSequence",
        "ScheduledStationNameCodeSequence",
        "ScheduledStationClassCodeSequence",
        "ScheduledStationGeographicLocationCodeSequence",
        "ScheduledHumanPerformersSequence",
        "ScheduledProcedureStepStartDateTime",
        "ExpectedCompletionDateTime",
        "ScheduledWorkitemCodeSequence",
        "CommentsOnTheScheduledProcedureStep",
        "InputReadinessState",
        "StudyInstanceUID",
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientSex",
        "AdmissionID",
        "ReferencedRequestSequence",
        "ProcedureStepState",
        "ProcedureStepProgressInformationSequence",
    )
)


@dataclass(frozen=True, slots=True)
class WorkItemSearch:
    """A query, which page of its results is wanted, and what was said."""

    query: WorkItemQuery
    everything: bool
    limit: int | None
    offset: int
    said: Mapping[str, str]


def search_from(query_string: str) -> WorkItemSearch:
    """Reads the URL's query. Raises InvalidRequest, naming the parameter at fault."""
    asked = loose_search(query_string)
    given = {key.path for key in asked.keys}
    wanted = {key.path: key for key in (*_ALWAYS, *asked.include) if key.path not in given}
    wanted.pop((int(ups.TRANSACTION_UID, 16),), None)
    query = WorkItemQuery((*asked.keys, *wanted.values()), asked.zone, fuzzy_names=asked.fuzzy)
    refused = tuple(f"{key.path[-1]:08X}" for key in query.unsupported if key.path in given)
    if refused:
        raise InvalidRequest(
            f"{', '.join(refused)} cannot be used as a key in this search.", offending=refused
        )
    return WorkItemSearch(query, asked.everything, asked.limit, asked.offset, asked.said)
