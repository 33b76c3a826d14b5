"""Which of the images that came last a polarity rule would turn round; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Instance
from apps.network.models import PolarityRule
from apps.retrieve.coercion_preview import latest_of
from apps.retrieve.metadata import dicom_json_of
from apps.retrieve.polarity import Rule, is_grey, read_rule


@dataclass(frozen=True, slots=True)
class Previewed:
    """One image: whether the rule would turn it round, and if not, why."""

    study_instance_uid: str
    sop_instance_uid: str
    fits: bool
    reason: str = ""


def preview_polarity(principal: Principal, row: PolarityRule) -> list[Previewed]:
    """The last 20 objects of the rule's source, newest first. Raises NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    rule = read_rule(row)
    found = Instance.objects.select_related("study").filter(
        pk__in=[each.pk for each in latest_of({rule.source})]
    )
    out = []
    for each in found.order_by("-pk"):
        reason = _why_not(rule, each)
        uids = (each.study.study_instance_uid, each.sop_instance_uid)
        out.append(Previewed(*uids, not reason, reason))
    return out


def _why_not(rule: Rule, row: Instance) -> str:
    dataset = dicom_json_of(row.pk)
    if not is_grey(dataset):
        return "It is no grey image."
    if not rule.fits(row.source_ae_title, row.received_at):
        return "It was not received in this period."
    return "" if rule.covers(dataset) else "It is of another station, or not among those named."
