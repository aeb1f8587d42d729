"""What web, worker and beat ask before they begin: is the database there, and is its key ours?"""

from __future__ import annotations

import sys
import time

import structlog
from django.db import OperationalError, connection

from devices.models import KeyCheck
from devices.models.key_check import KeyMismatch
from devices.readings.store import get_store
from ingestion.health import pending_migrations

log = structlog.get_logger(__name__)

PAUSE_S = 1.0


def refuse_wrong_key() -> None:
    """Wait for the database; end the process when stored credentials cannot be read.

    A database that restarts, or is still being migrated, is waited for: a process that ended
    instead would be started again in vain, until the starter gives up. SystemExit, because Celery
    swallows every other exception.
    """
    waiting = False
    while (why := _not_there()) is not None:
        if not waiting:
            log.error("waiting_for_database", error=why)
        waiting = True
        connection.close()
        time.sleep(PAUSE_S)
    try:
        KeyCheck.verify()
    except KeyMismatch as error:
        sys.exit(str(error))
    if waiting:
        log.warning("database_is_back")  # beat shows no less


def _not_there() -> str | None:
    """Why the database, or the readings engine beside it, cannot be used yet; None when it can."""
    try:
        pending = pending_migrations()
        get_store().ready()
    except OperationalError as error:
        return str(error).strip()
    return f"{pending} migrations are not applied yet" if pending else None
