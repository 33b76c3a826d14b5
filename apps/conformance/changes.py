"""What one version of the statement claims that another does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Changes:
    """Texts of claims: new ones, dropped ones, and those that say something else now."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.added) + len(self.removed) + len(self.changed)


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
    """From claim ids to texts, both."""
    return Changes(
        tuple(text for key, text in new.items() if key not in old),
        tuple(text for key, text in old.items() if key not in new),
        tuple((old[key], text) for key, text in new.items() if key in old and old[key] != text),
    )
