"""Threads of a web process: one waits for work, the others rest until they are called."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection
from granian.server import mp

from pacsweb import turns
from pacsweb.turns import Turns, in_turns

LONG = 60.0


def nothing() -> None:
    """A frame that is answered at once."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who rests does so until called, and no answer counts as slow."""
    monkeypatch.setattr(turns, "REST_SECONDS", LONG)
    monkeypatch.setattr(turns, "_SLOW_SECONDS", LONG)


@pytest.fixture
def kept() -> Turns:
    return Turns()


def begun(step: Callable[[], object], kept: Turns) -> threading.Thread:
    """One request in a thread of its own, which is then done with it or rests."""
    thread = threading.Thread(target=kept.answer, args=(step,), daemon=True)
    thread.start()
    return thread


def resting(kept: Turns, thread: threading.Thread) -> bool:
    """Whether the thread rests; waits until it does, or has ended."""
    while thread.is_alive() and not kept._resting:
        thread.join(0.005)
    return thread.is_alive()


def ended(thread: threading.Thread) -> bool:
    thread.join(LONG / 2)
    return not thread.is_alive()


def test_the_first_waits_for_work_and_the_next_rests_until_it_is_called(kept: Turns):
    kept.answer(nothing)
    other = begun(nothing, kept)
    assert resting(kept, other)

    def long_answer() -> None:
        kept.make_room()
        assert ended(other), "nobody was called while this takes its time"

    kept.answer(long_answer)


def test_nobody_is_called_while_somebody_waits_for_work(kept: Turns):
    kept.answer(nothing)
    other = begun(nothing, kept)
    assert resting(kept, other)
    assert ended(begun(kept.make_room, kept))
    assert other.is_alive()
    kept._resting.pop().set()
    assert ended(other)


def test_who_had_more_to_do_waits_for_work_at_once(kept: Turns):
    kept.answer(nothing)
    assert ended(begun(kept.make_room, kept))


def test_a_rest_ends_by_itself(kept: Turns, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turns, "REST_SECONDS", 0.001)
    kept.answer(nothing)
    assert ended(begun(nothing, kept))
    assert not kept._resting


def test_after_a_slow_frame_nobody_rests(kept: Turns, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turns, "_DISTRUST_SECONDS", LONG)
    with monkeypatch.context() as slow:
        slow.setattr(turns, "_SLOW_SECONDS", -1.0)
        kept.answer(nothing)
    assert ended(begun(nothing, kept))


def test_a_thread_that_the_server_may_have_ended_is_not_counted_on(
    kept: Turns, monkeypatch: pytest.MonkeyPatch
):
    kept.answer(nothing)
    monkeypatch.setattr(turns, "_BELIEVED_SECONDS", -1.0)
    assert ended(begun(nothing, kept))


def test_who_failed_does_not_rest(kept: Turns):
    def failing() -> None:
        raise ValueError("on purpose")

    def fails() -> None:
        with pytest.raises(ValueError, match="on purpose"):
            kept.answer(failing)

    kept.answer(nothing)
    thread = threading.Thread(target=fails, daemon=True)
    thread.start()
    assert ended(thread)


@pytest.mark.django_db
def test_what_the_server_makes_of_an_application_is_answered_in_turns(
    kept: Turns, monkeypatch: pytest.MonkeyPatch
):
    """The server's own wrapper: where it stands, and how it is called, is not promised by it."""
    monkeypatch.setattr(turns, "TURNS", kept)
    sent: list[tuple[int, bytes]] = []

    class Protocol:
        def response_bytes(self, status: int, _headers: object, body: bytes) -> None:
            sent.append((status, body))

    def application(environ: dict[str, str], start: Callable[..., None]) -> list[bytes]:
        start("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    in_turns(mp._wsgi_call_wrap)(application, {}, None)(Protocol(), {"PATH_INFO": "/here"})
    assert sent == [(200, b"/here")]
    assert bool(kept._waiting) == (connection.vendor == "sqlite")
