"""Which BlobStore this installation uses: a URL's scheme picks it."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.storage.blobs import BlobStore
from apps.storage.filesystem import FilesystemStore


def store_from_url(url: str) -> BlobStore:
    """`file:///path` or `s3://bucket/prefix?endpoint_url=...&region=...`.

    S3 credentials come from AWS's own environment variables, files or instance role.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return FilesystemStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        # boto3 costs a quarter of a second to import: only where it is used.
        from apps.storage.s3 import S3Store

        options = dict(parse_qsl(parts.query))
        return S3Store(
            bucket=parts.netloc,
            prefix=unquote(parts.path).strip("/"),
            endpoint_url=options.get("endpoint_url"),
            region=options.get("region"),
        )
    raise ImproperlyConfigured(
        "PACSWEB_STORAGE_URL must look like file:///folder or "
        "s3://bucket/prefix?endpoint_url=https://host&region=name."
    )


def blob_store() -> BlobStore:
    """The store of `PACSWEB_STORAGE_URL`; one per process, made anew after a fork."""
    return _store_of(settings.PACSWEB.storage_url, os.getpid())


@lru_cache(maxsize=4)
def _store_of(url: str, _process: int) -> BlobStore:
    return store_from_url(url)
