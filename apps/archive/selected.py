"""One answer to a query of the archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Level


@dataclass(frozen=True, slots=True)
class Match:
    """One answer.

    `values` maps tag to stored text, several values joined by a backslash, `""` where the object
    had none; `items` maps tag to an element of the DICOM JSON Model (PS3.18 F.2) for attributes
    that have no column. `pk` is the row's key at the query's level.
    """

    level: Level
    pk: int
    values: Mapping[int, str]
    items: Mapping[int, dict[str, Any]]

    @property
    def study_instance_uid(self) -> str:
        """UID of the study, `""` at patient level."""
        return self.values.get(_STUDY_UID, "")

    @property
    def series_instance_uid(self) -> str:
        """UID of the series, `""` above series level."""
        return self.values.get(_SERIES_UID, "")

    @property
    def sop_instance_uid(self) -> str:
        """UID of the instance, `""` above instance level."""
        return self.values.get(_SOP_UID, "")


_STUDY_UID = BY_KEYWORD["StudyInstanceUID"].tag
_SERIES_UID = BY_KEYWORD["SeriesInstanceUID"].tag
_SOP_UID = BY_KEYWORD["SOPInstanceUID"].tag
