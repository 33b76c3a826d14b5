"""Where an instance's bytes lie: one indexed query."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from django.db.models import Exists

from apps.access.prepared import Prepared
from apps.access.principals import Permission, Principal, permit
from apps.access.standing import Form, Standing, sign_in
from apps.archive.models import Instance
from apps.archive.non_patient import non_patient_instance
from apps.archive.selectors import instances_matching, instances_of
from apps.dicom.amendments import Layer, packed, unpacked
from apps.dicom.frames import FrameTable
from apps.dicom.query import Query
from apps.dicom.sop_classes import sop_class
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.dicom.uids import in_path
from apps.errors import NotFound, OutOfResources
from apps.storage.stores import blob_store

_CHUNK = 500


class Location(NamedTuple):
    """One stored instance: its UIDs, its blob, and where its data set and frames begin.

    A tuple, because one is made for each frame: a frozen dataclass takes ten times as long.
    """

    key: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    blob_key: str
    size_bytes: int
    dataset_offset: int
    dataset_sha256: bytes
    packed_frames: bytes | None
    layers: tuple[Layer, ...] = ()
    """What rules changed of it as it is given out; the blob stays as received."""

    @property
    def frames(self) -> FrameTable | None:
        """The frame table, None for objects without pixel data."""
        return None if self.packed_frames is None else _frame_table(self.packed_frames)

    @property
    def encapsulated(self) -> bool:
        """Whether Pixel Data is a sequence of fragments (PS3.5 A.4)."""
        return transfer_syntax(self.transfer_syntax_uid).encapsulated

    @property
    def path(self) -> str:
        """The instance's path below the service's base URL."""
        resource = sop_class(self.sop_class_uid).resource
        instance = in_path(self.sop_instance_uid)
        if resource:
            return f"/{resource}/{instance}"
        return f"{_series_path(self.study_instance_uid, self.series_instance_uid)}{instance}"

    @property
    def digest(self) -> str:
        """A SHA-256 in hexadecimal of what makes this instance's bytes these as they go out."""
        if self.layers:
            return hashlib.sha256(self.dataset_sha256 + packed(self.layers)).hexdigest()
        return self.dataset_sha256.hex()


@functools.lru_cache(maxsize=256)
def _series_path(study_instance_uid: str, series_instance_uid: str) -> str:
    study, series = in_path(study_instance_uid), in_path(series_instance_uid)
    return f"/studies/{study}/series/{series}/instances/"


# Somebody scrolls through a multi-frame object: its table is not read anew for each frame.
_frame_table = functools.lru_cache(maxsize=16)(FrameTable.from_bytes)


def non_patient_location(principal: Principal, resource: str, sop_uid: str) -> Location:
    """An instance that belongs to no patient. Raises NotFound."""
    row = non_patient_instance(principal, resource, sop_uid)
    return Location(
        key=row.pk,
        study_instance_uid="",
        series_instance_uid="",
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        blob_key=row.blob_key,
        size_bytes=row.size_bytes,
        dataset_offset=row.dataset_offset,
        dataset_sha256=bytes(row.dataset_sha256),
        packed_frames=None,
    )


_UIDS: Final = ("study__study_instance_uid", "series__series_instance_uid", "sop_instance_uid")
_BESIDE_UIDS: Final = (
    "sop_class_uid",
    "transfer_syntax_uid",
    "blob_key",
    "size_bytes",
    "dataset_offset",
    "dataset_sha256",
    "frame_table__packed",
    "amendment__layers",
)
_FIELDS: Final = ("pk", *_UIDS, *_BESIDE_UIDS)


def locations_of(
    principal: Principal,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> Iterator[Location]:
    """The instances in series and instance order, streamed; empty where nothing is visible."""
    rows = instances_of(principal, study_instance_uid, series_instance_uid, sop_instance_uid)
    for row in rows.values_list(*_FIELDS).iterator(chunk_size=500):
        yield _location(row)


def locations_named(
    principal: Principal,
    study_instance_uid: str,
    series_instance_uid: str | None,
    sop_instance_uids: Iterable[str],
) -> Iterator[Location]:
    """Those of the instances that are named, in series and instance order within each hundreds."""
    named = iter(sop_instance_uids)
    rows = instances_of(principal, study_instance_uid, series_instance_uid)
    while chunk := list(islice(named, _CHUNK)):
        for row in rows.filter(sop_instance_uid__in=chunk).values_list(*_FIELDS):
            yield _location(row)


def keys_matching(query: Query, principal: Principal, most: int) -> list[int]:
    """Primary keys of the matching instances, in order. Raises OutOfResources above `most`."""
    rows = instances_matching(query, principal).values_list("pk", flat=True)
    keys = list(rows[: most + 1])
    if len(keys) > most:
        raise OutOfResources(f"More than {most} instances match: ask for fewer at a time")
    return keys


def locations_by_key(keys: Sequence[int]) -> Iterator[Location]:
    """The instances in the order of `keys`; those that are gone by now are left out.

    The keys come from a selector that has asked who may know of them.
    """
    for start in range(0, len(keys), _CHUNK):
        wanted = keys[start : start + _CHUNK]
        rows = Instance.objects.filter(pk__in=wanted).values_list(*_FIELDS)
        found = {row[0]: row for row in rows}
        yield from (_location(found[key]) for key in wanted if key in found)


def _location(row: tuple[Any, ...]) -> Location:
    *plain, sha256, frames, layers = row
    return Location._make(
        (
            *plain,
            bytes(sha256),
            None if frames is None else bytes(frames),
            () if layers is None else unpacked(bytes(layers)),
        )
    )


# What stands for the UIDs in the compiled query.
_MARKS = ("0.0.1", "0.0.2", "0.0.3")


@functools.lru_cache(maxsize=256)
def _one_instance(principal: Principal) -> Prepared:
    """The query for one instance, as this principal may ask it."""
    return Prepared(instances_of(principal, *_MARKS).order_by().values_list(*_FIELDS), _MARKS)


def location_of(
    principal: Principal, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
) -> Location:
    """One instance. Raises NotFound for what is absent or not to be seen by this principal.

    Asked each time: what is deleted, rejected or hidden is so at once, in every process.
    """
    permit(principal, Permission.VIEW_IMAGES)
    rows = _one_instance(principal).rows(study_instance_uid, series_instance_uid, sop_instance_uid)
    if not rows:
        raise NotFound("There is no such instance.")
    return _location(rows[0])


@functools.lru_cache(maxsize=256)
def _one_instance_while(principal: Principal, form: Form) -> Prepared:
    """The same, with an answer only while the sign-in stands."""
    user, marks = sign_in(form)
    rows = instances_of(principal, *_MARKS).filter(Exists(user))
    return Prepared(rows.order_by().values_list("pk", *_BESIDE_UIDS), (*_MARKS, *marks))


class StandingLocator:
    """`location_of` for one sign-in that may have ended: both are asked in one question."""

    def __init__(self, principal: Principal, standing: Standing) -> None:
        permit(principal, Permission.VIEW_IMAGES)
        self._values = standing.values()
        self._asked = _one_instance_while(principal, standing.form)

    def find(self, *uids: str) -> Location | None:
        """By Study, Series and SOP Instance UID; None also where the sign-in no longer stands."""
        rows = self._asked.rows(*uids, *self._values())
        if not rows:
            return None
        pk, *beside = rows[0]
        return _location((pk, *uids, *beside))


def missing_blobs(
    principal: Principal,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> frozenset[str]:
    """Keys of blobs that should be in a local store and are not; never asks a remote one."""
    store = blob_store()
    rows = instances_of(principal, study_instance_uid, series_instance_uid, sop_instance_uid)
    gone = set()
    for key in rows.values_list("blob_key", flat=True).iterator(chunk_size=2000):
        path = store.local_path(key)
        if path is None:
            break
        if not path.is_file():
            gone.add(key)
    return frozenset(gone)


def representative_of(
    principal: Principal, study_instance_uid: str, series_instance_uid: str | None = None
) -> Location:
    """The instance that stands for a series, or for a study: the middle one of the first images.

    Raises NotFound for what is absent, not to be seen, or without any image.
    """
    rows = instances_of(principal, study_instance_uid, series_instance_uid).filter(
        frame_table__isnull=False
    )
    if series_instance_uid is None:
        rows = rows.filter(series=rows.values("series_id")[:1])
    middle = rows.count() // 2
    row = rows.values_list(*_FIELDS)[middle : middle + 1].first()
    if row is None:
        raise NotFound("There is no such study or series, or it has no images.")
    return _location(row)
