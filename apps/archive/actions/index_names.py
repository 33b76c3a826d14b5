"""index_names: the words of studies' names, by sound and spelling, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from apps.archive.models import NameWord, NameWordKey, Study, StudyName
from apps.dicom.attributes import BY_KEYWORD, snake
from apps.dicom.name_sounds import name_words, word_keys
from apps.dicom.query import FUZZY_NAMES

_COLUMNS: Final = tuple(
    (BY_KEYWORD[keyword].tag, snake(keyword)) for keyword in sorted(FUZZY_NAMES)
)
_AT_ONCE: Final = 500


def index_names(studies: Iterable[Study]) -> None:
    """What the studies' names say now, and nothing of what they said before.

    Call it wherever a name of a study is written.
    """
    changed = list(studies)
    wanted = {
        (study.pk, tag, word)
        for study in changed
        for tag, column in _COLUMNS
        for word in name_words(getattr(study, column))
    }
    _remove_others(changed, wanted)
    if not wanted:
        return
    ids = _words(sorted({word for _, _, word in wanted}))
    StudyName.objects.bulk_create(
        [
            StudyName(study_id=study, tag=tag, word_id=ids[word])
            for study, tag, word in sorted(wanted)
        ],
        ignore_conflicts=True,
        batch_size=_AT_ONCE,
    )


def _remove_others(studies: list[Study], wanted: set[tuple[int, int, str]]) -> None:
    rows = StudyName.objects.filter(study_id__in=[study.pk for study in studies])
    stored = rows.values_list("pk", "study_id", "tag", "word__word")
    stale = [pk for pk, *what in stored.iterator() if tuple(what) not in wanted]
    if stale:
        StudyName.objects.filter(pk__in=stale).delete()


def _words(words: list[str]) -> dict[str, int]:
    """The rows of the words, made where missing; in one order, so that writers do not collide."""
    known = _known(words)
    missing = [word for word in words if word not in known]
    if not missing:
        return known
    NameWord.objects.bulk_create(
        [NameWord(word=word) for word in missing], ignore_conflicts=True, batch_size=_AT_ONCE
    )
    made = _known(missing)
    NameWordKey.objects.bulk_create(
        [
            NameWordKey(word_id=made[word], key=key)
            for word in missing
            for key in sorted(word_keys(word))
        ],
        ignore_conflicts=True,
        batch_size=_AT_ONCE,
    )
    return known | made


def _known(words: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(words), _AT_ONCE):
        rows = NameWord.objects.filter(word__in=words[start : start + _AT_ONCE])
        found.update(rows.values_list("word", "pk"))
    return found


def forget_unused_words() -> None:
    """Removes words that no name holds any more: a deleted patient leaves nothing behind."""
    NameWord.objects.filter(studies__isnull=True).delete()
