"""What doors ask of peers: who they are, what they have, and which instances go to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from apps.access.principals import Principal
from apps.dicom.attributes import BY_KEYWORD, BY_TAG, UNIQUE_KEYS
from apps.dicom.query import Key, Level, Query
from apps.errors import InvalidRequest, NotAcceptable, NotFound
from apps.network import scu
from apps.network.associate_items import Remote
from apps.network.models import ApplicationEntity, WebArchive
from apps.retrieve.locations import keys_matching

Other = ApplicationEntity | WebArchive
"""Another system that we call."""

MOST_INSTANCES: Final = 200_000
PATIENCE_SECONDS: Final = 30.0
RESOURCE: Final = {Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
# What a list of studies, series or instances shows, beyond what was asked for.
RETURNED: Final[dict[Level, tuple[str, ...]]] = {
    Level.PATIENT: ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    Level.STUDY: (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyDescription",
        "ReferringPhysicianName",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    Level.SERIES: (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        "SeriesNumber",
        "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
    ),
    Level.INSTANCE: (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "SOPClassUID",
        "InstanceNumber",
    ),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which instances of the archive: by study, by series or one by one."""

    studies: Sequence[str] = ()
    series: Sequence[str] = ()
    instances: Sequence[str] = ()


def peer_named(title: str) -> ApplicationEntity:
    """The application entity. Raises NotFound."""
    peer = ApplicationEntity.objects.filter(title=title.strip()).first()
    if peer is None:
        raise NotFound(f"There is no application entity called {title.strip()[:16]}.")
    return peer


def archive_named(name: str) -> WebArchive:
    """The archive that speaks DICOMweb. Raises NotFound."""
    archive = WebArchive.objects.filter(name=name.strip()).first()
    if archive is None:
        raise NotFound(f"There is no DICOMweb archive called {name.strip()[:32]}.")
    return archive


def other_named(name: str) -> Other:
    """Of either kind, by AE title or name: they are not the same. Raises NotFound."""
    for find in (peer_named, archive_named):
        with suppress(NotFound):
            return find(name)
    raise NotFound(
        f"There is no application entity or DICOMweb archive called {name.strip()[:32]}."
    )


def remote_for(peer: ApplicationEntity) -> Remote:
    """The application entity as associations call it. Raises NotAcceptable."""
    if not peer.enabled or not peer.host or not peer.port:
        raise NotAcceptable(f"It is not known where {peer.title} listens, or it is switched off.")
    return Remote(peer.title, peer.host, peer.port, settings.PACSWEB.ae_title, peer.use_tls)


def instance_keys(principal: Principal, wanted: Wanted) -> list[int]:
    """Primary keys of what is wanted, in order and once each. Raises NotFound, OutOfResources."""
    found: dict[int, None] = {}
    for keyword, uids in (
        ("StudyInstanceUID", wanted.studies),
        ("SeriesInstanceUID", wanted.series),
        ("SOPInstanceUID", wanted.instances),
    ):
        if uids:
            key = Key((BY_KEYWORD[keyword].tag,), tuple(uids))
            query = Query(level=Level.INSTANCE, keys=(key,))
            found |= dict.fromkeys(keys_matching(query, principal, MOST_INSTANCES))
    if not found:
        raise NotFound("There are no such instances here.")
    return list(found)


def answers_of(
    remote: Remote,
    level: Level,
    keys: Mapping[str, str],
    most: int,
    stopped: Callable[[], bool],
) -> Iterator[dict[str, str]]:
    """Answers of one C-FIND, with what a list shows. Raises what `scu.find` raises."""
    asked = {_tag(keyword): value for keyword, value in keys.items()}
    returned = {BY_KEYWORD[keyword].tag: "" for keyword in RETURNED[level]}
    for identifier in scu.find(remote, level.value, returned | asked, most, stopped):
        texts = identifier.texts.items()
        yield {BY_TAG[tag].keyword: text for tag, text in texts if tag in BY_TAG}


def unique_keys(level: str, keys: Mapping[str, str]) -> dict[str, str]:
    """The unique keys down to the level, for a retrieval. Raises InvalidRequest."""
    wanted = level_named(level)
    chain = [UNIQUE_KEYS[entity] for entity in (*wanted.above, wanted.entity)]
    if keys.keys() - set(chain):
        raise InvalidRequest("Only unique keys say what to fetch.", offending=tuple(keys))
    # Study Root: the patient is not named.
    missing = [each for each in chain if each != "PatientID" and not keys.get(each)]
    if missing:
        raise InvalidRequest(f"{missing[0]} is missing.", offending=tuple(missing))
    return {name: value for name, value in keys.items() if value and name != "PatientID"}


def names_one(uid: str) -> bool:
    """UIDs from the field may have any letters; what would lead elsewhere in a path is none."""
    return uid.isprintable() and not set(uid) & set("\\*?/") and bool(uid.strip(". "))


def level_named(level: str) -> Level:
    """Study Root has the levels STUDY, SERIES and IMAGE. Raises InvalidRequest."""
    try:
        found = Level(level.upper())
    except ValueError:
        found = Level.PATIENT
    if found is Level.PATIENT:
        raise InvalidRequest("The level is STUDY, SERIES or IMAGE.", offending=("level",))
    return found


def _tag(keyword: str) -> int:
    attribute = BY_KEYWORD.get(keyword)
    if attribute is None:
        raise InvalidRequest(f"{keyword[:64]} is no attribute to search by.", offending=(keyword,))
    return attribute.tag
