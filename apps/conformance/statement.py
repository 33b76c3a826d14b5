"""The conformance statement (PS3.2 annex A), generated from the running configuration."""

from __future__ import annotations

from typing import Final

from django.conf import settings

from apps.conformance.document import Row, Section, Statement, Table
from apps.conformance.hl7 import hl7
from apps.conformance.networking import networking, overview
from apps.conformance.security import security
from apps.conformance.web_services import web_overview, web_services
from apps.dicom import uids
from apps.dicom.character_sets import DEFINED_TERMS


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
                (overview(), web_overview()),
            ),
            _introduction(),
            networking(),
            _media(),
            _character_sets(),
            security("7"),
            web_services("8"),
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


def _media() -> Section:
    """Honest where there is nothing yet; import is a convenience, no role of PS3.10."""
    return Section(
        "5",
        "Media interchange",
        (
            (
                "Not offered yet: pacsweb is no File-set Creator, Reader or Updater (PS3.10), "
                "claims no Media Storage Application Profile (PS3.11), and writes no DICOMDIR."
            ),
            (
                "Files can be brought in all the same: every DICOM file of a folder or a ZIP "
                "archive is imported, with or without preamble and File Meta Information; a "
                "DICOMDIR is not followed."
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
