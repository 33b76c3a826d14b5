"""`manage.py check --deploy` refuses the embedded defaults."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

from pacsweb.settings.environment import Environment


@dataclass(frozen=True, slots=True)
class Refusal:
    """One embedded default: when it is in force, and what to do instead."""

    identifier: str
    in_force: Callable[[Environment], bool]
    message: str
    hint: str


TABLE: Final = (
    Refusal(
        "pacsweb.E001",
        lambda environment: environment.database_url.startswith("sqlite:"),
        "The database is SQLite.",
        "Set PACSWEB_DATABASE_URL to postgresql://…",
    ),
    Refusal(
        "pacsweb.E002",
        lambda environment: environment.embedded_redis,
        "Redis is the embedded one.",
        "Set PACSWEB_REDIS_URL to redis://… or rediss://…",
    ),
    Refusal(
        "pacsweb.E003",
        lambda environment: environment.storage_url.startswith("file:"),
        "Blobs are kept in a local folder.",
        "Set PACSWEB_STORAGE_URL to s3://bucket/prefix, or silence pacsweb.E003 where the folder "
        "is a durable volume with a backup.",
    ),
    Refusal(
        "pacsweb.E004",
        lambda _environment: not os.environ.get("PACSWEB_SECRET_KEY", "").strip(),
        "The secret key was minted into the data folder.",
        "Set PACSWEB_SECRET_KEY; every process of the installation needs the same one.",
    ),
    Refusal(
        "pacsweb.E005",
        lambda environment: not environment.allowed_hosts,
        "Every host name is accepted.",
        "Set PACSWEB_ALLOWED_HOSTS to the names this installation is reached by.",
    ),
    Refusal(
        "pacsweb.E006",
        lambda environment: not environment.secure_cookies,
        "Cookies may travel over plain HTTP.",
        "Set PACSWEB_SECURE_COOKIES=1 behind a proxy that speaks HTTPS.",
    ),
)


@register(Tags.security, deploy=True)
def embedded_defaults(**_: Any) -> list[CheckMessage]:
    """One error per part that is still the embedded one, one sentence each."""
    environment = settings.PACSWEB
    found: list[CheckMessage] = [
        Error(row.message, hint=row.hint, id=row.identifier)
        for row in TABLE
        if row.in_force(environment)
    ]
    if not environment.public_url:
        found.append(
            checks.Warning(
                "No public URL is set; links in DICOMweb answers follow the request.",
                hint="Set PACSWEB_PUBLIC_URL.",
                id="pacsweb.W001",
            )
        )
    return found
