"""Vite's manifest: which hashed files make up the front end that was last built."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

ENTRY = "src/main.tsx"


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Paths below STATIC_URL of the entry script, its style sheets and the chunks it imports."""

    script: str
    styles: tuple[str, ...]
    preload: tuple[str, ...]


def read_front_end(folder: Path) -> FrontEnd | None:
    """The built front end in this folder, or None when it was never built."""
    path = folder / ".vite" / "manifest.json"
    try:
        changed = path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return _read(path, changed)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> FrontEnd:
    chunks: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    names = [ENTRY]
    for name in names:
        names += [other for other in chunks[name].get("imports", ()) if other not in names]
    styles = dict.fromkeys(sheet for name in names for sheet in chunks[name].get("css", ()))
    return FrontEnd(
        script=chunks[ENTRY]["file"],
        styles=tuple(styles),
        preload=tuple(chunks[name]["file"] for name in names[1:]),
    )
