"""Settings of the test suite: throw-away keys, the test services' addresses, fast hashing."""

from __future__ import annotations

import os
import tempfile

from scripts import clickhouse

os.environ.setdefault("SECRET_KEY", "test-only-" + "x" * 50)
os.environ.setdefault("FIELD_ENCRYPTION_KEY", "dGVzdC1vbmx5LWtleS10ZXN0LW9ubHkta2V5LTAwMDA=")
os.environ.setdefault("DATA_DIR", f"{tempfile.gettempdir()}/telemetry-test-{os.getuid()}")
if os.environ.get("TEST_REDIS_URL"):
    os.environ["REDIS_URL"] = os.environ["TEST_REDIS_URL"]
if os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
if os.environ.get("TEST_READINGS_URL") == "chdb":
    # Each process that tests has a server of its own: tests empty its tables.
    os.environ["READINGS_URL"] = clickhouse.start()
elif os.environ.get("TEST_READINGS_URL"):
    os.environ["READINGS_URL"] = os.environ["TEST_READINGS_URL"]

from telemetry_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if DATABASES["default"]["ENGINE"] == "devices.sqlite":  # noqa: F405
    # pytest-django knows that of Django's own engine only.
    DATABASES["default"]["TEST"] = {"NAME": ":memory:"}  # noqa: F405
AXES_ENABLED = False
WHITENOISE_AUTOREFRESH = True
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
# The tests' sources are the simulator on this machine.
ALLOWED_PRIVATE_NETWORKS = ["127.0.0.0/8"]
# Every test sees its own rows.
INGESTION_STATUS_KEEP_S = 0.0
