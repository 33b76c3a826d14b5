"""Whole instances on their way out: our own File Meta, then the data set as stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from apps.dicom.part10 import file_meta
from apps.retrieve.amended import amended_dataset
from apps.retrieve.locations import Location
from apps.storage.stores import blob_store


@dataclass(frozen=True, slots=True)
class OutgoingInstance:
    """A Part 10 stream of known length."""

    transfer_syntax_uid: str
    length: int
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Pending:
    """An instance that has to be made first, step by step: None after each, at last the instance.

    So whoever sends it can look meanwhile whether anybody still waits for it. That it can be made
    is known; a step may still find bytes that nobody can decode, and raise UnsupportedPixels.
    """

    transfer_syntax_uid: str
    steps: Iterator[OutgoingInstance | None]

    @classmethod
    def none(cls, made: OutgoingInstance) -> Pending:
        """For what needs no making."""
        return cls(made.transfer_syntax_uid, iter((made,)))

    def made(self) -> OutgoingInstance:
        """All steps at once."""
        return next(each for each in self.steps if each is not None)


def as_stored(location: Location) -> OutgoingInstance:
    """The instance in its stored Transfer Syntax, without the provenance we keep in File Meta."""
    head = file_meta(
        sop_class_uid=location.sop_class_uid,
        sop_instance_uid=location.sop_instance_uid,
        transfer_syntax_uid=location.transfer_syntax_uid,
        provenance=None,
    )
    if location.layers:
        dataset = amended_dataset(location)
        return OutgoingInstance(
            location.transfer_syntax_uid,
            len(head) + dataset.length,
            chain((head,), dataset.chunks()),
        )
    dataset_length = location.size_bytes - location.dataset_offset

    def chunks() -> Iterator[bytes]:
        yield head
        yield from blob_store().stream(location.blob_key, location.dataset_offset)

    return OutgoingInstance(location.transfer_syntax_uid, len(head) + dataset_length, chunks())
