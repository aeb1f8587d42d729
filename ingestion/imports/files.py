"""Uploaded files in the database: written piece by piece, read as a stream from any offset."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import BinaryIO

from django.db.models import Q

from devices.models.job import UNFINISHED
from devices.readings.imports import pieces
from devices.readings.imports.text import UnreadableFile
from ingestion.models import Import, ImportChunk

CHUNK = 2**20
"""Bytes of a piece before it is compressed."""
LARGEST = 200 * 2**20
"""Bytes of the largest file that is taken: two million rows of eight fields."""
KEEP_UNUSED = timedelta(days=2)
"""How long a file waits for somebody to start its import."""


def store_file(imported: Import, content: Iterable[bytes]) -> None:
    """Keep a file. Raises UnreadableFile when it is too large; then nothing of it is kept."""
    size = 0
    for number, data in enumerate(pieces.cut(content, CHUNK)):
        size += len(data)
        if size > LARGEST:
            imported.delete()
            raise UnreadableFile(too_large())
        ImportChunk.objects.create(imported=imported, number=number, data=zlib.compress(data, 1))
    imported.size, imported.complete = size, True
    imported.save(update_fields=["size", "complete"])


def too_large() -> str:
    """The sentence for a file above the limit."""
    return (
        f"The file is larger than {LARGEST // 2**20} MB. Import it in parts: split it between two "
        "rows and keep the first line in each part. Or fetch the history over the API instead."
    )


def open_file(imported: Import) -> BinaryIO:
    """The file as a seekable stream. Raises UnreadableFile when it is not kept any more."""
    if not imported.complete or not imported.chunks.exists():
        raise UnreadableFile("The file is not kept any more. Upload it again.")

    def piece(number: int) -> bytes:
        return zlib.decompress(bytes(imported.chunks.get(number=number).data))

    return pieces.opened(imported.size, CHUNK, piece)


def forget_file(imported: Import) -> None:
    """Delete the file's content; the import and its report stay."""
    imported.chunks.all().delete()


def forget_unused_files(now: datetime) -> int:
    """Delete files whose import has ended or was never started; returns how many pieces went."""
    waiting = Q(job=None, created_at__gt=now - KEEP_UNUSED)
    needed = Import.objects.filter(waiting | Q(job__state__in=UNFINISHED))
    gone, _ = ImportChunk.objects.exclude(imported__in=needed).delete()
    return gone
