"""Vite's manifest: which hashed files make up the front end that was last built."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

ENTRY = "src/main.tsx"
# What the router of the front end loads for each page, and what that page loads in turn.
PAGES: Final[dict[str, tuple[str, ...]]] = {
    "study-list": ("src/shell/list/StudyListPage.tsx",),
    "study": ("src/shell/viewer/ViewerPage.tsx", "src/shell/viewer/imaging.ts"),
}


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Paths below STATIC_URL of the entry script, its style sheets and the chunks it imports."""

    script: str
    styles: tuple[str, ...]
    preload: tuple[str, ...]


def read_front_end(folder: Path, page: str) -> FrontEnd | None:
    """The built front end in this folder, or None when it was never built.

    `page` is a key of PAGES: everything that it needs can be asked for at once, instead of one
    piece telling of the next.
    """
    path = folder / ".vite" / "manifest.json"
    try:
        changed = path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return _read(path, page, changed)


@lru_cache(maxsize=8)
def _read(path: Path, page: str, _changed: int) -> FrontEnd:
    chunks: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    names = [ENTRY, *(name for name in PAGES[page] if name in chunks)]
    for name in names:
        names += [other for other in chunks[name].get("imports", ()) if other not in names]
    styles = dict.fromkeys(sheet for name in names for sheet in chunks[name].get("css", ()))
    return FrontEnd(
        script=chunks[ENTRY]["file"],
        styles=tuple(styles),
        preload=tuple(chunks[name]["file"] for name in names[1:]),
    )
