"""Work item events over WebSocket (PS3.18 8.10, 11.10 to 11.13), from HTTP and from DIMSE."""

from __future__ import annotations

import base64
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from websockets import CloseCode
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from apps.dicom import ups
from apps.dicomweb.event_channels.server import MOST_OF_A_USER
from tests.domain.worklist_rows import data_set
from tests.protocol.dicomweb_archive import Archive
from tests.protocol.test_ups_rs import KEY, Worklist, code, refused
from tests.servers import free_port
from tests.stack import Stack

SECONDS = 30
_title = iter(range(1000))


@pytest.fixture
def worklist(archive: Archive) -> Worklist:
    return Worklist(archive)


@pytest.fixture
def receiver() -> str:
    """An AE title that no other test listens for."""
    return f"WATCH{next(_title)}"


def basic(username: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def listen(
    stack: Stack, receiver: str, headers: dict[str, str] | None = None, **options: Any
) -> ClientConnection:
    url = f"ws://127.0.0.1:{stack.event_port}/dicom-web/subscribers/{receiver}"
    sent = basic(*stack.auth) if headers is None else headers
    return connect(url, additional_headers=sent, open_timeout=SECONDS, **options)


def deaf(stack: Stack, receiver: str) -> socket.socket:
    """A client that opens the channel and then neither reads nor answers."""
    made = socket.create_connection(("127.0.0.1", stack.event_port), SECONDS)
    fields = {
        "Host": f"127.0.0.1:{stack.event_port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
        **basic(*stack.auth),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    made.sendall(f"GET /subscribers/{receiver} HTTP/1.1\r\n{head}\r\n".encode())
    assert made.recv(64).startswith(b"HTTP/1.1 101 ")
    return made


def following(worklist: Worklist, receiver: str, uid: str, query: str = "") -> str:
    """Subscribes; where the events are to be had."""
    response = worklist.send("POST", f"/{uid}/subscribers/{receiver}{query}")
    assert (response.status_code, response.content) == (201, b""), response.text
    return response.headers["Content-Location"]


def next_event(channel: ClientConnection) -> tuple[int, str, Dataset]:
    """Event type, work item, and the data set as a stranger reads it."""
    report = Dataset.from_json(json.loads(channel.recv(SECONDS)))
    assert report.CommandField == 0x0100
    assert report.AffectedSOPClassUID == ups.PUSH
    return report.EventTypeID, report.AffectedSOPInstanceUID, report


def test_every_kind_of_event_reaches_a_subscriber_in_order(
    worklist: Worklist, receiver: str
) -> None:
    uid = worklist.create()
    url = following(worklist, receiver, uid)
    port = worklist.archive.stack.event_port
    assert url == f"ws://127.0.0.1:{port}/dicom-web/subscribers/{receiver}"
    with connect(url, additional_headers=basic(*worklist.archive.stack.auth)) as channel:
        kind, about, first = next_event(channel)
        assert (kind, about, first.ProcedureStepState) == (1, uid, "SCHEDULED")
        assert first.InputReadinessState == "READY"
        station = data_set(ScheduledStationNameCodeSequence=[code("WS7")])
        assert worklist.send("POST", f"/{uid}", station).status_code == 200
        kind, _, assigned = next_event(channel)
        assert kind == 5
        assert assigned.ScheduledStationNameCodeSequence[0].CodeValue == "WS7"
        assert worklist.state(uid, ups.IN_PROGRESS).status_code == 200
        assert next_event(channel)[2].ProcedureStepState == "IN PROGRESS"
        progress = data_set(
            ProcedureStepProgressInformationSequence=[data_set(ProcedureStepProgress="40")]
        )
        assert worklist.send("POST", f"/{uid}?{KEY}", progress).status_code == 200
        kind, _, told = next_event(channel)
        assert kind == 3
        assert told.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 40
        asked = data_set(ReasonForCancellation="wrong side", ContactDisplayName="Dr. Noor")
        assert worklist.send("POST", f"/{uid}/cancelrequest", asked).status_code == 202
        kind, _, request = next_event(channel)
        assert (kind, request.ReasonForCancellation) == (2, "wrong side")
        assert request.RequestingAE == "admin"
        assert worklist.state(uid, ups.CANCELED).status_code == 200
        kind, _, last = next_event(channel)
        assert (kind, last.ProcedureStepState) == (1, "CANCELED")
        assert KEY not in str(last)


def test_global_filtered_suspended_and_ended_subscriptions(
    worklist: Worklist, receiver: str
) -> None:
    label = f"{receiver} list"
    following(
        worklist,
        receiver,
        ups.FILTERED_SUBSCRIPTION,
        f"?deletionlock=true&filter=WorklistLabel={label},ScheduledProcedureStepPriority=HIGH",
    )
    stack = worklist.archive.stack
    with listen(stack, receiver) as channel:
        worklist.create(WorklistLabel=label)
        mine = worklist.create(WorklistLabel=label, ScheduledProcedureStepPriority="HIGH")
        assert next_event(channel)[1] == mine
        path = f"/{ups.FILTERED_SUBSCRIPTION}/subscribers/{receiver}"
        suspended = worklist.send("POST", f"{path}/suspend")
        assert (suspended.status_code, suspended.content) == (200, b"")
        refused(worklist.send("POST", f"{path}/suspend"), 404, "no such subscription")
        worklist.create(WorklistLabel=label, ScheduledProcedureStepPriority="HIGH")
        assert worklist.state(mine, ups.IN_PROGRESS).status_code == 200
        _, about, report = next_event(channel)
        assert (about, report.ProcedureStepState) == (mine, "IN PROGRESS"), "still subscribed to"
        assert worklist.send("DELETE", f"/{mine}/subscribers/{receiver}").status_code == 200
        refused(worklist.send("DELETE", f"/{mine}/subscribers/{receiver}"), 404, "no such")
        assert worklist.state(mine, ups.CANCELED).status_code == 200
        other = worklist.create()
        following(worklist, receiver, other)
        assert next_event(channel)[1] == other


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("1.9.9/subscribers/WATCH", 404, "no such UPS"),
        (f"{ups.GLOBAL_SUBSCRIPTION}/subscribers/WATCH?deletionlock=perhaps", 400, "true or"),
        (f"{ups.GLOBAL_SUBSCRIPTION}/subscribers/WATCH?filter=PatientID=1", 400, "takes a filter"),
        (f"{ups.FILTERED_SUBSCRIPTION}/subscribers/WATCH", 400, "needs a filter"),
        (f"{ups.FILTERED_SUBSCRIPTION}/subscribers/WATCH?filter=PatientID", 400, "attribute=value"),
        (f"{ups.FILTERED_SUBSCRIPTION}/subscribers/WATCH?filter=Nothing=1", 400, "no attribute"),
        (f"{ups.FILTERED_SUBSCRIPTION}/subscribers/WATCH?TransactionUID=1.2", 400, "be matched"),
        (f"{ups.GLOBAL_SUBSCRIPTION}/subscribers/ABCDEFGHIJKLMNOPQ", 400, "AE title"),
        (f"{ups.GLOBAL_SUBSCRIPTION}/subscribers/A%5CB", 400, "AE title"),
        ("1.9.9/subscribers/WATCH/suspend", 400, "suspended"),
    ],
)
def test_what_a_subscription_is_refused_for(
    worklist: Worklist, path: str, status: int, word: str
) -> None:
    refused(worklist.send("POST", f"/{path}"), status, word)


class Department(AE):
    """A system of the house that takes N-EVENT-REPORTs."""

    def __init__(self) -> None:
        super().__init__(ae_title="UPSEVENTS")
        self.port = free_port()
        self.got: list[tuple[int, str]] = []
        self.add_supported_context(ups.EVENT, scu_role=True, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._reported)]
        self.server = self.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )

    def _reported(self, event: Any) -> tuple[int, None]:
        state = event.event_information.get("ProcedureStepState", "")
        self.got.append((event.event_type, state))
        return 0x0000, None


@dataclass(frozen=True)
class House:
    """Whom the tests know: a department that takes reports, and a user who may do nothing."""

    department: Department
    nobody: dict[str, str]


@pytest.fixture(scope="module")
def house(stack: Stack) -> Iterator[House]:
    made = Department()
    script = f"""
from apps.access.actions.issue_token import issue_token
from apps.access.models import User
from apps.events.log import Actor
from apps.network.models import ApplicationEntity
ApplicationEntity.objects.create(title="UPSEVENTS", host="127.0.0.1", port={made.port})
User.objects.create_superuser("hoarder", password="all of them at once")
nobody = User.objects.create_user("nobody", password="nothing to see here")
print(issue_token(Actor("system", "test"), nobody, "events", None)[1])
"""
    token = stack.manage("shell", "-v0", "-c", script).stdout.strip()
    yield House(made, {"Authorization": f"Bearer {token}"})
    made.server.shutdown()


def test_made_by_http_taken_by_dimse_told_by_websocket_and_by_event_report(
    worklist: Worklist, receiver: str, house: House
) -> None:
    stack = worklist.archive.stack
    uid = worklist.create()
    following(worklist, receiver, uid)
    following(worklist, "UPSEVENTS", uid)
    station = AE(ae_title="UPSSTATION")
    station.add_requested_context(ups.PULL)
    association = station.associate("127.0.0.1", stack.dicom_port, ae_title=stack.ae_title)
    assert association.is_established
    taken = Dataset.from_json(data_set(ProcedureStepState=ups.IN_PROGRESS, TransactionUID=KEY))
    with listen(stack, receiver) as channel:
        status, _ = association.send_n_action(taken, 1, ups.PUSH, uid, meta_uid=ups.PULL)
        assert status.Status == 0x0000
        association.release()
        assert [next_event(channel)[2].ProcedureStepState for _ in range(2)] == [
            "SCHEDULED",
            "IN PROGRESS",
        ]
    refused(worklist.state(uid, ups.IN_PROGRESS, "2.25.9"), 400, "incorrect")
    stack.wait_until(
        lambda: (1, "IN PROGRESS") in house.department.got, SECONDS, "the event report"
    )
    assert worklist.send("GET", f"?SOPInstanceUID={uid}").json()[0]["00741000"]["Value"] == [
        "IN PROGRESS"
    ]


def test_what_happens_while_nobody_listens_is_told_later_to_each_listener(
    worklist: Worklist, receiver: str
) -> None:
    stack = worklist.archive.stack
    following(worklist, receiver, ups.GLOBAL_SUBSCRIPTION)
    with deaf(stack, receiver):
        # It never answers a ping: what it was sent does not count as taken.
        made = [worklist.create() for _ in range(4)]
    with listen(stack, receiver) as first, listen(stack, receiver) as second:
        for channel in (first, second):
            assert [next_event(channel)[1] for _ in made] == made
    with listen(stack, receiver) as again:
        later = worklist.create()
        about = next_event(again)[1]
        assert about == later, "what was read is not told again"
    worklist.send("DELETE", f"/{ups.GLOBAL_SUBSCRIPTION}/subscribers/{receiver}")


def test_an_event_process_that_ends_says_so_and_one_that_is_killed_loses_nothing(
    worklist: Worklist, receiver: str
) -> None:
    stack = worklist.archive.stack
    following(worklist, receiver, ups.GLOBAL_SUBSCRIPTION)
    with listen(stack, receiver) as channel:
        before = worklist.create()
        assert next_event(channel)[1] == before
        ended = stack.kill("events", signal.SIGTERM)
        kind, about, status = next_event(channel)
        assert (kind, about, status.SCPStatus) == (4, ups.GLOBAL_SUBSCRIPTION, "GOING DOWN")
        with pytest.raises(ConnectionClosed) as closed:
            channel.recv(SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CloseCode.GOING_AWAY
    stack.wait_until(lambda: stack.pid("events") != ended and _answers(stack), SECONDS, "events")
    with listen(stack, receiver):
        killed = stack.kill("events")
    missed = worklist.create()
    stack.wait_until(lambda: stack.pid("events") != killed and _answers(stack), SECONDS, "events")
    with listen(stack, receiver) as channel:
        kind, _, status = next_event(channel)
        assert kind == 4
        assert (status.SCPStatus, status.SubscriptionListStatus) == ("RESTARTED", "WARM START")
        told = next_event(channel)[1]
        if told == before:
            told = next_event(channel)[1]
        assert told == missed
    worklist.send("DELETE", f"/{ups.GLOBAL_SUBSCRIPTION}/subscribers/{receiver}")


def _answers(stack: Stack) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{stack.event_port}/livez", timeout=5).ok
    except requests.RequestException:
        return False


def _refused(stack: Stack, receiver: str, headers: dict[str, str]) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as failure:
        listen(stack, receiver, headers)
    response = failure.value.response
    return response.status_code, (response.body or b"").decode()


def test_who_may_listen(stack: Stack, receiver: str, house: House) -> None:
    known = basic(*stack.auth)
    assert _refused(stack, receiver, {})[0] == 401
    assert _refused(stack, receiver, basic("admin", "wrong")) == (
        401,
        "User name and password do not match, or sign-in is paused.\n",
    )
    assert _refused(stack, receiver, {"Authorization": "Bearer nonsense"})[0] == 401
    assert _refused(stack, receiver, house.nobody) == (403, "nobody may not do this.\n")
    assert _refused(stack, receiver, {**known, "Origin": "https://evil.example"})[0] == 403
    assert _refused(stack, "ABCDEFGHIJKLMNOPQ", known)[0] == 400
    assert _refused(stack, f"{receiver}/more", known)[0] == 404
    url = f"http://127.0.0.1:{stack.event_port}/subscribers/{receiver}"
    assert requests.get(url, auth=stack.auth, timeout=10).status_code == 426
    told = stack.get(f"/dicom-web/subscribers/{receiver}")
    assert told.status_code == 426
    assert f":{stack.event_port}/dicom-web/subscribers/{receiver}" in told.text
    assert told.headers["Content-Location"] in told.text


def _signed_in(stack: Stack) -> tuple[requests.Session, dict[str, str]]:
    """A session, and the headers by which a page of ours would listen."""
    session = requests.Session()
    login = stack.url("/login/")
    session.get(login, timeout=10)
    form = {
        "username": stack.username,
        "password": stack.password,
        "csrfmiddlewaretoken": session.cookies["pacsweb_csrf"],
    }
    session.post(login, data=form, headers={"Referer": login}, timeout=10)
    cookies = "; ".join(f"{each.name}={each.value}" for each in session.cookies)
    return session, {"Cookie": cookies, "Origin": stack.base_url}


def test_who_signed_out_is_told_nothing_more(worklist: Worklist, receiver: str) -> None:
    stack = worklist.archive.stack
    session, headers = _signed_in(stack)
    uid = worklist.create()
    following(worklist, receiver, uid)
    with listen(stack, receiver, headers) as channel:
        assert next_event(channel)[0] == 1
        script = "from django.contrib.sessions.models import Session as S; S.objects.filter"
        key = session.cookies["pacsweb_session"]
        stack.manage("shell", "-v0", "-c", f"{script}(pk={key!r}).delete()")
        assert worklist.state(uid, ups.IN_PROGRESS).status_code == 200
        with pytest.raises(ConnectionClosed) as closed:
            channel.recv(SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == CloseCode.POLICY_VIOLATION


def test_a_session_may_listen_from_our_own_pages_alone(stack: Stack, receiver: str) -> None:
    _, headers = _signed_in(stack)
    cookie = {"Cookie": headers["Cookie"]}
    with listen(stack, receiver, {**cookie, "Origin": stack.base_url}):
        pass
    assert _refused(stack, receiver, cookie)[0] == 401
    assert _refused(stack, receiver, {**cookie, "Origin": "http://127.0.0.1:1"})[0] == 403
    assert _refused(stack, receiver, {**cookie, "Origin": "null"})[0] == 403


@pytest.mark.usefixtures("house")
def test_one_user_opens_so_many_channels_and_no_more(stack: Stack, receiver: str) -> None:
    known = basic("hoarder", "all of them at once")
    with ExitStack() as opened:
        for _ in range(MOST_OF_A_USER):
            opened.enter_context(listen(stack, receiver, known))
        status, sentence = _refused(stack, receiver, known)
        assert (status, sentence) == (429, "Too many event channels are open.\n")
        with listen(stack, receiver):
            pass
