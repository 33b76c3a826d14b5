"""AttributeColumn("StudyDate"): a model field whose type, width and index come from the table."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup
from django.db.models.sql.compiler import SQLCompiler
from pydicom.datadict import dictionary_description

from apps.dicom import worklist
from apps.dicom.attributes import BY_KEYWORD, Attribute

Sql = tuple[str, tuple[str | int, ...]]


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


class PatternLookup(Lookup):
    """A lookup whose right side is a DICOM pattern: `*` any run, `?` one character (C.2.2.2.4).

    Every other character is literal, also those that SQL gives a meaning. Case counts, as in the
    standard: that rules out LIKE on SQLite.
    """

    sqlite = ""
    postgresql = ""

    def _sql(self, template: str, parameter: str, compiler: SQLCompiler, connection: Any) -> Sql:
        left, parameters = self.process_lhs(compiler, connection)
        return template.format(column=left), (*parameters, parameter)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Sql:
        """GLOB has the same two wild cards; its third, `[`, is written as a class of one."""
        pattern = str(self.rhs).replace("[", "[[]")
        return self._sql(self.sqlite, pattern, compiler, connection)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Sql:
        """LIKE, its own wild cards taken literally."""
        literal = "".join(f"\\{each}" if each in "\\%_" else each for each in str(self.rhs))
        pattern = literal.replace("*", "%").replace("?", "_")
        return self._sql(self.postgresql, pattern, compiler, connection)


@ExactText.register_lookup
class Wild(PatternLookup):
    """`column__wild="*thorax?"`: the whole text matches."""

    lookup_name = "wild"
    sqlite = "{column} GLOB %s"
    postgresql = "{column} LIKE %s"


@ExactText.register_lookup
class AnyWild(PatternLookup):
    """`column__any_wild="CT*"`: one of the backslash-separated values matches (C.2.2.3)."""

    lookup_name = "any_wild"
    # json_quote() doubles each backslash; what stands between two such pairs is one value.
    sqlite = (
        "EXISTS (SELECT 1 FROM json_each("
        "'[' || replace(json_quote({column}), '\\\\', '\",\"') || ']') AS part "
        "WHERE part.value GLOB %s AND part.value <> '')"
    )
    postgresql = (
        "EXISTS (SELECT 1 FROM unnest(string_to_array({column}, chr(92))) AS part(value) "
        "WHERE part.value LIKE %s AND part.value <> '')"
    )


@ExactText.register_lookup
class AnyValue(Lookup):
    """`column__any_value="CT"`: one of the backslash-separated values is this one."""

    lookup_name = "any_value"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Sql:
        """A search for the value between two delimiters; both databases compare exactly."""
        left, parameters = self.process_lhs(compiler, connection)
        search, delimiter = (
            ("strpos", "chr(92)") if connection.vendor == "postgresql" else ("instr", "char(92)")
        )
        sql = f"{search}({delimiter} || {left} || {delimiter}, %s) > 0"
        return sql, (*parameters, f"\\{self.rhs}\\")


def attribute_named(keyword: str) -> Attribute:
    """The row of the archive's table, else of the worklist's: VR and VM are PS3.6's in both."""
    return BY_KEYWORD.get(keyword) or worklist.BY_KEYWORD[keyword]


def _name_of(attribute: Attribute) -> str:
    """The attribute's name in PS3.6, as pages show it: `SOP Instance UID`."""
    return str(dictionary_description(attribute.tag))


class AttributeColumn(ExactText):
    """A text attribute as it was sent, multiple values joined by a backslash."""

    def __init__(self, keyword: str, **options: Any) -> None:
        self.attribute = attribute_named(keyword)
        options.setdefault("default", "")
        options.setdefault("blank", True)
        options.setdefault("verbose_name", _name_of(self.attribute))
        super().__init__(**options)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """For migrations: the keyword is the first positional argument, and says the name."""
        name, path, args, options = super().deconstruct()
        options.pop("verbose_name", None)
        return name, path, [self.attribute.keyword, *args], options


class NumberColumn(models.BigIntegerField):  # type: ignore[type-arg]
    """An integer attribute (IS, US, UL, SS, SL); NULL where absent or not a whole number."""

    def __init__(self, keyword: str, **options: Any) -> None:
        self.attribute = attribute_named(keyword)
        options.setdefault("null", True)
        options.setdefault("blank", True)
        options.setdefault("verbose_name", _name_of(self.attribute))
        super().__init__(**options)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """For migrations: the keyword is the first positional argument, and says the name."""
        name, path, args, options = super().deconstruct()
        options.pop("verbose_name", None)
        return name, path, [self.attribute.keyword, *args], options


class FoldedNameColumn(ExactText):
    """One component group of a PN, folded for matching (`apps.dicom.values.fold_name`)."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("default", "")
        options.setdefault("blank", True)
        options.setdefault("editable", False)
        super().__init__(**options)
