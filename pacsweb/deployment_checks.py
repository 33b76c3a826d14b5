"""`manage.py check --deploy` refuses the embedded defaults."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def embedded_defaults(**_: Any) -> list[CheckMessage]:
    """One error per part that is still the embedded one, one sentence each."""
    environment = settings.PACSWEB
    found: list[CheckMessage] = []

    def refuse(condition: bool, identifier: str, message: str, hint: str) -> None:
        if condition:
            found.append(Error(message, hint=hint, id=f"pacsweb.{identifier}"))

    refuse(
        environment.database_url.startswith("sqlite:"),
        "E001",
        "The database is SQLite.",
        "Set PACSWEB_DATABASE_URL to postgresql://…",
    )
    refuse(
        environment.embedded_redis,
        "E002",
        "Redis is the embedded one.",
        "Set PACSWEB_REDIS_URL to redis://… or rediss://…",
    )
    refuse(
        environment.storage_url.startswith("file:"),
        "E003",
        "Blobs are kept in a local folder.",
        "Set PACSWEB_STORAGE_URL to s3://bucket/prefix, or silence pacsweb.E003 where the folder "
        "is a durable volume with a backup.",
    )
    refuse(
        not os.environ.get("PACSWEB_SECRET_KEY", "").strip(),
        "E004",
        "The secret key was minted into the data folder.",
        "Set PACSWEB_SECRET_KEY; every process of the installation needs the same one.",
    )
    refuse(
        not environment.allowed_hosts,
        "E005",
        "Every host name is accepted.",
        "Set PACSWEB_ALLOWED_HOSTS to the names this installation is reached by.",
    )
    refuse(
        not environment.secure_cookies,
        "E006",
        "Cookies may travel over plain HTTP.",
        "Set PACSWEB_SECURE_COOKIES=1 behind a proxy that speaks HTTPS.",
    )
    if not environment.public_url:
        found.append(
            checks.Warning(
                "No public URL is set; links in DICOMweb answers follow the request.",
                hint="Set PACSWEB_PUBLIC_URL.",
                id="pacsweb.W001",
            )
        )
    return found
