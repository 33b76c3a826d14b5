"""Remember what the self-test found of each claim."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.conformance.models import ClaimResult
from apps.conformance.outcome import Outcome
from apps.events.log import NewEvent, record


def record_self_test(principal: Principal, outcomes: Sequence[Outcome]) -> int:
    """How many failed. One row a claim, the newest result; one event. Raises NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    now = timezone.now()
    failed = [each for each in outcomes if not each.passed]
    with transaction.atomic():
        ClaimResult.objects.bulk_create(
            [
                ClaimResult(
                    claim=each.claim.id,
                    text=each.claim.text,
                    passed=each.passed,
                    detail=each.detail[:400],
                    tested_at=now,
                )
                for each in outcomes
            ],
            update_conflicts=True,
            unique_fields=["claim"],
            update_fields=["text", "passed", "detail", "tested_at"],
        )
        payload = {"tested": len(outcomes), "failed": [each.claim.id for each in failed[:50]]}
        record([NewEvent("ConformanceTested", actor_of(principal), payload=payload)])
    return len(failed)
