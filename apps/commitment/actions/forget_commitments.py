"""forget_commitments: finished requests lose their references, then go, when they are old."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from apps.commitment.actions.accept_request import WEB
from apps.commitment.models import CommitmentInquiry, CommitmentRequest, ScrubRun
from apps.commitment.selectors import commitment_policy

_AT_ONCE: Final = 200


def forget_commitments() -> int:
    """How many rows went. What was promised stays in the receipts."""
    limit = timezone.now() - timedelta(days=commitment_policy().keep_days)
    over = Q(state__in=(CommitmentRequest.State.REPORTED, CommitmentRequest.State.GIVEN_UP))
    # Over the web nobody may ever have come for the result.
    requests = CommitmentRequest.objects.filter(
        over | Q(door=WEB, state=CommitmentRequest.State.VERIFIED), received_at__lt=limit
    )
    inquiries = CommitmentInquiry.objects.filter(
        state__in=(
            CommitmentInquiry.State.COMMITTED,
            CommitmentInquiry.State.FAILED,
            CommitmentInquiry.State.GIVEN_UP,
        ),
        created_at__lt=limit,
    )
    runs = ScrubRun.objects.filter(finished_at__lt=limit)
    gone = 0
    for rows in (requests, inquiries, runs):
        old = list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE])
        rows.model._default_manager.filter(pk__in=old).delete()
        gone += len(old)
    return gone
