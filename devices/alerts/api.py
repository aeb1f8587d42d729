"""The API's slice for alerts: read-only, scoped like the pages."""

from __future__ import annotations

import django_filters
from django.contrib.auth.models import User
from rest_framework import serializers
from rest_framework.routers import SimpleRouter

from devices.alerts.models import Alert, Severity
from devices.api import Scoped
from devices.models import Community


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """Something that is or was wrong; times are UTC, `resolved_at` is null while it is wrong."""

    community: serializers.SlugRelatedField[Community] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    device = serializers.UUIDField(
        source="device.uuid", read_only=True, allow_null=True, default=None
    )
    acknowledged_by: serializers.SlugRelatedField[User] = serializers.SlugRelatedField(
        slug_field="username", read_only=True
    )

    class Meta:
        model = Alert
        fields = [
            "id", "kind", "severity", "community", "device", "reason", "text", "opened_at",
            "resolved_at", "acknowledged_at", "acknowledged_by",
        ]  # fmt: skip


class AlertFilter(django_filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Alerts by state, place and urgency."""

    open = django_filters.BooleanFilter(
        field_name="resolved_at", lookup_expr="isnull", help_text="true: still wrong."
    )
    community = django_filters.CharFilter(
        field_name="community__slug", help_text="A community's slug."
    )
    device = django_filters.UUIDFilter(field_name="device__uuid", help_text="A device's UUID.")
    severity = django_filters.ChoiceFilter(choices=Severity.choices)

    class Meta:
        model = Alert
        fields = ["open", "community", "device", "severity"]


class AlertViewSet(Scoped):
    """What is or was wrong in your communities, newest first."""

    queryset = Alert.objects.select_related("community", "device", "acknowledged_by")
    serializer_class = AlertSerializer
    filterset_class = AlertFilter


router = SimpleRouter(use_regex_path=False)
router.register("alerts", AlertViewSet)
urlpatterns = router.urls
