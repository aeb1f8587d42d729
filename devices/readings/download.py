"""An export on its way to a browser: portion by portion, never all of it in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import chain

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from django.utils.text import slugify
from rest_framework.request import Request

from devices.readings.export import ExportRequest, Format, table_of


def download(request: Request, form: Format, wanted: ExportRequest) -> StreamingHttpResponse:
    """The file as a response; what fails at once fails before anything is sent."""
    portions = form.write(table_of(wanted))
    begun = chain([next(portions, b"")], portions)
    # An asynchronous server would gather a synchronous iterator in memory first.
    asynchronous = isinstance(request._request, ASGIRequest)
    content = _one_by_one(begun) if asynchronous else begun
    response = StreamingHttpResponse(content, content_type=form.content_type)
    name = f"{slugify(wanted.device.name) or 'device'}-{wanted.since:%Y%m%d}-{wanted.tier.value}"
    response["Content-Disposition"] = f'attachment; filename="{name}.{form.suffix}"'
    response["Cache-Control"] = "no-store"
    return response


async def _one_by_one(portions: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (portion := await sync_to_async(_following)(portions)) is not None:
        yield portion


def _following(portions: Iterator[bytes]) -> bytes | None:
    return next(portions, None)
