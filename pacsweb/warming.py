"""What a web process would else do during its first requests, done before it takes any.

Modules are imported and URL patterns compiled without a database, once for all processes where
they are forks of one (`prepare`). Then each goes through the usual requests by itself (`warm`): as
nobody through the whole stack, and behind the doors as the product itself, for things that do not
exist. Nothing is stored or recorded, nobody's data are read, and a database or Redis that is away,
or not migrated yet, keeps no process from starting.
"""

from __future__ import annotations

import importlib
import io
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import uuid4

from django.conf import settings
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, connections
from django.urls import URLResolver, get_resolver, resolve
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

from apps.access.authentication import remember
from apps.access.models import User
from apps.access.principals import Permission, system_principal
from apps.access.standing import Standing, rights_of
from apps.dicom.in_memory import InMemory
from apps.dicom.part10 import Provenance, file_meta
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from apps.dicomweb.links import MOUNT
from apps.ingest import inbox
from pacsweb.celery import application as celery

LONGEST_SECONDS: Final = 3.0
"""A database that does not answer may take this long from a start, not more."""

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

_logger = logging.getLogger(__name__)
_CT: Final = "1.2.840.10008.5.1.4.1.1.2"
# Drawn anew (PS3.5 B.2): nothing anywhere has it.
_UNKNOWN: Final = f"2.25.{uuid4().int}"
_STUDIES: Final = f"{MOUNT}/studies"
_SERIES: Final = f"{_STUDIES}/{_UNKNOWN}/series"
_INSTANCE: Final = f"{_SERIES}/{_UNKNOWN}/instances/{_UNKNOWN}"
_READ: Final = (
    f"{_SERIES}",
    f"{_SERIES}/{_UNKNOWN}/metadata",
    f"{_INSTANCE}/metadata",
    f"{_INSTANCE}/frames/1",
    f"{_INSTANCE}/rendered",
    f"{_SERIES}/{_UNKNOWN}/thumbnail",
    f"{_INSTANCE}",
)
# No session has such a key: they are letters and digits.
_NO_SESSION: Final = "-" * 32
_STORE: Final = {
    "REQUEST_METHOD": "POST",
    "CONTENT_TYPE": 'multipart/related; type="application/dicom"; boundary=edge',
    "CONTENT_LENGTH": "10",
}
_NO_PARTS: Final = b"--edge--\r\n"
# What is imported by its name, or where it is first used.
_USED: Final = (
    "apps.dicomweb.hot_frames",
    "apps.dicomweb.stow_rs.usual",
    "celery.app.amqp",
    "celery.app.events",
    "celery.app.routes",
    "celery.backends.base",
    "celery.contrib.django.task",
    "celery.events",
    "django.contrib.messages.storage.cookie",
    "django.contrib.messages.storage.session",
    "django.core.cache.backends.redis",
    "kombu.transport.redis",
    "pacsweb.hot_stores",
    "redis.connection",
)


def prepare() -> None:
    """Imports and compiles what needs nothing but time; begins and opens nothing."""
    for name in (*_USED, settings.SESSION_ENGINE):
        importlib.import_module(name)
    for name in (*settings.MIDDLEWARE, *settings.AUTHENTICATION_BACKENDS):
        import_string(name)
    import_string(settings.MESSAGE_STORAGE)
    # All tasks are found and made here, not by the first that is asked for.
    celery.loader.import_default_modules()
    celery.finalize()
    import_string(settings.SESSION_SERIALIZER)
    _compile(get_resolver())


def _compile(resolver: URLResolver) -> None:
    """The patterns of a URL table, which are else compiled when a path is first held to them."""
    for each in resolver.url_patterns:
        assert each.pattern.regex is not None
        if isinstance(each, URLResolver):
            _compile(each)


def warm(application: Application) -> None:
    """Once in a process, before it listens; returns in a few seconds whatever is away."""
    asking = threading.Thread(target=_ask, args=(application,), name="warming", daemon=True)
    asking.start()
    asking.join(LONGEST_SECONDS)


def _ask(application: Application) -> None:
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        cache.get("warming")
        _ask_as_nobody(application)
        _ask_as_ourselves()
    except (DatabaseError, RedisError, OSError) as error:
        _logger.info("Not all could be made ready beforehand: %s", type(error).__name__)
    except Exception:
        # Whatever it is, the process must start.
        _logger.exception("Making ready beforehand failed.")
    finally:
        connections.close_all()


def _ask_as_nobody(application: Application) -> None:
    """Through every middleware, to the refusal of who has not signed in.

    Of one instance: where others are on their way at the start, no other answer would come at once
    (`pacsweb.fresh_reads`), and what was waited for in vain is not waited for again.
    """
    cookie = {"HTTP_COOKIE": f"{settings.SESSION_COOKIE_NAME}={_NO_SESSION}"}
    for path, asked in ((f"{_INSTANCE}/metadata", cookie), (_STUDIES, {**cookie, **_STORE})):
        answer = application(_environ(path, asked), _ignored)
        for _ in answer:
            pass


def _ask_as_ourselves() -> None:
    """What stands behind the sign-in: its own questions, and those of the usual requests."""
    nobody = User(pk=-1, is_active=True)
    rights_of(nobody)
    User.objects.filter(pk=nobody.pk).first()
    for key in (_NO_SESSION, ""):
        for superuser in (True, False):
            Standing(-1, "", "", superuser, frozenset(Permission), key).holds()
    for path in _READ:
        _answered(path, {})
    _answered(_STUDIES, _STORE)
    came = Provenance("stow", "", "", "", "", "")
    inbox.take_at_once(InMemory(_object()), came, study="")


def _answered(path: str, asked: dict[str, str]) -> None:
    """By the view, for the product itself."""
    request = WSGIRequest(_environ(path, asked))
    remember(request, system_principal("warming"), None)
    view, args, kwargs = resolve(path)
    view(request, *args, **kwargs)


def _object() -> bytes:
    """A CT object without pixels, which belongs to no study that anybody could ask for."""
    elements = (
        (b"\x08\x00\x16\x00UI", _CT),
        (b"\x08\x00\x18\x00UI", _UNKNOWN),
        (b"\x08\x00\x60\x00CS", "CT"),
        (b"\x10\x00\x10\x00PN", ""),
        (b"\x10\x00\x20\x00LO", ""),
        (b"\x20\x00\x0d\x00UI", _UNKNOWN),
        (b"\x20\x00\x0e\x00UI", _UNKNOWN),
        (b"\x20\x00\x13\x00IS", "1"),
    )
    head = file_meta(
        sop_class_uid=_CT,
        sop_instance_uid=_UNKNOWN,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        provenance=None,
    )
    return head + b"".join(_element(*each) for each in elements)


def _element(tag_and_vr: bytes, value: str) -> bytes:
    """With an even length (PS3.5 7.1.1)."""
    padding = b"\0" if tag_and_vr.endswith(b"UI") else b" "
    data = value.encode() + padding * (len(value) % 2)
    return tag_and_vr + len(data).to_bytes(2, "little") + data


def _environ(path: str, asked: dict[str, str]) -> dict[str, Any]:
    """A request as the server hands it over, to a host that is ours."""
    host = next((each.strip(".") for each in settings.ALLOWED_HOSTS if each != "*"), "localhost")
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": host,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
        "HTTP_ACCEPT": "*/*",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(_NO_PARTS),
        **asked,
    }


def _ignored(*_: object) -> None:
    """What would be sent before the body."""
