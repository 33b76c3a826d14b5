"""What beat and the workers do for storage commitment, in one loop. Killed, never stopped.

python -m tests.protocol.dimse.worker PEERS   JSON: AE title -> columns of its row

The file `ask` in the data folder, [AE title, [[SOP Class UID, SOP Instance UID], …]] as JSON, is
a question to a peer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import django


def main(peers: dict[str, dict[str, object]]) -> None:
    from apps.commitment.actions.ask_peers import ask_peers, request_commitment
    from apps.commitment.actions.deliver_reports import deliver_reports
    from apps.commitment.actions.verify_requests import verify_requests
    from apps.ingest.actions.drain_inbox import drain_inbox
    from apps.network.models import ApplicationEntity

    question = Path(os.environ["PACSWEB_DATA_DIR"]) / "ask"
    for title, columns in peers.items():
        ApplicationEntity.objects.update_or_create(title=title, defaults=columns)
    while True:
        drain_inbox(1)
        verify_requests(1)
        deliver_reports()
        if question.exists():
            title, pairs = json.loads(question.read_text())
            question.unlink()
            request_commitment(ApplicationEntity.objects.get(title=title), pairs)
        ask_peers(1.0)
        time.sleep(0.05)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "pacsweb.settings"
    django.setup()
    main(json.loads(sys.argv[1]))
