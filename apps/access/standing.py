"""What a sign-in rests on, and whether it still stands: one query, asked with every request.

Who was recognised once need not be recognised again from scratch: session data need no decoding
and passwords no hashing as long as the rows behind them say the same. They are asked each time, so
that a sign-out, a new password, a revoked token, a deactivated user and a changed role count at
once, in every process.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from apps.access.models import User
from apps.access.prepared import Prepared, adapted, vendor
from apps.access.principals import Permission as Right
from apps.access.tokens import valid_tokens

_APP: Final = "access"
_CODES: Final = {each.value.partition(".")[2]: each for each in Right}
# What stands for values in the compiled queries; no row has such.
_USER, _TOKEN, _NAME, _PASSWORD, _SESSION = -7001, -7002, "?name", "?password", "?session"
_BEGINNING: Final = datetime(1971, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Form:
    """What kind of sign-in, and which rights it has."""

    by_session: bool
    by_token: bool
    superuser: bool
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True)
class Standing:
    """The values that made a principal. `session_key` or `token_id` is set, or neither (Basic)."""

    user_id: int
    username: str
    password: str
    superuser: bool
    rights: frozenset[Right]
    session_key: str = ""
    token_id: int | None = None

    @property
    def form(self) -> Form:
        """What of it shapes the question; the rest are its values."""
        return Form(bool(self.session_key), self.token_id is not None, self.superuser, self.rights)

    def values(self) -> Callable[[], tuple[object, ...]]:
        """Gives the values of now, in the order of `sign_in`'s marks."""
        lasting = (self.user_id, self.username, self.password)
        if self.session_key:
            return lambda: (*lasting, self.session_key, _now())
        if self.token_id is not None:
            return lambda: (*lasting, self.token_id, _now())
        return lambda: lasting

    def question(self) -> tuple[str, tuple[object, ...]]:
        """What has an answer while it holds: to be asked together with other things."""
        return _question(self.form).question(*self.values()())

    def holds(self) -> bool:
        """Whether the database says the same now. Raises what the database raises."""
        return bool(_question(self.form).rows(*self.values()()))


def rights_of(user: User) -> frozenset[Right]:
    """The product's permissions of a user: all of an active superuser, else own and of groups."""
    if not user.is_active or user.pk is None:
        return frozenset()
    if user.is_superuser:
        return frozenset(Right)
    return _rights(_granted_now().rows(user.pk))


def _rights(rows: list[tuple[str]]) -> frozenset[Right]:
    return frozenset(_CODES[code] for (code,) in rows)


def _now() -> object:
    return _second(int(time.time()), vendor())


@functools.lru_cache(maxsize=4)
def _second(second: int, _vendor: str) -> object:
    return adapted(datetime.fromtimestamp(second, UTC))


def _granted(user_id: int, codes: Iterable[str] = tuple(_CODES)) -> QuerySet[Permission]:
    """As Django's ModelBackend has it: directly, or by a group."""
    directly = User.user_permissions.through._default_manager.filter(user_id=user_id)
    by_group = Group.permissions.through._default_manager.filter(group__user=user_id)
    return Permission.objects.filter(
        Q(pk__in=directly.values("permission_id")) | Q(pk__in=by_group.values("permission_id")),
        content_type__app_label=_APP,
        codename__in=list(codes),
    ).order_by()


@functools.cache
def _granted_now() -> Prepared:
    return Prepared(_granted(_USER).values_list("codename"), [_USER])


def sign_in(form: Form) -> tuple[QuerySet[User], list[str | int | datetime]]:
    """The user while such a sign-in stands, else nobody; and the marks that stand for its values.

    May be a part of a larger question: what is asked about the sign-in and what for it is then
    answered together.
    """
    user = User.objects.filter(
        pk=_USER, username=_NAME, password=_PASSWORD, is_active=True, is_superuser=form.superuser
    )
    marks: list[str | int | datetime] = [_USER, _NAME, _PASSWORD]
    if form.by_session:
        sessions = Session.objects.filter(session_key=_SESSION, expire_date__gt=_BEGINNING)
        user = user.filter(Exists(sessions))
        marks += [_SESSION, _BEGINNING]
    elif form.by_token:
        tokens = valid_tokens(_BEGINNING).filter(pk=_TOKEN, user=OuterRef("pk"))
        user = user.filter(Exists(tokens))
        marks += [_TOKEN, _BEGINNING]
    return (user if form.superuser else _with_just(user, form.rights)), marks


def _with_just(user: QuerySet[User], rights: frozenset[Right]) -> QuerySet[User]:
    """The user while these rights, and no others, are held."""
    held = [code for code, right in _CODES.items() if right in rights]
    others = [code for code in _CODES if code not in held]
    if others:
        user = user.filter(~Exists(_granted(_USER, others)))
    if not held:
        return user
    counted = (
        _granted(_USER, held)
        .values("content_type__app_label")
        .annotate(number=Count("codename", distinct=True))
    )
    return user.alias(held=Subquery(counted.values("number"))).filter(held=len(held))


@functools.lru_cache(maxsize=64)
def _question(form: Form) -> Prepared:
    user, marks = sign_in(form)
    return Prepared(user.values_list("pk"), marks)
