"""System check: every row of the attribute table has its column, and every column its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldDoesNotExist
from django.db.models import BigIntegerField, Field, Model

from apps.archive.models import Instance, Patient, Series, Study
from apps.dicom.attributes import TABLE, Attribute, Entity, Matching, snake
from apps.dicom.values import INTEGER_VRS
from apps.indexing.columns import AttributeColumn, FoldedNameColumn, NumberColumn

_GROUPS: Final = ("alphabetic", "ideographic", "phonetic")
# The study keeps patient attributes of its own (PS3.4 C.3.2).
MODELS: Final[tuple[tuple[type[Model], frozenset[Entity]], ...]] = (
    (Patient, frozenset({Entity.PATIENT})),
    (Study, frozenset({Entity.PATIENT, Entity.STUDY})),
    (Series, frozenset({Entity.SERIES})),
    (Instance, frozenset({Entity.INSTANCE})),
)


def check_attribute_columns(
    app_configs: Sequence[AppConfig] | None = None,  # noqa: ARG001 - Django passes it
    **_: Any,
) -> list[CheckMessage]:
    """Errors E001 to E004, each naming the model and the keyword."""
    return [
        Error(text, obj=model, id=f"archive.E{number:03}")
        for model, entities in MODELS
        for number, text in (*_rows_without_column(model, entities), *_odd_columns(model, entities))
    ]


def _expected(model: type[Model], entities: frozenset[Entity]) -> Iterator[Attribute]:
    for attribute in TABLE:
        counts_of_patient = model is Study and attribute.entity is Entity.PATIENT
        if attribute.entity in entities and not (
            counts_of_patient and attribute.matching is Matching.COUNT
        ):
            yield attribute


def column_type(attribute: Attribute) -> type[Field[Any, Any]]:
    """The field class an attribute's column has to be of."""
    if attribute.matching is Matching.COUNT:
        return BigIntegerField
    return NumberColumn if attribute.vr in INTEGER_VRS else AttributeColumn


def _rows_without_column(
    model: type[Model], entities: frozenset[Entity]
) -> Iterator[tuple[int, str]]:
    for attribute in _expected(model, entities):
        name, expected = snake(attribute.keyword), column_type(attribute)
        column = _field(model, name)
        if column is None:
            yield 1, f"{attribute.keyword} has no column {name}."
        elif not isinstance(column, expected):
            yield 2, f"{name} has to be a {expected.__name__}, not {type(column).__name__}."
        elif attribute.vr == "PN":
            folded = (f"{name}_{group}" for group in _GROUPS)
            missing = [n for n in folded if not isinstance(_field(model, n), FoldedNameColumn)]
            if missing:
                yield 3, f"{attribute.keyword} lacks its folded columns: {', '.join(missing)}."


def _odd_columns(model: type[Model], entities: frozenset[Entity]) -> Iterator[tuple[int, str]]:
    """Columns whose name, keyword and entity do not belong together."""
    known = {attribute.keyword for attribute in _expected(model, entities)}
    for column in model._meta.get_fields():
        if not isinstance(column, AttributeColumn | NumberColumn):
            continue
        keyword = column.attribute.keyword
        if column.name != snake(keyword) or keyword not in known:
            yield 4, f"The column {column.name} stands for {keyword}, which does not belong here."


def _field(model: type[Model], name: str) -> Field[Any, Any] | None:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if isinstance(field, Field) else None
