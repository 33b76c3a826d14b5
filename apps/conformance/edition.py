"""One edition of the statement: its version, what was proved, and what changed before it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from django.conf import settings

from apps.conformance.changes import changes
from apps.conformance.document import Statement
from apps.conformance.models import ClaimResult, StatementVersion
from apps.conformance.printed import Edition
from apps.dicom.uids import IMPLEMENTATION_VERSION_NAME

_REVISIONS = 20


def results() -> dict[str, ClaimResult]:
    """The newest self-test of each claim."""
    return {each.claim: each for each in ClaimResult.objects.all()}


def edition(statement: Statement, version: StatementVersion) -> Edition:
    """For the title page and the marks of the printed statement. Three queries."""
    found = results()
    claims = statement.claims()
    marks = {}
    for key, claim in claims.items():
        result = found.get(key)
        if result is not None and result.text == claim.text:
            verdict = "passed" if result.passed else "FAILED"
            marks[key] = f"{verdict}\N{NO-BREAK SPACE}{result.tested_at:%Y-%m-%d}"
    failed = sum(each.startswith("FAILED") for each in marks.values())
    return Edition(
        ae_title=settings.PACSWEB.ae_title,
        product=f"pacsweb ({IMPLEMENTATION_VERSION_NAME})",
        version=str(version.pk),
        in_force_since=f"{version.created_at:%Y-%m-%d %H:%M} UTC",
        tested=f"{len(marks)} of {len(claims)} claims tested by this installation, {failed} failed",
        marks=marks,
        revisions=_revisions(list(StatementVersion.objects.order_by("-pk")[: _REVISIONS + 1])),
    )


def _revisions(newest_first: Sequence[StatementVersion]) -> tuple[tuple[str, str, str], ...]:
    rows = []
    for after, before in pairwise(newest_first):
        found = changes(before.claims, after.claims)
        told = f"{len(found.added)} new, {len(found.changed)} changed, {len(found.removed)} dropped"
        rows.append((str(after.pk), f"{after.created_at:%Y-%m-%d %H:%M}", told))
    if newest_first and len(newest_first) <= _REVISIONS:
        first = newest_first[-1]
        rows.append((str(first.pk), f"{first.created_at:%Y-%m-%d %H:%M}", "first version"))
    return tuple(rows)
