"""Readings as a file to download, through the API."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_503_SERVICE_UNAVAILABLE

from devices.models import Device, Metric
from devices.readings.api.base import END, START, ReadingsView
from devices.readings.download import download
from devices.readings.export import FORMATS, TIERS, ExportRequest
from devices.readings.instants import to_millisecond
from devices.readings.progress import DownloadState, progress_of
from devices.readings.samples import Tier


class DownloadSerializer(serializers.Serializer[Any]):
    """Where a download stands."""

    state = serializers.ChoiceField(
        choices=[one.value for one in DownloadState],
        help_text="writing: all rows were read, the file is being finished or sent. stopped: it "
        "failed, or nobody took it.",
    )
    rows = serializers.IntegerField()
    up_to = serializers.DateTimeField(allow_null=True, help_text="The time of the last row.")
    percent = serializers.IntegerField(help_text="Of the time from the first row to the last.")


class ProgressAway(APIException):
    """Redis, which keeps the notes, is not reachable."""

    status_code = HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "How far the download is cannot be told at present. It goes on."
    default_code = "progress_unknown"


class DownloadView(ReadingsView):
    """How far a download of the caller's is."""

    queryset = Device.objects.none()
    serializer_class = DownloadSerializer

    @extend_schema(operation_id="download_retrieve")
    def get(self, request: Request, uuid: UUID) -> Response:
        """How far the download that was named so is; for ten minutes after its end."""
        try:
            found = progress_of(request.user, uuid)
        except RedisError as error:
            raise ProgressAway from error
        if found is None:
            raise NotFound("You have no download of that name, or it ended a while ago.")
        return Response(DownloadSerializer(found).data)


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
            enum=TIERS,
            description="raw for readings (the default), statistics of hours, days or months, or "
            "states of texts and on/off values: which one held from when to when.",
        ),
        OpenApiParameter("metrics", str, description="Names, separated by commas. Default: all."),
        OpenApiParameter(
            "progress",
            UUID,
            description="A name of your own, under which /downloads/ tells how far the file is.",
        ),
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
        tier = self.choice("tier", Tier.RAW, TIERS)
        since, until = self.range(to_millisecond(timezone.now()))
        wanted = ExportRequest(device, self.metrics(device), since, until, tier)
        return download(request, form, wanted, self.named())

    def named(self) -> UUID | None:
        """What the caller calls this download, if anything. Raises ValidationError."""
        text = self.request.query_params.get("progress")
        try:
            return UUID(text) if text else None
        except ValueError:
            raise ValidationError({"progress": f"“{text}” is no UUID."}) from None

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
