"""Django's settings, assembled from the environment object. A URL's scheme picks the part."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF

from pacsweb.settings.environment import ENVIRONMENT, PROJECT_ROOT, refuse

BASE_DIR = PROJECT_ROOT
DATA_DIR = ENVIRONMENT.data_dir
SECRET_KEY = ENVIRONMENT.secret_key
DEBUG = False

ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts) or ["*"]
USE_X_FORWARDED_HOST = False
ROOT_URLCONF = "pacsweb.urls"
WSGI_APPLICATION = "pacsweb.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "access.User"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    # Before the admin, so that its templates wear our colours.
    "apps.console",
    "apps.console.apps.ConsoleAdminConfig",
    "rest_framework",
    "drf_spectacular",
    "axes",
    "csp",
    "pacsweb",
    "apps.events",
    "apps.storage",
    "apps.access",
    "apps.indexing",
    "apps.network",
    "apps.coercion",
    "apps.archive",
    "apps.worklist",
    "apps.measurements",
    "apps.ingest",
    "apps.retrieve",
    "apps.transfers",
    "apps.forwarding",
    "apps.rendering",
    "apps.commitment",
    "apps.compression",
    "apps.polarity",
    "apps.dimse",
    "apps.dicomweb",
    "apps.api",
    "apps.viewer",
    "apps.conformance",
]

MIDDLEWARE = [
    "apps.dicomweb.hot_frames.HotFramesMiddleware",
    "pacsweb.unread_bodies.UnreadBodyMiddleware",
    "pacsweb.unfinished_answers.UnfinishedAnswerMiddleware",
    "pacsweb.readiness.ReadinessMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "pacsweb.fresh_reads.FreshReadsMiddleware",
    "apps.dicomweb.express.ExpressMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "pacsweb.closing_slashes.ClosingSlashMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def database_from_url(url: str) -> dict[str, Any]:
    """`sqlite:///path` or `postgresql://user:password@host:port/name?option=value`."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path),
            "OPTIONS": {
                "timeout": 30,
                # A transaction that reads first and writes later would fail at once with
                # SQLITE_BUSY instead of waiting for the other writer.
                "transaction_mode": "IMMEDIATE",
                "init_command": (
                    "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
                    "PRAGMA cache_size=-65536;PRAGMA mmap_size=268435456;"
                    "PRAGMA temp_store=MEMORY;PRAGMA journal_size_limit=67108864;"
                ),
            },
        }
    if parts.scheme in {"postgres", "postgresql"}:
        query = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": query.pop("host", "") or unquote(parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            # Without a limit a server that is gone holds a request for the kernel's two minutes.
            "OPTIONS": {"connect_timeout": "5", **query},
        }
    return refuse(
        "PACSWEB_DATABASE_URL must begin with sqlite:/// or postgresql://, "
        f"not with {parts.scheme or 'nothing'}."
    )


DATABASES = {"default": database_from_url(ENVIRONMENT.database_url)}
DATABASES["default"].setdefault("CONN_MAX_AGE", None)

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ENVIRONMENT.redis_url,
        "KEY_PREFIX": "pacsweb",
        "OPTIONS": {"pool_class": "pacsweb.redis_connections.SharedPool"},
    }
}

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = "pacsweb_session"
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = ENVIRONMENT.secure_cookies
CSRF_COOKIE_NAME = "pacsweb_csrf"
CSRF_COOKIE_SECURE = ENVIRONMENT.secure_cookies
CSRF_TRUSTED_ORIGINS = [ENVIRONMENT.public_url] if ENVIRONMENT.public_url else []

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"

AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=5)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "apps.access.addresses.client_address"
AXES_LOCKOUT_CALLABLE = "pacsweb.refusals.locked_out"
AXES_HTTP_RESPONSE_CODE = 429

LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = ["pacsweb.formats"]
# What the console shows of the parts of the product; it does not know the composition above it.
READINESS_PARTS = "pacsweb.readiness.parts"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = ENVIRONMENT.static_dir
# Written by `pacsweb.first_start` when everything was collected.
STATIC_STAMP = STATIC_ROOT / ".stamp"
STATICFILES_DIRS = [path for path in [BASE_DIR / "frontend" / "dist" / "app"] if path.is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Without a collected folder (tests) files are found where they lie, uncompressed.
WHITENOISE_USE_FINDERS = not STATIC_STAMP.is_file()
WHITENOISE_MAX_AGE = 3600
# The front end's build puts a hash of the content into these names.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/assets/.+-[\w-]{8}\.\w+$"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, "'wasm-unsafe-eval'"],
        "worker-src": [SELF, "blob:"],
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        # An encapsulated PDF is shown by the browser itself, from a blob.
        "frame-src": [SELF, "blob:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [SELF],
    }
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

CELERY_BROKER_URL = (
    "redis+socket://" + ENVIRONMENT.redis_url.removeprefix("unix://")
    if ENVIRONMENT.redis_url.startswith("unix://")
    else ENVIRONMENT.redis_url
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 6 * 3600}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "apps.ingest.tasks.index_inbox": {"queue": "index"},
    "apps.transfers.tasks.run_transfers": {"queue": "transfer"},
    "apps.rendering.tasks.make_thumbnails": {"queue": "render"},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.api.authentication.PrincipalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "apps.api.bodies.JsonBody",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "apps.api.principal.answer_error",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "pacsweb",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.api.refusals.document_refusals",
    ],
}

# What pydicom warns of quotes values of patients' data sets, which belong in no log.
warnings.filterwarnings("ignore", module=r"pydicom\.")


def logging_of(process: str) -> dict[str, Any]:
    """Where log lines go, each naming the process."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": f"%(asctime)s {process:<12} %(levelname)s %(name)s: %(message)s"},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                "static_fields": {"process": process},
            },
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": ENVIRONMENT.log_format},
            "failures": {
                "class": "logging.StreamHandler",
                "formatter": ENVIRONMENT.log_format,
                "level": "ERROR",
            },
        },
        "root": {"handlers": ["console"], "level": ENVIRONMENT.log_level},
        "loggers": {
            "django.request": {"level": "ERROR"},
            "django.security": {"level": "ERROR"},
            "pynetdicom": {"level": "WARNING"},
            # By a handler of its own: the library sets its logger's level when it is imported.
            "pydicom": {"handlers": ["failures"], "propagate": False},
            "axes": {"level": "WARNING"},
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
            "_granian": {"level": "ERROR"},
            "websockets": {"level": "ERROR"},
            "botocore": {"level": "WARNING"},
        },
    }


LOGGING = logging_of(ENVIRONMENT.process or "pacsweb")

SILENCED_SYSTEM_CHECKS = ["axes.W003"]

# Boot-time facts for the apps, which sit below this package and may not import it.
PACSWEB = ENVIRONMENT
