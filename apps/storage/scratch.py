"""Files without a name for what is too large for memory and needed for one request only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, Final

from django.conf import settings

_IN_MEMORY: Final = 4 << 20


def scratch_file() -> IO[bytes]:
    """A file that vanishes when it is closed, or its process ends; small ones stay in memory.

    It lies in the data folder: the system's folder for such files is memory on many systems.
    """
    folder = Path(settings.PACSWEB.data_dir) / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(folder))
