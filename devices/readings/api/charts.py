"""Charts, measures and states of a metric through the API."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from devices.readings.api.base import END, POINTS, START, OneMetricView
from devices.readings.charts import series
from devices.readings.instants import to_millisecond, to_ms
from devices.readings.measuring import INTEGRALS, STATISTICS, NoSuchMeasure, measure
from devices.readings.represent import iso
from devices.readings.samples import AggregateRequest, Tier
from devices.readings.serializers import MeasuresSerializer, SeriesSerializer, StatesSerializer
from devices.readings.staying import TooManyStays, states
from devices.readings.store import ArchiveUnreadable, NotKept, NotNumeric, TooManyBuckets

BRIDGE = OpenApiParameter(
    "bridge",
    str,
    description="How far apart two readings may be (5m, 2h) for what lies between them to count. "
    "Default: three times what is expected between two readings.",
)


class SeriesView(OneMetricView):
    """A chart of one metric."""

    serializer_class = SeriesSerializer
    parameters = (START, END, POINTS)

    @extend_schema(parameters=[*parameters])
    def get(self, request: Request, pk: int) -> Response:
        """Readings while they are few, else minimum, average and maximum of equal buckets.

        “parts” says which stretch of the answer was read from which resolution.
        """
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
                "parts": [
                    {
                        "tier": part.tier.value,
                        "bucket_s": part.width.total_seconds() if part.width else None,
                        "start": to_ms(part.since) / 1000,
                        "end": to_ms(part.until) / 1000,
                    }
                    for part in chart.parts
                ],
                "away": chart.away,
                "unit": metric.unit,
                "at": [to_ms(point.at) / 1000 for point in chart.points],
                "min": [point.minimum for point in chart.points],
                "avg": [point.average for point in chart.points],
                "max": [point.maximum for point in chart.points],
            }
        )


class MeasuresView(OneMetricView):
    """Measures of one metric by bucket."""

    serializer_class = MeasuresSerializer
    parameters = (
        START,
        END,
        OpenApiParameter(
            "width",
            str,
            description="Length of a bucket (15m, 1h, 12h; whole multiples since 1970 UTC), or day "
            "or month in the community's zone, or all: one bucket. Default: 1h.",
        ),
        OpenApiParameter(
            "measures",
            str,
            description=f"Separated by commas: {', '.join(STATISTICS)}, p50 or any other percent, "
            f"{', '.join(INTEGRALS)}. Default: minimum,average,maximum. rate is the change in an "
            "hour, integral the volume of a flow, the energy of a power or the time on, known the "
            "seconds of a bucket of which its line is known.",
        ),
        BRIDGE,
    )

    @extend_schema(parameters=[*parameters])
    def get(self, request: Request, pk: int) -> Response:
        """Columns by bucket, null where a bucket has no such value; empty buckets are absent."""
        metric = self.get_object()
        since, until = self.range(to_millisecond(timezone.now()))
        word = request.query_params.get("width", "1h")
        width = {"day": Tier.DAY, "month": Tier.MONTH, "all": None}.get(word, word)
        if isinstance(width, str) and not isinstance(width, Tier):
            wanted = AggregateRequest(metric.pk, since, until, self.length("width"))
        else:
            wanted = AggregateRequest(metric.pk, since, until, width)
        bridge = self.length("bridge") if "bridge" in request.query_params else None
        names = request.query_params.get("measures", "minimum,average,maximum").split(",")
        try:
            found = measure(metric, wanted, list(dict.fromkeys(names)), bridge)
        except (NoSuchMeasure, NotNumeric) as error:
            raise ValidationError({"measures": str(error)}) from error
        except TooManyBuckets as error:
            raise ValidationError({"width": str(error)}) from error
        except ArchiveUnreadable:
            raise
        except NotKept as error:
            raise ValidationError({"start": str(error)}) from error
        return Response(
            {
                "at": [to_ms(start) / 1000 for start in found.starts],
                "measures": {
                    name: {"unit": one.unit, "tier": one.tier.value, "values": one.values}
                    for name, one in found.columns.items()
                },
                "left_out": [
                    {"start": to_ms(begins) / 1000, "end": to_ms(ends) / 1000}
                    for begins, ends in found.left_out
                ],
            }
        )


class StatesView(OneMetricView):
    """The states of one metric: text, on and off, or whole numbers."""

    serializer_class = StatesSerializer
    parameters = (START, END, BRIDGE)

    @extend_schema(parameters=[*parameters])
    def get(self, request: Request, pk: int) -> Response:
        """Which state held from when to when, and how long each lasted in all."""
        metric = self.get_object()
        since, until = self.range(to_millisecond(timezone.now()))
        bridge = self.length("bridge") if "bridge" in request.query_params else None
        try:
            found = states(metric, since, until, bridge)
        except NoSuchMeasure as error:
            raise ValidationError({"metric": str(error)}) from error
        except ArchiveUnreadable:
            raise
        except (NotKept, TooManyStays) as error:
            raise ValidationError({"start": str(error)}) from error
        longest = sorted(found.lasted.items(), key=lambda one: one[1], reverse=True)
        known = sum(found.lasted.values(), timedelta())
        return Response(
            {
                "stays": [
                    {"value": stay.value, "start": iso(stay.since), "end": iso(stay.until)}
                    for stay in found.stays
                ],
                "lasted": [
                    {"value": value, "seconds": lasted.total_seconds()} for value, lasted in longest
                ],
                "unknown_s": (until - since - known).total_seconds(),
                "bridge_s": found.bridge.total_seconds(),
                "runs_until": found.runs_until and iso(found.runs_until),
            }
        )
