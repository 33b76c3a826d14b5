"""Metadata on its way out: stored fragments in order. No DICOM file is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

import orjson

from apps.access.principals import Principal
from apps.archive.fragments import plain
from apps.archive.models import Instance, Metadata
from apps.archive.selectors import instances_of
from apps.errors import NotFound
from apps.retrieve.polarity import polarity_rules, shown, shown_fragments

# Beyond this many instances the answer is streamed without a tag: hashing would delay it.
TAGGED_INSTANCES = 4000


def fragments_of(
    principal: Principal,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> Iterator[bytes]:
    """The packed JSON of each instance in series and instance order; empty if none is visible."""
    rows = instances_of(principal, study_instance_uid, series_instance_uid, sop_instance_uid)
    if rules := polarity_rules():
        yield from shown_fragments(rules, rows)
        return
    fragments = rows.values_list("metadata__fragment", flat=True)
    for fragment in fragments.iterator(chunk_size=500):
        if fragment is not None:
            yield bytes(fragment)


def tag_of(fragments: list[bytes], *variant: str) -> str:
    """A strong ETag over the fragments and what else shapes the answer (RFC 9110 8.8.3)."""
    digest = hashlib.blake2b("\n".join(variant).encode(), digest_size=16)
    for fragment in fragments:
        digest.update(fragment)
    return f'"{digest.hexdigest()}"'


def dicom_json_of(instance_key: int) -> dict[str, Any]:
    """The DICOM JSON of one instance, parsed, with bulk data URIs relative to the service.

    Raises NotFound. The last few are remembered: frames of one instance are decoded in a row.
    """
    rows = Metadata.objects.filter(pk=instance_key).values_list("fragment", flat=True)
    fragment = rows.first()
    if fragment is None:
        raise NotFound("There is no such instance.")
    return _parsed(bytes(fragment))


def dicom_json_by_key(keys: Collection[int]) -> dict[int, dict[str, Any]]:
    """The same of several instances in one query, by primary key; those gone are left out."""
    rows = Metadata.objects.filter(pk__in=keys).values_list("pk", "fragment")
    return {pk: _parsed(bytes(fragment)) for pk, fragment in rows}


def shown_json_of(instance_key: int) -> dict[str, Any]:
    """The same as it is to be shown: by the rules for sources that state a wrong polarity."""
    dataset = dicom_json_of(instance_key)
    rules = polarity_rules()
    if not rules:
        return dataset
    fields = ("source_ae_title", "received_at")
    found = Instance.objects.filter(pk=instance_key).values_list(*fields).first()
    return (shown(rules, dataset, *found) if found else None) or dataset


@lru_cache(maxsize=64)
def _parsed(fragment: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(plain(fragment))
    return parsed
