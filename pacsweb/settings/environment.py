"""Every `PACSWEB_*` variable, typed, with its default: the only reader of `os.environ`."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote, urlsplit

_LONGEST_SOCKET_PATH = 100
PROJECT_ROOT = Path(__file__).resolve().parents[2]


def refuse(sentence: str) -> NoReturn:
    """Ends the process with one plain sentence and exit code 2."""
    sys.stderr.write(sentence + "\n")
    raise SystemExit(2)


def _text(name: str, default: str) -> str:
    value = os.environ.get(name, "").strip()
    return value or default


def _number(name: str, default: int) -> int:
    raw = _text(name, str(default))
    try:
        return int(raw)
    except ValueError:
        refuse(f"{name} must be a whole number, not {raw!r}.")


def _flag(name: str, *, default: bool) -> bool:
    return _text(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def _list(name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in _text(name, "").split(",") if part.strip())


def _secret_key(data_dir: Path) -> str:
    """The signing key: from the environment, else minted once into the data folder."""
    given = os.environ.get("PACSWEB_SECRET_KEY", "").strip()
    if given:
        return given
    path = data_dir / "secret-key"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    except OSError:
        # A folder that cannot be written is reported by `serve` in a plain sentence; commands
        # that need no key (help, schema, linters) must still run.
        return secrets.token_urlsafe(50)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(secrets.token_urlsafe(50))
        handle.flush()
        os.fsync(handle.fileno())
    return path.read_text().strip()


@dataclass(frozen=True, slots=True)
class Environment:
    """Boot-time facts. Run-time facts (peers, rules, users) live in the database."""

    data_dir: Path
    http_port: int
    dicom_host: str
    dicom_port: int
    hl7_port: int
    bind: str
    ae_title: str
    admin_password: str
    database_url: str
    redis_url: str
    storage_url: str
    inbox: Path
    secret_key: str
    public_url: str
    allowed_hosts: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    cors_origins: tuple[str, ...]
    dimse_processes: int
    web_workers: int
    web_threads: int
    worker_processes: int
    log_format: str
    log_level: str
    process: str
    secure_cookies: bool

    @property
    def embedded_redis(self) -> bool:
        """True where `serve` starts a Redis of its own on a private unix socket."""
        return self.redis_url.startswith("unix://") and "PACSWEB_REDIS_URL" not in os.environ

    @property
    def redis_socket(self) -> str:
        """The unix socket's path, empty for a Redis reached over the network."""
        return unquote(urlsplit(self.redis_url).path) if self.embedded_redis else ""


def read_environment() -> Environment:
    """Reads the process environment once, at import of the settings."""
    data_dir = Path(_text("PACSWEB_DATA_DIR", str(PROJECT_ROOT / "data"))).expanduser().resolve()
    # A unix socket path is limited to 107 bytes; long data folders get a short one elsewhere.
    socket = data_dir / "run" / "redis.sock"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET_PATH:
        import hashlib
        import tempfile

        digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
        socket = Path(tempfile.gettempdir()) / f"pacsweb-{os.getuid()}-{digest}" / "redis.sock"
    return Environment(
        data_dir=data_dir,
        http_port=_number("PACSWEB_HTTP_PORT", 8000),
        dicom_host=_text("PACSWEB_DICOM_HOST", ""),
        dicom_port=_number("PACSWEB_DICOM_PORT", 11112),
        hl7_port=_number("PACSWEB_HL7_PORT", 2575),
        bind=_text("PACSWEB_BIND", "127.0.0.1"),
        ae_title=_text("PACSWEB_AE_TITLE", "PACSWEB"),
        admin_password=_text("PACSWEB_ADMIN_PASSWORD", ""),
        database_url=_text("PACSWEB_DATABASE_URL", f"sqlite:///{data_dir}/pacsweb.sqlite3"),
        redis_url=_text("PACSWEB_REDIS_URL", f"unix://{quote(str(socket))}"),
        storage_url=_text("PACSWEB_STORAGE_URL", f"file://{data_dir}/blobs"),
        inbox=Path(_text("PACSWEB_INBOX", str(data_dir / "inbox"))).expanduser().resolve(),
        secret_key=_secret_key(data_dir),
        public_url=_text("PACSWEB_PUBLIC_URL", "").rstrip("/"),
        allowed_hosts=_list("PACSWEB_ALLOWED_HOSTS"),
        trusted_proxies=_list("PACSWEB_TRUSTED_PROXIES"),
        cors_origins=_list("PACSWEB_CORS_ORIGINS"),
        dimse_processes=_number("PACSWEB_DIMSE_PROCESSES", 2),
        web_workers=_number("PACSWEB_WEB_WORKERS", 2),
        web_threads=_number("PACSWEB_WEB_THREADS", 8),
        worker_processes=_number("PACSWEB_WORKER_PROCESSES", 1),
        log_format=_text("PACSWEB_LOG_FORMAT", "plain"),
        log_level=_text("PACSWEB_LOG_LEVEL", "INFO"),
        # Set by the supervisor for each process it starts; it names the process in every log line.
        process=_text("PACSWEB_PROCESS", ""),
        secure_cookies=_flag("PACSWEB_SECURE_COOKIES", default=False),
    )


ENVIRONMENT = read_environment()
