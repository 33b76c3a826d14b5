"""What of a study another archive has and is not here: the rest of a fetch that was cut short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final

from apps.archive.models import Instance
from apps.dicom import uids
from apps.dicom.attributes import BY_KEYWORD
from apps.errors import InvalidRequest
from apps.network import scu
from apps.network.associate_items import Remote
from apps.network.scu import PeerRefused

_STUDY: Final = BY_KEYWORD["StudyInstanceUID"].tag
_SERIES: Final = BY_KEYWORD["SeriesInstanceUID"].tag
_INSTANCE: Final = BY_KEYWORD["SOPInstanceUID"].tag
_MOST_SERIES: Final = 2000
_MOST_INSTANCES: Final = 65535
# A UID list is one element, whose length has 16 bits (PS3.5 7.1.2).
_AT_ONCE: Final = 500

Keys = Mapping[int, str]


def missing_parts(
    remote: Remote, study: str, stopped: Callable[[], bool]
) -> list[tuple[Keys, int]]:
    """Unique keys of retrievals at IMAGE level, with how many instances each asks for.

    Empty where the whole study is to be asked for: nothing of it is here, or all of it, or the
    archive does not say what it has. Once `stopped` says so the answer is worth nothing. Raises
    PeerUnreachable, AssociationRejected.
    """
    if not Instance.objects.filter(study__study_instance_uid=study).exists():
        return []

    def found(level: str, keys: Keys, tag: int, most: int) -> list[str]:
        answers = scu.find(remote, level, {**keys, tag: ""}, most, stopped)
        uids_there = (answer.texts.get(tag, "") for answer in answers)
        return list(dict.fromkeys(uid for uid in uids_there if uids.is_valid(uid)))

    parts: list[tuple[Keys, int]] = []
    try:
        for series in found("SERIES", {_STUDY: study}, _SERIES, _MOST_SERIES):
            keys = {_STUDY: study, _SERIES: series}
            there = found("IMAGE", keys, _INSTANCE, _MOST_INSTANCES)
            parts += [({**keys, _INSTANCE: "\\".join(part)}, len(part)) for part in _missing(there)]
    except (PeerRefused, InvalidRequest):
        return []
    return parts


def _missing(uids_there: list[str]) -> Iterator[list[str]]:
    there = iter(uids_there)
    while chunk := list(islice(there, _AT_ONCE)):
        rows = Instance.objects.filter(sop_instance_uid__in=chunk)
        here = set(rows.values_list("sop_instance_uid", flat=True))
        if part := [uid for uid in chunk if uid not in here]:
            yield part
