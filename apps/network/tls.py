"""TLS for associations: PS3.15 B.12, the BCP 195 (RFC 8996, 9325) profile, for both directions.

TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, nothing older, no fallback.
Certificates are read again when their files change, so a renewal needs no restart.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings

PROFILE: Final = "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12)"
# For TLS 1.2 (RFC 9325 4.2); the suites of TLS 1.3 are all good and not configurable.
CIPHERS: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
_CLIENTS: Final = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}


class TlsNotReady(Exception):
    """The certificate settings cannot be used; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Secured:
    """What the handshake settled: protocol and cipher, and who the peer proved to be."""

    description: str
    subject: str = ""
    names: frozenset[str] = frozenset()  # common names, DNS names, `sha256:…`; lower case


def server_context() -> ssl.SSLContext:
    """For associations others open with us. Raises TlsNotReady."""
    environment = settings.PACSWEB
    files = (
        environment.dicom_tls_certificate,
        environment.dicom_tls_key,
        environment.dicom_tls_ca,
    )
    return _server_context(files, environment.dicom_tls_clients, _changed(files))


def client_context() -> ssl.SSLContext:
    """For associations we open; our certificate is shown where there is one. Raises TlsNotReady."""
    environment = settings.PACSWEB
    files = (
        environment.dicom_tls_certificate,
        environment.dicom_tls_key,
        environment.dicom_tls_ca,
    )
    return _client_context(files, _changed(files))


def names_of(certificate: Mapping[str, Any] | None, encoded: bytes | None) -> frozenset[str]:
    """The names a peer's certificate may be mapped by, from `getpeercert()` in both forms."""
    if not encoded:
        return frozenset()
    names = {f"sha256:{hashlib.sha256(encoded).hexdigest()}"}
    decoded = certificate or {}
    for part in decoded.get("subject", ()):
        names |= {value.lower() for key, value in part if key == "commonName"}
    names |= {value.lower() for kind, value in decoded.get("subjectAltName", ()) if kind == "DNS"}
    return frozenset(names)


def subject_of(certificate: Mapping[str, Any] | None) -> str:
    """`commonName=CT2, organizationName=Hospital`."""
    parts = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
    return ", ".join(f"{key}={value}" for key, value in parts)


def secured(tls: ssl.SSLObject | ssl.SSLSocket) -> Secured:
    """What there is to know after a handshake."""
    certificate = tls.getpeercert()
    cipher = tls.cipher()
    return Secured(
        f"{tls.version()} {cipher[0] if cipher else ''}".strip(),
        subject_of(certificate),
        names_of(certificate, tls.getpeercert(binary_form=True)),
    )


def failure_words(error: Exception) -> str:
    """Why a handshake failed, for the people who set devices up."""
    reason = getattr(error, "reason", None) or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    return _WORDS.get(reason, reason.lower().replace("_", " ") or "closed during the handshake")


# TABLE: OpenSSL's reasons in words.
_WORDS: Final[dict[str, str]] = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the device showed no certificate",
    "NO_SHARED_CIPHER": "no cipher suite in common: the device offers only old ones",
    "UNSUPPORTED_PROTOCOL": "the device offers only TLS versions older than 1.2",
    "VERSION_TOO_LOW": "the device offers only TLS versions older than 1.2",
    "WRONG_VERSION_NUMBER": "the device does not speak TLS on the TLS port",
    "HTTP_REQUEST": "an HTTP request on the TLS port",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the device wants to see a certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the device does not trust our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the device does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the device does not accept our certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the device does not accept our TLS versions",
}


def _changed(files: tuple[str, ...]) -> tuple[float, ...]:
    """Modification times: a context is made anew when one differs."""
    try:
        return tuple(Path(each).stat().st_mtime if each else 0.0 for each in files)
    except OSError as error:
        raise TlsNotReady(f"{error.filename} cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=2)
def _server_context(
    files: tuple[str, ...], clients: str, _times: tuple[float, ...]
) -> ssl.SSLContext:
    certificate, _, authority = files
    if not certificate:
        raise TlsNotReady("PACSWEB_DICOM_TLS_PORT needs PACSWEB_DICOM_TLS_CERTIFICATE.")
    if clients != "none" and not authority:
        raise TlsNotReady(
            "Client certificates are checked against PACSWEB_DICOM_TLS_CA, which is not set; "
            "PACSWEB_DICOM_TLS_CLIENTS=none does without them."
        )
    context = _hardened(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = _CLIENTS[clients]
    return context


@lru_cache(maxsize=2)
def _client_context(files: tuple[str, ...], _times: tuple[float, ...]) -> ssl.SSLContext:
    context = _hardened(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files)
    if not files[2]:
        context.load_default_certs()
    return context


def _hardened(context: ssl.SSLContext, files: tuple[str, ...]) -> ssl.SSLContext:
    certificate, key, authority = files
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(":".join(CIPHERS))
    try:
        if certificate:
            # A key with a passphrase would make the receiver ask at its terminal.
            context.load_cert_chain(certificate, key or None, password=lambda: b"")
        if authority:
            context.load_verify_locations(authority)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsNotReady(
            f"The TLS certificate, key or CA cannot be used: {failure_words(error)}."
        ) from error
    return context
