"""replace_duplicate: what was set aside takes the stored one's place, by the rule for its sender.

It runs after the rows are committed and before the inbox is settled: a crash between the two leaves
the file in the inbox, and the next run finds the same case and finishes it.
"""

from __future__ import annotations

import logging

from apps.access.principals import system_principal
from apps.errors import PacsError
from apps.ingest.actions.replace_stored import replace_stored
from apps.ingest.arrivals import Arrival
from apps.ingest.models import QuarantinedInstance

logger = logging.getLogger(__name__)


def replace_duplicate(arrival: Arrival) -> None:
    """Where it cannot take the place, it waits in quarantine. Raises what passes: Unavailable."""
    row = QuarantinedInstance.objects.filter(
        sha256=arrival.dataset_sha256, sop_instance_uid=arrival.attributes["SOPInstanceUID"]
    ).first()
    if row is None:
        return
    principal = system_principal(f"duplicates of {arrival.provenance.source_ae_title.strip()}")
    try:
        replace_stored(principal, row.pk)
    except PacsError as error:
        if error.retryable:
            raise
        logger.warning("A duplicate stays in quarantine: %s", error.message)
