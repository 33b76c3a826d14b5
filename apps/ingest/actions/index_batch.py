"""index_batch: from claimed inbox files to blobs, rows and events. The heart of the product.

The order makes every crash harmless: blobs are placed before rows point to them, the inbox is
settled after the rows are committed, and a second run over the same file does nothing twice.

What is the file's fault (it cannot be read, it contradicts what is stored, it makes indexing
fail) is quarantined with a reason. What is not (no database, no blob store, no disk) leaves the
whole batch in the inbox and is raised as Unavailable or OutOfResources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from apps.archive.actions.add_instances import Added, StaleSnapshot, add_instances
from apps.archive.actions.add_non_patient_instances import add_non_patient_instances
from apps.errors import PacsError, Unavailable
from apps.events.log import Actor, NewEvent, record
from apps.ingest import acknowledged, spool
from apps.ingest.actions.alert_studies import alert_new_studies
from apps.ingest.actions.quarantine_instances import quarantine_instances
from apps.ingest.actions.replace_duplicate import replace_duplicate
from apps.ingest.actions.restore_damaged import restore_damaged
from apps.ingest.answers import tell
from apps.ingest.arrivals import Arrival, arrive, failed, refuse, unread
from apps.ingest.crash_points import crash_point
from apps.ingest.house_rules import HouseRules, house_rules
from apps.ingest.known import known_of
from apps.ingest.models import QuarantinedInstance
from apps.ingest.outcomes import INSTANCES, QUARANTINE, used_keys
from apps.ingest.spool import SpoolFile, SpoolName, Waiter
from apps.ingest.verdicts import (
    AlreadyStored,
    Ignore,
    Known,
    Quarantine,
    Replace,
    Restore,
    StoreApart,
    decide,
)
from apps.storage.stores import blob_store

_INDEXER = Actor("system", "index")
_ATTEMPTS = 5
_HAD_AN_EARLIER_RUN = timedelta(minutes=10)
_LIMIT_EXCEEDED = "54"  # SQLSTATE class: this row is too much for the database


@dataclass(slots=True)
class BatchResult:
    """How many files became what."""

    stored: int = 0
    already_stored: int = 0
    quarantined: int = 0

    @property
    def files(self) -> int:
        """How many there were."""
        return self.stored + self.already_stored + self.quarantined

    def add(self, other: BatchResult) -> None:
        """Sums up."""
        self.stored += other.stored
        self.already_stored += other.already_stored
        self.quarantined += other.quarantined


@dataclass(slots=True)
class _Plan:
    """The verdicts on a batch. Who is in no list is stored already."""

    store: list[Arrival] = field(default_factory=list)
    apart: list[Arrival] = field(default_factory=list)
    restore: dict[str, Arrival] = field(default_factory=dict)  # by SOP Instance UID
    quarantine: list[tuple[Arrival, Quarantine]] = field(default_factory=list)
    replace: list[Arrival] = field(default_factory=list)  # of those in quarantine
    ignore: list[Arrival] = field(default_factory=list)


def index_batch(groups: Iterable[Sequence[SpoolFile]], *, scan: bool = True) -> BatchResult:
    """Scans claimed files as they come, indexes them together and settles them.

    The claims are released in any case. Without `scan` the files are quarantined unread: for those
    over which workers have died.
    """
    claimed: list[SpoolFile] = []
    arrivals: list[Arrival] = []
    try:
        with _infrastructure():
            rules: HouseRules | None = None
            for files in groups:
                claimed += files
                crash_point("claimed")
                rules = rules or house_rules()
                arrivals += [arrive(file, rules) if scan else unread(file) for file in files]
            return _index(arrivals) if arrivals else BatchResult()
    finally:
        for file in claimed:
            file.release()


@contextmanager
def _infrastructure() -> Iterator[None]:
    """What is nobody's fault and passes: the batch waits in the inbox."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        connection.close_if_unusable_or_obsolete()
        raise Unavailable("The database does not answer; the inbox waits.") from error
    except OSError as error:
        raise Unavailable("The inbox's disk failed; the inbox waits.") from error


def _index(arrivals: Sequence[Arrival]) -> BatchResult:
    """All of them, or, if they fail together, by halves until the culprit is alone."""
    try:
        return _index_together(arrivals)
    except Exception as error:
        if not _files_fault(error):
            raise
        if len(arrivals) > 1:
            middle = len(arrivals) // 2
            result = _index(arrivals[:middle])
            result.add(_index(arrivals[middle:]))
            return result
        if arrivals[0].refused is not None:
            raise
        return _index_together([refuse(arrivals[0], failed(error))])


def _files_fault(error: Exception) -> bool:
    if isinstance(error, OperationalError):
        state = getattr(error.__cause__, "sqlstate", None) or ""
        return state.startswith(_LIMIT_EXCEEDED)
    return not isinstance(error, (InterfaceError, OSError, PacsError))


def _index_together(arrivals: Sequence[Arrival]) -> BatchResult:
    """All but those whose UID another file was answered for that is not indexed yet."""
    uids = [(each.file, each.attributes.get("SOPInstanceUID", "")) for each in arrivals]
    with acknowledged.indexing(uids) as later:
        ready = [each for each in arrivals if each.file.name not in later] if later else arrivals
        return _index_now(ready) if ready else BatchResult()


def _index_now(arrivals: Sequence[Arrival]) -> BatchResult:
    _commit_to_disk()
    for attempt in range(_ATTEMPTS):
        plan = _plan(arrivals, known_of([each.attributes for each in arrivals]))
        _place(plan)
        crash_point("placed")
        try:
            with transaction.atomic():
                displaced = _record(plan)
                crash_point("recorded")
        except (StaleSnapshot, IntegrityError):
            # Another worker stored something of ours meanwhile: look again and decide again.
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        break
    crash_point("indexed")
    for key in displaced:
        blob_store().delete(key)
    for arrival in plan.replace:
        replace_duplicate(arrival)
    tell((*plan.store, *plan.apart), plan.quarantine)
    _settle(arrivals)
    stored, quarantined = len(plan.store) + len(plan.apart), len(plan.quarantine)
    return BatchResult(stored, len(arrivals) - stored - quarantined, quarantined)


def _commit_to_disk() -> None:
    """Here alone a commit must survive a loss of power: the inbox forgets the files after it."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=FULL")


def _plan(arrivals: Sequence[Arrival], known: Known) -> _Plan:
    plan = _Plan()
    for arrival in arrivals:
        if arrival.refused is not None or arrival.new is None:
            assert arrival.refused is not None
            plan.quarantine.append((arrival, arrival.refused))
            continue
        verdict = decide(
            arrival.attributes,
            arrival.new.identity,
            arrival.dataset_sha256,
            arrival.transfer_syntax_uid,
            known,
            duplicates=arrival.duplicates,
        )
        if isinstance(verdict, Replace):
            plan.replace.append(arrival)
            verdict = verdict.aside
        if isinstance(verdict, Quarantine):
            plan.quarantine.append((arrival, verdict))
        elif isinstance(verdict, StoreApart):
            plan.apart.append(arrival)
        elif isinstance(verdict, Restore):
            plan.restore[arrival.attributes["SOPInstanceUID"]] = arrival
        elif isinstance(verdict, Ignore):
            plan.ignore.append(arrival)
        elif not isinstance(verdict, AlreadyStored):
            plan.store.append(arrival)
    return plan


def _place(plan: _Plan) -> None:
    """Instances to their places; quarantined bytes aside, unless these bytes are there already."""
    placed = (*plan.store, *plan.apart, *plan.restore.values())
    sources = [(arrival.new.blob_key, arrival.file.path) for arrival in placed if arrival.new]
    if plan.quarantine:
        aside = {
            (bytes(sha256), sop_instance_uid)
            for sha256, sop_instance_uid in QuarantinedInstance.objects.filter(
                sha256__in=[arrival.dataset_sha256 for arrival, _ in plan.quarantine]
            ).values_list("sha256", "sop_instance_uid")
        }
        sources += [
            (arrival.quarantine_key, arrival.file.path)
            for arrival, _ in plan.quarantine
            if (arrival.dataset_sha256, arrival.attributes.get("SOPInstanceUID", "")) not in aside
        ]
    blob_store().place_all(sources)


def _record(plan: _Plan) -> list[str]:
    """Rows and events, in the caller's transaction; events last, they take the log's lock.

    Returns the keys of blobs that no row points to afterwards.
    """
    events: list[NewEvent] = []
    if plan.store:
        added = add_instances([arrival.new for arrival in plan.store if arrival.new])
        events += _stored_events(plan.store, added)
        if added.new_studies:
            events += alert_new_studies(added.new_studies, _INDEXER)
    if plan.apart:
        events += add_non_patient_instances(
            [(arrival.new, arrival.actor) for arrival in plan.apart if arrival.new]
        )
    if plan.quarantine:
        events += quarantine_instances(plan.quarantine)
    displaced: list[str] = []
    if plan.restore:
        restored = restore_damaged(
            [(arrival.new, arrival.actor) for arrival in plan.restore.values() if arrival.new]
        )
        events += restored.events
        displaced = restored.displaced
    record([*events, *_ignored_events(plan.ignore)])
    return displaced


def _stored_events(stored: Sequence[Arrival], added: Added) -> list[NewEvent]:
    """StudyCreated for each new study; InstancesStored per series and sender."""
    events: list[NewEvent] = []
    created: set[str] = set()
    groups: dict[tuple[str, Actor], list[Arrival]] = {}
    for arrival in stored:
        groups.setdefault((arrival.attributes["SeriesInstanceUID"], arrival.actor), []).append(
            arrival
        )
    for (series_uid, actor), members in groups.items():
        study_uid = members[0].attributes["StudyInstanceUID"]
        patient_key = added.studies[study_uid].patient_entity_id
        if study_uid in added.new_studies and study_uid not in created:
            created.add(study_uid)
            events.append(NewEvent("StudyCreated", actor, study_uid, patient_key=patient_key))
        events.append(
            NewEvent(
                "InstancesStored",
                actor,
                study_uid,
                series_uid,
                patient_key=patient_key,
                payload=_payload(members),
            )
        )
    return events


def _ignored_events(ignored: Sequence[Arrival]) -> list[NewEvent]:
    """DuplicatesIgnored per study and sender: what was dropped is told, if not kept."""
    groups: dict[tuple[str, Actor], list[str]] = {}
    for arrival in ignored:
        key = (arrival.attributes["StudyInstanceUID"], arrival.actor)
        groups.setdefault(key, []).append(arrival.attributes["SOPInstanceUID"])
    return [
        NewEvent("DuplicatesIgnored", actor, study, payload={"sop_instance_uids": uids})
        for (study, actor), uids in groups.items()
    ]


def _payload(members: Sequence[Arrival]) -> dict[str, object]:
    payload: dict[str, object] = {
        "instances": len(members),
        "bytes": sum(arrival.file.name.size for arrival in members),
        "sop_instance_uids": [arrival.attributes["SOPInstanceUID"] for arrival in members],
    }
    rules = Counter(
        name for arrival in members if arrival.new and arrival.new.amendment
        for name in arrival.new.amendment.rules
    )  # fmt: skip
    if rules:
        payload["coerced"] = dict(rules)
    warnings = sorted({warning for arrival in members for warning in arrival.warnings})
    if warnings:
        payload["warnings"] = warnings[:20]
    return payload


def _settle(arrivals: Sequence[Arrival]) -> None:
    answered = [
        (arrival.attributes["SOPInstanceUID"], arrival.file.number)
        for arrival in arrivals
        if arrival.file.name.waiter is Waiter.ANSWERED
    ]
    spool.settle(arrival.file for arrival in arrivals)
    for uid, number in answered:
        acknowledged.withdraw(uid, number)
    spool.forget_provenance(arrival.file.name for arrival in arrivals)
    _clear_strays([arrival.file.name for arrival in arrivals])


def _clear_strays(names: Sequence[SpoolName]) -> None:
    """Blobs that an earlier run placed for a file that then turned out to need none.

    Only a file that had to wait long can have had such a run.
    """
    old = timezone.now() - _HAD_AN_EARLIER_RUN
    keys = {
        name.blob_key(kind)
        for name in names
        if name.received_at < old
        for kind in (INSTANCES, QUARANTINE)
    }
    if keys:
        for key in keys - used_keys(keys):
            blob_store().delete(key)
