"""Readings in API answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from devices.models import Metric
from devices.readings.represent import represent
from devices.readings.samples import Origin, Reading, Tier


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "boolean"}, {"type": "string"}]})
class ValueField(serializers.Field):  # type: ignore[type-arg]  # not subscriptable at run time
    """A number, on/off or text, by the metric's data type."""


class ReadingSerializer(serializers.Serializer[tuple[Reading, Metric, str]]):
    """One reading, from (reading, metric, device uuid)."""

    device = serializers.UUIDField(help_text="The device's UUID.")
    metric = serializers.CharField(help_text="The metric's canonical name, such as water_level_cm.")
    at = serializers.DateTimeField(help_text="When it was measured, UTC.")
    value = ValueField(help_text="In the metric's unit.")
    sequence = serializers.IntegerField(help_text="The source's own entry number, or 0.")
    origin = serializers.ChoiceField(
        choices=[origin.value for origin in Origin], help_text="How it reached us as it stands."
    )
    revised = serializers.BooleanField(help_text="Whether it replaced another value.")

    def to_representation(self, instance: tuple[Reading, Metric, str]) -> dict[str, Any]:
        """The one form in which readings leave the site."""
        return represent(*instance)


class HistorySerializer(serializers.Serializer[dict[str, Any]]):
    """A page of readings."""

    next = serializers.URLField(allow_null=True, help_text="The next page, if there is more.")
    results = ReadingSerializer(many=True)


class LineSerializer(serializers.Serializer[dict[str, Any]]):
    """Readings of one metric as two columns of one length, oldest first."""

    metric = serializers.IntegerField()
    name = serializers.CharField(help_text="The metric's canonical name, such as water_level_cm.")
    device = serializers.UUIDField(help_text="The device's UUID.")
    unit = serializers.CharField(allow_blank=True)
    at = serializers.ListField(child=serializers.FloatField(), help_text="Seconds since 1970.")
    values = serializers.ListField(child=ValueField())


class HistoriesSerializer(serializers.Serializer[dict[str, Any]]):
    """Readings of several metrics, in the order in which they were asked for."""

    results = LineSerializer(many=True)


class LatestSerializer(serializers.Serializer[dict[str, Any]]):
    """The newest reading of each metric that was ever heard."""

    results = ReadingSerializer(many=True)


class PartSerializer(serializers.Serializer[dict[str, Any]]):
    """A stretch of a chart and where it came from."""

    tier = serializers.ChoiceField(choices=[tier.value for tier in Tier])
    bucket_s = serializers.FloatField(
        allow_null=True, help_text="Seconds in each bucket; null: the readings themselves."
    )
    start = serializers.FloatField(help_text="Seconds since 1970; inclusive.")
    end = serializers.FloatField(help_text="Seconds since 1970; exclusive.")


class SeriesSerializer(serializers.Serializer[dict[str, Any]]):
    """A chart's columns, all of one length; null where the line is broken."""

    tier = serializers.ChoiceField(
        choices=[tier.value for tier in Tier], help_text="The coarsest resolution it was read from."
    )
    bucket_s = serializers.FloatField(
        allow_null=True, help_text="Seconds in the widest bucket; null: the readings themselves."
    )
    parts = PartSerializer(
        many=True,
        help_text="Oldest first: where readings were dropped by age, hours or days stand.",
    )
    away = serializers.CharField(
        allow_blank=True,
        help_text="Why it is coarser than it might be, for people: a file of the archive is "
        "missing or damaged. Empty: it is not.",
    )
    unit = serializers.CharField(allow_blank=True)
    at = serializers.ListField(
        child=serializers.FloatField(), help_text="Seconds since 1970; a bucket's beginning."
    )
    min = serializers.ListField(child=serializers.FloatField(allow_null=True))
    avg = serializers.ListField(child=serializers.FloatField(allow_null=True))
    max = serializers.ListField(child=serializers.FloatField(allow_null=True))


class MeasureSerializer(serializers.Serializer[dict[str, Any]]):
    """One measure by bucket."""

    unit = serializers.CharField(allow_blank=True)
    tier = serializers.ChoiceField(
        choices=[tier.value for tier in Tier],
        help_text="The coarsest resolution it was read from; integrals and rates are exact from "
        "raw, and made of averages from anything coarser.",
    )
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))


class StretchSerializer(serializers.Serializer[dict[str, Any]]):
    """A stretch of time."""

    start = serializers.FloatField(help_text="Seconds since 1970; inclusive.")
    end = serializers.FloatField(help_text="Seconds since 1970; exclusive.")


class MeasuresSerializer(serializers.Serializer[dict[str, Any]]):
    """Columns by measure, as long as `at`."""

    at = serializers.ListField(
        child=serializers.FloatField(), help_text="Seconds since 1970; a bucket's beginning."
    )
    measures = serializers.DictField(child=MeasureSerializer())
    left_out = StretchSerializer(
        many=True,
        help_text="Stretches of the range that count, minimum, average and other statistics lack: "
        "single readings were dropped by age, and the hour (of UTC) lies partly outside the range.",
    )


class StaySerializer(serializers.Serializer[dict[str, Any]]):
    """A state held without a break, start ≤ t < end."""

    value = serializers.JSONField(help_text="Text, true or false, or a whole number.")
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class LastedSerializer(serializers.Serializer[dict[str, Any]]):
    """How long a state lasted in all."""

    value = serializers.JSONField()
    seconds = serializers.FloatField()


class StatesSerializer(serializers.Serializer[dict[str, Any]]):
    """The states of a metric in a range; what lies in no stay is not known."""

    stays = StaySerializer(many=True)
    lasted = LastedSerializer(many=True, help_text="The longest first.")
    unknown_s = serializers.FloatField(
        help_text="Seconds of the range of which no state is known: nothing was heard."
    )
    bridge_s = serializers.FloatField(
        help_text="How far apart two readings were allowed to be for a state to hold between them."
    )
    runs_until = serializers.DateTimeField(
        allow_null=True,
        help_text="Before this, single readings were dropped by age: states were read from runs.",
    )
