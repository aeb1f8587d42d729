"""The API's slice of explanations: of the readings that the caller may see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from devices.readings.api.base import OneMetricView
from ingestion.explaining.finding import NoSuchReading, find
from ingestion.explaining.tracing import Explanation, Origin, Step, explain
from ingestion.models import Import

AT = OpenApiParameter(
    "at", str, description="ISO 8601 or relative: the reading then or before it. Default: now."
)
SEQUENCE = OpenApiParameter(
    "sequence", int, description="Entry number: exactly the reading of that time and number."
)


class StepSerializer(serializers.Serializer[Any]):
    """One thing that was done to the value."""

    what = serializers.CharField()
    result = serializers.CharField()


class RequestSerializer(serializers.Serializer[Any]):
    """The request whose answer brought the entry."""

    at = serializers.DateTimeField(help_text="When it began.")
    lane = serializers.CharField(help_text="live or backfill")
    outcome = serializers.CharField()
    http_status = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.FloatField()


class OriginSerializer(serializers.Serializer[Any]):
    """The entry that the value was made of."""

    source_id = serializers.IntegerField()
    field = serializers.CharField()
    raw = serializers.CharField(help_text="The text received.")
    arrived = serializers.DateTimeField(allow_null=True, help_text="null: not noted at that time.")
    request = RequestSerializer(allow_null=True, help_text="null: not kept any more, or no poll.")
    mapping = serializers.IntegerField()
    mapping_version = serializers.IntegerField(
        help_text="Which version of the mapping made the value: 1 is the first."
    )
    mapping_version_since = serializers.DateTimeField(
        help_text="When that version came into force."
    )
    mapping_versions = serializers.IntegerField(help_text="How many versions there are by now.")
    mapping_changed_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the mapping, a calibration or the metric was last changed so that other "
        "values come of it, if after the arrival.",
    )
    calibration = serializers.IntegerField(allow_null=True)


class ImportOfReadingSerializer(serializers.Serializer[Any]):
    """An import of a file."""

    id = serializers.IntegerField()
    into = serializers.CharField(
        help_text="source: a provider's export; device: a file of readings"
    )
    file = serializers.CharField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class HourSerializer(serializers.Serializer[Any]):
    """The hour (UTC) that the reading counts in."""

    start = serializers.DateTimeField()
    count = serializers.IntegerField()
    minimum = serializers.FloatField()
    average = serializers.FloatField()
    maximum = serializers.FloatField()


class AlertOfReadingSerializer(serializers.Serializer[Any]):
    """An alert about the device that was open then or was opened within the hour."""

    kind = serializers.CharField()
    text = serializers.CharField()
    opened_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)


class ExplanationSerializer(serializers.Serializer[Any]):
    """Where one stored value comes from."""

    metric = serializers.IntegerField()
    at = serializers.DateTimeField()
    sequence = serializers.IntegerField()
    value = serializers.JSONField()
    unit = serializers.CharField(allow_blank=True)
    origin = serializers.CharField(help_text="live, backfill, push or import")
    revised = serializers.BooleanField()
    received = OriginSerializer(
        allow_null=True,
        help_text="null: the entry is not kept, or no mapping ever made a value of it.",
    )
    imports = ImportOfReadingSerializer(
        many=True, help_text="One of these imports brought it; empty: none did, or none is kept."
    )
    steps = StepSerializer(
        many=True, help_text="What that version of the mapping made of the text."
    )
    agrees = serializers.BooleanField(
        allow_null=True, help_text="Whether the mapping's last version gives the stored value."
    )
    steps_today = StepSerializer(
        many=True, help_text="What the last version makes of the text, where it is another value."
    )
    hour = HourSerializer(allow_null=True)
    alerts = AlertOfReadingSerializer(many=True)


class ExplanationView(OneMetricView):
    """Where a number comes from."""

    serializer_class = ExplanationSerializer
    parameters = (AT, SEQUENCE)

    @extend_schema(parameters=[*parameters])
    def get(self, request: Request, pk: int) -> Response:
        """The request, the text received, each step since, and what the value counts in."""
        metric = self.get_object()
        at = self.time("at", "now", timezone.now())
        try:
            reading = find(metric, at, self.sequence())
        except NoSuchReading as error:
            raise NotFound(str(error)) from error
        return Response(represent(explain(metric, reading)))

    def sequence(self) -> int | None:
        """The entry number, if one is asked for. Raises ValidationError."""
        text = self.request.query_params.get("sequence")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise ValidationError({"sequence": f"“{text}” is no entry number."})
        return int(text)


def represent(found: Explanation) -> dict[str, Any]:
    """An explanation as the API tells it."""
    reading, hour = found.reading, found.hour
    return {
        "metric": found.metric.pk,
        "at": reading.at,
        "sequence": reading.sequence,
        "value": reading.value,
        "unit": found.metric.unit,
        "origin": reading.origin,
        "revised": reading.revised,
        "received": found.origin and _received(found.origin),
        "imports": [
            {
                "id": one.pk,
                "into": "source" if isinstance(one, Import) else "device",
                "file": one.file_name,
                "started_at": one.job and one.job.started_at,
                "finished_at": one.job and one.job.finished_at,
            }
            for one in found.imports
        ],
        "steps": _steps(found.steps),
        "agrees": found.agrees,
        "steps_today": _steps(found.today),
        "hour": hour
        and {
            "start": hour.start,
            "count": hour.count,
            "minimum": hour.minimum,
            "average": hour.average,
            "maximum": hour.maximum,
        },
        "alerts": [
            {
                "kind": one.kind,
                "text": one.text,
                "opened_at": one.opened_at,
                "resolved_at": one.resolved_at,
            }
            for one in found.alerts
        ],
    }


def _steps(steps: Iterable[Step]) -> list[dict[str, str]]:
    return [{"what": one.what, "result": one.result} for one in steps]


def _received(origin: Origin) -> dict[str, Any]:
    poll = origin.poll
    return {
        "source_id": origin.source.pk,
        "field": origin.rule.field,
        "raw": origin.raw,
        "arrived": origin.entry.arrived,
        "request": poll
        and {
            "at": poll.at,
            "lane": poll.lane,
            "outcome": poll.outcome,
            "http_status": poll.status,
            "duration_ms": poll.duration_ms,
        },
        "mapping": origin.version.mapping.pk,
        "mapping_version": origin.version.number,
        "mapping_version_since": origin.version.since,
        "mapping_versions": origin.last.number,
        "mapping_changed_at": origin.changed_at,
        "calibration": origin.calibration and origin.calibration.pk,
    }


urlpatterns = [
    path("metrics/<int:pk>/explanation/", ExplanationView.as_view(), name="metric-explanation"),
]
