"""Single readings through the API: history and newest values, scoped like the pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from devices.models import Community, Device, Metric
from devices.readings.api.base import (
    COMMUNITY,
    CURSOR,
    END,
    LIMIT,
    START,
    OneMetricView,
    ReadingsView,
)
from devices.readings.instants import from_ms, to_millisecond, to_ms
from devices.readings.queries import ever_heard, latest_of_devices
from devices.readings.represent import iso
from devices.readings.samples import HistoriesRequest, HistoryRequest, Reading
from devices.readings.serializers import (
    HistoriesSerializer,
    HistorySerializer,
    LatestSerializer,
    ReadingSerializer,
)
from devices.readings.store import TooMuch, get_store

MANY = 100
"""Metrics in one call."""


class HistoryView(OneMetricView):
    """The readings of one metric, oldest first."""

    serializer_class = HistorySerializer
    parameters = (START, END, LIMIT, CURSOR)

    @extend_schema(parameters=[*parameters])
    def get(self, request: Request, pk: int) -> Response:
        """A page of readings with start ≤ at < end; “next” leads to the following page."""
        metric = self.get_object()
        since, until = self.range(to_millisecond(timezone.now()))
        limit = self.number("limit", 1000, 1)
        page = get_store().history(
            HistoryRequest(metric.pk, since, until, limit=limit + 1, after=self.after())
        )
        more, page = len(page) > limit, page[:limit]
        return Response(
            {
                "next": self.next_page(since, until, page[-1]) if more else None,
                "results": _represented(metric, page),
            }
        )

    def after(self) -> tuple[datetime, int] | None:
        """The place that the cursor names. Raises ValidationError."""
        text = self.request.query_params.get("cursor")
        if text is None:
            return None
        at, _, sequence = text.partition(".")
        try:
            return from_ms(int(at)), int(sequence)
        except (ValueError, OverflowError) as error:
            raise ValidationError({"cursor": "Follow “next” as it is given."}) from error

    def next_page(self, since: datetime, until: datetime, last: Reading) -> str:
        """The same request, its times now fixed, from after the last reading on."""
        query = {
            **self.request.query_params.dict(),
            "start": iso(since),
            "end": iso(until),
            "cursor": f"{to_ms(last.at)}.{last.sequence}",
        }
        return self.request.build_absolute_uri(f"{self.request.path}?{urlencode(query)}")


class HistoriesView(ReadingsView):
    """The readings of several metrics at once."""

    queryset = Metric.objects.all()
    serializer_class = HistoriesSerializer
    parameters = (
        START,
        END,
        OpenApiParameter(
            "metrics", str, required=True, description=f"Up to {MANY} numbers, between commas."
        ),
    )

    @extend_schema(parameters=[*parameters])
    def get(self, request: Request) -> Response:
        """All readings with start ≤ at < end, in columns; up to 200,000 in one answer."""
        since, until = self.range(to_millisecond(timezone.now()))
        metrics = self.metrics()
        try:
            lines = get_store().histories(
                HistoriesRequest([metric.pk for metric in metrics], since, until)
            )
        except TooMuch as error:
            raise ValidationError({"start": str(error)}) from error
        return Response(
            {
                "results": [
                    {
                        "metric": metric.pk,
                        "name": metric.name,
                        "device": str(metric.device.uuid),
                        "unit": metric.unit,
                        "at": [to_ms(at) / 1000 for at in lines[metric.pk].at],
                        "values": lines[metric.pk].values,
                    }
                    for metric in metrics
                ]
            }
        )

    def metrics(self) -> list[Metric]:
        """The named metrics in their order; those the caller may not see do not exist."""
        words = self.request.query_params.get("metrics", "").split(",")
        if not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words):
            raise ValidationError({"metrics": "Name metrics by number, between commas: 3,14."})
        keys = list(dict.fromkeys(map(int, words)))
        if len(keys) > MANY:
            raise ValidationError({"metrics": f"Ask for at most {MANY} metrics at once."})
        rows = Metric.objects.visible_to(self.request.user).select_related("device")
        found = rows.in_bulk(keys)
        missing = [str(key) for key in keys if key not in found]
        if missing:
            raise NotFound(f"There is no metric {', '.join(missing)}.")
        return [found[key] for key in keys]


class DeviceLatestView(ReadingsView):
    """The newest readings of one device."""

    queryset = Device.objects.all()
    serializer_class = LatestSerializer

    def get(self, request: Request, uuid: UUID) -> Response:
        """The newest reading of each of the device's metrics that was ever heard."""
        device = get_object_or_404(Device.objects.visible_to(request.user), uuid=uuid)
        found = latest_of_devices([device.pk])[device.pk]
        return Response(
            {
                "results": [
                    ReadingSerializer((reading, metric, str(device.uuid))).data
                    for metric, reading in found
                    if reading is not None
                ]
            }
        )


class LatestView(ReadingsView):
    """The newest readings of all metrics that the caller may see."""

    queryset = Metric.objects.all()
    serializer_class = ReadingSerializer
    parameters = (
        COMMUNITY,
        OpenApiParameter("page", int, description="A page within the results."),
        OpenApiParameter("page_size", int, description="Results in a page, up to 500."),
    )

    def get_queryset(self) -> QuerySet[Metric]:
        """The caller's metrics that were ever heard, device by device. Raises NotFound."""
        metrics = ever_heard(Metric.objects.visible_to(self.request.user))
        slug = self.request.query_params.get("community")
        if slug is not None:
            community = Community.objects.visible_to(self.request.user).filter(slug=slug).first()
            if community is None:
                raise NotFound(f"There is no community “{slug}”.")
            metrics = metrics.filter(device__community=community)
        return metrics.select_related("device").order_by("device", "position", "pk")

    @extend_schema(parameters=[COMMUNITY], responses=ReadingSerializer(many=True))
    def get(self, request: Request) -> Response:
        """A page of newest readings, device by device."""
        page: list[Metric] = self.paginate_queryset(self.get_queryset()) or []
        latest = get_store().latest([metric.pk for metric in page])
        return self.get_paginated_response(
            [
                ReadingSerializer((latest[metric.pk], metric, str(metric.device.uuid))).data
                for metric in page
                if metric.pk in latest
            ]
        )


def _represented(metric: Metric, readings: Any) -> list[dict[str, Any]]:
    uuid = str(metric.device.uuid)
    return [ReadingSerializer().to_representation((reading, metric, uuid)) for reading in readings]
