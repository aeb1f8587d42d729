"""A provider account: where its API is, how fast we may ask, and when to stop asking."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator
from django.db import models
from simple_history.models import HistoricalRecords

from devices.access import ScopedQuerySet
from devices.models.community import Community
from devices.secrets import SecretCharField


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


class ConnectionQuerySet(ScopedQuerySet["Connection"]):
    """Connections, scoped by community; shared ones are the administrator's."""

    community_path = "community"


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
    connect_timeout_s = models.FloatField(
        "connect timeout (seconds)",
        default=3.05,
        validators=[MinValueValidator(0.1), MaxValueValidator(30)],
        help_text="How long to wait for the provider to accept a connection.",
    )
    read_timeout_s = models.FloatField(
        "answer timeout (seconds)",
        default=8.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(60)],
        help_text="How long to wait for an answer.",
    )
    breaker_failures = models.PositiveIntegerField(
        "failures before pausing",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="After so many failed requests in a row the provider is left in peace.",
    )
    breaker_open_s = models.PositiveIntegerField(
        "pause (seconds)",
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(86_400)],
        help_text="How long the first pause lasts; every further one is longer.",
    )
    enabled = models.BooleanField(
        default=True, help_text="Switch off to stop asking this provider altogether."
    )

    objects = ConnectionQuerySet.as_manager()
    history = HistoricalRecords()

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
