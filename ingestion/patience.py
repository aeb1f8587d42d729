"""A database that goes away for a moment, as it does when it restarts, costs nobody his work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection

from devices.readings.store import RowsAway
from ingestion.resilience.retry import Time

log = structlog.get_logger(__name__)

T = TypeVar("T")

PAUSE_S = 0.5


class DatabaseAway(Exception):
    """The database cannot be reached; the message says what it or the driver said."""


def insist(act: Callable[[], T], until: float, clock: Time) -> T:
    """Do what may be done twice, and do it again when the database went away, `until` (by `clock`).

    So it is with a readings engine beside the database. Outside of a transaction, which ends with
    its connection. Raises DatabaseAway when it stays away, and whatever else goes wrong. Logs when
    it is missed first, and when it is back.
    """
    missed = False
    while True:
        session = connection.connection
        try:
            done = act()
        except (OperationalError, InterfaceError) as error:
            # Django may have opened another session already, as it left the transaction.
            away = isinstance(error, RowsAway)
            if not away and connection.connection is session and connection.is_usable():
                raise  # it is there, and says that something is wrong
            reason = str(error).strip()
        else:
            if missed:
                log.warning("database_is_back")
            return done
        if not missed:
            log.warning("database_away", reason=reason)
        missed = True
        connection.close()
        if clock.clock() + PAUSE_S > until:
            raise DatabaseAway(reason)
        time.sleep(PAUSE_S)
        clock.idle(PAUSE_S)
