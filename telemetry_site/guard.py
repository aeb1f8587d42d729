"""What web, worker and beat ask before they begin: is the database there, and is its key ours?"""

from __future__ import annotations

import sys
import time

import structlog
from django.db import OperationalError, connection

from devices.models import KeyCheck
from devices.models.key_check import KeyMismatch

log = structlog.get_logger(__name__)

PAUSE_S = 1.0


def refuse_wrong_key() -> None:
    """Wait for the database; end the process when stored credentials cannot be read.

    A database that restarts is waited for: a process that ended instead would be started again in
    vain, until the starter gives up. SystemExit, because Celery swallows every other exception.
    """
    waiting = False
    while True:
        try:
            KeyCheck.verify()
        except KeyMismatch as error:
            sys.exit(str(error))
        except OperationalError as error:
            if not waiting:
                log.error("waiting_for_database", error=str(error).strip())
            waiting = True
            connection.close()
            time.sleep(PAUSE_S)
        else:
            if waiting:
                log.warning("database_is_back")  # beat shows no less
            return
