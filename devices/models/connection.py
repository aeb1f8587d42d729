"""A provider account: where its API is, how fast we may ask, and when to stop asking."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator
from django.db import models
from django.db.models import Max
from django.utils import timezone
from simple_history.models import HistoricalRecords

from devices.access import ScopedQuerySet
from devices.models.community import Community
from devices.secrets import SecretCharField

LONGEST_TRY_S = 25
"""After so long a poll is over, whatever was allowed for one answer (`RetryPolicy.deadline_s`)."""


class SourceKind(models.TextChoices):
    """The protocols that a source may speak."""

    THINGSPEAK = "thingspeak", "ThingSpeak"


def validate_no_secrets(address: str) -> None:
    """Refuse parts of an address that may hold credentials: addresses are shown and logged."""
    parts = urlsplit(address)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValidationError(
            "Enter the address without user name, password, ? and #. Keys have a box of their own."
        )


def next_revision(known: int) -> int:
    """The number of a change made now: above `known`, and above all that the clock gave before."""
    return max(known + 1, int(timezone.now().timestamp() * 1000))


class ConnectionQuerySet(ScopedQuerySet["Connection"]):
    """Connections, scoped by community; shared ones are the administrator's."""

    community_path = "community"

    def newest_revision(self) -> int:
        """The highest number that a change of any of them has; 0 where there is none."""
        newest: int | None = self.aggregate(newest=Max("revision"))["newest"]
        return newest or 0


class Connection(models.Model):
    """One account at a provider. All its sources share one request budget and one breaker.

    The default budget of 60 requests a minute is politeness: ThingSpeak documents no limit for
    reading, but blocks who asks too often (`docs/decisions/0003`).
    """

    name = models.CharField(
        max_length=100, unique=True, help_text="Any name, such as “ThingSpeak of the water board”."
    )
    community = models.ForeignKey(
        Community,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="connections",
        help_text="Leave empty when several communities share this account.",
    )
    kind = models.CharField(
        max_length=20,
        choices=SourceKind.choices,
        default=SourceKind.THINGSPEAK,
        help_text="Which protocol the provider speaks.",
    )
    base_url = models.CharField(
        "address",
        max_length=300,
        default="https://api.thingspeak.com",
        validators=[URLValidator(schemes=["https", "http"]), validate_no_secrets],
        help_text="Where the provider's API answers. For ThingSpeak: https://api.thingspeak.com",
    )
    account_key = SecretCharField(
        "account key",
        max_length=200,
        help_text="Used for channels that have no read key of their own. Stored encrypted, never "
        "shown again. Leave empty to keep what is stored, enter a single - to remove it.",
    )
    rate_limit = models.PositiveIntegerField(
        "requests allowed",
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="How many requests this account may send in the window below.",
    )
    rate_window_s = models.PositiveIntegerField(
        "window (seconds)",
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(86_400)],
        help_text="60 requests in 60 seconds means one request a second.",
    )
    rate_jitter_s = models.FloatField(
        "jitter allowance (seconds)",
        default=1.0,
        validators=[MinValueValidator(0), MaxValueValidator(60)],
        help_text="Requests leave evenly but arrive unevenly. Their spacing keeps the limit also "
        "in a window longer by this.",
    )
    refusal_pause_s = models.PositiveIntegerField(
        "pause after a refusal (seconds)",
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(6 * 3600)],
        help_text="How long nothing is asked after a 429 that does not say for how long itself.",
    )
    slowest_percent = models.PositiveSmallIntegerField(
        "slowest rate (percent)",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Each refusal halves the rate, but never below this share of the limit.",
    )
    recovery_percent = models.PositiveSmallIntegerField(
        "recovery per window (percent)",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="So much of the limit comes back with every window without a refusal.",
    )
    connect_timeout_s = models.FloatField(
        "connect timeout (seconds)",
        default=3.05,
        validators=[MinValueValidator(0.1), MaxValueValidator(LONGEST_TRY_S)],
        help_text="How long to wait for the provider to accept a connection.",
    )
    read_timeout_s = models.FloatField(
        "answer timeout (seconds)",
        default=8.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(LONGEST_TRY_S)],
        help_text="How long to wait for an answer.",
    )
    breaker_failures = models.PositiveIntegerField(
        "failures before pausing",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="After so many failed requests in a row the provider is left in peace.",
    )
    breaker_ratio_percent = models.PositiveSmallIntegerField(
        "or share of failures (percent)",
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="… or when so many of the latest requests failed, in a row or not.",
    )
    breaker_min_calls = models.PositiveIntegerField(
        "of at least (requests)",
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="A share of fewer requests means nothing.",
    )
    breaker_window_s = models.PositiveIntegerField(
        "counted over (seconds)",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text="How far back requests are counted for that share: one to two times this.",
    )
    breaker_open_s = models.PositiveIntegerField(
        "first pause (seconds)",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(86_400)],
        help_text="How long the provider is left in peace at first; then one request is tried. A "
        "few seconds bring fresh readings soon after an outage; many breakers begin with 60.",
    )
    breaker_open_max_s = models.PositiveIntegerField(
        "longest pause (seconds)",
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(86_400)],
        help_text="Each failed trial doubles the pause, up to this. After an outage it is noticed "
        "at most so much later that the provider is back.",
    )
    enabled = models.BooleanField(
        default=True, help_text="Switch off to stop asking this provider altogether."
    )
    revision = models.PositiveBigIntegerField(
        default=0,
        editable=False,
        help_text="Grows with every change: whoever still holds older settings gives way.",
    )

    objects = ConnectionQuerySet.as_manager()
    history = HistoricalRecords(excluded_fields=["revision"])

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rate_limit__gt=0, rate_window_s__gt=0), name="budget_positive"
            )
        ]

    def __str__(self) -> str:
        """The account's name."""
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Number the change, so that every process follows the newest settings at once."""
        self.revision = next_revision(self.revision)
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "revision"}
        super().save(*args, **kwargs)
