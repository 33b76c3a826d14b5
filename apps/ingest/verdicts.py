"""What to do with an instance, given what is stored: pure decisions, no database."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.archive.columns import column_text
from apps.archive.identity import PatientIdentity
from apps.dicom.sop_classes import sop_class
from apps.ingest.models import QuarantinedInstance
from apps.network.models import ApplicationEntity

Reason = QuarantinedInstance.Reason
Duplicates = ApplicationEntity.Duplicates


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """What must be known of a stored instance to recognise it; of no patient, of no study."""

    dataset_sha256: bytes
    transfer_syntax_uid: str
    series_instance_uid: str
    study_instance_uid: str
    damaged: bool = False
    received: tuple[bytes, str] | None = None
    """Hash and Transfer Syntax as received, where the stored bytes are compressed ones."""

    def has(self, dataset_sha256: bytes, transfer_syntax_uid: str) -> bool:
        """Whether these bytes are the stored ones, or those in whose place they stand."""
        asked = (dataset_sha256, transfer_syntax_uid)
        return asked in ((self.dataset_sha256, self.transfer_syntax_uid), self.received)


@dataclass(slots=True)
class Known:
    """What is stored under the UIDs of a batch; grows as the batch is decided."""

    instances: dict[str, StoredInstance] = field(default_factory=dict)
    study_of_series: dict[str, str] = field(default_factory=dict)
    identity_of_study: dict[str, PatientIdentity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Store:
    """New: place the blob and make the row."""


@dataclass(frozen=True, slots=True)
class StoreApart:
    """New, and of no patient: it gets a row of its own outside the studies."""


@dataclass(frozen=True, slots=True)
class AlreadyStored:
    """The same bytes are stored; nothing to do (STO-06)."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep the bytes aside. `explanation` says what happened and what can be done."""

    reason: QuarantinedInstance.Reason
    explanation: str


@dataclass(frozen=True, slots=True)
class Restore:
    """The same bytes are stored, and were found damaged: these take their place."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """Other bytes under a known UID, which the rule for their sender drops."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Other bytes under a known UID, which by the rule for their sender take the first ones' place.

    They are set aside first, and from there exchanged for the stored ones.
    """

    aside: Quarantine


Verdict = Store | StoreApart | AlreadyStored | Restore | Ignore | Replace | Quarantine

_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


def decide(
    attributes: dict[str, str],
    identity: PatientIdentity,
    dataset_sha256: bytes,
    transfer_syntax_uid: str,
    known: Known,
    *,
    duplicates: str = Duplicates.QUARANTINE,
) -> Verdict:
    """The verdict on one instance; an accepted one becomes known to the next of the batch.

    `duplicates` is the rule for its sender: what becomes of other bytes under a known UID.
    """
    if sop_class(attributes.get("SOPClassUID", "")).resource:
        return _apart(
            attributes.get("SOPInstanceUID", ""), dataset_sha256, transfer_syntax_uid, known
        )
    if not all(_usable(attributes.get(keyword, "")) for keyword in _UIDS):
        return Quarantine(Reason.MISSING_UID, _UNUSABLE_UID)
    sop, series, study = (attributes[keyword] for keyword in _UIDS)
    stored = known.instances.get(sop)
    if stored is not None:
        verdict = _again(stored, series, study, dataset_sha256, transfer_syntax_uid)
        return _by_rule(verdict, duplicates)
    if known.study_of_series.get(series, study) != study:
        return Quarantine(Reason.OTHER_SERIES, _SERIES_ELSEWHERE)
    said = known.identity_of_study.get(study, identity)
    if identity.contradicts(said):
        return Quarantine(Reason.OTHER_PATIENT, _OTHER_PATIENT)
    known.instances[sop] = StoredInstance(dataset_sha256, transfer_syntax_uid, series, study)
    known.study_of_series[series] = study
    known.identity_of_study[study] = said.filled_from(identity)
    return Store()


def is_foregone(
    attributes: dict[str, str], dataset_sha256: bytes, transfer_syntax_uid: str, known: Known
) -> bool:
    """Whether an instance will be stored whatever else arrives before it is indexed.

    So it is with a new instance of a stored series, of whose patient it says nothing new: nobody
    can add to the series or the study what it would contradict then. Only another instance of its
    own UID could, and against that it is claimed (`apps.ingest.acknowledged`). An accepted one
    becomes known to the next of the batch.
    """
    series, study = (attributes.get(keyword, "") for keyword in _UIDS[1:])
    said = known.identity_of_study.get(study)
    if said is None or known.study_of_series.get(series) != study:
        return False
    identity = PatientIdentity.of(attributes)
    if said.filled_from(identity) != said:
        return False
    verdict = decide(attributes, identity, dataset_sha256, transfer_syntax_uid, known)
    return isinstance(verdict, Store)


def _apart(uid: str, sha256: bytes, transfer_syntax_uid: str, known: Known) -> Verdict:
    """The verdict on an instance of no patient: its own UID is all it is known by."""
    if not _usable(uid):
        return Quarantine(Reason.MISSING_UID, _UNUSABLE_UID)
    stored = known.instances.get(uid)
    if stored is not None:
        return _again(stored, "", "", sha256, transfer_syntax_uid)
    known.instances[uid] = StoredInstance(sha256, transfer_syntax_uid, "", "")
    return StoreApart()


def _usable(uid: str) -> bool:
    """Anything a column can hold unchanged; bad UIDs from the field are kept verbatim (UID-02)."""
    return bool(uid) and column_text(uid) == uid


def _again(
    stored: StoredInstance, series: str, study: str, sha256: bytes, transfer_syntax_uid: str
) -> Verdict:
    if stored.has(sha256, transfer_syntax_uid):
        return Restore() if stored.damaged else AlreadyStored()
    if (stored.series_instance_uid, stored.study_instance_uid) != (series, study):
        return Quarantine(Reason.OTHER_SERIES, _INSTANCE_ELSEWHERE)
    return Quarantine(Reason.OTHER_BYTES, _OTHER_BYTES)


def _by_rule(verdict: Verdict, duplicates: str) -> Verdict:
    """What the sender's rule makes of the verdict on a known UID.

    Objects that also changed their series or study always wait for a person. What was to be refused
    and came through, because the first one was not indexed yet, is set aside.
    """
    if not isinstance(verdict, Quarantine) or verdict.reason is not Reason.OTHER_BYTES:
        return verdict
    if duplicates == Duplicates.IGNORE:
        return Ignore()
    return Replace(verdict) if duplicates == Duplicates.REPLACE else verdict


_UNUSABLE_UID = (
    "A UID of this object is missing or far too long, so it cannot be filed under a study. "
    "Correct it at its source and send it again, keep it here as it is, or discard it."
)
_OTHER_BYTES = (
    "An instance with the same SOP Instance UID is stored already, and its content differs. "
    "The first one stays in use. Compare the two; then keep this one aside, let it replace the "
    "stored one, or discard it."
)
_INSTANCE_ELSEWHERE = (
    "An instance with the same SOP Instance UID is stored already, in another series or study. "
    "The first one stays in use. Find out which is right; then keep this one aside, let it "
    "replace the stored one, or discard it."
)
_SERIES_ELSEWHERE = (
    "The Series Instance UID of this object belongs to a series of another study. "
    "Correct it at its source and send it again, keep it aside, or discard it."
)
_OTHER_PATIENT = (
    "The Study Instance UID of this object belongs to a study of another patient. "
    "Find out whose study it is. If the patient's identity was corrected since, retry; "
    "otherwise correct the object at its source and send it again, keep it aside, or discard it."
)
