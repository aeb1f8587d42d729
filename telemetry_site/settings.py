"""Settings, read from the environment (`README.md` lists every variable)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from devices.readings.address import Address
from telemetry_site import logs, skin

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()

# Readings that were dropped by age, where a retention rule says so (docs/retention.md).
ARCHIVE_DIR = Path(env.str("ARCHIVE_DIR", default=str(DATA_DIR / "archive"))).resolve()
# /readyz warns below: room for some eight million values of 25 bytes.
LEAST_FREE_MB = env.int("LEAST_FREE_MB", default=200)


def key_from(variable: str, file_name: str) -> str:
    """A key from the environment, else from its file in DATA_DIR; there is no default."""
    value = str(env.str(variable, default=""))
    file = DATA_DIR / file_name
    if value:
        return value
    if file.is_file():
        return file.read_text().strip()
    raise ImproperlyConfigured(
        f"No {variable}: set it in the environment, or run `make run`, which creates {file}."
    )


def encryption_key() -> str:
    """The Fernet key of stored credentials; a malformed one is refused here, in clear words."""
    key = key_from("FIELD_ENCRYPTION_KEY", "field_encryption.key")
    try:
        Fernet(key)
    except ValueError as error:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEY is not a Fernet key (44 characters of URL-safe base64). "
            "Restore the key that belongs to this database."
        ) from error
    return key


SECRET_KEY = key_from("SECRET_KEY", "secret.key")
FIELD_ENCRYPTION_KEY = encryption_key()
DEBUG = env.bool("DEBUG", default=False)

PORT = env.int("PORT", default=8000)
SITE_URL = env.str("SITE_URL", default=f"http://127.0.0.1:{PORT}")
_site_host = urlsplit(SITE_URL).hostname or "127.0.0.1"
_more_hosts: list[str] = env.list("ALLOWED_HOSTS", default=[])
ALLOWED_HOSTS = list(dict.fromkeys([_site_host, "127.0.0.1", "localhost", *_more_hosts]))
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS must name hosts: * would also let pages of any site open live sockets."
    )
CSRF_TRUSTED_ORIGINS = [SITE_URL]
USE_X_FORWARDED_HOST = env.bool("BEHIND_PROXY", default=False)
if USE_X_FORWARDED_HOST:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

_secure = SITE_URL.startswith("https:")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 31_536_000 if _secure else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _secure
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

ADMIN_SKIN = env.str("ADMIN_SKIN", default="unfold")
if ADMIN_SKIN not in ("unfold", "stock"):
    raise ImproperlyConfigured(f"ADMIN_SKIN is “unfold” or “stock”, not “{ADMIN_SKIN}”.")
_skin_apps = (
    ["unfold", "unfold.contrib.filters", "unfold.contrib.simple_history"]
    if ADMIN_SKIN == "unfold"
    else []
)

INSTALLED_APPS = [
    *_skin_apps,
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_celery_beat",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "simple_history",
    "axes",
    "csp",
    "encrypted_model_fields",
    "devices",
    "devices.readings",
    "devices.alerts",
    "realtime",
    "ingestion",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "telemetry_site.policy.ContentPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
    "devices.readings.away.OutageMiddleware",
]

ROOT_URLCONF = "telemetry_site.urls"
ASGI_APPLICATION = "telemetry_site.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

# --- database: one code path, SQLite by default, PostgreSQL by DATABASE_URL -------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'telemetry.sqlite3'}")
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["ENGINE"] = "devices.sqlite"
    _database["OPTIONS"] = {
        # One writer: taking the lock at the start avoids the upgrade that SQLite refuses.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536; "
            "PRAGMA temp_store=MEMORY;"
        ),
    }
else:
    # A thread of the web process lives for one request: a session that it kept would stay open
    # until somebody collects the garbage. Workers keep theirs (telemetry_site.celery).
    _database["CONN_MAX_AGE"] = 0
    _database["CONN_HEALTH_CHECKS"] = True
    # What readings are stored with is planned once, not for each batch.
    _database.setdefault("OPTIONS", {}).setdefault("prepare_threshold", 5)
# The big tables may be elsewhere: None, or the parts of READINGS_URL.
READINGS_ADDRESS = Address.of(env.str("READINGS_URL", default=""))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: broker, streams, rate budget, breaker, cache --------------------------------------
REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "telemetry:cache",
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            # redis-py 8 cuts an idle connection after 5 s unless told otherwise.
            "hosts": [{"address": REDIS_URL, "socket_timeout": None}],
            "prefix": "telemetry:layer",
        },
    }
}

# --- jobs -------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "ingestion.dispatch": {"queue": "dispatch"},
    "ingestion.poll": {"queue": "poll"},
    "ingestion.fill": {"queue": "poll"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Celery's future default; without effect on our tasks, which are acknowledged when they begin.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "telemetry:celery:"}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_BEAT_SCHEDULE = {
    # What expires is judged by the worker's clock, which may differ from beat's by seconds.
    "Dispatch due sources": {
        "task": "ingestion.dispatch",
        "schedule": 1.0,
        "options": {"queue": "dispatch", "expires": 10},
    },
    "Raise the priority of devices in alert": {
        "task": "ingestion.align",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    "Keep the schedule in step with the configuration": {
        "task": "ingestion.reconcile",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "Bring rollups up to date": {
        "task": "ingestion.roll_up",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "Count requests": {
        "task": "ingestion.count",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "Carry on with jobs": {
        "task": "ingestion.jobs",
        "schedule": 2.0,
        "options": {"expires": 10},
    },
    "Prune logs and old readings": {
        "task": "ingestion.prune",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
}
# One worker makes a batch of this many polls; see facts on Celery's cost per message.
POLL_BATCH = 100
# A snapshot of the ingestion page serves all its viewers for so long.
INGESTION_STATUS_KEEP_S = 1.0
# Pages of history that may be under way at once: fewer than the worker has processes, so that one
# is always free for live polls.
PAGES_AT_ONCE = 1
# Networks that sources may be fetched from although they are private, such as 192.168.1.0/24.
ALLOWED_PRIVATE_NETWORKS: list[str] = env.list("ALLOWED_PRIVATE_NETWORKS", default=[])

# --- people -----------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
# By name and address together: by address alone, one attacker behind a proxy locks everybody out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"

# --- language, zone ---------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

# --- static files -----------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "telemetry_site.static_files.ModuleManifestStorage"},
}

# --- content policy ---------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

# --- API --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "devices.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "devices.openapi.Schema",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "PAGE_SIZE": 100,
}
DRF_STANDARDIZED_ERRORS = {"EXCEPTION_HANDLER_CLASS": "devices.readings.away.ApiErrors"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Telemetry API",
    "DESCRIPTION": "Communities, devices, metrics and their readings. Times are UTC.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        f"{name}Enum": f"drf_standardized_errors.openapi_serializers.{name}Enum.choices"
        for name in ("ValidationError", "ClientError", "ServerError")
    },
}

UNFOLD = {
    "SITE_TITLE": "Telemetry",
    "SITE_HEADER": "Telemetry",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "COLORS": skin.COLORS,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": skin.icon}],
}

# Values change while people look: the history of readings is the readings themselves.
SIMPLE_HISTORY_REVERT_DISABLED = True

LOGGING = logs.configuration(env.str("LOG_LEVEL", default="INFO"))
LOGGING_CONFIG = "logging.config.dictConfig"
