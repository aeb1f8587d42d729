"""What people are told of a database that cannot be used, and what they can do about it."""

from __future__ import annotations

import sqlite3

import psycopg
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from devices.phrases import sentence

Trouble = DatabaseError | InterfaceError


def problem_of(error: Trouble, again: str) -> str:
    """Why, and what to do before whatever failed is done `again`; no password is in it."""
    if not isinstance(error.__cause__, sqlite3.Error | psycopg.Error):
        return sentence(str(error))  # of the readings' engine, which names itself
    values = settings.DATABASES["default"]
    text = sentence(str(error))
    if "locked" in text:
        return (
            f"The database {values['NAME']} is locked by another program.\n"
            "Close what has it open (a backup, a database browser, another manage.py), then "
            f"{again}. Nothing is lost."
        )
    if connection.vendor == "sqlite":
        advice = (
            "Make room on its disk"
            if "is full" in text
            else "Check that the file and its folder belong to you"
        )
        return f"The database {values['NAME']} cannot be used: {text}\n{advice}, then {again}."
    return (
        f"PostgreSQL at {values['HOST']}:{values['PORT'] or 5432} cannot be used: {text}\n"
        f"Start it, or correct DATABASE_URL, then {again}; unset DATABASE_URL to use SQLite in "
        "DATA_DIR."
    )
