"""Whose object it is: patient identity with its issuer (PS3.3 C.7.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.archive.columns import column_text
from apps.dicom.values import fold_name

_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """What an object, or a study, says about whose it is; empty text where it says nothing."""

    patient_id: str
    issuer: str
    name_alphabetic: str

    @classmethod
    def of(cls, attributes: dict[str, str]) -> PatientIdentity:
        """From the attributes of one instance."""
        return cls(
            column_text(attributes.get("PatientID", "")),
            column_text(attributes.get("IssuerOfPatientID", "")),
            fold_name(column_text(attributes.get("PatientName", "")))[0],
        )

    def key(self, study_instance_uid: str) -> str:
        """The Patient's identity key.

        Without a Patient ID it is the study's own patient, so that unnamed objects never become
        one person.
        """
        if not self.patient_id:
            return f"{_SEPARATOR}{_SEPARATOR}{study_instance_uid}"
        return f"{self.patient_id}{_SEPARATOR}{self.issuer}"

    def filled_from(self, other: PatientIdentity) -> PatientIdentity:
        """This identity, with what it does not say taken from the other."""
        return PatientIdentity(
            self.patient_id or other.patient_id,
            self.issuer or other.issuer,
            self.name_alphabetic or other.name_alphabetic,
        )

    def contradicts(self, other: PatientIdentity) -> bool:
        """True when both cannot be one person; what is not said contradicts nothing.

        Two IDs, two issuers of one ID, or, where an ID is missing, two names.
        """
        if self.patient_id and other.patient_id:
            issuers_differ = bool(self.issuer and other.issuer) and self.issuer != other.issuer
            return self.patient_id != other.patient_id or issuers_differ
        names = self.name_alphabetic, other.name_alphabetic
        return all(names) and names[0] != names[1]
