"""Webhooks: told in order, signed, tried again; a real receiver on a real socket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from apps.events.log import Actor, NewEvent, record
from apps.network import webhooks
from apps.network.actions.deliver_webhooks import deliver_webhooks
from apps.network.models import Webhook
from apps.network.receivers import is_allowed
from apps.network.webhooks import signature

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_loopback")]
ACTOR = Actor("system", "test")


@pytest.fixture
def _loopback(settings: Any) -> None:
    """The receivers of these tests are on this machine."""
    settings.PACSWEB = replace(settings.PACSWEB, webhook_networks=("127.0.0.1/32",))


class Receiver(HTTPServer):
    """Answers with `status`; keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.drops = False
        self.calls: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?a=1"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/hook?a=1"
        self.server.calls.append((dict(self.headers), body))
        if self.server.drops:
            self.drip()
            return
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def drip(self) -> None:
        """A status line that never ends."""
        with suppress(OSError):
            for letter in b"HTTP/1.1 200 " + b"O" * 500:
                self.wfile.write(bytes([letter]))
                time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def happened(*kinds: str) -> None:
    record([NewEvent(kind, ACTOR, "1.2.3", payload={"count": 2}) for kind in kinds])


def test_changes_since_the_webhook_was_made_are_told_once_and_in_order(receiver: Receiver):
    happened("StudyCreated")
    Webhook.objects.create(url=receiver.url, secret="s3cret")
    happened("StudyViewed", "InstancesStored")
    record([NewEvent("StudyCompleted", ACTOR, "1.2.3", payload={"instances": 3, "bytes": 9})])
    assert deliver_webhooks() == 2
    ((headers, body),) = receiver.calls
    changes = json.loads(body)["changes"]
    assert [each["kind"] for each in changes] == ["InstancesStored", "StudyCompleted"]
    assert [each["count"] for each in changes] == [2, 3]
    assert changes[0]["study"] == "1.2.3"
    assert changes[0]["sequence"] < changes[1]["sequence"]
    stamp = headers["X-Pacsweb-Timestamp"]
    assert headers["X-Pacsweb-Signature"] == signature("s3cret", stamp, body)
    assert headers["X-Pacsweb-Signature"] != signature("other", stamp, body)
    assert deliver_webhooks() == 0
    assert len(receiver.calls) == 1


@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_is_not_taken_is_told_again_later(receiver: Receiver, status: int):
    webhook = Webhook.objects.create(url=receiver.url)
    happened("StudyCreated")
    receiver.status = status
    assert deliver_webhooks() == 0
    webhook.refresh_from_db()
    assert (webhook.failures, webhook.last_error) == (1, f"The receiver answered {status}.")
    assert webhook.next_attempt_at > timezone.now()
    assert deliver_webhooks() == 0
    assert len(receiver.calls) == 1  # not yet
    receiver.status = 200
    Webhook.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert deliver_webhooks() == 1
    webhook.refresh_from_db()
    assert (webhook.failures, webhook.last_error) == (0, "")


def test_a_receiver_that_is_not_there_keeps_nobody_from_the_others(receiver: Receiver):
    Webhook.objects.create(url="http://127.0.0.1:9/")
    Webhook.objects.create(url=receiver.url, kinds="StudyDeleted StudyCreated")
    Webhook.objects.create(url=receiver.url, enabled=False)
    happened("StudyCreated", "StudyCompleted")
    assert deliver_webhooks() == 1
    assert [each["kind"] for each in json.loads(receiver.calls[0][1])["changes"]] == [
        "StudyCreated"
    ]


def test_a_receiver_that_answers_drop_by_drop_is_given_up_in_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.5)
    receiver.drops = True
    hook = Webhook.objects.create(url=receiver.url)
    happened("StudyCompleted")
    began = time.monotonic()
    assert deliver_webhooks() == 0
    assert time.monotonic() - began < 10
    hook.refresh_from_db()
    assert hook.failures == 1
    assert "cannot be reached" in hook.last_error


def test_many_changes_go_in_several_calls(receiver: Receiver):
    Webhook.objects.create(url=receiver.url)
    happened(*["InstancesStored"] * 250)
    assert deliver_webhooks() == 250
    assert [len(json.loads(body)["changes"]) for _, body in receiver.calls] == [100, 100, 50]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.168.1.7", True), ("10.0.0.1", True), ("fd12::1", True), ("203.0.113.9", True),
        ("127.0.0.1", False), ("127.9.9.9", False), ("::1", False), ("0.0.0.0", False),
        ("0.1.2.3", False), ("::", False), ("169.254.169.254", False), ("fe80::1", False),
        ("fd00:ec2::254", False), ("100.100.100.200", False), ("::ffff:127.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False), ("2002:7f00:1::", False), ("224.0.0.1", False),
    ],
)  # fmt: skip
def test_events_go_to_private_networks_and_not_to_this_machine(
    settings: Any, address: str, allowed: bool
) -> None:
    settings.PACSWEB = replace(settings.PACSWEB, webhook_networks=())
    assert is_allowed(ip_address(address)) is allowed
    settings.PACSWEB = replace(settings.PACSWEB, webhook_networks=("0.0.0.0/0", "::/0"))
    assert is_allowed(ip_address(address))


def test_a_name_is_looked_up_at_each_delivery(receiver: Receiver, settings: Any) -> None:
    """`localhost` stands for a name that led elsewhere when it was entered."""
    settings.PACSWEB = replace(settings.PACSWEB, webhook_networks=())
    for literal in (receiver.url, "http://localhost:1/", "http://[::1]/", "http://169.254.1.1/"):
        with pytest.raises(ValidationError, match="not posted to this machine itself"):
            Webhook(url=literal).full_clean()
    with pytest.raises(ValidationError, match="without user"):
        Webhook(url="https://user:secret@10.1.2.3/hook").full_clean()
    Webhook(url="https://10.1.2.3/hook").full_clean()
    webhook = Webhook.objects.create(url=receiver.url.replace("127.0.0.1", "localhost"))
    happened("StudyCreated")
    assert deliver_webhooks() == 0
    webhook.refresh_from_db()
    assert "PACSWEB_WEBHOOK_NETWORKS" in webhook.last_error
    assert receiver.calls == []
    settings.PACSWEB = replace(settings.PACSWEB, webhook_networks=("127.0.0.1/32", "::1/128"))
    Webhook.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert deliver_webhooks() == 1
