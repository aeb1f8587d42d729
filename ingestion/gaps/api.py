"""The API's slice for completeness: how much of each day is there, scoped like the pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from devices.models import Device
from devices.readings.api import ReadingsView
from ingestion.gaps.completeness import days_of
from realtime.presenters.completeness import percent_of
from realtime.way_in import DayState

MOST_DAYS = 366
START = OpenApiParameter(
    "start", str, description="ISO 8601 or relative (-7d). Default: -28d. Its day is included."
)
END = OpenApiParameter("end", str, description="As start. Default: now. Its day is included.")


class DaySerializer(serializers.Serializer[Any]):
    """One calendar day of the community's zone."""

    day = serializers.DateField()
    state = serializers.ChoiceField(choices=[state.value for state in DayState])
    percent = serializers.IntegerField(
        allow_null=True, help_text="0 to 100, rounded down; null while nothing is known."
    )
    entries = serializers.IntegerField(help_text="Entries of the source that were read.")
    lost = serializers.IntegerField(help_text="Entries that the source does not give any more.")
    waiting = serializers.IntegerField(help_text="Entries still to be read, about.")
    text = serializers.CharField(help_text="The day in a sentence.")


class CompletenessSerializer(serializers.Serializer[Any]):
    """How complete a device's days are."""

    zone = serializers.CharField(help_text="The zone in which days begin: the community's.")
    percent = serializers.IntegerField(allow_null=True, help_text="Of all these days together.")
    results = DaySerializer(many=True)


class CompletenessView(ReadingsView):
    """How complete a device's days are."""

    queryset = Device.objects.all()
    serializer_class = CompletenessSerializer
    parameters = (START, END)

    @extend_schema(parameters=[*parameters])
    def get(self, request: Request, uuid: UUID) -> Response:
        """Every calendar day from start to end, oldest first: entries read, lost and waiting."""
        visible = Device.objects.visible_to(request.user).select_related("community")
        device = get_object_or_404(visible, uuid=uuid)
        now = timezone.now()
        since, until = self.time("start", "-28d", now), min(self.time("end", "now", now), now)
        if since >= until:
            raise ValidationError({"start": "The start must be before the end and before now."})
        zone = ZoneInfo(device.community.zone)
        first, last = since.astimezone(zone).date(), until.astimezone(zone).date()
        if (last - first).days >= MOST_DAYS:
            raise ValidationError({"start": f"At most {MOST_DAYS} days at once."})
        sources = list(device.sources.values_list("pk", flat=True))
        days = days_of(sources, zone, first, last, now)
        answer = {"zone": device.community.zone, "percent": percent_of(days), "results": days}
        return Response(CompletenessSerializer(answer).data)


urlpatterns = [
    path(
        "devices/<uuid:uuid>/completeness/",
        CompletenessView.as_view(),
        name="device-completeness",
    ),
]
