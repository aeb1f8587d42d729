"""Sessions with the database: a worker keeps its own, a page none."""

from __future__ import annotations

import os

import psycopg
import pytest
from celery.fixups import django
from django.db import connection

from telemetry_site import celery
from telemetry_site.tests.databases import new_database
from telemetry_site.tests.whole_site import Site, wait_for

PAGES = 40
BESIDE = 4
"""Sessions that workers may open meanwhile."""


def test_celery_does_not_open_a_session_for_each_task() -> None:
    assert vars(django)["DjangoWorkerFixup"](celery.app).db_reuse_max == 1_000_000


def test_workers_keep_a_session_on_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    monkeypatch.setattr(connection, "vendor", "postgresql")
    celery.keep_sessions()
    assert connection.settings_dict["CONN_MAX_AGE"] == celery.SESSION_S


@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_pages_leave_no_session_behind(site: Site) -> None:
    """Each request has a thread of its own: what it left open, nobody would use again."""
    with new_database(os.environ["TEST_POSTGRES_URL"]) as address:
        site.start(DATABASE_URL=address)
        before = sessions(address)
        for _ in range(PAGES):
            assert site.get("/readyz") == 200
        wait_for(lambda: sessions(address) <= before + BESIDE, seconds=20)
        site.stop()


def sessions(address: str) -> int:
    with psycopg.connect(address) as own:
        (count,) = own.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchone() or (0,)
        return int(count)
