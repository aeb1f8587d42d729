"""Uploaded files in the database: written piece by piece, read as a stream from any offset."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from django.db.models import Q

from devices.models.job import UNFINISHED
from ingestion.imports.text import UnreadableFile
from ingestion.models import Import, ImportChunk

CHUNK = 2**20
"""Bytes of a piece before it is compressed."""
LARGEST = 200 * 2**20
"""Bytes of the largest file that is taken: two million rows of eight fields."""
KEEP_UNUSED = timedelta(days=2)
"""How long a file waits for somebody to start its import."""


def store_file(imported: Import, pieces: Iterable[bytes]) -> None:
    """Keep a file. Raises UnreadableFile when it is too large; then nothing of it is kept."""
    number, waiting = 0, b""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LARGEST:
            imported.delete()
            raise UnreadableFile(too_large())
        waiting += piece
        while len(waiting) >= CHUNK:
            _keep(imported, number, waiting[:CHUNK])
            number, waiting = number + 1, waiting[CHUNK:]
    if waiting:
        _keep(imported, number, waiting)
    imported.size, imported.complete = size, True
    imported.save(update_fields=["size", "complete"])


def too_large() -> str:
    """The sentence for a file above the limit."""
    return (
        f"The file is larger than {LARGEST // 2**20} MB. Import it in parts: split it between two "
        "rows and keep the first line in each part. Or fetch the history over the API instead."
    )


def _keep(imported: Import, number: int, data: bytes) -> None:
    ImportChunk.objects.create(imported=imported, number=number, data=zlib.compress(data, 1))


def open_file(imported: Import) -> BinaryIO:
    """The file as a seekable stream. Raises UnreadableFile when it is not kept any more."""
    if not imported.complete or not imported.chunks.exists():
        raise UnreadableFile("The file is not kept any more. Upload it again.")
    return io.BufferedReader(_Chunks(imported), CHUNK)


def forget_file(imported: Import) -> None:
    """Delete the file's content; the import and its report stay."""
    imported.chunks.all().delete()


def forget_unused_files(now: datetime) -> int:
    """Delete files whose import has ended or was never started; returns how many pieces went."""
    waiting = Q(job=None, created_at__gt=now - KEEP_UNUSED)
    needed = Import.objects.filter(waiting | Q(job__state__in=UNFINISHED))
    gone, _ = ImportChunk.objects.exclude(imported__in=needed).delete()
    return gone


class _Chunks(io.RawIOBase):
    """A stream over the pieces of a file; holds one of them at a time."""

    def __init__(self, imported: Import) -> None:
        self._imported = imported
        self._at = 0
        self._number = -1
        self._data = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._imported.size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        number, inside = divmod(self._at, CHUNK)
        if self._at >= self._imported.size:
            return 0
        if number != self._number:
            piece = self._imported.chunks.get(number=number)
            self._data, self._number = zlib.decompress(bytes(piece.data)), number
        data = self._data[inside : inside + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
