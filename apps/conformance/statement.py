"""The conformance statement (PS3.2 annex A), generated from the running configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.conf import settings

from apps.conformance import work_items
from apps.conformance.answers import CAUSES
from apps.conformance.document import Row, Section, Statement, Table
from apps.conformance.hl7 import hl7
from apps.conformance.networking import networking, overview
from apps.dicom import transfer_syntaxes, uids
from apps.dicom.attributes import TABLE as ATTRIBUTES
from apps.dicom.character_sets import DEFINED_TERMS
from apps.dicom.sop_classes import TABLE as SOP_CLASSES
from apps.dicomweb.status import TABLE as HTTP_STATUSES
from apps.dicomweb.urls import urlpatterns
from apps.network import tls

_PARAMETER: Final = re.compile(r"<\w+:(\w+)>")
_METHODS: Final = ("GET", "POST", "DELETE", "PUT")


def conformance_statement() -> Statement:
    """The whole statement, as things are configured now. Reads one row of policy."""
    return Statement(
        f"DICOM conformance statement of {settings.PACSWEB.ae_title} (pacsweb)",
        (
            Section(
                "1",
                "Overview",
                (
                    (
                        "pacsweb is an image archive with a viewer in the browser and a DICOMweb "
                        "gateway. It receives instances over DICOM and DICOMweb, keeps them as "
                        "they came, and gives them to whoever may have them. This document is "
                        "generated from the configuration in force; each row marked as tested "
                        "was proved by a test this installation ran against itself."
                    ),
                ),
                (overview(), _web_overview()),
            ),
            _introduction(),
            networking(),
            _media(),
            _character_sets(),
            _security(),
            _dicomweb(),
            hl7("9"),
            _annexes(),
        ),
    )


def _introduction() -> Section:
    abbreviations = Table("Abbreviations", ("term", "meaning"), tuple(map(Row, _ABBREVIATIONS)))
    return Section(
        "3",
        "Introduction",
        parts=(
            Section("3.1", "Audience", (_AUDIENCE,)),
            Section("3.2", "Remarks", (_REMARKS,)),
            Section("3.3", "Definitions and abbreviations", tables=(abbreviations,)),
            Section("3.4", "References", (_REFERENCES,)),
        ),
    )


_AUDIENCE: Final = (
    "Those who connect devices and information systems to this archive, who buy them, and who "
    "answer for their interplay. They are taken to know DICOM's own terms."
)
_REMARKS: Final = (
    "The structure is that of PS3.2 annex A. A conformance statement alone does not prove that "
    "two systems work together: the readiness check compares it with a device's own and tests the "
    "connection. That the data exchanged serve their clinical purpose is for the user to verify."
)
_REFERENCES: Final = "NEMA PS3, Digital Imaging and Communications in Medicine, dicomstandard.org."
_ABBREVIATIONS: Final = (
    ("AE", "Application Entity: one end of an association, known by its AE title"),
    ("DIMSE", "DICOM Message Service Element: the services C-STORE, C-FIND, N-CREATE and so on"),
    ("MPPS", "Modality Performed Procedure Step"),
    ("PDU", "Protocol Data Unit: what an association is made of on the wire"),
    ("SCU, SCP", "Service Class User, who asks; Service Class Provider, who answers"),
    ("SOP Class", "Service-Object Pair Class: what is exchanged, by which services"),
    ("UID", "Unique Identifier"),
    ("UPS", "Unified Procedure Step"),
)
# TABLE: the web services by the words of their resources' paths.
_WEB_SERVICES: Final = (
    (
        "Search, retrieve and store studies (QIDO-RS, WADO-RS, STOW-RS)",
        ("studies", "series", "instances"),
    ),
    ("Unified Procedure Steps (UPS-RS)", ("workitems",)),
    ("Non-Patient Instances", tuple(sorted({row.resource for row in SOP_CLASSES} - {""}))),
    ("Change feed (not of DICOM)", ("changes",)),
    ("Capabilities (OpenAPI)", ("openapi.json",)),
)


def _web_overview() -> Table:
    offered = {str(each.pattern).split("/")[0] for each in urlpatterns}
    rows = [
        Row((name, "yes", "no")) for name, roots in _WEB_SERVICES if offered.intersection(roots)
    ]
    unnamed = sorted(offered - {root for _, roots in _WEB_SERVICES for root in roots})
    return Table(
        "Web services",
        ("service", "origin server", "user agent"),
        (
            *rows,
            *(Row((root, "yes", "no")) for root in unnamed),
            Row(("Retrieve single instances (WADO-URI)", "yes", "no")),
        ),
    )


def _media() -> Section:
    return Section(
        "5",
        "Media interchange",
        (
            (
                "As a File-set Reader pacsweb imports every DICOM file (PS3.10) of a folder, "
                "with or without DICOMDIR, preamble and File Meta Information."
            ),
        ),
    )


def _character_sets() -> Section:
    return Section(
        "6",
        "Support of character sets",
        (
            (
                "Every defined term of Specific Character Set below is read, ISO 2022 code "
                "extensions included. Answers are in the character set of the stored instance or "
                "of the query, or in ISO_IR 192 (UTF-8) where that cannot hold them."
            ),
        ),
        (
            Table(
                "Specific Character Set (0008,0005)",
                ("kind", "defined terms"),
                (
                    Row(("without code extensions", ", ".join(_terms(extended=False)))),
                    Row(("with code extensions (ISO 2022)", ", ".join(_terms(extended=True)))),
                ),
            ),
        ),
    )


def _terms(*, extended: bool) -> list[str]:
    return [term for term in DEFINED_TERMS if term.startswith("ISO 2022") is extended]


def _security() -> Section:
    environment = settings.PACSWEB
    if environment.dicom_tls_port:
        used = (
            f"The port {environment.dicom_tls_port} speaks TLS; client certificates are "
            f"{environment.dicom_tls_clients}."
        )
    else:
        used = "No port for TLS is configured at present."
    return Section(
        "7",
        "Security",
        (
            f"Supported profile: {tls.PROFILE}. {used} Certificates can be bound to AE titles.",
            (
                "User Identity Negotiation: user name (acknowledged, opens nothing), and user name "
                "with passcode, which is checked against the accounts of this installation."
            ),
            "Every reading of patient data is recorded in an audit trail.",
        ),
        (
            Table(
                "Cipher suites for TLS 1.2; those of TLS 1.3 are all accepted",
                ("suite",),
                tuple(Row((suite,)) for suite in tls.CIPHERS),
            ),
        ),
    )


def _dicomweb() -> Section:
    keys = tuple(
        Row((each.keyword, each.entity.value, "always" if each.ps3_18 == "R" else "on request"))
        for each in ATTRIBUTES
    )
    return Section(
        "8",
        "DICOMweb",
        (
            (
                "All resources lie below /dicom-web/ (PS3.18 section 10); WADO-URI at /wado. "
                "Requests are authenticated by session, HTTP Basic or bearer token."
            ),
            work_items.NOTE,
        ),
        (
            Table("Resources", ("resource", "methods"), tuple(_resources())),
            Table("Search attributes (QIDO-RS)", ("attribute", "level", "returned"), keys),
            Table(
                "Media types of frames as stored",
                ("Transfer Syntax", "UID", "media type"),
                tuple(
                    Row((each.name, each.uid, each.media_type)) for each in transfer_syntaxes.TABLE
                ),
            ),
            Table(
                "HTTP status of a failure",
                ("status", "cause"),
                tuple(
                    Row((str(code), CAUSES.get(kind) or " ".join((kind.__doc__ or "").split())))
                    for kind, code in HTTP_STATUSES.items()
                ),
            ),
            *work_items.tables(),
        ),
    )


def _resources() -> Iterator[Row]:
    for pattern in urlpatterns:
        methods = getattr(pattern.callback, "methods", ())
        yield Row(
            (
                _PARAMETER.sub(r"{\1}", f"/{pattern.pattern}"),
                ", ".join(each for each in _METHODS if each in methods),
            )
        )


def _annexes() -> Section:
    return Section(
        "10",
        "Annexes",
        (
            (
                "Private attributes: none are written into instances. In File Meta Information "
                "(0002,0102) holds provenance, under Private Information Creator UID "
                f"{uids.PRIVATE_INFORMATION_CREATOR_UID}."
            ),
            "Private SOP Classes and Transfer Syntaxes: none of our own.",
        ),
    )
