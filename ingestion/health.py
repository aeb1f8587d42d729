"""Health of the site as JSON: alive, and ready to do its work."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from redis.exceptions import RedisError

from devices.models import KeyCheck
from devices.models.key_check import KeyMismatch
from devices.readings.store import RowsAway, RowsRefused, get_store
from ingestion import pulse

# Beat starts the dispatcher once a second, and one that stands still is to be seen within five; a
# worker's heartbeat comes with every tick it carries out.
DISPATCH_LATE_S = 4.0
WORKER_LATE_S = 10.0
_IN_REDIS = ("dispatch", "worker")


class NotReady(Exception):
    """One part does not do its work; the message says which and what to do."""


def alive(request: HttpRequest) -> JsonResponse:
    """The process answers; asks nothing of anybody else, so it never causes a restart loop."""
    return _answer({"status": "alive"})


def ready(request: HttpRequest) -> JsonResponse:
    """Whether database, Redis, dispatcher and worker do their work; 503 names what does not."""
    checks: dict[str, Callable[[], dict[str, Any]]] = {
        "database": _database,
        "redis": _redis,
        "dispatch": lambda: _recent(pulse.DISPATCH, DISPATCH_LATE_S, "The dispatcher"),
        "worker": lambda: _recent(pulse.WORKER, WORKER_LATE_S, "The worker"),
    }
    checks["disk"] = _disk
    if settings.READINGS_ADDRESS is not None:
        checks["readings"] = _readings
    report: dict[str, dict[str, Any]] = {}
    for name, check in checks.items():
        if name in _IN_REDIS and not report["redis"]["ok"]:
            # Each would wait as long as Redis just did, and whoever asks would give up first.
            report[name] = {"ok": False, "message": "Not known while Redis does not answer."}
        else:
            report[name] = _checked(check)
    healthy = all(part["ok"] for part in report.values())
    body = {"status": "ready" if healthy else "not ready", "checks": report}
    return _answer(body, status=200 if healthy else 503)


def _answer(body: dict[str, Any], status: int = 200) -> JsonResponse:
    response = JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
    # Not ready is an answer, not an error: who asks every second would fill the log with it.
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own mark
    return response


def _checked(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"ok": True, **check()}
    except NotReady as error:
        return {"ok": False, "message": str(error)}
    except KeyMismatch as error:
        return {"ok": False, "message": str(error)}
    except RedisError as error:
        return {"ok": False, "message": f"Redis does not answer ({type(error).__name__})."}
    except (RowsAway, RowsRefused):
        message = (
            "The readings engine cannot be used: `manage.py check --database default` says why."
        )
        return {"ok": False, "message": message}
    except DatabaseError as error:
        return {"ok": False, "message": f"The database does not answer ({type(error).__name__})."}


def _readings() -> dict[str, Any]:
    get_store().ready()
    return {"engine": "clickhouse"}


def _database() -> dict[str, Any]:
    pending = pending_migrations()
    if pending:
        raise NotReady(f"{pending} migrations are not applied: run `manage.py migrate`.")
    KeyCheck.verify()
    return {"engine": connection.vendor}


def pending_migrations() -> int:
    """How many migrations this database still lacks."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _redis() -> dict[str, Any]:
    started = time.perf_counter()
    pulse.ping()
    return {"round_trip_ms": round((time.perf_counter() - started) * 1000, 2)}


def _disk() -> dict[str, Any]:
    """The free room where the site keeps its files; where PostgreSQL keeps its own is not seen."""
    places = {"DATA_DIR": settings.DATA_DIR, "ARCHIVE_DIR": settings.ARCHIVE_DIR}
    free, name = min((_free_mb(place), name) for name, place in places.items())
    if free < settings.LEAST_FREE_MB:
        raise NotReady(
            f"Only {free:,} MB are free on the disk of {name}: make room before nothing can be "
            "stored any more."
        )
    return {"free_mb": free}


def _free_mb(place: Path) -> int:
    """On the disk of a directory, or of where it will be made."""
    there = next(one for one in (place, *place.parents) if one.is_dir())
    return shutil.disk_usage(there).free // 10**6


def _recent(name: str, limit_s: float, who: str) -> dict[str, Any]:
    age = pulse.age_s(name)
    if age is None:
        raise NotReady(f"{who} has not reported since Redis was started.")
    if age > limit_s:
        raise NotReady(f"{who} reported last {age:.0f} s ago.")
    return {"age_s": round(age, 1)}
