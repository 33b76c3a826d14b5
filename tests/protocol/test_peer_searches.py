"""Another archive searched from the study list: begun, followed, given up; whatever it answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from apps.archive.study_list import StudyListFilter
from apps.errors import InvalidRequest
from apps.transfers.remote_queries import remote_queries
from tests.builders import ct_slice, new_uid
from tests.protocol.dicomweb_archive import Archive
from tests.servers import free_port
from tests.stack import Stack

PREPARED = """
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from apps.network.models import ApplicationEntity
for title, port in (("ELSEWHERE", {here}), ("NOBODYHOME", {nobody})):
    ApplicationEntity.objects.create(title=title, host="127.0.0.1", port=port)
for name, group in (("tech9", "technologist"), ("doc9", "clinician")):
    user = get_user_model().objects.create_user(name, password="long enough 99")
    user.groups.add(Group.objects.get(name=group))
"""
HOSTILE = "<img src=x onerror=alert(1)>^\x1b[2J=\u202e"


class Elsewhere:
    """A C-FIND SCP that answers as told, and knows how it was asked."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers: list[Dataset] = []
        self.status = 0x0000
        self.goes_on = threading.Event()
        self.asked: list[Dataset] = []
        self.cancelled = 0

    def start(self) -> Any:
        ae = AE(ae_title="ELSEWHERE")
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers = [(evt.EVT_C_FIND, self._find)]
        return ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        for each in self.answers:
            yield 0xFF00, each
        while not self.goes_on.wait(0.05):
            if event.is_cancelled:
                self.cancelled += 1
                yield 0xFE00, None
                return
        if self.status:
            yield self.status, None


def answer(study: str, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.QueryRetrieveLevel = "STUDY"
    ds.StudyInstanceUID = study
    ds.PatientName, ds.PatientID, ds.StudyDate = "Far^Away", "E-1", "20240301"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture(scope="module")
def elsewhere(stack: Stack) -> Iterator[Elsewhere]:
    made = Elsewhere()
    stack.manage("shell", "-c", PREPARED.format(here=made.port, nobody=free_port()))
    server = made.start()
    yield made
    server.shutdown()


@pytest.fixture(autouse=True)
def _calm(elsewhere: Elsewhere) -> None:
    elsewhere.answers, elsewhere.asked, elsewhere.status = [], [], 0
    elsewhere.goes_on.set()


def begin(stack: Stack, title: str, **filters: Any) -> requests.Response:
    return requests.post(
        stack.url(f"/api/peers/{title}/searches/"), json=filters, auth=stack.auth, timeout=30
    )


def page(stack: Stack, search: str, after: int = 0, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = stack.get(
        f"/api/peer-searches/{search}/?after={after}", **options
    ).json()
    return found


def ended(stack: Stack, search: str) -> dict[str, Any]:
    stack.wait_until(lambda: page(stack, search)["state"] != "running")
    return page(stack, search)


def test_what_is_here_already_is_said_and_hostile_text_stays_text(
    stack: Stack, archive: Archive, elsewhere: Elsewhere
) -> None:
    study, series = new_uid(), new_uid()
    here = [ct_slice(study=study, series=series, number=number) for number in (1, 2)]
    assert archive.store(*here).status_code == 200
    elsewhere.answers = [
        answer(study, NumberOfStudyRelatedInstances=3, ModalitiesInStudy=["CT", "SR"]),
        answer("1.2.3.4.77", PatientName=HOSTILE, StudyDescription="'; DROP TABLE x; --"),
        answer("../../admin"),
        answer(""),
    ]
    asked = begin(stack, "ELSEWHERE", q="far", modality=["CT"], date="7d", today="20240303")
    assert asked.status_code == 201, asked.text
    found = ended(stack, asked.json()["search"])
    assert (found["state"], found["message"], found["more"]) == ("done", "", False)
    assert found["unusable"] == 2
    first, second = found["studies"]
    assert (first["here"], first["there"]) == (2, 3)
    assert first["ModalitiesInStudy"] == ["CT", "SR"]
    assert (second["here"], second["there"]) == (0, None)
    assert second["PatientName"].startswith("<img src=x onerror=alert(1)>^")
    (asked_for,) = elsewhere.asked
    assert str(asked_for.PatientName) == "far*"
    assert (asked_for.ModalitiesInStudy, asked_for.StudyDate) == ("CT", "20240226-20240303")


def test_a_slow_archive_holds_no_page_and_is_told_to_stop(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    elsewhere.answers, before = [answer("1.2.3.4.78")], elsewhere.cancelled
    elsewhere.goes_on.clear()
    began = time.monotonic()
    names = [begin(stack, "ELSEWHERE", q="far").json()["search"] for _ in range(3)]
    assert time.monotonic() - began < 20  # each would take for ever
    stack.wait_until(lambda: len(page(stack, names[0])["studies"]) == 1)
    assert page(stack, names[0])["state"] == "running"
    assert page(stack, names[0], after=1)["studies"] == []
    for name in names:
        url = stack.url(f"/api/peer-searches/{name}/")
        assert requests.delete(url, auth=stack.auth, timeout=30).status_code == 204
    assert {ended(stack, name)["state"] for name in names} == {"cancelled"}
    stack.wait_until(lambda: elsewhere.cancelled == before + 3)


def test_more_than_were_asked_for_is_said(stack: Stack, elsewhere: Elsewhere) -> None:
    elsewhere.answers = [answer(f"1.2.3.4.5.{number}") for number in range(1, 8)]
    found = ended(stack, begin(stack, "ELSEWHERE", q="far", limit=5).json()["search"])
    assert (found["state"], len(found["studies"]), found["more"]) == ("done", 5, True)


@pytest.mark.parametrize(
    ("title", "status", "words"),
    [("NOBODYHOME", 0, "cannot be reached"), ("ELSEWHERE", 0xA700, "ELSEWHERE answered A700")],
)
def test_an_archive_that_is_away_or_refuses(
    stack: Stack, elsewhere: Elsewhere, title: str, status: int, words: str
) -> None:
    elsewhere.status = status
    found = ended(stack, begin(stack, title, q="far").json()["search"])
    assert found["state"] == "failed"
    assert words in found["message"]


def test_what_came_before_a_failure_is_shown(stack: Stack, elsewhere: Elsewhere) -> None:
    elsewhere.answers, elsewhere.status = [answer("1.2.3.4.79")], 0xC001
    found = ended(stack, begin(stack, "ELSEWHERE", q="far").json()["search"])
    assert (found["state"], len(found["studies"])) == ("failed", 1)


def test_others_do_not_see_it_and_not_everything_is_asked(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    name = begin(stack, "ELSEWHERE", q="secret").json()["search"]
    url = f"/api/peer-searches/{name}/"
    assert stack.get(url, auth=("tech9", "long enough 99")).status_code == 404
    assert stack.get(url, auth=("doc9", "long enough 99")).status_code == 403
    assert stack.get("/api/peers/", auth=("doc9", "long enough 99")).status_code == 403
    assert stack.get(url, auth=None).status_code in {401, 403}
    assert begin(stack, "ELSEWHERE").status_code == 400
    assert begin(stack, "ELSEWHERE", q="x", modality=list("ABCDEFGHI")).status_code == 400
    assert begin(stack, "UNKNOWN", q="x").status_code == 404


@pytest.mark.parametrize(
    ("filters", "queries"),
    [
        (StudyListFilter(q="smith"), [{"PatientName": "smith*"}]),
        (
            StudyListFilter(q="john smith"),
            [{"PatientName": "john*smith*"}, {"PatientName": "smith*john*"}],
        ),
        (StudyListFilter(q="Smith^J*"), [{"PatientName": "Smith*J*"}]),
        (StudyListFilter(q="P-12"), [{"PatientID": "P-12*"}, {"AccessionNumber": "P-12*"}]),
        (
            StudyListFilter(description="head", modality=("CT", "MR")),
            [
                {"StudyDescription": "*head*", "ModalitiesInStudy": "CT"},
                {"StudyDescription": "*head*", "ModalitiesInStudy": "MR"},
            ],
        ),
        (StudyListFilter(date_from="20240101"), [{"StudyDate": "20240101-"}]),
        (StudyListFilter(date_from="20240101", date_to="20240101"), [{"StudyDate": "20240101"}]),
        (StudyListFilter(q="a\\b=c"), [{"PatientName": "a*b*c*"} for _ in range(6)]),
    ],
)
def test_the_filters_become_keys(filters: StudyListFilter, queries: list[dict[str, str]]) -> None:
    found = [dict(each) for each in remote_queries(filters).queries]
    if filters.q.startswith("a\\"):
        assert len(found) == len(queries)  # six orders of three words, no list and no name groups
        assert all(not set("\\=") & set(each["PatientName"]) for each in found)
    else:
        assert found == queries


@pytest.mark.parametrize(
    "filters",
    [
        StudyListFilter(),
        StudyListFilter(q="\x00 ="),
        StudyListFilter(station="CT1"),
        StudyListFilter(date_from="tomorrow"),
        StudyListFilter(q="x" * 65),
    ],
)
def test_what_no_archive_can_be_asked(filters: StudyListFilter) -> None:
    with pytest.raises(InvalidRequest):
        remote_queries(filters)
