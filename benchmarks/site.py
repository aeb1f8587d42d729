"""A site of one's own to measure: production settings, an empty SQLite database, static files."""

from __future__ import annotations

import importlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from cryptography.fernet import Fernet
from django.core.management import call_command


class NoRedis(Exception):
    """No Redis was named to the benchmark."""


@contextmanager
def temporary_site() -> Iterator[Path]:
    """Configure Django for a new site in a temporary directory, which is removed afterwards.

    Redis is the one that `REDIS_URL` or `TEST_REDIS_URL` names; raises NoRedis without.
    """
    url = os.environ.get("REDIS_URL") or os.environ.get("TEST_REDIS_URL")
    if not url:
        raise NoRedis("Set REDIS_URL, or use `make bench`, which starts a Redis of its own.")
    with tempfile.TemporaryDirectory(prefix="telemetry-bench-") as folder:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="telemetry_site.settings",
            DATA_DIR=folder,
            DATABASE_URL=f"sqlite:///{folder}/bench.sqlite3",
            REDIS_URL=url,
            SECRET_KEY=secrets.token_urlsafe(50),
            FIELD_ENCRYPTION_KEY=Fernet.generate_key().decode(),
            SITE_URL="http://127.0.0.1:8000",
            DEBUG="false",
            LOG_LEVEL="ERROR",
            # The simulator that benchmarks poll runs on this machine.
            ALLOWED_PRIVATE_NETWORKS="127.0.0.0/8",
        )
        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        # Prepares the process as that of a real site: what start-up does to speed counts too.
        importlib.import_module("telemetry_site.asgi")
        yield Path(folder)
