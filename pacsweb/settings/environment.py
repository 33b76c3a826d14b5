"""Every `PACSWEB_*` variable, typed, with its default: the only reader of `os.environ`."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlsplit

# Linux allows 107 bytes for the path of a unix socket.
_LONGEST_SOCKET_PATH = 100
PROJECT_ROOT = Path(__file__).resolve().parents[2]


def refuse(sentence: str) -> NoReturn:
    """Ends the process with one plain sentence and exit code 2."""
    sys.stderr.write(sentence + "\n")
    raise SystemExit(2)


def _variable(name: str, default: str, text: str, group: str) -> Any:
    """A field read from the environment; what stands in braces in a default is filled in."""
    return field(metadata={"name": name, "default": default, "text": text, "group": group})


_START, _PRODUCTION, _WEB, _TUNING = "start", "production", "web", "tuning"
_TLS = "tls"


@dataclass(frozen=True, slots=True)
class Environment:
    """Boot-time facts. Run-time facts (peers, rules, users) live in the database."""

    data_dir: Path = _variable(
        "PACSWEB_DATA_DIR",
        str(PROJECT_ROOT / "data"),
        "Folder of the database, the images, the inbox and everything else that is kept.",
        _START,
    )
    http_port: int = _variable("PACSWEB_HTTP_PORT", "8000", "Port of the web server.", _START)
    event_port: int = _variable(
        "PACSWEB_EVENT_PORT",
        "{after_http}",
        "Port of the event channels (WebSocket) of the worklist service. Left out, `serve` takes "
        "the next free one after the web server's.",
        _START,
    )
    dicom_port: int = _variable(
        "PACSWEB_DICOM_PORT", "11112", "Port of the DICOM receiver.", _START
    )
    hl7_port: int = _variable(
        "PACSWEB_HL7_PORT",
        "2575",
        "Port kept free for HL7 messages (MLLP), which are not received yet.",
        _START,
    )
    dicom_host: str = _variable(
        "PACSWEB_DICOM_HOST",
        "",
        "Where the web server finds the DICOM receiver when it runs on another host.",
        _PRODUCTION,
    )
    bind: str = _variable(
        "PACSWEB_BIND",
        "127.0.0.1",
        "Address to listen on; `0.0.0.0` lets other machines in.",
        _START,
    )
    ae_title: str = _variable("PACSWEB_AE_TITLE", "PACSWEB", "Our DICOM AE title.", _START)
    admin_password: str = _variable(
        "PACSWEB_ADMIN_PASSWORD",
        "",
        "Password of the first administrator, `admin`. Without it one is made and shown once.",
        _START,
    )
    database_url: str = _variable(
        "PACSWEB_DATABASE_URL",
        "sqlite:///{data}/pacsweb.sqlite3",
        "`sqlite:///path` or `postgresql://user:password@host/name`.",
        _PRODUCTION,
    )
    redis_url: str = _variable(
        "PACSWEB_REDIS_URL",
        "unix://{socket}",
        "`redis://host:6379/0` or `rediss://…`. Without it pacsweb starts one of its own.",
        _PRODUCTION,
    )
    storage_url: str = _variable(
        "PACSWEB_STORAGE_URL",
        "file://{data}/blobs",
        "Where instances are kept: `file:///folder` or "
        "`s3://bucket/prefix?endpoint_url=https://host&region=name`. "
        "S3 credentials come from AWS's own variables.",
        _PRODUCTION,
    )
    inbox: Path = _variable(
        "PACSWEB_INBOX",
        "{data}/inbox",
        "Folder where instances wait to be indexed: a local disk that survives a restart. "
        "Web server, receiver and index worker share it.",
        _PRODUCTION,
    )
    static_dir: Path = _variable(
        "PACSWEB_STATIC_DIR",
        "{data}/static",
        "Where static files are collected and compressed; an image does that when it is built.",
        _PRODUCTION,
    )
    secret_key: str = _variable(
        "PACSWEB_SECRET_KEY",
        "",
        "Signs sessions. Without it one is made and kept in the data folder.",
        _PRODUCTION,
    )
    public_url: str = _variable(
        "PACSWEB_PUBLIC_URL",
        "",
        "The address users and viewers reach this installation by, such as "
        "`https://pacs.example.org`.",
        _WEB,
    )
    event_url: str = _variable(
        "PACSWEB_EVENT_URL",
        "",
        "The address subscribers reach the event channels by, such as "
        "`wss://pacs.example.org/events`. Without it: `/dicom-web` of the public URL, or the event "
        "port of the host that was asked.",
        _WEB,
    )
    allowed_hosts: tuple[str, ...] = _variable(
        "PACSWEB_ALLOWED_HOSTS",
        "",
        "Host names the web server answers to, separated by commas. Without it: any.",
        _WEB,
    )
    trusted_proxies: tuple[str, ...] = _variable(
        "PACSWEB_TRUSTED_PROXIES",
        "",
        "Addresses or networks of reverse proxies whose X-Forwarded-For is believed.",
        _WEB,
    )
    cors_origins: tuple[str, ...] = _variable(
        "PACSWEB_CORS_ORIGINS",
        "",
        "Origins of other web viewers that may read DICOMweb from a browser.",
        _WEB,
    )
    webhook_networks: tuple[str, ...] = _variable(
        "PACSWEB_WEBHOOK_NETWORKS",
        "",
        "Networks that webhooks may be in although only this machine reaches them, such as "
        "`127.0.0.1/32`.",
        _WEB,
    )
    secure_cookies: bool = _variable(
        "PACSWEB_SECURE_COOKIES",
        "0",
        "`1` keeps cookies to HTTPS; use it behind a proxy that speaks HTTPS.",
        _WEB,
    )
    dicom_tls_port: int = _variable(
        "PACSWEB_DICOM_TLS_PORT",
        "0",
        "Port of the DICOM receiver for TLS, usually 2762; 0 means none.",
        _TLS,
    )
    dicom_tls_certificate: str = _variable(
        "PACSWEB_DICOM_TLS_CERTIFICATE",
        "",
        "PEM file with our certificate and the chain up to its CA; also shown to peers we call.",
        _TLS,
    )
    dicom_tls_key: str = _variable(
        "PACSWEB_DICOM_TLS_KEY",
        "",
        "PEM file with its private key, without a passphrase; may be in the certificate's file.",
        _TLS,
    )
    dicom_tls_ca: str = _variable(
        "PACSWEB_DICOM_TLS_CA",
        "",
        "PEM file with the CAs whose certificates we trust, of callers and of peers we call.",
        _TLS,
    )
    dicom_tls_clients: str = _variable(
        "PACSWEB_DICOM_TLS_CLIENTS",
        "required",
        "Certificates of callers: `required`, `optional` or `none`.",
        _TLS,
    )
    dimse_processes: int = _variable(
        "PACSWEB_DIMSE_PROCESSES", "2", "Receiver processes; one per core is enough.", _TUNING
    )
    web_workers: int = _variable("PACSWEB_WEB_WORKERS", "2", "Web server processes.", _TUNING)
    web_threads: int = _variable(
        "PACSWEB_WEB_THREADS", "8", "Requests one web process works on at once.", _TUNING
    )
    worker_processes: int = _variable(
        "PACSWEB_WORKER_PROCESSES", "2", "Processes for background jobs.", _TUNING
    )
    log_format: str = _variable(
        "PACSWEB_LOG_FORMAT", "plain", "`plain` for people, `json` for collectors.", _TUNING
    )
    log_level: str = _variable(
        "PACSWEB_LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`.", _TUNING
    )
    # Set by the supervisor for each process it starts; it names the process in every log line.
    process: str = _variable("PACSWEB_PROCESS", "", "", "")

    @property
    def embedded_redis(self) -> bool:
        """True where `serve` starts a Redis of its own on a private unix socket."""
        return not os.environ.get("PACSWEB_REDIS_URL", "").strip()

    @property
    def redis_socket(self) -> str:
        """The unix socket's path, empty for a Redis reached over the network."""
        return unquote(urlsplit(self.redis_url).path) if self.embedded_redis else ""


def _whole_number(name: str, raw: str) -> int:
    try:
        return int(raw)
    except ValueError:
        refuse(f"{name} must be a whole number, not {raw!r}.")


def _flag(name: str, raw: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False}
    if raw.lower() not in known:
        refuse(f"{name} must be 1 or 0, not {raw!r}.")
    return known[raw.lower()]


def _items(_name: str, raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in raw.split(",") if part.strip())


_READERS: dict[str, Callable[[str, str], Any]] = {
    "int": _whole_number,
    "bool": _flag,
    "str": lambda _name, raw: raw,
    "Path": lambda _name, raw: Path(raw).expanduser().resolve(),
    "tuple[str, ...]": _items,
}
_CHOICES = {
    "PACSWEB_DICOM_TLS_CLIENTS": ("required", "optional", "none"),
    "PACSWEB_LOG_FORMAT": ("plain", "json"),
    "PACSWEB_LOG_LEVEL": ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
}


def _read(name: str, default: str, kind: str) -> Any:
    raw = os.environ.get(name, "").strip() or default
    allowed = _CHOICES.get(name)
    if allowed and raw not in allowed:
        refuse(f"{name} must be one of {', '.join(allowed)}, not {raw!r}.")
    return _READERS[kind](name, raw)


def _socket_path(data_dir: Path) -> Path:
    """In the data folder, or in a short place of its own when that path is too long."""
    socket = data_dir / "run" / "redis.sock"
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET_PATH:
        return socket
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pacsweb-{os.getuid()}-{digest}" / "redis.sock"


def _secret_key(data_dir: Path) -> str:
    """Minted once into the data folder; every process reads the same one."""
    path = data_dir / "secret-key"
    minted = secrets.token_urlsafe(50)
    try:
        if path.is_file():
            return path.read_text().strip()
        data_dir.mkdir(parents=True, exist_ok=True)
        # Written aside and linked into place, so that nobody ever reads half a key.
        descriptor, draft = tempfile.mkstemp(dir=data_dir, prefix=".secret-key-")
        with os.fdopen(descriptor, "w") as handle:
            handle.write(minted)
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            Path(draft).unlink()
        return path.read_text().strip()
    except OSError:
        # A folder that cannot be written is reported by `serve` in a plain sentence; commands
        # that need no key (help, schema, linters) must still run.
        return minted


def is_chosen(name: str) -> bool:
    """Whether somebody set the variable, so that nothing but it may be used."""
    return bool(os.environ.get(name, "").strip())


def read_environment() -> Environment:
    """Reads the process environment once, at import of the settings."""
    rows = {each.name: each for each in fields(Environment)}
    data = rows["data_dir"]
    data_dir = _read(data.metadata["name"], data.metadata["default"], str(data.type))
    http = rows["http_port"].metadata
    places = {
        "data": str(data_dir),
        "socket": quote(str(_socket_path(data_dir))),
        "after_http": str(_read(http["name"], http["default"], "int") + 1),
    }
    values: dict[str, Any] = {}
    for name, row in rows.items():
        default = row.metadata["default"]
        for place, path in places.items():
            default = default.replace(f"{{{place}}}", path)
        values[name] = _read(row.metadata["name"], default, str(row.type))
    for name in ("public_url", "event_url"):
        values[name] = values[name].rstrip("/")
    values["secret_key"] = values["secret_key"] or _secret_key(data_dir)
    return Environment(**values)


ENVIRONMENT = read_environment()
