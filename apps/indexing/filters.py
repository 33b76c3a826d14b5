"""Search and list filters for the admin, from the rows of the attribute table."""
# ruff: noqa: ARG002 - the signatures are those of Django

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from pydicom.datadict import dictionary_description

from apps.dicom.attributes import snake
from apps.dicom.criteria import criterion_of
from apps.errors import InvalidRequest
from apps.indexing.columns import attribute_named
from apps.indexing.compiler import EntityMap, narrowed


def found(rows: QuerySet[Any], entities: EntityMap, keywords: Iterable[str], text: str) -> Q:
    """Rows where any of the attributes begins with `text`, or is it where no wild card may stand.

    Names match without case and accents, by any component group. An index answers each attribute.
    """
    conditions = [Q(pk__in=[])]
    for keyword in keywords:
        attribute = attribute_named(keyword)
        starred = attribute.vr not in {"UI", "DA", "IS"}
        try:
            criterion = criterion_of(attribute, (f"{text}*" if starred else text,))
        except InvalidRequest:
            continue  # what was typed is no UID, no date: another attribute may have it
        matching = narrowed(rows.model._default_manager.all(), [(attribute, criterion)], entities)
        conditions.append(Q(pk__in=matching.values("pk")))
    return reduce(or_, conditions)


class AttributeSearch(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin whose search box looks in the attributes `searched`; all words must be found."""

    entities: ClassVar[EntityMap]
    searched: ClassVar[tuple[str, ...]] = ()

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """The columns searched; the admin shows the box because there are some."""
        return tuple(snake(keyword) for keyword in self.searched)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows that have every word; never duplicates."""
        for word in search_term.split():
            queryset = queryset.filter(found(queryset, self.entities, self.searched, word))
        return queryset, False


def date_filter(keyword: str) -> type[admin.SimpleListFilter]:
    """A list filter over a DA column: Django's own works on date columns only."""
    attribute = attribute_named(keyword)
    column = snake(keyword)

    class DateFilter(admin.SimpleListFilter):
        title = str(dictionary_description(attribute.tag))
        parameter_name = column

        def lookups(
            self, request: HttpRequest, model_admin: admin.ModelAdmin[Model]
        ) -> list[tuple[str, str]]:
            return [("1", "today"), ("7", "past 7 days"), ("30", "past 30 days"),
                    ("365", "past year"), ("0", "no date")]  # fmt: skip

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value() or ""
            if value == "0":
                return queryset.filter(**{column: ""})
            if not value.isdecimal() or len(value) > 3:  # noqa: PLR2004 - no choice is longer
                return queryset
            first = timezone.now() - timedelta(days=int(value) - 1)
            return queryset.filter(**{f"{column}__gte": f"{first:%Y%m%d}"})

    return DateFilter
