"""Alerts: a change of state is a row, opened once and resolved once."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from devices.access import ScopedQuerySet, Viewer, sees_everything
from devices.alerts.state import SourceState
from devices.models import Community, Connection, Device, Membership, Source


class Kind(models.TextChoices):
    """What an alert is about."""

    DEVICE_OFFLINE = "device_offline", "Device offline"
    SOURCE_FAILING = "source_failing", "Source failing"
    UPSTREAM_DOWN = "upstream_down", "Provider down"


class Severity(models.TextChoices):
    """How urgent it is."""

    CRITICAL = "critical", "Critical"
    WARNING = "warning", "Warning"
    INFO = "info", "Information"


class AlertQuerySet(ScopedQuerySet["Alert"]):
    """Alerts, scoped by community; an outage upstream is seen by everyone it affects."""

    community_path = "community"

    def visible_to(self, user: Viewer) -> Self:
        """Alerts of the user's communities, and of the accounts that their sources use."""
        if not user.is_authenticated or not user.is_active or sees_everything(user):
            return super().visible_to(user)
        mine = Membership.objects.filter(user=user).values("community")
        used = Source.objects.filter(device__community__in=mine).values("connection")
        return self.filter(Q(community__in=mine) | Q(community__isnull=True, connection__in=used))

    def open(self) -> Self:
        """Alerts that are not resolved yet."""
        return self.filter(resolved_at__isnull=True)


class Alert(models.Model):
    """Something is wrong since `opened_at`, until `resolved_at`; one open alert per `key`."""

    key = models.CharField(max_length=80, editable=False)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    community = models.ForeignKey(
        Community, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts"
    )
    device = models.ForeignKey(
        Device, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts"
    )
    source = models.ForeignKey(
        Source, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts"
    )
    connection = models.ForeignKey(
        Connection, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts"
    )
    reason = models.CharField(max_length=40, blank=True)
    text = models.CharField(max_length=500)
    opened_at = models.DateTimeField(db_index=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(resolved_at__isnull=True), name="one_open_alert_per_key"
            )
        ]
        indexes = [
            models.Index(
                fields=["device"],
                condition=Q(resolved_at__isnull=True),
                name="open_alerts_of_device",
            )
        ]

    def __str__(self) -> str:
        """What is wrong."""
        return self.text

    @property
    def title(self) -> str:
        """What it is about, in two words: a source whose fields changed answers well."""
        changed = self.kind == Kind.SOURCE_FAILING and self.reason == SourceState.SCHEMA_CHANGED
        return "Fields changed" if changed else self.get_kind_display()
