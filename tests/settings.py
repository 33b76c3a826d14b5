"""The product's settings on a throwaway folder: no test ever sees the checkout's data."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_FOLDER = tempfile.mkdtemp(prefix="pacsweb-test-")
# Tests make folders other users must reach (PostgreSQL does not run as root).
os.chmod(_FOLDER, 0o755)  # noqa: PTH101 - before anything else is imported
_OWNER = os.getpid()


def _remove() -> None:
    if os.getpid() == _OWNER:
        shutil.rmtree(_FOLDER, ignore_errors=True)


atexit.register(_remove)
for _name in [name for name in os.environ if name.startswith("PACSWEB_")]:
    if not _name.startswith("PACSWEB_TEST_"):
        del os.environ[_name]
os.environ["PACSWEB_DATA_DIR"] = f"{_FOLDER}/data"

from pacsweb.settings import *  # noqa: E402, F403
from pacsweb.settings import DATABASES  # noqa: E402

# A file, so that threads and processes of a test see the same rows.
DATABASES["default"]["TEST"] = {"NAME": f"{_FOLDER}/test.sqlite3"}
# The product's own choice is deliberately slow.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT.mkdir(parents=True)  # noqa: F405
TEST_FOLDER = _FOLDER
