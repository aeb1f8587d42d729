"""The API's slice for readings: history, chart series and newest values, scoped like the pages."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from devices.models import Community, Device, Metric
from devices.openapi import Schema
from devices.readings.download import download
from devices.readings.export import FORMATS, ExportRequest, FormatUnavailable
from devices.readings.instants import from_ms, to_millisecond, to_ms
from devices.readings.queries import latest_of_devices, series
from devices.readings.ranges import BadTime, parse_time
from devices.readings.represent import iso
from devices.readings.samples import HistoryRequest, Reading, Tier
from devices.readings.serializers import (
    HistorySerializer,
    LatestSerializer,
    ReadingSerializer,
    SeriesSerializer,
)
from devices.readings.store import NotNumeric, get_store

START = OpenApiParameter(
    "start", str, description="ISO 8601 or relative (-30m, -24h, -7d). Default: -24h. Inclusive."
)
END = OpenApiParameter("end", str, description="As start. Default: now. Exclusive.")
LIMIT = OpenApiParameter("limit", int, description="Readings in a page, 1 to 5000. Default: 1000.")
CURSOR = OpenApiParameter("cursor", str, description="Place in the history; part of “next”.")
POINTS = OpenApiParameter("points", int, description="Places on the chart, 2 to 5000. Default 600.")
COMMUNITY = OpenApiParameter("community", str, description="A community's slug.")
MOST = 5000


class ReadingsView(GenericAPIView[Any]):
    """Base: knows its parameters; every other one is refused."""

    schema = Schema()
    parameters: tuple[OpenApiParameter, ...] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse unknown parameters, after the caller was authenticated."""
        super().initial(request, *args, **kwargs)
        known = {parameter.name for parameter in self.parameters} | {"format"}
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            listed = ", ".join(sorted(known - {"format"})) or "none"
            raise ValidationError(
                dict.fromkeys(unknown, f"There is no such parameter here. Known: {listed}.")
            )

    def time(self, name: str, default: str, now: datetime) -> datetime:
        """A parameter that is a time. Raises ValidationError."""
        try:
            return parse_time(self.request.query_params.get(name, default), now)
        except BadTime as error:
            raise ValidationError({name: str(error)}) from error

    def number(self, name: str, default: int, least: int) -> int:
        """A parameter that is a whole number up to MOST. Raises ValidationError."""
        text = self.request.query_params.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= MOST):
            raise ValidationError({name: f"“{text}” is not a whole number from {least} to {MOST}."})
        return int(text)

    def range(self, now: datetime) -> tuple[datetime, datetime]:
        """The asked range of time. Raises ValidationError."""
        since, until = self.time("start", "-24h", now), self.time("end", "now", now)
        if since >= until:
            raise ValidationError({"start": "The start must be before the end."})
        return since, until


class OneMetricView(ReadingsView):
    """Base: of one metric that the caller may see; others do not exist."""

    queryset = Metric.objects.select_related("device")

    def get_queryset(self) -> QuerySet[Metric]:
        """The caller's metrics."""
        return Metric.objects.visible_to(self.request.user).select_related("device")


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


class SeriesView(OneMetricView):
    """A chart of one metric."""

    serializer_class = SeriesSerializer
    parameters = (START, END, POINTS)

    @extend_schema(parameters=[*parameters])
    def get(self, request: Request, pk: int) -> Response:
        """Readings while they are few, else minimum, average and maximum of equal buckets."""
        metric = self.get_object()
        since, until = self.range(to_millisecond(timezone.now()))
        try:
            chart = series(metric, since, until, self.number("points", 600, 2))
        except NotNumeric as error:
            raise ValidationError({"metric": str(error)}) from error
        return Response(
            {
                "tier": chart.tier.value,
                "bucket_s": chart.width.total_seconds() if chart.width else None,
                "unit": metric.unit,
                "at": [to_ms(point.at) / 1000 for point in chart.points],
                "min": [point.minimum for point in chart.points],
                "avg": [point.average for point in chart.points],
                "max": [point.maximum for point in chart.points],
            }
        )


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


class ExportView(ReadingsView):
    """A device's readings as a file."""

    queryset = Device.objects.all()
    parameters = (
        START,
        END,
        OpenApiParameter("as", str, enum=list(FORMATS), description="File format. Default: csv."),
        OpenApiParameter(
            "tier",
            str,
            enum=[tier.value for tier in Tier],
            description="raw for readings (the default), or statistics of hours, days or months.",
        ),
        OpenApiParameter("metrics", str, description="Names, separated by commas. Default: all."),
    )

    @extend_schema(
        parameters=[*parameters], responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, uuid: UUID) -> StreamingHttpResponse:
        """The device's readings with start ≤ at < end, oldest first, as a file to download."""
        device = get_object_or_404(
            Device.objects.visible_to(request.user).select_related("community"), uuid=uuid
        )
        form = FORMATS[self.choice("as", "csv", FORMATS)]
        tier = Tier(self.choice("tier", Tier.RAW, [one.value for one in Tier]))
        since, until = self.range(to_millisecond(timezone.now()))
        wanted = ExportRequest(device, self.metrics(device), since, until, tier)
        try:
            return download(request, form, wanted)
        except FormatUnavailable as error:
            raise ValidationError({"as": str(error)}) from error

    def choice(self, name: str, default: str, known: Collection[str]) -> str:
        """A parameter that is one of a few words. Raises ValidationError."""
        word = self.request.query_params.get(name, default)
        if word not in known:
            raise ValidationError({name: f"“{word}” is not known. Use one of {', '.join(known)}."})
        return word

    def metrics(self, device: Device) -> list[Metric]:
        """The named metrics, or all of the device. Raises ValidationError."""
        metrics = list(device.metrics.order_by("position", "pk"))
        names = self.request.query_params.get("metrics")
        if names is None:
            return metrics
        known = {metric.name: metric for metric in metrics}
        unknown = [name for name in names.split(",") if name not in known]
        if unknown:
            raise ValidationError(
                {"metrics": f"This device has no {', '.join(unknown)}; it has {', '.join(known)}."}
            )
        return [known[name] for name in names.split(",")]


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
        metrics = Metric.objects.visible_to(self.request.user).filter(latest__isnull=False)
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


urlpatterns = [
    path("metrics/<int:pk>/history/", HistoryView.as_view(), name="metric-history"),
    path("metrics/<int:pk>/series/", SeriesView.as_view(), name="metric-series"),
    path("devices/<uuid:uuid>/latest/", DeviceLatestView.as_view(), name="device-latest"),
    path("devices/<uuid:uuid>/export/", ExportView.as_view(), name="device-export"),
    path("latest/", LatestView.as_view(), name="latest"),
]
