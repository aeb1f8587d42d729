"""The API's slice for what people configure: read-only, scoped like the pages."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ReadOnlyModelViewSet

from devices.access import ScopedQuerySet
from devices.filters import ClosedFilters, DeviceFilter, MetricFilter
from devices.models import Community, Device, DeviceType, Metric
from devices.openapi import Schema
from devices.serializers import (
    CommunitySerializer,
    DeviceSerializer,
    DeviceTypeSerializer,
    MetricSerializer,
)


class Scoped(ReadOnlyModelViewSet[Any]):
    """Rows that the caller may see; what belongs to others does not exist (404)."""

    filter_backends = [ClosedFilters]
    schema = Schema()

    def get_queryset(self) -> QuerySet[Any]:
        """The caller's rows."""
        rows = super().get_queryset()
        return rows.visible_to(self.request.user) if isinstance(rows, ScopedQuerySet) else rows


class CommunityViewSet(Scoped):
    """The communities that you are a member of."""

    queryset = Community.objects.all()
    serializer_class = CommunitySerializer


class DeviceViewSet(Scoped):
    """The devices of your communities, with their metrics."""

    queryset = Device.objects.select_related("community", "type").prefetch_related(
        "metrics__device"
    )
    serializer_class = DeviceSerializer
    filterset_class = DeviceFilter
    lookup_field = "uuid"
    lookup_value_converter = "uuid"


class MetricViewSet(Scoped):
    """The metrics of your devices: what readings are asked for by."""

    queryset = Metric.objects.select_related("device")
    serializer_class = MetricSerializer
    filterset_class = MetricFilter


class DeviceTypeViewSet(Scoped):
    """The kinds of devices there are, with what they usually measure."""

    queryset = DeviceType.objects.prefetch_related("default_metrics")
    serializer_class = DeviceTypeSerializer


router = SimpleRouter(use_regex_path=False)
router.register("communities", CommunityViewSet)
router.register("devices", DeviceViewSet)
router.register("metrics", MetricViewSet)
router.register("device-types", DeviceTypeViewSet)
urlpatterns = router.urls
