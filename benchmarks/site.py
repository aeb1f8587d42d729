"""A site of one's own to measure: production settings, an empty database, static files."""

from __future__ import annotations

import importlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django
import psycopg
from cryptography.fernet import Fernet
from django.core.management import call_command


class NoRedis(Exception):
    """No Redis was named to the benchmark."""


class NoPostgresql(Exception):
    """A benchmark needs PostgreSQL, and none was named to it."""


@contextmanager
def temporary_site(*, postgresql: bool = False, clickhouse: bool = False) -> Iterator[Path]:
    """Configure Django for a new site in a temporary directory, which is removed afterwards.

    Redis is the one that `REDIS_URL` or `TEST_REDIS_URL` names; raises NoRedis without. With
    `postgresql` the site gets a new database of the server that `TEST_POSTGRES_URL` names; raises
    NoPostgresql without. With `clickhouse` its big tables are in the engine inside this process.
    """
    url = os.environ.get("REDIS_URL") or os.environ.get("TEST_REDIS_URL")
    if not url:
        raise NoRedis("Set REDIS_URL, or use `make bench`, which starts a Redis of its own.")
    # ClickHouse's engine stays in this process until its end, and may still be tidying its files.
    directory = tempfile.TemporaryDirectory(
        prefix="telemetry-bench-", ignore_cleanup_errors=clickhouse
    )
    with directory as folder, ExitStack() as made:
        database = f"sqlite:///{folder}/bench.sqlite3"
        if postgresql:
            database = made.enter_context(_new_database(os.environ.get("TEST_POSTGRES_URL")))
        os.environ.update(
            DJANGO_SETTINGS_MODULE="telemetry_site.settings",
            DATA_DIR=folder,
            DATABASE_URL=database,
            READINGS_URL=f"chdb://{folder}/clickhouse" if clickhouse else "",
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


@contextmanager
def _new_database(server: str | None) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    if not server:
        raise NoPostgresql("Set TEST_POSTGRES_URL, or use `make bench`, which starts a server.")
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
