"""Questions about instances that belong to no patient (PS3.18 12). A selector."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from django.db.models import QuerySet

from apps.access.principals import Permission, Principal, permit
from apps.archive.fragments import plain
from apps.archive.models import NonPatientInstance
from apps.dicom.query import Key
from apps.dicom.stored_keys import Document, answer, key_tree
from apps.errors import NotFound, OutOfResources

# They are tens, in the largest houses hundreds; each is read for a search.
MOST_CANDIDATES: Final = 10_000
_CHUNK: Final = 200


def non_patient_instances(principal: Principal, resource: str) -> QuerySet[NonPatientInstance]:
    """All of a category, by label. Raises NotPermitted."""
    permit(principal, Permission.VIEW_IMAGES)
    return NonPatientInstance.objects.filter(resource=resource).order_by("label", "pk")


def non_patient_instance(principal: Principal, resource: str, sop_uid: str) -> NonPatientInstance:
    """One instance of a category. Raises NotPermitted and NotFound."""
    row = non_patient_instances(principal, resource).filter(sop_instance_uid=sop_uid).first()
    if row is None:
        raise NotFound("There is no such instance.")
    return row


def document_of(row: NonPatientInstance, base_url: str = "") -> Document:
    """Its DICOM JSON (PS3.18 F), bulk data links below `base_url`."""
    found: Document = json.loads(plain(bytes(row.fragment), base_url.encode()))
    return found


def search_non_patient(
    principal: Principal, resource: str, keys: Iterable[Key]
) -> Iterator[tuple[NonPatientInstance, Mapping[str, object]]]:
    """Instances that match every key, with what was asked of each; any attribute is a key.

    Raises InvalidRequest for keys that make no sense, and OutOfResources for too many candidates.
    """
    tree = key_tree(keys)
    rows = non_patient_instances(principal, resource)
    if rows[: MOST_CANDIDATES + 1].count() > MOST_CANDIDATES:
        raise OutOfResources(f"More than {MOST_CANDIDATES} instances would have to be read.")
    for row in rows.iterator(chunk_size=_CHUNK):
        found = answer(document_of(row), tree)
        if found is not None:
            yield row, found
