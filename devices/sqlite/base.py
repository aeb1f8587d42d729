"""The database backend `devices.sqlite`: Django's own for SQLite, with a lane for writers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base
from django.utils.asyncio import async_unsafe

from devices.sqlite.lane import Lane, LaneBusy

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Cursor(base.SQLiteCursorWrapper):
    """A cursor whose single statements outside transactions keep to the lane as well."""

    lane: Lane | None

    def execute(self, query: str, params: Any = None) -> Any:
        """As Django's, in the lane if it writes."""
        return self._in_lane(query, lambda: base.SQLiteCursorWrapper.execute(self, query, params))

    def executemany(self, query: str, param_list: Iterable[Any]) -> Any:
        """As Django's, in the lane if it writes."""
        many = base.SQLiteCursorWrapper.executemany
        return self._in_lane(query, lambda: many(self, query, param_list))

    def _in_lane(self, query: str, run: Callable[[], Any]) -> Any:
        if (
            self.lane is None
            or self.lane.held
            or not query.lstrip()[:7].upper().startswith(_WRITES)
        ):
            return run()
        _enter(self.lane)
        try:
            return run()
        finally:
            self.lane.leave()


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that waits in the lane before it begins a transaction that may write."""

    # django-stubs knows none of the underscored methods that a backend is made of.
    lane: Lane | None = None
    transaction_mode: str | None

    @async_unsafe
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """As Django's, with a place of its own in the lane of a database that is a file."""
        connection = super().get_new_connection(conn_params)
        name = str(conn_params["database"])
        if not self.is_in_memory_db() and not name.startswith("file:"):
            self.lane = Lane(Path(name), conn_params.get("timeout", 5.0))
        return connection

    def create_cursor(self, name: str | None = None) -> Cursor:
        """A cursor of this connection; SQLite knows no named ones."""
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        cursor.lane = self.lane
        return cursor

    def _start_transaction_under_autocommit(self) -> None:
        if self.lane is not None and self.transaction_mode is not None:
            with self.wrap_database_errors:
                _enter(self.lane)
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._leave()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._leave()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._leave()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            if self.lane is not None:
                self.lane.close()
                self.lane = None

    def _leave(self) -> None:
        if self.lane is not None:
            self.lane.leave()


def _enter(lane: Lane) -> None:
    """Raise what SQLite raises when it waited too long, so that callers know one error."""
    try:
        lane.enter()
    except LaneBusy as error:
        raise sqlite3.OperationalError("database is locked") from error
