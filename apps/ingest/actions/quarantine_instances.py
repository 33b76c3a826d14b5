"""quarantine_instances: rows for bytes that are kept aside, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from apps.archive.columns import column_text
from apps.archive.models import Instance
from apps.events.log import Actor, NewEvent
from apps.ingest.actions.alert_studies import alert_studies
from apps.ingest.arrivals import Arrival
from apps.ingest.models import QuarantinedInstance
from apps.ingest.verdicts import Quarantine

State = QuarantinedInstance.State
_INDEXER = Actor("system", "index")
_CONFLICTS = (QuarantinedInstance.Reason.OTHER_BYTES, QuarantinedInstance.Reason.OTHER_SERIES)


def quarantine_instances(cases: Sequence[tuple[Arrival, Quarantine]]) -> list[NewEvent]:
    """Adds the cases; the events to record. The blobs are placed already.

    The same bytes again are the same case: it stays as it was decided, except that a case that
    was retried waits for a decision again.
    """
    rows: dict[tuple[bytes, str], QuarantinedInstance] = {}
    actor_of: dict[tuple[bytes, str], Actor] = {}
    for arrival, verdict in cases:
        row = _row(arrival, verdict)
        case = (bytes(row.sha256), row.sop_instance_uid)
        rows.setdefault(case, row)
        actor_of.setdefault(case, arrival.actor)
    present = {
        (bytes(row.sha256), row.sop_instance_uid): row
        for row in QuarantinedInstance.objects.select_for_update().filter(
            sha256__in=[sha256 for sha256, _ in rows]
        )
    }
    new = [rows[case] for case in sorted(rows) if case not in present]
    _point_to_stored([row for row in rows.values() if row.reason in _CONFLICTS])
    QuarantinedInstance.objects.bulk_create(new)
    again = [
        _reopened(present[case], row)
        for case, row in rows.items()
        if case in present and present[case].state == State.RETRIED
    ]
    QuarantinedInstance.objects.bulk_update(
        again, ["state", "reason", "explanation", "stored_instance"]
    )
    changed = [*new, *again]
    alerts = alert_studies([row.study_instance_uid for row in changed], _INDEXER)
    return [
        *(_event(row, actor_of[(bytes(row.sha256), row.sop_instance_uid)]) for row in changed),
        *alerts,
    ]


def _point_to_stored(rows: Sequence[QuarantinedInstance]) -> None:
    """To the stored instance of the same UID, which may be of this very batch."""
    if not rows:
        return
    ids = dict(
        Instance.objects.filter(
            sop_instance_uid__in=[row.sop_instance_uid for row in rows]
        ).values_list("sop_instance_uid", "id")
    )
    for row in rows:
        row.stored_instance_id = ids.get(row.sop_instance_uid)


def _row(arrival: Arrival, verdict: Quarantine) -> QuarantinedInstance:
    def text(keyword: str) -> str:
        return column_text(arrival.attributes.get(keyword, ""))

    return QuarantinedInstance(
        reason=verdict.reason,
        explanation=verdict.explanation,
        blob_key=arrival.quarantine_key,
        size_bytes=arrival.file.name.size,
        sha256=arrival.dataset_sha256,
        sop_class_uid=text("SOPClassUID"),
        sop_instance_uid=text("SOPInstanceUID"),
        series_instance_uid=text("SeriesInstanceUID"),
        study_instance_uid=text("StudyInstanceUID"),
        transfer_syntax_uid=column_text(arrival.transfer_syntax_uid),
        source_ae_title=column_text(arrival.provenance.source_ae_title),
        source_address=column_text(arrival.provenance.source_address),
        source_door=column_text(arrival.provenance.door),
        received_at=arrival.file.name.received_at,
    )


def _reopened(row: QuarantinedInstance, seen_now: QuarantinedInstance) -> QuarantinedInstance:
    row.state = State.WAITING
    row.reason = seen_now.reason
    row.explanation = seen_now.explanation
    row.stored_instance_id = seen_now.stored_instance_id
    return row


def _event(row: QuarantinedInstance, actor: Actor) -> NewEvent:
    return NewEvent(
        "InstanceQuarantined",
        actor,
        row.study_instance_uid,
        row.series_instance_uid,
        row.sop_instance_uid,
        payload={"quarantined": row.pk, "reason": row.reason, "explanation": row.explanation},
    )
