"""add_non_patient_instances: rows for palettes, protocols and templates, as they arrive."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydicom.datadict import keyword_dict

from apps.archive.actions.add_instances import NewInstance, StaleSnapshot
from apps.archive.columns import column_text
from apps.archive.fragments import plain
from apps.archive.models import NonPatientInstance
from apps.dicom.sop_classes import sop_class
from apps.dicom.stored_keys import text_of
from apps.events.log import Actor, NewEvent

# TABLE: what such an instance is called by those who use it, the first that has a value.
LABELS: Final = (
    "ContentLabel",
    "HangingProtocolName",
    "ProtocolName",
    "ImplantName",
    "ImplantAssemblyTemplateName",
    "ImplantTemplateGroupName",
    "InventoryPurpose",
)
DESCRIPTIONS: Final = (
    "ContentDescription",
    "HangingProtocolDescription",
    "ImplantTemplateGroupDescription",
    "InventoryInstanceDescription",
)


def add_non_patient_instances(new: Sequence[tuple[NewInstance, Actor]]) -> list[NewEvent]:
    """Adds instances of which none is stored yet; the events to record. Call it in a transaction.

    Raises StaleSnapshot when one of them is stored meanwhile.
    """
    rows = [_row(each) for each, _ in new]
    rows.sort(key=lambda row: row.sop_instance_uid)
    uids = [row.sop_instance_uid for row in rows]
    if NonPatientInstance.objects.filter(sop_instance_uid__in=uids).exists():
        raise StaleSnapshot
    NonPatientInstance.objects.bulk_create(rows)
    return [
        NewEvent(
            "NonPatientInstanceStored",
            actor,
            sop_instance_uid=each.sop_instance_uid,
            payload={"sop_class_uid": each.attributes["SOPClassUID"], "bytes": each.size_bytes},
        )
        for each, actor in new
    ]


def _row(new: NewInstance) -> NonPatientInstance:
    document = json.loads(plain(new.fragment))
    class_uid = new.attributes["SOPClassUID"]
    return NonPatientInstance(
        resource=sop_class(class_uid).resource,
        sop_instance_uid=new.sop_instance_uid,
        sop_class_uid=column_text(class_uid),
        label=_first(document, LABELS),
        description=_first(document, DESCRIPTIONS),
        transfer_syntax_uid=new.transfer_syntax_uid,
        blob_key=new.blob_key,
        size_bytes=new.size_bytes,
        dataset_offset=new.dataset_offset,
        dataset_sha256=new.dataset_sha256,
        fragment=new.fragment,
        **new.provenance,
    )


def _first(document: Mapping[str, Any], keywords: Sequence[str]) -> str:
    texts = (text_of(document.get(f"{keyword_dict[each]:08X}"), "LO") for each in keywords)
    return column_text(next(filter(None, texts), ""))
