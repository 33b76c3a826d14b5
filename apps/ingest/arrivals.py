"""One scan of a claimed file: everything the index will ever need from its bytes."""

from __future__ import annotations

import json
import logging
import traceback
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from apps.archive.actions.add_instances import NewInstance
from apps.archive.columns import column_text
from apps.archive.fragments import pack
from apps.archive.identity import PatientIdentity
from apps.dicom.level_attributes import gathered
from apps.dicom.part10 import HEAD_LENGTH, FileMeta, Provenance, read_file_meta
from apps.dicom.passages import PassageMemory
from apps.dicom.reader import InstanceReader
from apps.errors import UnidentifiedInstance, UnreadableInstance
from apps.events.log import Actor
from apps.ingest import spool
from apps.ingest.coercion import Coerced, coerce
from apps.ingest.crash_points import crash_point
from apps.ingest.house_rules import Duplicates, HouseRules
from apps.ingest.models import QuarantinedInstance
from apps.ingest.outcomes import INSTANCES, QUARANTINE
from apps.ingest.receiving import WADO_RS
from apps.ingest.spool import SpoolFile
from apps.ingest.verdicts import Quarantine
from apps.storage.filesystem import OpenFile

logger = logging.getLogger(__name__)

_MEMORY: Final = PassageMemory()


@dataclass(slots=True)
class Arrival:
    """A claimed file and what its one scan gave: either `new` is set, or `refused`."""

    file: SpoolFile
    provenance: Provenance
    transfer_syntax_uid: str
    attributes: dict[str, str]
    new: NewInstance | None = None
    refused: Quarantine | None = None
    warnings: tuple[str, ...] = ()
    duplicates: str = Duplicates.QUARANTINE

    @property
    def dataset_sha256(self) -> bytes:
        """SHA-256 of the data set bytes as they arrived; of the whole file where it has no meta."""
        return bytes.fromhex(self.file.name.dataset_sha256)

    @property
    def actor(self) -> Actor:
        """Who sent it, for the event log."""
        came = self.provenance
        if came.source_ae_title:
            kind = "archive" if came.door == WADO_RS else "ae"
            return Actor(kind, came.source_ae_title, came.source_address, came.door)
        if came.user:
            return Actor("user", came.user, came.source_address, came.door)
        return Actor("system", came.door or "inbox", came.source_address, came.door)

    @property
    def quarantine_key(self) -> str:
        """The blob key it gets if it is quarantined."""
        return self.file.name.blob_key(QUARANTINE)


def arrive(file: SpoolFile, rules: HouseRules | None = None) -> Arrival:
    """Scans the file, under the rules for its sender. What is wrong with the bytes is a refusal.

    A failing disk is no fault of the file's and is raised: OSError, Unavailable.
    """
    crash_point("scanning")
    rules = rules or HouseRules()
    try:
        reader = InstanceReader(_Borrowed(file.descriptor))
        provenance = _provenance(file, reader.meta)
        return _arrival(file, provenance, scanned(reader, provenance, rules, _MEMORY), rules)
    except UnidentifiedInstance as error:
        return _refused(file, Quarantine(_Reason.MISSING_UID, _unidentified(error.message)))
    except UnreadableInstance as error:
        return _refused(file, Quarantine(_Reason.UNREADABLE, _unreadable(error.message)))
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001
        # Whatever else a hostile file provokes is this file's matter, not the batch's.
        return _refused(file, failed(error))


def scanned(
    reader: InstanceReader,
    provenance: Provenance,
    rules: HouseRules,
    memory: PassageMemory | None = None,
) -> Coerced:
    """One scan, read and changed as the rules for the sender say. Raises UnreadableInstance."""
    source = provenance.source_ae_title
    if rules.silent:
        return Coerced(reader.scan(memory))
    reader.fall_back_to(rules.fallback_character_set(source))
    return coerce(reader.scan(memory), rules.coercion_for(source), source)


def unread(file: SpoolFile) -> Arrival:
    """A file over which workers have died: it is kept, and not looked at again unasked."""
    return _refused(
        file,
        Quarantine(
            _Reason.FAILED,
            "Reading this object ended the indexer more than once. The bytes are kept as they "
            "came. Retry after an update of this product, keep the object aside, or discard it.",
        ),
    )


class _Borrowed(OpenFile):
    """RandomAccess over the claim's own descriptor, which stays the claim's to close."""

    def close(self) -> None:
        """Nothing: the claim releases it."""


_Reason = QuarantinedInstance.Reason


def _arrival(
    file: SpoolFile, provenance: Provenance, coerced: Coerced, rules: HouseRules
) -> Arrival:
    scan = coerced.scan
    new = new_instance(
        coerced,
        provenance,
        blob_key=file.name.blob_key(INSTANCES),
        size_bytes=file.name.size,
        dataset_sha256=bytes.fromhex(file.name.dataset_sha256),
        received_at=file.name.received_at,
    )
    return Arrival(
        file,
        provenance,
        scan.transfer_syntax_uid,
        scan.attributes,
        new=new,
        warnings=(*scan.warnings, *coerced.problems),
        duplicates=rules.duplicates(provenance),
    )


def new_instance(
    coerced: Coerced,
    provenance: Provenance,
    *,
    blob_key: str,
    size_bytes: int,
    dataset_sha256: bytes,
    received_at: datetime,
) -> NewInstance:
    """What the archive needs of a scanned object."""
    scan = coerced.scan
    return NewInstance(
        attributes=scan.attributes,
        identity=PatientIdentity.of(scan.attributes),
        fragment=pack(scan.json),
        level_attributes=gathered(scan.of_levels) if scan.of_levels else {},
        frame_table=None if scan.frames is None else scan.frames.to_bytes(),
        transfer_syntax_uid=scan.transfer_syntax_uid,
        blob_key=blob_key,
        size_bytes=size_bytes,
        dataset_offset=scan.dataset_offset,
        dataset_sha256=dataset_sha256,
        received_at=received_at,
        source_ae_title=column_text(provenance.source_ae_title),
        source_address=column_text(provenance.source_address),
        source_door=column_text(provenance.door),
        amendment=coerced.amendment,
    )


def _refused(file: SpoolFile, verdict: Quarantine) -> Arrival:
    """An arrival of which no more is known than its File Meta says, if it has one."""
    with_meta: FileMeta | None
    try:
        with_meta = read_file_meta(_Borrowed(file.descriptor).read_at(0, HEAD_LENGTH))
    except UnreadableInstance:
        with_meta = None
    attributes = {}
    if with_meta is not None:
        attributes = {
            "SOPClassUID": with_meta.sop_class_uid,
            "SOPInstanceUID": with_meta.sop_instance_uid,
        }
    return Arrival(
        file,
        _provenance(file, with_meta),
        with_meta.transfer_syntax_uid if with_meta else "",
        attributes,
        refused=verdict,
    )


def _provenance(file: SpoolFile, meta: FileMeta | None) -> Provenance:
    if meta is not None and meta.provenance is not None:
        return meta.provenance
    kept = spool.read_provenance(file.name)
    return Provenance(**json.loads(kept)) if kept else Provenance(door="")


def _unidentified(why: str) -> str:
    return (
        f"{why} So it cannot be filed under a study. Correct it at its source and send it again, "
        "keep it here as it is, or discard it."
    )


def _unreadable(why: str) -> str:
    return (
        f"{why} The bytes are kept as they came. Retry after an update of this product, "
        "keep the object aside, or discard it."
    )


def failed(error: Exception) -> Quarantine:
    """The verdict on a file that makes indexing fail.

    The text of the error may name patients: only its kind and its place are told and logged.
    """
    place = "".join(traceback.format_tb(error.__traceback__))
    logger.error("Indexing a file failed: %s\n%s", type(error).__name__, place)
    return Quarantine(
        _Reason.FAILED,
        f"Indexing this object failed ({type(error).__name__}). The bytes are kept as they came. "
        "Retry after an update of this product, keep the object aside, or discard it.",
    )


def refuse(arrival: Arrival, verdict: Quarantine) -> Arrival:
    """The same arrival, to be quarantined."""
    return replace(arrival, refused=verdict)
