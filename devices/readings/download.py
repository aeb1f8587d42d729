"""An export on its way to a browser: portion by portion, never all of it in memory.

Whoever gives it a name can ask meanwhile how far it is (`progress`): a workbook or a Parquet file
is finished before its first byte is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import chain
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from django.utils.text import slugify
from rest_framework.request import Request

from devices.readings.export import ExportRequest, Format, table_of
from devices.readings.progress import Notes
from devices.readings.store import get_store


def download(
    request: Request, form: Format, wanted: ExportRequest, named: UUID | None = None
) -> StreamingHttpResponse:
    """The file as a response; what fails at once fails before anything is sent.

    Of one that is `named` the caller can ask how far it is.
    """
    table = table_of(wanted)
    if named is None:
        portions = form.write(table)
    else:
        notes = Notes(request.user, named, _last(wanted))
        portions = notes.portions(form.write(notes.table(table)))
    begun = chain([next(portions, b"")], portions)
    # An asynchronous server would gather a synchronous iterator in memory first.
    asynchronous = isinstance(request._request, ASGIRequest)
    content = _one_by_one(begun) if asynchronous else begun
    response = StreamingHttpResponse(content, content_type=form.content_type)
    name = f"{slugify(wanted.device.name) or 'device'}-{wanted.since:%Y%m%d}-{wanted.tier}"
    response["Content-Disposition"] = f'attachment; filename="{name}.{form.suffix}"'
    response["Cache-Control"] = "no-store"
    return response


def _last(wanted: ExportRequest) -> datetime:
    """No row is of a later time."""
    newest = get_store().latest([one.pk for one in wanted.metrics]).values()
    return min(wanted.until, max((one.at for one in newest), default=wanted.until))


async def _one_by_one(portions: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (portion := await sync_to_async(_following)(portions)) is not None:
        yield portion


def _following(portions: Iterator[bytes]) -> bytes | None:
    return next(portions, None)
