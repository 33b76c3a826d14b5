"""ORM paths such as `study__patient_name`, taken apart."""

from __future__ import annotations

from django.db.models import Model


def owner_of(model: type[Model], path: str) -> tuple[str, type[Model], str]:
    """Where the column at `path` lives: the path to its row, that row's model, its own name.

    The path to the row is `pk` for a column of `model` itself.
    """
    *joins, name = path.split("__")
    for join in joins:
        related = model._meta.get_field(join).related_model
        assert isinstance(related, type), f"{join} is no relation"
        model = related
    return "__".join(joins) or "pk", model, name
