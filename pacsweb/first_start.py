"""What a start brings up to date before anything runs: schema, static files, the administrator."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

ADMINISTRATOR = "admin"


def migrate() -> bool:
    """Applies waiting migrations; True when there were any."""
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return False
    call_command("migrate", interactive=False, verbosity=0)
    return True


def collect_static() -> bool:
    """Collects and compresses static files when any of them changed; True when it did."""
    stamp = Path(settings.STATIC_STAMP)
    state = _static_state()
    if stamp.is_file() and stamp.read_text() == state:
        return False
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(state)
    return True


def _static_state() -> str:
    digest = hashlib.sha256(django.__version__.encode())
    for finder in get_finders():
        for path, storage in finder.list(["CVS", ".*", "*~"]):
            found = Path(storage.path(path)).stat()
            digest.update(f"{path}:{found.st_size}:{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def ensure_administrator() -> str:
    """Makes the first administrator; returns the password if it was minted here, else "".

    Nothing happens once any superuser exists: a changed or disabled account stays as it is.
    """
    users = get_user_model()
    if users._default_manager.filter(is_superuser=True).exists():
        return ""
    given = settings.PACSWEB.admin_password
    password = given or secrets.token_urlsafe(12)
    users.objects.create_superuser(username=ADMINISTRATOR, password=password)
    return "" if given else password
