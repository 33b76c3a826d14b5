"""Questions about compression: the policy, and how far the walks are."""

from __future__ import annotations

from apps.archive.models import Instance
from apps.compression.models import CompressionPolicy, CompressionRun


def compression_policy() -> CompressionPolicy:
    """The one row, or its defaults where nobody has saved one."""
    return CompressionPolicy.objects.filter(pk=1).first() or CompressionPolicy(pk=1)


def newest_instance() -> int:
    """The primary key of the instance stored last, 0 without any."""
    return Instance.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def share_of(run: CompressionRun, newest: int) -> int:
    """How far a walk is, in percent of the instances there are, by the order they were stored."""
    return 100 if not newest else min(100, 100 * run.cursor // newest)
