"""The WSGI application, served by granian."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from pacsweb.launch import NAME_VARIABLE, die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")
if NAME_VARIABLE in os.environ:
    # A worker forked by a web process that was killed would keep the port.
    die_with_parent()
application = get_wsgi_application()


def _start_recording() -> None:
    """Only now: models exist once the application is made."""
    from apps.network.recorder import PROCESS_RECORDER

    PROCESS_RECORDER.start()


# The views import codecs and more: before the first request, not during it.
get_resolver().url_patterns  # noqa: B018
_start_recording()
