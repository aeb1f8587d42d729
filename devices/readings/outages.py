"""Errors that are no fault of this program: what it needs is away, or a disk is full."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError
from psycopg import errors as postgresql

from devices.readings.store import RowsAway, RowsMoved, RowsRefused

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SQLITE_AWAY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
_POSTGRESQL_AWAY = (
    postgresql.AdminShutdown,
    postgresql.CrashShutdown,
    postgresql.CannotConnectNow,
    postgresql.TooManyConnections,
    postgresql.ConnectionException,
)
_PRIMARY = 0xFF
"""The part of SQLite's extended codes that says what kind of error it is."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What people and programs are told, and for how long they had better wait.

    `reason` names servers and files: it is for those who run the site.
    """

    code: str
    heading: str
    text: str
    reason: str
    retry_after_s: int


def outage_of(error: BaseException | None) -> Outage | None:
    """What an error tells of the site's surroundings; None: it is an error of this program."""
    if isinstance(error, RowsAway | RowsRefused | RowsMoved):
        return Outage(
            "readings_away",
            "The readings are out of reach",
            "The readings cannot be had at the moment. Try again in a few seconds.",
            str(error),
            10,
        )
    if _is_full(error):
        return Outage(
            "disk_full",
            "The site's disk is full",
            "The site's disk is full: nothing can be saved, and what you sent was not. Whoever "
            "runs the site has to make room; readings are fetched from their sources afterwards.",
            str(error).strip(),
            60,
        )
    if _is_away(error):
        return Outage(
            "database_away",
            "The database is out of reach",
            "The site's database does not answer at the moment. Try again in a few seconds.",
            str(error).strip(),
            10,
        )
    return None


def _is_full(error: BaseException | None) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    cause = _said(error)
    if isinstance(cause, sqlite3.Error):
        return _kind(cause) == sqlite3.SQLITE_FULL
    return isinstance(cause, postgresql.DiskFull)


def _is_away(error: BaseException | None) -> bool:
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    cause = _said(error)
    if isinstance(cause, sqlite3.Error):
        return _kind(cause) in _SQLITE_AWAY
    # Without a code it does not come from the server: there was none.
    unsaid = isinstance(cause, psycopg.Error) and cause.sqlstate is None
    return unsaid or isinstance(cause, _POSTGRESQL_AWAY)


def _said(error: BaseException | None) -> BaseException | None:
    """What the driver said, where Django made its own error of it."""
    return error.__cause__ if isinstance(error, DatabaseError | InterfaceError) else None


def _kind(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY
