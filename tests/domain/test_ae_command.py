"""`manage.py ae`: the application entities from the command line."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db


def ae(*arguments: str) -> str:
    said = io.StringIO()
    call_command("ae", *arguments, stdout=said)
    return said.getvalue().strip()


def test_ae_command_is_idempotent_and_speaks_plainly() -> None:
    assert ae("list") == "No application entities are known."
    assert ae("add", "CT1", "10.0.0.7", "104") == "Added CT1 at 10.0.0.7:104."
    again = ae("add", "CT1", "10.0.0.7", "104")
    assert again == "CT1 at 10.0.0.7:104 was already known; nothing changed."
    changed = ae("add", "CT1", "10.0.0.8", "104", "--no-may-query")
    assert changed == "Changed CT1 at 10.0.0.8:104."
    assert ae("list").split() == ["CT1", "10.0.0.8:104", "may", "not", "query"]
    assert ae("remove", "CT1") == "Removed CT1."
    assert ae("remove", "CT1") == "There is no CT1; nothing changed."


@pytest.mark.parametrize("bad", [("   ", "h", "1"), ("A" * 17, "h", "1"), ("A", "h", "99999")])
def test_what_is_no_application_entity_is_said_in_a_line(bad: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as refused:
        ae("add", *bad)
    assert refused.value.returncode == 2
    assert len(str(refused.value).splitlines()) == 1
