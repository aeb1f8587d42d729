"""Where a device's readings come from: one base row, one concrete typed model per kind."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from simple_history.models import HistoricalRecords

from devices.access import ScopedQuerySet
from devices.models.connection import Connection, SourceKind
from devices.models.device import Device
from devices.models.priority import Priority
from devices.secrets import SecretCharField


class SourceQuerySet(ScopedQuerySet["Source"]):
    """Sources, scoped by community."""

    community_path = "device__community"


class Source(models.Model):
    """What is asked for a device's readings, how often and how urgently."""

    KIND: ClassVar[SourceKind]

    device = models.ForeignKey(
        Device,
        on_delete=models.CASCADE,
        related_name="sources",
        help_text="What is measured. A new one can be added with the button beside the box.",
    )
    connection = models.ForeignKey(
        Connection,
        on_delete=models.RESTRICT,  # goes only together with its sources
        related_name="sources",
        help_text="The account it is read through. A new one can be added with the button beside "
        "the box.",
    )
    kind = models.CharField(max_length=20, choices=SourceKind.choices, editable=False)
    interval_s = models.PositiveIntegerField(
        "interval (seconds)",
        null=True,
        blank=True,
        validators=[MinValueValidator(5), MaxValueValidator(30 * 86_400)],
        help_text="How often it is asked. Empty: the device type's default.",
    )
    priority = models.PositiveSmallIntegerField(
        choices=Priority.choices,
        null=True,
        blank=True,
        help_text="Who is asked first when the request budget is short. Empty: the device type's.",
    )
    phase_lock = models.BooleanField(
        "ask just after new entries",
        default=True,
        help_text="Where entries come regularly, the source is asked right after the next one is "
        "expected: fresher values with fewer requests. Switch off to ask strictly at the interval.",
    )
    history_from = models.DateTimeField(
        "fetch history from",
        null=True,
        blank=True,
        help_text="How far back to fetch when the source is new. Empty: everything there is.",
    )
    enabled = models.BooleanField(default=True, help_text="Switch off to stop asking this source.")

    objects = SourceQuerySet.as_manager()

    class Meta:
        ordering = ["device", "pk"]
        indexes = [models.Index(fields=["enabled", "connection"], name="source_due_by_connection")]

    def __str__(self) -> str:
        """What it is called at its provider, and whose it is: communities name devices alike."""
        return f"{self.called} of {self.device} ({self.device.community})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Record the concrete kind on the base row, so that lists need no joins."""
        if hasattr(self, "KIND"):
            self.kind = self.KIND
        super().save(*args, **kwargs)

    @property
    def called(self) -> str:
        """Its name at the provider; whoever shows many loads `thingspeakchannel` with them."""
        channel: ThingSpeakChannel | None = getattr(self, "thingspeakchannel", None)
        return channel.called if channel else f"{self.get_kind_display()} source"

    @property
    def effective_interval_s(self) -> int:
        """Seconds between two polls: the source's own, else the device type's."""
        return self.interval_s or self.device.type.default_interval_s

    @property
    def effective_priority(self) -> Priority:
        """The source's own priority class, else the device type's."""
        own = self.priority
        return Priority(self.device.type.default_priority if own is None else own)


class ThingSpeakChannel(Source):
    """A ThingSpeak channel: its number and, when it is private, its read key."""

    KIND = SourceKind.THINGSPEAK

    channel_id = models.PositiveBigIntegerField(
        "channel ID",
        validators=[MinValueValidator(1)],
        help_text="The number shown at the top of the channel's page on ThingSpeak.",
    )
    read_key = SecretCharField(
        "read API key",
        max_length=64,
        help_text="Only for private channels: 16 letters and digits from the channel's “API Keys” "
        "page. Stored encrypted, never shown again. Leave empty to keep what is stored, enter a "
        "single - to remove it.",
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name = "ThingSpeak channel"

    def clean(self) -> None:
        """Refuse a connection of another kind, and a channel the device reads already."""
        if self.connection_id and self.connection.kind != SourceKind.THINGSPEAK:
            raise ValidationError({"connection": "Choose a connection of the kind ThingSpeak."})
        same = ThingSpeakChannel.objects.filter(
            device=self.device_id, connection=self.connection_id, channel_id=self.channel_id
        )
        if self.device_id and same.exclude(pk=self.pk).exists():
            raise ValidationError({"channel_id": "This device already reads this channel."})

    @property
    def called(self) -> str:
        """Its number at ThingSpeak."""
        return f"ThingSpeak channel {self.channel_id}"
