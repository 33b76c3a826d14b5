"""The DICOMweb part of the statement (PS3.2 A.8), from the tables of the web services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from apps.conformance import web_claims, work_items
from apps.conformance.answers import CAUSES
from apps.conformance.document import Row, Section, Table
from apps.dicom.sop_classes import TABLE as SOP_CLASSES
from apps.dicomweb.urls import urlpatterns

_PARAMETER: Final = re.compile(r"<\w+:(\w+)>")
_METHODS: Final = ("GET", "POST", "DELETE", "PUT")
# TABLE: the web services by the words of their resources' paths.
_SERVICES: Final = (
    (
        "Search, retrieve and store studies (QIDO-RS, WADO-RS, STOW-RS)",
        ("studies", "series", "instances"),
    ),
    ("Unified Procedure Steps (UPS-RS)", ("workitems",)),
    ("Storage Commitment", ("commitment-requests",)),
    ("Non-Patient Instances", tuple(sorted({row.resource for row in SOP_CLASSES} - {""}))),
    ("Change feed (not of DICOM)", ("changes",)),
    ("Capabilities (OpenAPI)", ("openapi.json",)),
)


def web_overview() -> Table:
    """Which web services there are (PS3.2 A.1)."""
    offered = {str(each.pattern).split("/")[0] for each in urlpatterns}
    rows = [Row((name, "yes", "no")) for name, roots in _SERVICES if offered.intersection(roots)]
    unnamed = sorted(offered - {root for _, roots in _SERVICES for root in roots})
    return Table(
        "Web services",
        ("service", "origin server", "user agent"),
        (
            *rows,
            *(Row((root, "yes", "no")) for root in unnamed),
            Row(("Retrieve single instances (WADO-URI)", "yes", "no")),
        ),
    )


def web_services(number: str) -> Section:
    """All of it; what has a claim can be tried without changing anything."""
    return Section(
        number,
        "DICOMweb",
        (
            (
                "All resources lie below /dicom-web/ (PS3.18 section 10); WADO-URI at /wado. "
                "Requests are authenticated by session, HTTP Basic or bearer token."
            ),
            (
                "The self-test asks this installation's own web server for what is stored here; "
                "what nothing stored can show stays untested. It stores and changes nothing: "
                "transactions that would are asked of what is not there, or with an empty body."
            ),
            work_items.NOTE,
        ),
        tuple(_tables()),
    )


def _tables() -> Iterator[Table]:
    yield Table(
        "Transactions and media types",
        ("transaction", "request", "media type"),
        tuple(
            Row((row.name, f"{row.method} /{row.path}", _media(row.takes, media_type)), claim)
            for row, media_type, claim in web_claims.transactions()
        ),
    )
    yield Table(
        "WADO-URI",
        ("request", "contentType"),
        tuple(Row(("GET /wado", media), claim) for media, claim in web_claims.by_uri()),
    )
    yield Table("Further resources", ("resource", "methods"), tuple(_resources()))
    yield Table(
        "Search attributes (QIDO-RS)",
        ("attribute", "level", "returned"),
        tuple(
            Row((row.keyword, row.entity.value, web_claims.when_returned(row)), claim)
            for row, claim in web_claims.search_keys()
        ),
    )  # fmt: skip
    yield _stored_frames()
    yield _failures()
    yield from work_items.tables()


def _stored_frames() -> Table:
    return Table(
        "Media types of frames as stored",
        ("Transfer Syntax", "UID", "media type"),
        tuple(
            Row((row.name, row.uid, row.media_type), claim)
            for row, claim in web_claims.stored_frames()
        ),
    )


def _failures() -> Table:
    return Table(
        "HTTP status of a failure",
        ("status", "cause"),
        tuple(
            Row((str(code), CAUSES.get(kind) or " ".join((kind.__doc__ or "").split())), claim)
            for kind, code, claim in web_claims.failures()
        ),
    )


def _media(takes: tuple[str, ...], media_type: str) -> str:
    if not media_type:
        return "none"
    return f"taken: {media_type}" if media_type in takes else media_type


def _resources() -> Iterator[Row]:
    """Those beside the transactions; another archive's are as good as that archive."""
    told = {f"/{row.path}" for row, _, _ in web_claims.transactions()}
    for pattern in urlpatterns:
        path = _PARAMETER.sub(r"{\1}", f"/{pattern.pattern}")
        if path not in told:
            methods = getattr(pattern.callback, "methods", ())
            yield Row((path, ", ".join(each for each in _METHODS if each in methods)))
