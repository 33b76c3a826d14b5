"""What a self-test found of a claim."""

from __future__ import annotations

from dataclasses import dataclass

from apps.conformance.document import Claim


@dataclass(frozen=True, slots=True)
class Outcome:
    """`detail` says what was different, or what was tried."""

    claim: Claim
    passed: bool
    detail: str
