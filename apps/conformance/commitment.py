"""What storage commitment means here: the points PS3.4 J.3.6.2.1 demands of a statement."""

from __future__ import annotations

from collections.abc import Iterator

from apps.commitment.actions.accept_request import MOST_INSTANCES
from apps.commitment.selectors import commitment_policy
from apps.conformance.document import Row, Table
from apps.dicom.storage_commitment import IN_WORDS


def commitment_tables() -> Iterator[Table]:
    """Conditions of the promise as the policy has them now, and the failure reasons."""
    policy = commitment_policy()
    checked = (
        f"All stored bytes are read back every {policy.scrub_every_days} days."
        if policy.scrub
        else "Stored bytes are read back when a commitment asks for it."
    )
    rows = (
        (
            "what is promised",
            (
                "Each instance by itself, after its bytes were read from storage again and their "
                "length, File Meta and SHA-256 were those of what was received."
            ),
        ),
        ("persistence", "Until a person with the right to delete studies deletes it."),
        ("deletion", "Nothing is deleted automatically."),
        ("volatility", f"None: storage is permanent. {checked}"),
        ("capacity", f"That of the storage; at most {MOST_INSTANCES} instances in one request."),
        (
            "latency",
            (
                f"The time to read the instances back, at {policy.verify_rate} MB/s at most, a "
                "quarter of it while instances arrive; what is not indexed yet is waited for."
            ),
        ),
        (
            "report",
            (
                "On the association of the request while it is open, else on a new one in the SCP "
                f"role, under the AE title that was asked; tried for {policy.report_for_days} days."
            ),
        ),
        ("Retrieve AE Title", "Outside of the sequences, never in their items."),
        ("retrieval", "By every query and retrieve service listed here, unchanged."),
    )
    yield Table("Conditions of a commitment", ("subject", "here"), tuple(map(Row, rows)))
    yield Table(
        "Failure Reason (0008,1197)",
        ("value", "meaning"),
        tuple(Row((f"{reason:04X}", words)) for reason, words in IN_WORDS.items()),
    )
