"""Whom we trust as a DICOMweb archive, and what we show it: TLS of calls over HTTP.

Without authorities of its own an archive's certificate is checked against those of the operating
system; with them, against these alone. It is always checked, and so is the host's name.
"""

from __future__ import annotations

import re
import ssl
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.conf import settings

from apps.network.tls import TlsNotReady, failure_words, subject_of

if TYPE_CHECKING:
    from apps.network.web_archive import WebArchive

LONGEST: Final = 100_000
_LABELS: Final = re.compile(r"-----BEGIN ([^-\n]{1,60})-----")
_BLOCKS: Final = re.compile(
    r"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]*-----END \1-----"  # base64 has no hyphen
)
_CERTIFICATES: Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})


class UnusableTls(OSError):
    """What is entered for an archive cannot be used any more; the text says why."""


class NoAuthority(ValueError):
    """The text says why it cannot be trusted by."""


def context_for(archive: WebArchive) -> ssl.SSLContext:
    """For calls to it. Raises UnusableTls."""
    if archive.authorities:
        try:
            context = trusting(archive.authorities)
        except NoAuthority as error:
            raise UnusableTls(str(error)) from error
    else:
        context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if archive.shows_certificate:
        try:
            show_certificate(context)
        except TlsNotReady as error:
            raise UnusableTls(str(error)) from error
    return context


def trusting(authorities: str) -> ssl.SSLContext:
    """That trusts these certificates (PEM) and no others. Raises NoAuthority.

    One that is itself no authority is trusted as it is: many devices sign for themselves.
    """
    labels = set(_LABELS.findall(authorities))
    if not labels:
        raise NoAuthority("There is no certificate in it: PEM begins with -----BEGIN CERTIFICATE.")
    if labels - _CERTIFICATES:
        raise NoAuthority("It holds something else than certificates: private keys stay elsewhere.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=_ascii(authorities))
    except (ssl.SSLError, ValueError) as error:
        raise NoAuthority("A certificate in it cannot be read.") from error
    return context


def certificates_in(text: str) -> str:
    """Those alone, of what somebody has pasted."""
    return "\n".join(each[0] for each in _BLOCKS.finditer(text))


def told(authorities: str) -> list[str]:
    """Each authority, with the day its certificate ends, for people. Raises NoAuthority."""
    context = trusting(authorities)
    lines = []
    for each in context.get_ca_certs():
        ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(each["notAfter"])), UTC)
        lines.append(f"{subject_of(each)}, until {ends:%Y-%m-%d}")
    others = context.cert_store_stats()["x509"] - len(lines)
    if others:
        lines.append(f"{others} trusted as they are, being no authorities")
    return lines


def _check_time(context: ssl.SSLContext) -> None:
    """Of authorities alone: what is no authority is not listed."""
    until = [ssl.cert_time_to_seconds(str(each["notAfter"])) for each in context.get_ca_certs()]
    every = len(until) == context.cert_store_stats()["x509"]
    if every and max(until, default=0) < time.time():
        raise NoAuthority("All certificates in it have expired.")


def checked(authorities: str) -> None:
    """As it is entered. Raises NoAuthority, also for what has expired."""
    _check_time(trusting(authorities))


def _ascii(text: str) -> str:
    """Comments around certificates may be in any language."""
    return text.encode("ascii", "replace").decode("ascii")


def show_certificate(context: ssl.SSLContext) -> None:
    """The one of DICOM over TLS. Raises TlsNotReady."""
    environment = settings.PACSWEB
    certificate, key = environment.dicom_tls_certificate, environment.dicom_tls_key
    if not certificate:
        raise TlsNotReady("There is no certificate to show: PACSWEB_DICOM_TLS_CERTIFICATE.")
    try:
        # A key with a passphrase would make us ask at a terminal.
        context.load_cert_chain(certificate, key or None, password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsNotReady(
            f"The certificate to show cannot be used: {failure_words(error)}."
        ) from error
