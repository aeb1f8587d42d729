"""The archive as people see it: what it holds, and whether the last attempt to add to it failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import structlog

from devices.readings.keeping import Trouble
from devices.readings.models import ArchivedFile, ArchiveState
from devices.readings.store.archive.files import checksum_of, directory, path_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Archived:
    """What the archive holds of a calendar month (UTC)."""

    month: datetime
    files: int
    readings: int
    size: int
    """Bytes."""
    missing: tuple[str, ...]
    """Files that should be there and are not, or have another size."""

    @property
    def count(self) -> str:
        """How many readings, for people."""
        return f"{self.readings:,}"


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that the archive holds, newest month first, and what is wrong with it."""

    months: tuple[Archived, ...]
    directory: str
    state: ArchiveState | None
    """None: nothing was ever to be archived."""

    @property
    def size(self) -> int:
        """Bytes of all months."""
        return sum(one.size for one in self.months)

    @property
    def missing(self) -> list[str]:
        """Files that cannot be read as they were written."""
        return [name for one in self.months for name in one.missing]


def holdings() -> Holdings:
    """What the archive holds; looks at each file's size, not into it."""
    rows = ArchivedFile.objects.order_by("-month", "name")
    months = [_month(month, files) for month, files in groupby(rows, lambda file: file.month)]
    return Holdings(tuple(months), str(directory()), ArchiveState.objects.first())


def _month(month: datetime, rows: Iterable[ArchivedFile]) -> Archived:
    files = list(rows)
    missing = tuple(file.name for file in files if not _there(file))
    return Archived(
        month,
        len(files),
        sum(file.readings for file in files),
        sum(file.size for file in files),
        missing,
    )


def _there(file: ArchivedFile) -> bool:
    try:
        return path_of(file.name).stat().st_size == file.size
    except OSError:
        return False


def damaged() -> Iterator[tuple[ArchivedFile, str]]:
    """Files that are not as they were written, and why; reads every one to its end."""
    for file in ArchivedFile.objects.order_by("month", "name"):
        try:
            if checksum_of(path_of(file.name)) != file.checksum:
                yield file, "is not as it was written"
        except OSError as error:
            yield file, f"cannot be read: {error.strerror}"


def remember(trouble: Trouble | None, wanted: bool, now: datetime) -> None:
    """Keep how an attempt to archive ended, and log when that changes.

    `wanted`: some rule asks for an archive. Where none ever did, there is nothing to keep.
    """
    before = ArchiveState.objects.first()
    if before is None and not wanted:
        return
    failed = before is not None and bool(before.kind)
    if trouble is not None and not failed:
        log.error("archive_failed", kind=trouble.kind.value, message=trouble.message)
    if trouble is None and failed:
        log.info("archive_works_again")
    ArchiveState.objects.update_or_create(
        id=1,
        defaults={
            "ran_at": now,
            "kind": trouble.kind.value if trouble else "",
            "message": trouble.message if trouble else "",
            "since": (before.since if before and failed else now) if trouble else None,
        },
    )
