"""How far a download is, for whoever waits for it: noted beside it, under a name of its own.

The name is the person's who asked. What is noted is forgotten ten minutes after the last note. A
download goes on where it cannot be noted: it is what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from redis.exceptions import RedisError

from devices.readings.export import Table
from devices.readings.export.telling import Reached, telling

log = structlog.get_logger(__name__)

Person = AbstractBaseUser | AnonymousUser
EVERY_S = 0.5
KEPT_S = 600


class DownloadState(StrEnum):
    """What is being done."""

    READING = "reading"
    WRITING = "writing"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """Where a download stands."""

    state: DownloadState
    rows: int = 0
    up_to: datetime | None = None
    """Time of the last row, aware."""
    percent: int = 0
    """Of the time that the rows are about."""


class Notes:
    """What is noted of one download. `until`: no row is of a later time."""

    def __init__(self, user: Person, name: UUID, until: datetime) -> None:
        """Notes at once that it has begun."""
        self._key = _key(user, name)
        self._until = until
        self._last = DownloadProgress(DownloadState.READING)
        self._possible = True
        self._note(self._last)

    def table(self, table: Table) -> Table:
        """The same table; how far its rows are is noted while they pass."""
        passing = telling(table, self._reached, EVERY_S)
        return replace(passing, rows=self._to_their_end(passing.rows))

    def portions(self, portions: Iterator[bytes]) -> Iterator[bytes]:
        """The same portions of the file; what became of them is noted."""
        state = DownloadState.STOPPED
        try:
            yield from portions
            state = DownloadState.DONE
        finally:
            self._become(state)

    def _to_their_end(self, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        yield from rows
        self._become(DownloadState.WRITING)

    def _reached(self, reached: Reached) -> None:
        whole = (self._until - reached.first).total_seconds()
        share = (reached.last - reached.first).total_seconds() / whole if whole > 0 else 1.0
        self._note(
            DownloadProgress(
                DownloadState.READING, reached.rows, reached.last, min(99, int(100 * share))
            )
        )

    def _become(self, state: DownloadState) -> None:
        last = self._last
        percent = last.percent if state is DownloadState.STOPPED else 100
        self._note(DownloadProgress(state, last.rows, last.up_to, percent))

    def _note(self, progress: DownloadProgress) -> None:
        self._last = progress
        if not self._possible:
            return
        try:
            cache.set(self._key, asdict(progress), KEPT_S)
        except RedisError as error:
            self._possible = False
            log.warning("download_untold", error=type(error).__name__)


def progress_of(user: Person, name: UUID) -> DownloadProgress | None:
    """What is noted of a person's download; None: nothing. Raises RedisError."""
    noted = cache.get(_key(user, name))
    return DownloadProgress(**noted) if noted else None


def _key(user: Person, name: UUID) -> str:
    return f"download:{user.pk}:{name}"
