"""What must be true before anything is started, each failure one plain sentence."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from apps.network.tls import TlsNotReady, server_context
from pacsweb.launch import end_strays
from pacsweb.processes import run_folder
from pacsweb.redis_server import NoRedisServer, binary
from pacsweb.settings.environment import Environment, is_chosen

_HIGHEST_PORT = 65535
_NEIGHBOURS = 100


class NotReady(Exception):
    """The product cannot start here; the message is one sentence for the person who tried."""


def with_event_port(environment: Environment) -> Environment:
    """The event port that nobody chose moves out of the way of every other port.

    A start must not fail over a port that was never spoken of.
    """
    if is_chosen("PACSWEB_EVENT_PORT"):
        return environment
    first = environment.http_port + 1
    spoken_of = {environment.dicom_port, environment.dicom_tls_port, environment.hl7_port}
    for port in range(first, min(first + _NEIGHBOURS, _HIGHEST_PORT + 1)):
        if port not in spoken_of and _refusal(environment.bind, port) is None:
            return replace(environment, event_port=port)
    return environment


def check(environment: Environment) -> IO[str]:
    """Checks folders, the lock and ports; returns the lock, held as long as it stays open."""
    for folder in _folders(environment):
        _check_writable(folder)
    lock = _lock(run_folder(environment))
    # Nobody else holds the lock, so whatever still runs for this folder lost its supervisor.
    end_strays(str(run_folder(environment)))
    _check_ports_differ(environment)
    _check_port(environment.bind, environment.http_port, "web", "PACSWEB_HTTP_PORT")
    _check_port(environment.bind, environment.event_port, "event", "PACSWEB_EVENT_PORT")
    _check_port(environment.bind, environment.dicom_port, "DICOM", "PACSWEB_DICOM_PORT")
    if environment.dicom_tls_port:
        _check_port(environment.bind, environment.dicom_tls_port, "TLS", "PACSWEB_DICOM_TLS_PORT")
        try:
            server_context()
        except TlsNotReady as problem:
            raise NotReady(str(problem)) from None
    if environment.embedded_redis:
        socket_folder = Path(environment.redis_socket).parent
        _check_writable(socket_folder)
        socket_folder.chmod(0o700)
        try:
            binary(run_folder(environment))
        except NoRedisServer as problem:
            raise NotReady(str(problem)) from None
    return lock


def _folders(environment: Environment) -> list[Path]:
    folders = [environment.data_dir, run_folder(environment), environment.inbox]
    database = urlsplit(environment.database_url)
    if database.scheme == "sqlite":
        folders.append(Path(unquote(database.path)).parent)
    storage = urlsplit(environment.storage_url)
    if storage.scheme == "file":
        folders.append(Path(unquote(storage.path)))
    return folders


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"pacsweb")
            probe.flush()
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        raise NotReady(f"The folder {folder} cannot be written to ({reason.lower()}).") from None


def _lock(folder: Path) -> IO[str]:
    handle = (folder / "serve.lock").open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise NotReady(f"pacsweb is already running on the folder {folder.parent}.") from None
    return handle


def _check_ports_differ(environment: Environment) -> None:
    named: dict[int, str] = {}
    for variable, port in (
        ("PACSWEB_HTTP_PORT", environment.http_port),
        ("PACSWEB_DICOM_PORT", environment.dicom_port),
        ("PACSWEB_DICOM_TLS_PORT", environment.dicom_tls_port),
        ("PACSWEB_EVENT_PORT", environment.event_port),
    ):
        if port and port in named:
            raise NotReady(
                f"{named[port]} and {variable} are both {port}: set {variable} to another."
            )
        named[port] = variable


def _check_port(address: str, port: int, what: str, variable: str) -> None:
    if not 0 < port <= _HIGHEST_PORT:
        raise NotReady(f"{variable} must be a port between 1 and 65535, not {port}.")
    problem = _refusal(address, port)
    if problem is not None:
        raise NotReady(_port_sentence(problem, address, port, what, variable))


def _refusal(address: str, port: int) -> OSError | None:
    """Why the port cannot be listened on; None when it can."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as problem:
            return problem
    return None


def _port_sentence(problem: OSError, address: str, port: int, what: str, variable: str) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"The {what} port {port} is already in use: free it, or set {variable} to another."
    if problem.errno == errno.EACCES:
        return f"The {what} port {port} needs more rights: set {variable} to one above 1023."
    return f"The address {address} cannot be used on this machine: set PACSWEB_BIND to another."
