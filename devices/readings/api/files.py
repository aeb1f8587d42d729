"""Readings as a file to download, through the API."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from devices.models import Device, Metric
from devices.readings.api.base import END, START, ReadingsView
from devices.readings.download import download
from devices.readings.export import FORMATS, ExportRequest
from devices.readings.instants import to_millisecond
from devices.readings.samples import RESOLUTIONS, Tier


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
            enum=[tier.value for tier in RESOLUTIONS],
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
        tier = Tier(self.choice("tier", Tier.RAW, [one.value for one in RESOLUTIONS]))
        since, until = self.range(to_millisecond(timezone.now()))
        wanted = ExportRequest(device, self.metrics(device), since, until, tier)
        return download(request, form, wanted)

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
