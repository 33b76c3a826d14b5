"""Claims about the web services, read off the tables that the services themselves use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apps.conformance.claims import QUERY_ENTITIES
from apps.conformance.document import Claim
from apps.dicom import transfer_syntaxes
from apps.dicom.attributes import TABLE as ATTRIBUTES
from apps.dicom.attributes import Attribute
from apps.dicom.transfer_syntaxes import TransferSyntax
from apps.dicomweb.capabilities import OWN, WORK_ITEMS, Capability
from apps.dicomweb.negotiation import DICOM
from apps.dicomweb.qido.results import ONLY_WITH_VALUE
from apps.dicomweb.status import TABLE as STATUSES
from apps.rendering.options import MEDIA_TYPES

_PICTURE: Final = 'multipart/related; type="{}"'


def transactions() -> Iterator[tuple[Capability, str, Claim]]:
    """One for each media type that a transaction gives or takes, or for one that has none."""
    for row in (*OWN, *WORK_ITEMS):
        for media_type in row.answers:
            yield row, media_type, _claim(row, "gives", media_type)
        for media_type in row.takes:
            yield row, media_type, _claim(row, "takes", media_type)
        if not (row.answers or row.takes):
            yield row, "", _claim(row, "", "")


def _claim(row: Capability, verb: str, media_type: str) -> Claim:
    text = (
        f"{row.name} ({row.method} /{row.path}) {f'{verb} {media_type}' if verb else 'is there'}."
    )
    key = f"web:{row.name}:{verb}:{media_type}".rstrip(":")
    facts = {
        "name": row.name,
        "method": row.method,
        "path": row.path,
        "verb": verb,
        "media_type": media_type,
    }
    return Claim(key, text, "web", facts)


def by_uri() -> Iterator[tuple[str, Claim]]:
    """One for each media type of WADO-URI (PS3.18 section 9)."""
    for media_type in (DICOM, *MEDIA_TYPES):
        yield (
            media_type,
            Claim(
                f"wado-uri:{media_type}",
                f"RetrieveInstance (GET /wado) gives {media_type}.",
                "web-uri",
                {"media_type": media_type},
            ),
        )


def when_returned(row: Attribute) -> str:
    """When answers to a search hold the attribute."""
    if row.ps3_18 != "R":
        return "on request"
    return "always, but only on request without a value" if row.tag in ONLY_WITH_VALUE else "always"


def search_keys() -> Iterator[tuple[Attribute, Claim]]:
    """One for each attribute of QIDO-RS: it is returned, and its value finds its object."""
    for row in ATTRIBUTES:
        if row.entity not in QUERY_ENTITIES:
            continue
        yield (
            row,
            Claim(
                f"qido:{row.entity.value}:{row.keyword}",
                f"{row.keyword} is a search attribute at level {row.entity.value}, returned "
                f"{when_returned(row)}.",
                "web-key",
                {
                    "level": row.entity.value,
                    "keyword": row.keyword,
                    "tag": row.tag,
                    "always": row.ps3_18 == "R",
                    "only_with_value": row.tag in ONLY_WITH_VALUE,
                },
            ),
        )


def stored_frames() -> Iterator[tuple[TransferSyntax, Claim]]:
    """One for each Transfer Syntax: frames are had as they are stored."""
    for row in transfer_syntaxes.TABLE:
        yield (
            row,
            Claim(
                f"frames:{row.uid}",
                f"Frames stored in {row.name} ({row.uid}) are had as {row.media_type}.",
                "web-frames",
                {"uid": row.uid, "media_type": row.media_type, "asked": _asked(row)},
            ),
        )


def _asked(row: TransferSyntax) -> str:
    """What is native always comes as Explicit VR Little Endian (PS3.18 8.7.3.4)."""
    whole = _PICTURE.format(row.media_type)
    return f"{whole}; transfer-syntax={row.uid}" if row.encapsulated else whole


def failures() -> Iterator[tuple[type[Exception], int, Claim | None]]:
    """One for each cause of a failure that a request can bring about and that changes nothing."""
    for kind, code in STATUSES.items():
        claim = None
        if kind.__name__ in PROVOKED:
            text = f"{kind.__name__} is answered {code}."
            claim = Claim(
                f"http:{kind.__name__}",
                text,
                "web-failure",
                {"key": kind.__name__, "status": code},
            )
        yield kind, code, claim


# TABLE: what brings a failure about: method, target, headers, and how many bytes of body.
PROVOKED: Final[dict[str, tuple[str, str, dict[str, str], int]]] = {
    "InvalidRequest": ("GET", "/studies?limit=many", {}, 0),
    "NotAuthenticated": ("GET", "/studies", {}, 0),
    "NotFound": ("GET", "/studies/2.25.1/metadata", {}, 0),
    "MethodNotAllowed": ("PUT", "/studies", {}, 0),
    "NotAcceptable": ("GET", "/studies", {"Accept": "text/x-nothing"}, 0),
    "TooBroad": ("POST", "/workitems", {"Content-Type": "application/dicom+json"}, 17 << 20),
    "UnsupportedMediaType": ("POST", "/studies", {"Content-Type": "text/plain"}, 1),
    "RangeNotSatisfiable": ("GET", "{rendered}", {"Range": "bytes=999999999999-"}, 0),
}
