"""Content negotiation (PS3.18 8.7): which of the representations we can make the client wants.

An acceptable set is read from the `accept` query parameter, which ranks first, and the Accept
header. Entries we do not know are ignored (8.7.7); 406 is answered only when nothing remains.
No Accept at all is taken as `*/*`: a lenient reading, stated in the conformance statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from django.http import HttpRequest

from apps.errors import InvalidRequest, NotAcceptable

Choice = TypeVar("Choice")
Made = TypeVar("Made")

DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
DICOM = "application/dicom"
OCTET_STREAM = "application/octet-stream"
MULTIPART = "multipart/related"

_DICOM_TYPES = frozenset({DICOM, DICOM_JSON, DICOM_XML})
_TOKEN = re.compile(r'\s*([^;=,"\s]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;,]*))?\s*')


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One entry of an acceptable set; names and types in lower case, values without quotes."""

    media_type: str
    parameters: tuple[tuple[str, str], ...] = ()
    q: float = 1.0

    def parameter(self, name: str) -> str:
        """The parameter's value, empty where absent."""
        return next((value for key, value in self.parameters if key == name), "")

    @property
    def multipart(self) -> bool:
        """True for `multipart/related` entries."""
        return self.media_type == MULTIPART

    @property
    def part_type(self) -> str:
        """The media type of the payload: `type` of a multipart entry, else the entry's own."""
        if not self.multipart:
            return self.media_type
        inner = self.parameter("type").split(";")[0].strip().lower()
        return inner or "*/*"

    @property
    def transfer_syntax(self) -> str:
        """`transfer-syntax` as asked: a UID, `*`, or empty."""
        return self.parameter("transfer-syntax").strip()

    def covers(self, media_type: str) -> bool:
        """True when the payload type may be `media_type`, wildcards included."""
        mine = self.part_type
        if mine == "*/*":
            return True
        if mine.endswith("/*"):
            return media_type.startswith(mine[:-1])
        return mine == media_type


def split_quoted(text: str, separator: str) -> list[str]:
    """Splits at the separator outside double quotes."""
    pieces: list[str] = []
    start, quoted = 0, False
    for position, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif letter == separator and not quoted:
            pieces.append(text[start:position])
            start = position + 1
    pieces.append(text[start:])
    return [piece.strip() for piece in pieces if piece.strip()]


def parse_parameters(pieces: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`name=value` or `name="value"` pieces; names in lower case (PS3.18 8.7: case-insensitive)."""
    found: list[tuple[str, str]] = []
    for piece in pieces:
        match = _TOKEN.match(piece)
        if match is None:
            continue
        value = (match.group(2) or "").strip()
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value.strip('"'))
        found.append((match.group(1).lower(), value))
    return tuple(found)


def parse_media_type(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """`type/subtype; name=value` in lower-case type and its parameters."""
    pieces = split_quoted(text, ";")
    if not pieces:
        return "", ()
    return pieces[0].strip().lower(), parse_parameters(pieces[1:])


@lru_cache(maxsize=512)
def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """The entries of one Accept list in order of preference; `q=0` and malformed ones left out.

    Remembered: a viewer sends the same header with every frame.
    """
    ranges: list[MediaRange] = []
    for entry in split_quoted(text, ","):
        media_type, parameters = parse_media_type(entry)
        if "/" not in media_type:
            continue
        quality = 1.0
        for name, value in parameters:
            if name == "q":
                quality = _quality(value)
        if quality > 0:
            kept = tuple(pair for pair in parameters if pair[0] != "q")
            ranges.append(MediaRange(media_type, kept, quality))
    return tuple(sorted(ranges, key=lambda each: -each.q))


def _quality(value: str) -> float:
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 1.0


_ANYTHING = (MediaRange("*/*"),)


def acceptable(request: HttpRequest) -> Sequence[MediaRange]:
    """The acceptable set: `accept` query parameters first, then the header (PS3.18 8.7.8.1)."""
    header = request.META.get("HTTP_ACCEPT", "")
    if "accept" not in request.META.get("QUERY_STRING", "").lower():
        ranges = parse_accept(header)
    else:
        given = [value for key in ("accept", "Accept") for value in request.GET.getlist(key)]
        # A `+` that was not percent-encoded arrives as a space.
        asked = ",".join(
            value.replace("dicom json", "dicom+json").replace("dicom xml", "dicom+xml")
            for value in given
        )
        ranges = parse_accept(asked)
        refuse_mixture(ranges)
        ranges += parse_accept(header)
        return ranges or _ANYTHING
    refuse_mixture(ranges)
    return ranges or (_ANYTHING if not header.strip() else ())


def refuse_mixture(ranges: Iterable[MediaRange]) -> None:
    """DICOM and rendered media types in one acceptable set are an error (PS3.18 8.7.5)."""
    kinds = {_category(each) for each in ranges}
    if {"dicom", "rendered"} <= kinds:
        raise InvalidRequest(
            "The Accept list mixes DICOM and rendered media types; ask for one kind at a time.",
            offending=("Accept",),
        )


def _category(entry: MediaRange) -> str:
    if entry.part_type in _DICOM_TYPES:
        return "dicom"
    if not entry.multipart and entry.media_type.split("/")[0] in {"image", "video"}:
        return "rendered"
    return "other"


@dataclass(frozen=True, slots=True)
class Offer:
    """One representation we can make, such as DICOM JSON or a multipart of DICOM instances."""

    media_type: str
    multipart: bool = False

    @property
    def label(self) -> str:
        """The offer as a client would ask for it."""
        if self.multipart:
            return f'{MULTIPART}; type="{self.media_type}"'
        return self.media_type


def choose(ranges: Iterable[MediaRange], offers: Sequence[Offer]) -> tuple[Offer, MediaRange]:
    """The best pair of what is offered (in our order of preference) and what is accepted.

    Raises NotAcceptable, naming what could have been asked for, when nothing remains.
    """
    for entry in ranges:
        for offer in offers:
            if matches(entry, offer):
                return offer, entry
    raise NotAcceptable(
        "None of the media types in Accept can be made here; available are: "
        + ", ".join(offer.label for offer in offers)
        + "."
    )


def matches(entry: MediaRange, offer: Offer) -> bool:
    """True when the entry accepts the offer; `*/*` accepts the default, which comes first."""
    if entry.media_type == "*/*":
        return True
    return entry.multipart == offer.multipart and entry.covers(offer.media_type)


def accepts_gzip(request: HttpRequest) -> bool:
    """True when the client takes `Content-Encoding: gzip` (RFC 9110 12.5.3)."""
    header = request.META.get("HTTP_ACCEPT_ENCODING", "")
    if "gzip" not in header and "*" not in header:
        return False
    wanted: dict[str, float] = {}
    for entry in header.split(","):
        coding, _, parameters = entry.partition(";")
        name, _, value = parameters.strip().partition("=")
        wanted[coding.strip().lower()] = _quality(value) if name.strip() == "q" else 1.0
    return wanted.get("gzip", wanted.get("*", 0.0)) > 0


def first_made(choices: Iterable[Choice], make: Callable[[Choice], Made]) -> Made:
    """What is made of the first choice that can be; raises the first refusal where none can.

    That a codec refuses the samples, or cannot read them, is seen only by trying.
    """
    refusals: list[NotAcceptable] = []
    for each in choices:
        try:
            return make(each)
        except NotAcceptable as refusal:
            if not refusals:
                refusals.append(refusal)
    # Popped: a name for it here would make a cycle with what it was raised in, and keep that.
    raise refusals.pop(0) if refusals else NotAcceptable("Nothing accepted can be made here.")
