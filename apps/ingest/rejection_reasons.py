"""TABLE: why an instance is rejected (PS3.16 CID 7011, IHE RAD IOCM)."""

from __future__ import annotations

from typing import Final

from apps.errors import InvalidRequest

REASONS: Final[dict[str, str]] = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
"""Code meanings by code value; the scheme is DCM."""

NOT_STATED: Final = ""


def parse_reason(text: str) -> str:
    """`113001` or `113001^DCM` as the code value; `""` is no reason. Raises InvalidRequest."""
    value, _, scheme = text.strip().partition("^")
    if value == NOT_STATED:
        return NOT_STATED
    if value not in REASONS or scheme not in {"", "DCM"}:
        known = ", ".join(f"{code} ({meaning})" for code, meaning in REASONS.items())
        raise InvalidRequest(f"The reason must be one of {known}.", offending=("reason",))
    return value


def sentence(code: str) -> str:
    """What the row and the event say."""
    return f"{REASONS[code]}." if code else "Rejected; no reason was given."
