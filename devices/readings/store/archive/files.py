"""The archive's directory: one writer at a time, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings

from devices.readings.keeping import Trouble, TroubleKind

UNFINISHED = "unfinished-"
LOCK = "writing.lock"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ArchiveFailed(Exception):
    """A month could not be archived: nothing of it is dropped."""

    def __init__(self, kind: TroubleKind, message: str) -> None:
        super().__init__(message)
        self.trouble = Trouble(kind, message)


def directory() -> Path:
    """Where the archive is."""
    return Path(settings.ARCHIVE_DIR)


def path_of(name: str) -> Path:
    """The file of a name in the catalogue."""
    return directory() / name


@contextmanager
def only_writer() -> Iterator[bool]:
    """Whether this process may write: one at a time does. Clears what a dead one left behind.

    Raises ArchiveFailed when the directory cannot be used.
    """
    try:
        directory().mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (directory() / LOCK).open("w")
    except OSError as error:
        raise failed(error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        for left in directory().glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield True


@contextmanager
def workplace() -> Iterator[Path]:
    """A directory for what is not finished, beside the finished: moving within costs nothing."""
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=directory()) as folder:
        yield Path(folder)


def publish(unfinished: Path, month: str) -> tuple[str, str]:
    """Give a finished file its name, for good; the name and the checksum that is part of it.

    The same readings give the same file: who writes it again replaces it with itself.
    """
    checksum = checksum_of(unfinished)
    name = f"{month[:4]}/readings-{month}-{checksum[:16]}.parquet"
    target = path_of(name)
    unfinished.chmod(0o600)
    _sync(unfinished)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    unfinished.replace(target)
    _sync(target.parent)
    _sync(directory())
    return name, checksum


def place(content: IO[bytes], name: str) -> None:
    """Put a file that was in an archive of ours before into this one, under its name."""
    target = path_of(name)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with workplace() as folder:
        unfinished = folder / "restored.parquet"
        with unfinished.open("wb") as copy:
            shutil.copyfileobj(content, copy, 1 << 20)
        unfinished.chmod(0o600)
        _sync(unfinished)
        unfinished.replace(target)
    _sync(target.parent)


def checksum_of(file: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def failed(error: Exception) -> ArchiveFailed:
    """What an error of the system or of DuckDB means for people."""
    number = error.errno if isinstance(error, OSError) else None
    text = str(error)
    if number in _FULL or "No space left" in text or "File too large" in text:
        return ArchiveFailed(
            TroubleKind.FULL,
            "There is no room left for the archive, so no readings were dropped by the rules that "
            "ask for it. Make room on its disk, or name a directory on another one (ARCHIVE_DIR).",
        )
    reason = (isinstance(error, OSError) and error.strerror) or text.splitlines()[0]
    return ArchiveFailed(
        TroubleKind.UNWRITABLE,
        f"The archive cannot be written ({reason}), so no readings were dropped by the rules that "
        "ask for it. The worker needs to create files in its directory (ARCHIVE_DIR).",
    )


def _sync(path: Path) -> None:
    """See to it that a file (or what a directory lists) is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
