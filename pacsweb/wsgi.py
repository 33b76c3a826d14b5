"""The WSGI application, served by granian."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse

from pacsweb.launch import NAME_VARIABLE, die_with_parent
from pacsweb.silent_senders import begin_watch, watched

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")
if NAME_VARIABLE in os.environ:
    # A worker forked by a web process that was killed would keep the port.
    die_with_parent()
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_django = get_wsgi_application()
# Only now: models exist once the application is made.
from apps.dicomweb.hot_frames import hot_frame  # noqa: E402 - as said above
from apps.dicomweb.stow_rs.usual import usual_store  # noqa: E402 - as said above
from apps.network.recorder import PROCESS_RECORDER  # noqa: E402 - as said above
from pacsweb.hot_stores import hot_store  # noqa: E402 - as said above
from pacsweb.turns import TURNS  # noqa: E402 - as said above
from pacsweb.warming import prepare, warm  # noqa: E402 - as said above


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Django's answer; a whole one as a list, which granian sends in one piece."""
    frame = hot_frame(environ)
    if frame is not None:
        start_response("200 OK", frame.headers)
        return [frame.content]
    TURNS.make_room()
    if environ["REQUEST_METHOD"] not in _WITHOUT_BODY:
        watched(environ)
        usual = usual_store(environ)
        if usual is not None:
            start_response("200 OK", usual.headers)
            return [usual.content]
        stored = hot_store(environ)
        if stored is not None:
            with closing(stored):
                start_response(f"{stored.status_code} {stored.reason_phrase}", [*stored.items()])
                return [stored.content]
    answer = _django(environ, start_response)
    if not isinstance(answer, HttpResponse):
        return answer
    try:
        return [answer.content]
    finally:
        answer.close()


# Before the first request, not during it.
prepare()
warm(application)
PROCESS_RECORDER.start()
begin_watch()
# What stands now stands for good. Looking through all of it again and again for garbage would keep
# one request in sixty waiting for a tenth of a second.
gc.collect()
gc.freeze()
