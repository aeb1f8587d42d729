"""What people configure, as the API shows it. Credentials have no place here at all."""

from __future__ import annotations

from rest_framework import serializers

from devices.models import Community, DefaultMetric, Device, DeviceType, Metric


class CommunitySerializer(serializers.ModelSerializer[Community]):
    """A community that the caller is a member of."""

    class Meta:
        model = Community
        fields = ["id", "name", "slug", "zone"]


class DefaultMetricSerializer(serializers.ModelSerializer[DefaultMetric]):
    """A metric that devices of a type usually have."""

    class Meta:
        model = DefaultMetric
        fields = ["name", "label", "unit", "minimum", "maximum"]


class DeviceTypeSerializer(serializers.ModelSerializer[DeviceType]):
    """A kind of device."""

    default_metrics = DefaultMetricSerializer(many=True, read_only=True)

    class Meta:
        model = DeviceType
        fields = ["id", "name", "slug", "picture", "default_interval_s", "default_metrics"]


class MetricSerializer(serializers.ModelSerializer[Metric]):
    """One time series of a device; limits are in its unit."""

    device = serializers.UUIDField(source="device.uuid", read_only=True)

    class Meta:
        model = Metric
        fields = [
            "id", "device", "name", "label", "unit", "data_type", "decimals", "minimum", "maximum",
            "expected_every_s",
        ]  # fmt: skip


class DeviceSerializer(serializers.ModelSerializer[Device]):
    """A device with its metrics. Degrees are WGS 84, north and east positive."""

    community: serializers.SlugRelatedField[Community] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    type: serializers.SlugRelatedField[DeviceType] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    latitude = serializers.FloatField(read_only=True, allow_null=True)
    longitude = serializers.FloatField(read_only=True, allow_null=True)
    metrics = MetricSerializer(many=True, read_only=True)

    class Meta:
        model = Device
        fields = [
            "uuid", "name", "community", "type", "place", "latitude", "longitude",
            "tank_height_cm", "tank_capacity_l", "installed_at", "enabled", "metrics",
        ]  # fmt: skip
