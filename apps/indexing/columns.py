"""AttributeColumn("StudyDate"): a model field whose type, width and index come from the table."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.dicom.attributes import BY_KEYWORD, Attribute

INTEGER_VRS = frozenset({"IS", "US", "UL", "SS", "SL"})


class ExactText(models.TextField):  # type: ignore[type-arg]
    """Text that both databases compare and sort by code point.

    SQLite's default collation already does; PostgreSQL needs `COLLATE "C"`, without which neither
    prefix ranges nor a stable order are index-friendly.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        """Adds the collation where the vendor needs one."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


class AttributeColumn(ExactText):
    """A text attribute in DICOM form: normalised, multiple values joined by a backslash."""

    def __init__(self, keyword: str, **options: Any) -> None:
        self.attribute: Attribute = BY_KEYWORD[keyword]
        options.setdefault("default", "")
        options.setdefault("blank", True)
        super().__init__(**options)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """For migrations: the keyword is the first positional argument."""
        name, path, args, options = super().deconstruct()
        return name, path, [self.attribute.keyword, *args], options


class NumberColumn(models.BigIntegerField):  # type: ignore[type-arg]
    """An integer attribute (IS, US, UL, SS, SL); NULL where absent or not a whole number."""

    def __init__(self, keyword: str, **options: Any) -> None:
        self.attribute: Attribute = BY_KEYWORD[keyword]
        options.setdefault("null", True)
        options.setdefault("blank", True)
        super().__init__(**options)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """For migrations: the keyword is the first positional argument."""
        name, path, args, options = super().deconstruct()
        return name, path, [self.attribute.keyword, *args], options


class FoldedNameColumn(ExactText):
    """One component group of a PN, folded for matching (`apps.dicom.values.fold_name`)."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("default", "")
        options.setdefault("blank", True)
        options.setdefault("editable", False)
        super().__init__(**options)
