"""One object that is complete in memory, taken with the fewest steps there are.

What `apps.ingest.committing` does for any number of objects of any size: here all is known before
the file is begun, so that there is one write and one sync. Whatever is unusual is left to that.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final

from apps.archive.bulk import Question
from apps.dicom.in_memory import InMemory
from apps.dicom.part10 import Provenance, file_meta
from apps.ingest import acknowledged, spool
from apps.ingest.crash_points import crash_point
from apps.ingest.foretelling import Candidate, Foreseen, foresee, foretell
from apps.ingest.spool import SpoolName, Waiter
from apps.storage.durable import start_writing_out, write_together

logger = logging.getLogger(__name__)

_beside: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hash")
_LONG_BYTES: Final = 1 << 17
"""Fewer are hashed before another thread is awake."""
_busy: set[int] = set()
"""Threads of this process that take an object just now."""


def take_at_once(
    source: InMemory,
    provenance: Provenance,
    *,
    study: str | None = None,
    condition: Question | None = None,
) -> Foreseen | None:
    """What a durable object is, and where it belongs; None where that is not certain.

    So it is with one of another study than `study`, where that is given, or that has other UIDs in
    its File Meta, and with all while the condition has no answer. Then nothing is kept of it, or
    (where the disk was very slow) what is kept is the same as what may be handed in again.
    """
    seen = foresee(source, provenance)
    # Many a series has one instance only, which need not be written and thrown away.
    if seen is None or seen.first:
        return None
    if study not in (None, seen.place.study) or not _agrees_with_meta(seen):
        return None
    body = source.view(seen.scan.dataset_offset)
    head = file_meta(
        sop_class_uid=seen.scan.attributes.get("SOPClassUID", ""),
        sop_instance_uid=seen.uid,
        transfer_syntax_uid=seen.scan.transfer_syntax_uid,
        provenance=provenance,
    )
    try:
        number = _kept((head, body), seen, condition)
    except OSError as error:
        # Whoever hands it in again meets the same, and says it in words.
        logger.debug("An object is not taken at once: %s", type(error).__name__)
        return None
    crash_point("committed")
    # Else it is indexed, or took so long that the claim was no longer believed.
    return seen if number and acknowledged.is_claimed_by(seen.uid, number) else None


def _agrees_with_meta(seen: Foreseen) -> bool:
    meta, said = seen.scan.meta, seen.scan.attributes.get
    uids = said("SOPClassUID"), said("SOPInstanceUID")
    return uids == (meta.sop_class_uid, meta.sop_instance_uid)


def _kept(content: tuple[bytes, memoryview], seen: Foreseen, condition: Question | None) -> int:
    """The number of the object's file, which is durable in the inbox.

    0 where its fate is not certain; then nothing is left of it.
    """
    with _alone() as alone:
        # With others about, processors and disk have work enough: what is begun beside costs a
        # tenth of a millisecond then and gains nothing.
        digest = _digest(content[1], beside=alone)
        path, descriptor = spool.open_for_writing()
        kept = 0
        try:
            write_together(descriptor, content)
            crash_point("writing")
            if alone:
                start_writing_out(descriptor)
            candidate = Candidate(seen, path, os.fstat(descriptor).st_ino, digest)
            if foretell({seen.uid: candidate}, condition=condition):
                name = SpoolName.mint(sum(map(len, content)), digest(), waiter=Waiter.ANSWERED)
                _commit(name, candidate, descriptor)
                kept = candidate.number
        finally:
            os.close(descriptor)
            if not kept:
                path.unlink(missing_ok=True)
    return kept


def _digest(content: memoryview, *, beside: bool) -> Callable[[], str]:
    """Its SHA-256, made now or by another thread meanwhile; then whoever calls it waits."""
    if beside and len(content) >= _LONG_BYTES:
        return _beside.submit(_sha256, content).result
    return partial(str, _sha256(content))


def _sha256(content: memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other thread of this process takes an object meanwhile."""
    me = threading.get_ident()
    _busy.add(me)
    try:
        yield len(_busy) == 1
    finally:
        _busy.discard(me)


def _commit(name: SpoolName, candidate: Candidate, descriptor: int) -> None:
    """To disk and into the inbox; the claim does not outlast a failure.

    It has its name only now: what has one is stored, although its process died or lost power. A
    sign-in that ended must not have left such a file.
    """
    path = candidate.path
    try:
        crash_point("foretold")
        path = spool.name_whole(path, name)
        spool.sync(descriptor)
        spool.make_ready([(path, name)])
    except BaseException:
        path.unlink(missing_ok=True)
        acknowledged.withdraw(candidate.uid, candidate.number)
        raise
