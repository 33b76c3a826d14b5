"""What storage commitment means here: the points PS3.4 J.3.6.2.1 demands of a statement."""

from __future__ import annotations

from collections.abc import Iterator

from apps.commitment.actions.accept_request import MOST_INSTANCES
from apps.commitment.selectors import commitment_policy
from apps.conformance.document import Row, Table
from apps.dicom.storage_commitment import IN_WORDS


def commitment_tables() -> Iterator[Table]:
    """Conditions of the promise as the policy has them now, and the failure reasons."""
    yield Table("Conditions of a commitment", ("subject", "here"), tuple(map(Row, _conditions())))
    yield Table(
        "Failure Reason (0008,1197)",
        ("value", "meaning"),
        tuple(Row((f"{reason:04X}", words)) for reason, words in IN_WORDS.items()),
    )


def _conditions() -> Iterator[tuple[str, str]]:
    policy = commitment_policy()
    yield (
        "what is promised",
        (
            "Each instance by itself, after its bytes were read from storage again and their "
            "length, File Meta and SHA-256 were those of what was received."
        ),
    )
    yield "persistence", "Until a person with the right to delete studies deletes it."
    yield "deletion", "Nothing is deleted automatically."
    checked = "Stored bytes are read back when a commitment asks for it."
    if policy.scrub:
        checked = f"All stored bytes are read back every {policy.scrub_every_days} days."
    yield "volatility", f"None: storage is permanent. {checked}"
    yield "capacity", f"That of the storage; at most {MOST_INSTANCES} instances in one request."
    yield (
        "latency",
        (
            f"The time to read the instances back, at {policy.verify_rate} MB/s at most, a quarter "
            "of it while instances arrive; what is not indexed yet is waited for."
        ),
    )
    yield (
        "report",
        (
            "On the association of the request while it is open, else on a new one in the SCP "
            f"role, under the AE title that was asked; tried for {policy.report_for_days} days."
        ),
    )
    yield "Retrieve AE Title", "Outside of the sequences, never in their items."
    yield (
        "retrieval",
        "By every query and retrieve service listed here; unchanged but for what is coerced.",
    )
