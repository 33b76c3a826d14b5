"""The study list: search as one types, filters, sorting, and pages that nothing shifts.

A selector like those in `selectors`, in words of the screen rather than of the standard.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import Exists, Field, OuterRef, Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from apps.access.principals import Principal
from apps.archive.models import Study, StudyAlert, StudySearchToken
from apps.archive.selectors import scope_of
from apps.dicom.values import fold_text, is_date, normalise, search_words
from apps.errors import InvalidRequest
from apps.indexing.compiler import between, prefix

# Beyond this the list says "more than"; nobody reads so far, and counting costs.
MOST_COUNTED: Final = 10_000
MOST_ROWS: Final = 500
_FEW: Final = 2_000
_MOST_WORDS: Final = 20
_MOST_UIDS: Final = 1_000
_MOST_MODALITIES: Final = 100

# What the list can be sorted by, as columns; the key always decides last.
SORTS: Final[dict[str, tuple[str, ...]]] = {
    "study_date": ("study_date", "study_time"),
    "patient_name": ("patient_name_alphabetic",),
    "patient_id": ("patient_id",),
    "study_description": ("study_description",),
    "accession_number": ("accession_number",),
    "referring_physician": ("referring_physician_name_alphabetic",),
    "modalities": ("modalities_in_study",),
    "instances": ("number_of_study_related_instances",),
    "body_part": ("body_parts_examined",),
    "station": ("station_names",),
    "source": ("source_ae_title", "source_door"),
    "size": ("size_bytes",),
    "state": ("state", "last_received_at"),
    "received_at": ("received_at",),
}

# TABLE: spans of days that move with the calendar: (days back to the first, to the last).
DATE_PRESETS: Final[dict[str, tuple[int, int]]] = {
    "today": (0, 0),
    "yesterday": (1, 1),
    "7d": (6, 0),
    "30d": (29, 0),
}

# What the list calls a state: those of the study, and that something is wrong with it.
ATTENTION: Final = "attention"
STATES: Final = (*Study.State.values, ATTENTION)

Studies = QuerySet[Study]


@dataclass(frozen=True, slots=True)
class StudyListFilter:
    """What the person set; empty fields ask nothing. Dates are `YYYYMMDD`, both ends included.

    `q`: words that each begin some word of name, identifiers or description. `date`: a key of
    DATE_PRESETS, seen from `today`, which is a day of the person's own and no filter. `modality`:
    any of them. `description`, `body_part`, `station`, `referring`: text within; `accession`:
    beginning. `state`: one of STATES. `patient_id`, `issuer`, `uid`: exact.
    """

    q: str = ""
    date: str = ""
    date_from: str = ""
    date_to: str = ""
    modality: tuple[str, ...] = ()
    description: str = ""
    body_part: str = ""
    accession: str = ""
    referring: str = ""
    station: str = ""
    state: str = ""
    patient_id: str = ""
    issuer: str = ""
    uid: tuple[str, ...] = ()
    today: str = ""

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the filters that are set."""
        named = (each.name for each in fields(self) if each.name != "today")
        return tuple(name for name in named if getattr(self, name))


@dataclass(frozen=True, slots=True)
class StudyListPage:
    """One page. `next` is the cursor of the following one, `""` at the end.

    `excluded_by` is filled where nothing was found: (filter, how many studies without it), the
    filter that excludes most first. Where no single one is in the way, `found_by` says what each
    finds alone. A `total` that is not exact is a lower bound.
    """

    studies: tuple[Study, ...]
    next: str
    total: int
    total_is_exact: bool
    excluded_by: tuple[tuple[str, int], ...]
    found_by: tuple[tuple[str, int], ...]
    archive_is_empty: bool


def study_list(
    filters: StudyListFilter,
    principal: Principal,
    *,
    sort: str = "-study_date",
    cursor: str = "",
    limit: int = 100,
) -> StudyListPage:
    """A page of the studies that pass all filters; `sort` is a key of SORTS, `-` for descending.

    Raises InvalidRequest for a sort key, a cursor or a date that is none, and NotPermitted.
    """
    visible = Study.objects.filter(scope_of(principal))
    _refuse_too_much(filters)
    found = list(
        _filtered(visible, filters).order_by().values_list("pk", flat=True)[: MOST_COUNTED + 1]
    )
    # Few are fetched by key and sorted; of many the first in order are met soon.
    rows = (
        visible.filter(pk__in=found)
        if len(found) <= _FEW
        else _filtered(visible, filters, walking=True)
    )
    studies, following = _page(rows, sort, cursor, max(1, min(limit, MOST_ROWS)))
    prefetch_related_objects(studies, "alerts")
    excluded_by = () if found else _excluded_by(visible, filters)
    found_by = () if found or excluded_by else _found_by(visible, filters)
    return StudyListPage(
        studies=tuple(studies),
        next=following,
        total=min(len(found), MOST_COUNTED),
        total_is_exact=len(found) <= MOST_COUNTED,
        excluded_by=excluded_by,
        found_by=found_by,
        archive_is_empty=not found and not visible.exists(),
    )


def _refuse_too_much(filters: StudyListFilter) -> None:
    """Each word is one more condition, and no database takes any number of them."""
    texts = ("q", "description", "body_part", "station", "referring")
    offending = tuple(name for name in texts if _words(getattr(filters, name)) > _MOST_WORDS)
    if len(filters.uid) > _MOST_UIDS:
        offending += ("uid",)
    if len(filters.modality) > _MOST_MODALITIES:
        offending += ("modality",)
    if offending:
        raise InvalidRequest("A filter holds too many words.", offending=offending)


def _words(text: str) -> int:
    return max(len(text.split()), len(search_words(text)))


# --- pages ---------------------------------------------------------------------------------------


def _page(rows: Studies, sort: str, cursor: str, limit: int) -> tuple[list[Study], str]:
    """Rows behind the cursor: rows that arrive meanwhile shift nothing."""
    descending, name = sort.startswith("-"), sort.removeprefix("-")
    if name not in SORTS:
        raise InvalidRequest(f"The study list cannot be sorted by {name[:40]!r}.")
    columns = (*SORTS[name], "id")
    if cursor:
        rows = rows.filter(_behind(columns, _opened(cursor, sort, columns), descending))
    sign = "-" if descending else ""
    found = list(rows.order_by(*(f"{sign}{column}" for column in columns))[: limit + 1])
    if len(found) <= limit:
        return found, ""
    found.pop()
    return found, _cursor(sort, [getattr(found[-1], column) for column in columns])


def _behind(columns: tuple[str, ...], place: list[Any], descending: bool) -> Q:
    """Rows that sort behind `place`; the bound on the first column is there for the index."""
    lookup = "lt" if descending else "gt"
    condition = Q()
    for index in range(len(columns)):
        equal = {columns[before]: place[before] for before in range(index)}
        condition |= Q(**equal, **{f"{columns[index]}__{lookup}": place[index]})
    return condition & Q(**{f"{columns[0]}__{lookup}e": place[0]})


def _cursor(sort: str, place: list[Any]) -> str:
    plain = [each.isoformat() if isinstance(each, datetime) else each for each in place]
    return base64.urlsafe_b64encode(json.dumps([sort, *plain]).encode()).decode()


def _column(name: str) -> Field[Any, Any]:
    column = Study._meta.get_field(name)
    assert isinstance(column, Field)
    return column


def _opened(cursor: str, sort: str, columns: tuple[str, ...]) -> list[Any]:
    refused = InvalidRequest("The cursor is no place in this list.", offending=("cursor",))
    try:
        made_for, *place = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        values = [
            _column(name).to_python(value) for name, value in zip(columns, place, strict=True)
        ]
    except (ValueError, TypeError, ValidationError) as failure:
        raise refused from failure
    if made_for != sort or None in values:
        raise refused
    return values


# --- filters -------------------------------------------------------------------------------------


def _filtered(rows: Studies, filters: StudyListFilter, *, walking: bool = False) -> Studies:
    """`walking`: studies are met in the order of the list, and each is asked for its words."""
    rows = rows.filter(*(_CONDITIONS[name](filters) for name in filters.active))
    for word in search_words(filters.q):
        tokens = StudySearchToken.objects.filter(prefix("token", word))
        rows = rows.filter(
            Exists(tokens.filter(study=OuterRef("pk")))
            if walking
            else Q(pk__in=tokens.values("study"))
        )
    return rows


def matching_count(filters: StudyListFilter, principal: Principal, most: int) -> int:
    """How many studies pass all filters, `most` standing for that many and more."""
    _refuse_too_much(filters)
    rows = _filtered(Study.objects.filter(scope_of(principal)), filters)
    return rows.order_by()[:most].count()


def stored_counts(principal: Principal, study_uids: Sequence[str]) -> dict[str, int]:
    """How many instances are here of each of these studies that is; raises NotPermitted."""
    rows = Study.objects.filter(scope_of(principal), study_instance_uid__in=study_uids)
    return dict(rows.values_list("study_instance_uid", "number_of_study_related_instances"))


def _excluded_by(visible: Studies, filters: StudyListFilter) -> tuple[tuple[str, int], ...]:
    """Each filter that alone keeps studies away, with how many; a lower bound from MOST_COUNTED.

    The two ends of a span of days are one filter to the person who set it: it counts as `date`.
    """
    return _counted((name, _filtered(visible, without(filters, name))) for name in _parts(filters))


def _found_by(visible: Studies, filters: StudyListFilter) -> tuple[tuple[str, int], ...]:
    """Each filter that alone finds something, with how many, the one that finds least first."""
    parts = _parts(filters)
    alone = (
        (name, reduce(without, (each for each in parts if each != name), filters)) for name in parts
    )
    return _counted((name, _filtered(visible, each)) for name, each in alone)[::-1]


def _parts(filters: StudyListFilter) -> tuple[str, ...]:
    return tuple(dict.fromkeys("date" if n in _DATES else n for n in filters.active))


def _counted(named: Iterable[tuple[str, Studies]]) -> tuple[tuple[str, int], ...]:
    found = [(name, rows.order_by()[:MOST_COUNTED].count()) for name, rows in named]
    return tuple(sorted((each for each in found if each[1]), key=lambda each: -each[1]))


_DATES: Final = ("date", "date_from", "date_to")


def without(filters: StudyListFilter, name: str) -> StudyListFilter:
    """The same filters but one; `date` takes the ends of the span with it."""
    empty = StudyListFilter()
    lifted = _DATES if name == "date" else (name,)
    return replace(filters, **{each: getattr(empty, each) for each in lifted})


def span_of(filters: StudyListFilter) -> tuple[str, str]:
    """First and last study date asked for, `""` for an open end. Raises InvalidRequest."""
    if filters.date:
        return _preset_span(filters)
    first, last = filters.date_from, filters.date_to
    return first and _day("date_from", first), last and _day("date_to", last)


def _preset(filters: StudyListFilter) -> Q:
    return between("study_date", *_preset_span(filters))


def _preset_span(filters: StudyListFilter) -> tuple[str, str]:
    if filters.date not in DATE_PRESETS:
        raise InvalidRequest(
            f"A date is one of {', '.join(DATE_PRESETS)}, or a span.", offending=("date",)
        )
    today = _day("today", filters.today) if filters.today else f"{timezone.now():%Y%m%d}"
    there = date(int(today[:4]), int(today[4:6]), int(today[6:]))
    first, last = (there - timedelta(days=back) for back in DATE_PRESETS[filters.date])
    return f"{first:%Y%m%d}", f"{last:%Y%m%d}"


def _state(filters: StudyListFilter) -> Q:
    if filters.state not in STATES:
        raise InvalidRequest(f"A state is one of {', '.join(STATES)}.", offending=("state",))
    if filters.state == ATTENTION:
        return Q(pk__in=StudyAlert.objects.values("study"))
    return Q(state=filters.state)


def _day(name: str, text: str) -> str:
    day = normalise("DA", text)
    if not is_date(day):
        raise InvalidRequest("A date is YYYYMMDD.", offending=(name,))
    return day


def _within(column: str, text: str) -> Q:
    """Every word somewhere in the text; case does not matter."""
    words = text.replace("\0", "").split()
    return reduce(and_, (Q(**{f"{column}__icontains": word}) for word in words), Q())


def _accession(filters: StudyListFilter) -> Q:
    """As typed or in capitals, so that an index can answer."""
    typed = normalise("SH", filters.accession)
    spellings = dict.fromkeys((typed, typed.upper(), typed.lower()))
    return reduce(or_, (prefix("accession_number", each) for each in spellings))


def _referring(filters: StudyListFilter) -> Q:
    words = (_literal(word) for word in search_words(filters.referring))
    column = "referring_physician_name"
    return reduce(
        and_,
        (
            Q(**{f"{column}_alphabetic__wild": word}) | Q(**{f"{column}_ideographic__wild": word})
            for word in words
        ),
        Q(),
    )


def _literal(word: str) -> str:
    """A pattern for text that holds the word; a star typed here asks for any run, as elsewhere."""
    return f"*{fold_text(word)}*"


def _modality(filters: StudyListFilter) -> Q:
    return reduce(or_, (Q(modalities_in_study__any_value=each) for each in filters.modality))


_CONDITIONS: Final[dict[str, Callable[[StudyListFilter], Q]]] = {
    "q": lambda _: Q(),  # by its words
    "date": _preset,
    "date_from": lambda asked: between("study_date", _day("date_from", asked.date_from), ""),
    "date_to": lambda asked: between("study_date", "", _day("date_to", asked.date_to)),
    "modality": _modality,
    "description": lambda asked: _within("study_description", asked.description),
    "body_part": lambda asked: _within("body_parts_examined", asked.body_part),
    "station": lambda asked: _within("station_names", asked.station),
    "referring": _referring,
    "accession": _accession,
    "state": _state,
    "patient_id": lambda asked: Q(patient_id=normalise("LO", asked.patient_id)),
    "issuer": lambda asked: Q(issuer_of_patient_id=normalise("LO", asked.issuer)),
    "uid": lambda asked: Q(study_instance_uid__in=asked.uid),
}
