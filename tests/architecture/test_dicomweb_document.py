"""docs/dicomweb.md: every test it names as a proof is there."""

from __future__ import annotations

import re

from pacsweb.settings.environment import PROJECT_ROOT


def test_every_proof_that_the_document_names_exists() -> None:
    document = (PROJECT_ROOT / "docs" / "dicomweb.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", document))
    assert len(named) > 40
    written = {
        name
        for path in (PROJECT_ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert named - written == set()
