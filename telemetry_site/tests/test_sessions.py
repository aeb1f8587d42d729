"""A worker keeps its session with the database from task to task, as long as it is sound."""

from __future__ import annotations

from celery.fixups import django

from telemetry_site.celery import app


def test_celery_does_not_open_a_session_for_each_task() -> None:
    assert vars(django)["DjangoWorkerFixup"](app).db_reuse_max == 1_000_000
