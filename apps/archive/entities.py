"""Where the compiler finds each attribute: the archive's entity maps, one for each query level.

At study level and below, patient attributes are the study's own (Study Root, PS3.4 C.3.2); only the
patient's counts come from the Patient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.db.models import Q

from apps.archive.models import Instance, Patient, Series, Study, StudyName
from apps.archive.names import words_alike
from apps.dicom.attributes import Attribute, Entity, Matching, of_entity, snake
from apps.dicom.query import Level
from apps.indexing.compiler import Descent, EntityMap

_P, _S, _E, _I = Entity.PATIENT, Entity.STUDY, Entity.SERIES, Entity.INSTANCE


def _patient_counts(prefix: str) -> dict[str, str]:
    return {
        each.keyword: f"{prefix}patient_entity__{snake(each.keyword)}"
        for each in of_entity(_P)
        if each.matching is Matching.COUNT
    }


def _by_sound(link: str) -> Callable[[Attribute, tuple[str, ...]], Q]:
    """Rows whose study, at `link`, has a name with words alike to all that are asked for."""

    def condition(attribute: Attribute, words: tuple[str, ...]) -> Q:
        found = Q()
        for word in words:
            rows = StudyName.objects.filter(tag=attribute.tag, word__in=words_alike(word))
            found &= Q(**{f"{link}__in": rows.values("study_id")})
        return found

    return condition


_INSTANCE: Final = EntityMap(
    model=Instance,
    paths={_I: "", _E: "series__", _S: "study__", _P: "study__"},
    ordering=("series_id", "instance_number", "pk"),
    offset="study__timezone_offset_from_utc",
    named=_patient_counts("study__"),
    sounds=_by_sound("study"),
)
_SERIES: Final = EntityMap(
    model=Series,
    paths={_E: "", _S: "study__", _P: "study__"},
    ordering=("study_id", "series_number", "pk"),
    offset="study__timezone_offset_from_utc",
    named=_patient_counts("study__"),
    below={_I: Descent(_INSTANCE, "series")},
    sounds=_by_sound("study"),
)
_STUDY: Final = EntityMap(
    model=Study,
    paths={_S: "", _P: ""},
    ordering=("-study_date", "-study_time", "-pk"),
    offset="timezone_offset_from_utc",
    named=_patient_counts(""),
    below={_E: Descent(_SERIES, "study"), _I: Descent(_INSTANCE, "study")},
    sounds=_by_sound("pk"),
)
_PATIENT: Final = EntityMap(
    model=Patient,
    paths={_P: ""},
    ordering=("patient_name_alphabetic", "pk"),
    offset="",
    below={
        _S: Descent(_STUDY, "patient_entity"),
        _E: Descent(_SERIES, "study__patient_entity"),
        _I: Descent(_INSTANCE, "study__patient_entity"),
    },
)

ENTITY_MAPS: Final[dict[Level, EntityMap]] = {
    Level.PATIENT: _PATIENT,
    Level.STUDY: _STUDY,
    Level.SERIES: _SERIES,
    Level.INSTANCE: _INSTANCE,
}
