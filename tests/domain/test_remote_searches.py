"""Searches in other archives are searches: permitted, and noted with what was asked."""

from __future__ import annotations

import pytest

from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.access.searches import waiting_searches
from apps.archive.study_list import StudyListFilter
from apps.errors import NotFound, NotPermitted, PacsError
from apps.network.models import ApplicationEntity
from apps.transfers.peer_searches import State, begin_search, search_page
from apps.transfers.searched import query_other
from tests.servers import free_port

pytestmark = pytest.mark.django_db
ASKER = system_principal("asker")


@pytest.fixture
def nobody_home() -> ApplicationEntity:
    return ApplicationEntity.objects.create(title="AWAY", host="127.0.0.1", port=free_port())


def test_a_search_elsewhere_is_noted_with_what_was_asked(nobody_home: ApplicationEntity) -> None:
    name = begin_search(ASKER, nobody_home, StudyListFilter(q="secret", modality=("CT", "MR")), 10)
    assert search_page(ASKER, name, 0).state in {State.RUNNING, State.FAILED}
    with pytest.raises(PacsError):
        list(query_other(ASKER, nobody_home, "SERIES", {"StudyInstanceUID": "1.2"}, 10))
    noted = [(each.actor.name, each.resource, each.query) for each in waiting_searches()]
    assert noted == [
        ("asker", "studies at AWAY", {"q": "secret", "modality": "CT\\MR"}),
        ("asker", "series at AWAY", {"StudyInstanceUID": "1.2"}),
    ]


def test_it_takes_the_permission_and_is_its_owners(nobody_home: ApplicationEntity) -> None:
    name = begin_search(ASKER, nobody_home, StudyListFilter(q="secret"), 10)
    with pytest.raises(NotFound):
        search_page(system_principal("another"), name, 0)
    nobody = Principal(PrincipalKind.USER, "asker", "web")
    with pytest.raises(NotPermitted):
        search_page(nobody, name, 0)
    with pytest.raises(NotPermitted):
        begin_search(nobody, nobody_home, StudyListFilter(q="secret"), 10)
