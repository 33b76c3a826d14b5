"""From the attributes of one instance to the columns of a row, for every archive model alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.db import models

from apps.dicom.attributes import Matching
from apps.dicom.values import fold_name, normalise
from apps.indexing.columns import AttributeColumn, NumberColumn

_GROUPS: Final = ("alphabetic", "ideographic", "phonetic")
_LONGEST_BYTES: Final = 1000
_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Columns:
    """Which attribute fills which column of a model."""

    texts: tuple[tuple[str, str, str], ...]  # (column, keyword, VR)
    numbers: tuple[tuple[str, str], ...]
    names: tuple[str, ...]  # text columns that have three folded columns beside them


@cache
def columns_of(model: type[models.Model]) -> Columns:
    """The columns that are copied from the instance; counts and lists of children are not."""
    texts, numbers, names = [], [], []
    fields = {field.name: field for field in model._meta.get_fields() if hasattr(field, "attname")}
    for name, field in fields.items():
        if isinstance(field, AttributeColumn):
            if field.attribute.from_children:
                continue
            texts.append((name, field.attribute.keyword, field.attribute.vr))
            if f"{name}_{_GROUPS[0]}" in fields:
                names.append(name)
        elif isinstance(field, NumberColumn) and field.attribute.matching is not Matching.COUNT:
            numbers.append((name, field.attribute.keyword))
    return Columns(tuple(texts), tuple(numbers), tuple(names))


def column_text(text: str) -> str:
    """Text that both databases can hold and index: no NUL, no lone surrogate, 1,000 bytes.

    The whole value stays in the instance's metadata; no VR that is searched is so long.
    """
    if text.isascii():
        return (text.replace("\0", "") if "\0" in text else text)[:_LONGEST_BYTES]
    raw = text.replace("\0", "").encode("utf-8", "replace")
    return raw[:_LONGEST_BYTES].decode("utf-8", "ignore")


def _searched(vr: str, text: str) -> str:
    """As sent, but for what no search would find: a DS by its number, `2024.01.02`, `11:20:00`."""
    if vr == "DS" or (vr == "DA" and "." in text) or (vr == "TM" and ":" in text):
        return normalise(vr, text)
    return text


def column_number(text: str) -> int | None:
    """A whole number of 64 bits; None for anything else, and for several values."""
    if not text or len(text) > 20:  # noqa: PLR2004 - the longest 64-bit number
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if _SMALLEST <= number <= _LARGEST else None


def values_for(model: type[models.Model], attributes: dict[str, str]) -> dict[str, Any]:
    """Every column of the model that the attributes fill, folded names included."""
    columns = columns_of(model)
    get = attributes.get
    values: dict[str, Any] = {
        name: column_text(_searched(vr, text)) if (text := get(keyword)) else ""
        for name, keyword, vr in columns.texts
    }
    for name, keyword in columns.numbers:
        values[name] = column_number(text) if (text := get(keyword)) else None
    for name in columns.names:
        _fold_into(values, name)
    return values


def say_again(row: models.Model, attributes: dict[str, str], *, but: frozenset[str]) -> None:
    """What a row says of instances that are gone gives way to what this one says."""
    for name, value in values_for(type(row), attributes).items():
        if name not in but:
            setattr(row, name, value)


def _fold_into(values: dict[str, Any], name: str) -> bool:
    text = values[name]
    for group, folded in zip(_GROUPS, fold_name(text) if text else ("", "", ""), strict=True):
        values[f"{name}_{group}"] = folded
    return True


def unsaid(row: models.Model) -> list[str]:
    """Keywords of which a row says nothing: where an instance has none, it has nothing to fill."""
    columns = columns_of(type(row))
    texts = [keyword for name, keyword, _ in columns.texts if not getattr(row, name)]
    return texts + [keyword for name, keyword in columns.numbers if getattr(row, name) is None]


def fill_empty(row: models.Model, attributes: dict[str, str], *, but: frozenset[str]) -> bool:
    """Takes over what the row does not say yet, except the columns in `but`; True if anything.

    The first value wins: later instances complete a study or series, they do not rewrite it.
    """
    columns = columns_of(type(row))
    filled: dict[str, Any] = {}
    for name, keyword, vr in columns.texts:
        if (value := attributes.get(keyword)) and name not in but and not getattr(row, name):
            filled[name] = column_text(_searched(vr, value))
    for name, keyword in columns.numbers:
        if (value := attributes.get(keyword)) and getattr(row, name) is None:
            filled[name] = column_number(value)
    for name in columns.names:
        if name in filled:
            _fold_into(filled, name)
    for name, value in filled.items():
        setattr(row, name, value)
    return any(value not in ("", None) for value in filled.values())
