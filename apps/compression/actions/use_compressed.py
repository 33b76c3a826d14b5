"""use_compressed: proved blobs take the places of those received, with the event of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from apps.archive.actions.repoint_instance import BlobContent, repoint_instance
from apps.archive.models import CompressedInstance, Instance, Study
from apps.compression.encoding import Compressed
from apps.compression.selectors import compression_policy
from apps.events.log import Actor, NewEvent, record
from apps.ingest.crash_points import crash_point

ACTOR: Final = Actor("system", "compression")


def use_compressed(made: Sequence[Compressed]) -> list[CompressedInstance]:
    """The rows whose blobs were not taken: their instances have changed or gone meanwhile."""
    left_over = []
    taken = []
    due = timezone.now() + timedelta(days=compression_policy().keep_original_days)
    with transaction.atomic():
        rows = _locked(made)
        for each in made:
            row = rows.get(each.location.sop_instance_uid)
            if row is None or row.blob_key != each.location.blob_key:
                left_over.append(each.row)
                continue
            _repoint(row, each)
            each.row.state = CompressedInstance.State.KEPT
            each.row.removal_due_at = due
            each.row.save()
            taken.append(each)
        crash_point("compression-recorded")
        record(_events(taken))
    return left_over


def _locked(made: Sequence[Compressed]) -> dict[str, Instance]:
    """Studies first, then instances, each in the order of their keys, as everywhere."""
    uids = {each.location.study_instance_uid for each in made}
    studies = Study.objects.select_for_update().order_by("study_instance_uid")
    list(studies.filter(study_instance_uid__in=uids).values_list("pk", flat=True))
    rows = Instance.objects.select_for_update(of=("self",)).filter(
        pk__in=[each.location.key for each in made]
    )
    return {row.sop_instance_uid: row for row in rows.order_by("sop_instance_uid")}


def _repoint(row: Instance, made: Compressed) -> None:
    new, proof = made.row, made.proof
    repoint_instance(
        row,
        BlobContent(
            new.transfer_syntax_uid,
            new.blob_key,
            new.size_bytes,
            proof.dataset_offset,
            bytes(new.dataset_sha256),
            proof.frame_table,
            proof.fragment,
            verified_at=timezone.now(),
        ),
    )


def _events(taken: Sequence[Compressed]) -> list[NewEvent]:
    """One a study, with the proof of each instance."""
    by_study: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in taken:
        by_study[each.location.study_instance_uid].append(told_of(each.row))
    return [
        NewEvent(
            "InstancesCompressed",
            ACTOR,
            study,
            payload={"instances": len(told), "rule": taken[0].row.rule, "proofs": told},
        )
        for study, told in by_study.items()
    ]


def told_of(row: CompressedInstance) -> dict[str, Any]:
    """What the log keeps of a replacement."""
    return {
        "sop_instance_uid": row.sop_instance_uid,
        "sha256_before": bytes(row.original_dataset_sha256).hex(),
        "sha256_after": bytes(row.dataset_sha256).hex(),
        "transfer_syntax_before": row.original_transfer_syntax_uid,
        "transfer_syntax_after": row.transfer_syntax_uid,
        "bytes_before": row.original_size_bytes,
        "bytes_after": row.size_bytes,
        "frames": row.frames,
        "pixels_before": bytes(row.pixels_before).hex(),
        "pixels_after": bytes(row.pixels_after).hex(),
        "codecs": row.codecs,
    }
