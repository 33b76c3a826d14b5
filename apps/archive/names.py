"""The dictionary of the words that names hold: found by sound and spelling."""

from __future__ import annotations

from typing import Final

from apps.archive.models import NameWordKey
from apps.dicom.name_sounds import alike, word_keys

MOST_WORDS: Final = 5_000
"""More words than this are alike to none: the key is too short to mean anything."""


def words_alike(word: str) -> list[int]:
    """The keys of stored words alike to a folded word: by an index, then exactly."""
    rows = (
        NameWordKey.objects.filter(key__in=word_keys(word))
        .order_by("word_id")
        .values_list("word_id", "word__word")
        .distinct()
    )
    return [pk for pk, stored in rows.iterator() if alike(word, stored)][:MOST_WORDS]
