"""Asking a TLS port what it accepts: one handshake, and whether the peer stays afterwards."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Sequence
from typing import Final

_SECONDS: Final = 10.0
_RELEASE: Final = bytes.fromhex("05000000000400000000")


def shaken(
    host: str,
    port: int,
    *,
    most: ssl.TLSVersion,
    ciphers: Sequence[str] = (),
    certificate: tuple[str, str] | None = None,
) -> str:
    """Protocol and cipher suite of a handshake of up to that version, as `TLSv1.3 TLS_AES_...`.

    It counts once the peer has answered: in TLS 1.3 a client without a certificate is refused after
    the handshake. `ciphers` are those offered for TLS 1.2 and older, in OpenSSL's words;
    `certificate` the files of ours. The peer's own is not judged. `""` where it will not have us;
    raises OSError where it cannot be reached.
    """
    context = _offering(most, ciphers)
    if certificate is not None:
        context.load_cert_chain(certificate[0], certificate[1] or None, password=lambda: b"")
    with socket.create_connection((host, port), _SECONDS) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as tls:
                cipher = tls.cipher()
                said = f"{tls.version()} {cipher[0] if cipher else ''}"
                return said if _stays(tls) else ""
        except (ssl.SSLError, ConnectionError):
            return ""


def _offering(most: ssl.TLSVersion, ciphers: Sequence[str]) -> ssl.SSLContext:
    """What is to be refused has to be offered first: OpenSSL's own limits are lifted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        # Python warns of old versions, rightly; here nothing is ever sent over them.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = most
    context.set_ciphers(":".join((*(ciphers or ("ALL",)), "@SECLEVEL=0")))
    return context


def _stays(tls: ssl.SSLSocket) -> bool:
    """A release where no association is has to be answered by an abort (PS3.8 table 9-10)."""
    tls.sendall(_RELEASE)
    return bool(tls.recv(1))
