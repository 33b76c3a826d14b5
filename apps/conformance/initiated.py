"""TABLE: associations we open ourselves, for the part of the statement about us as SCU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.conformance.document import Row, Section, Table
from apps.dicom import ups
from apps.dicom.storage_commitment import PUSH_MODEL_CLASS
from apps.dicom.uids import name_of
from apps.network import scu
from apps.network.getting import STUDY_ROOT_GET
from apps.retrieve.datasets import REWRITTEN_TO
from apps.worklist.actions.deliver import AVAILABILITY, MPPS


@dataclass(frozen=True, slots=True)
class Initiated:
    """A service we ask a peer for. `sop_class` is empty where it is that of what is sent."""

    service: str
    sop_class: str
    transfer_syntaxes: tuple[str, ...]
    when: str


TABLE: Final = (
    Initiated("Verification", scu.VERIFICATION, scu.PLAIN, "somebody tests a peer"),
    Initiated(
        "Storage",
        "",
        REWRITTEN_TO,
        "a transfer sends: a C-MOVE, a person or a forwarding rule asked for it",
    ),
    Initiated(
        "Storage",
        "",
        (),
        "a DICOMweb client stores in a peer through us: in the Transfer Syntax it sent, no other",
    ),
    Initiated("Query", scu.STUDY_ROOT_FIND, scu.PLAIN, "somebody searches a peer"),
    Initiated("Retrieve (C-MOVE)", scu.STUDY_ROOT_MOVE, scu.PLAIN, "a transfer fetches"),
    Initiated(
        "Retrieve (C-GET)",
        STUDY_ROOT_GET,
        scu.PLAIN,
        "a transfer fetches on one association; storage is proposed beside it, as SCP",
    ),
    Initiated(
        "Storage Commitment Push Model",
        PUSH_MODEL_CLASS,
        scu.PLAIN,
        "we ask after sending, or report what was asked of us",
    ),
    Initiated("Modality Performed Procedure Step", MPPS, scu.PLAIN, "steps are forwarded"),
    Initiated("Instance Availability Notification", AVAILABILITY, scu.PLAIN, "images are there"),
    Initiated("Unified Procedure Step - Event", ups.EVENT, scu.PLAIN, "subscribers are told"),
)


def initiation(number: str) -> Section:
    """Which associations we open, and what we propose in them."""
    return Section(
        number,
        "Association initiation policy",
        (
            (
                "Associations are opened to application entities whose host and port are known, "
                "over TLS where their rule says so. For storage each stored Transfer Syntax is "
                "proposed in a context of its own, before those that can be converted to."
            ),
            (
                "Behind images that a polarity rule corrects a Grayscale Softcopy Presentation "
                "State (PS3.3 A.33.1) is sent for each, unless the rule of the destination says "
                "no: with their modality LUT and VOI, the whole image as displayed area, and the "
                "Presentation LUT Shape that shows them right. The same image and rule give the "
                "same SOP Instance UID. On C-GET it is sent where its requestor proposes to take "
                "that SOP Class. States are counted as sub-operations; one that the peer does not "
                "accept is a warning."
            ),
        ),
        (
            Table(
                "Presentation contexts proposed",
                ("service", "abstract syntax", "UID", "Transfer Syntaxes", "when"),
                tuple(
                    Row(
                        (
                            each.service,
                            name_of(each.sop_class) or "that of each instance",
                            each.sop_class or "each storage SOP Class",
                            ", ".join(name_of(uid) for uid in each.transfer_syntaxes),
                            each.when,
                        )
                    )
                    for each in TABLE
                ),
            ),
        ),
    )
