"""How long readings are kept, as people decide it, and what has been dropped by it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint
from django.utils import timezone

from devices.models import Community, Device, DeviceType
from devices.readings.fields import InstantField

LEAST_DAYS = 7


class RetentionRule(models.Model):
    """How long single readings and hours are kept; days and months are kept for ever.

    Of the rules that fit a device the most particular one counts: community and type, community,
    type, the rule of the whole site.
    """

    community = models.ForeignKey(
        Community,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="retention_rules",
        help_text="Empty: every community.",
    )
    type = models.ForeignKey(
        DeviceType,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="retention_rules",
        verbose_name="device type",
        help_text="Empty: every type.",
    )
    readings_days = models.PositiveIntegerField(
        "keep single readings (days)",
        null=True,
        blank=True,
        default=90,
        validators=[MinValueValidator(LEAST_DAYS)],
        help_text="Older ones are dropped once hours, days and months are made of them. Empty: for "
        "ever.",
    )
    hours_days = models.PositiveIntegerField(
        "keep hourly values (days)",
        null=True,
        blank=True,
        default=730,
        validators=[MinValueValidator(LEAST_DAYS)],
        help_text="Not shorter than the readings. Empty: for ever.",
    )
    archive = models.BooleanField(
        "archive readings before they are dropped",
        default=False,
        help_text="Each month of readings is written to a Parquet file and compared with the "
        "database before anything is dropped; charts and downloads go on reading it from there.",
    )
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = [
            F("community__name").asc(nulls_first=True),
            F("type__name").asc(nulls_first=True),
        ]
        constraints = [
            UniqueConstraint(fields=["community", "type"], name="retention_of_community_and_type"),
            UniqueConstraint(
                fields=["community"],
                condition=Q(type__isnull=True),
                name="retention_of_community",
                violation_error_message="There is a rule for this community already.",
            ),
            UniqueConstraint(
                fields=["type"],
                condition=Q(community__isnull=True),
                name="retention_of_type",
                violation_error_message="There is a rule for this type already.",
            ),
            CheckConstraint(
                condition=Q(hours_days__isnull=True)
                | Q(readings_days__isnull=False, hours_days__gte=F("readings_days")),
                name="retention_hours_outlive_readings",
                violation_error_message="Hours are kept at least as long as the readings that they "
                "are made of.",
            ),
        ]

    def __str__(self) -> str:
        """Whom it is about."""
        words = [str(one) for one in (self.community, self.type) if one is not None]
        return ", ".join(words) or "Whole site"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A change gives notice: nothing goes by it at once."""
        self.changed_at = timezone.now()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Whichever rules take its place give notice too."""
        done = super().delete(*args, **kwargs)
        RetentionRule.objects.update(changed_at=timezone.now())
        return done

    def clean(self) -> None:
        """Refuse a second rule of the whole site; to a database, two NULLs are no equals."""
        if self.community_id is None and self.type_id is None:
            others = RetentionRule.objects.filter(community=None, type=None).exclude(pk=self.pk)
            if others.exists():
                raise ValidationError("There is a rule of the whole site already: change that one.")


class KeptFrom(models.Model):
    """From when on a device's samples are still taken, and up to when its rows are gone.

    A row here is a promise already kept: raising a rule later brings nothing back. Readings before
    `archived_until` (null: none) are read from the archive, never from the rows. It has all of
    them from `archived_from` on (null: since ever); older files may hold some of what was before.
    Runs stand for its texts and on/off values between `runs_from` (null: since ever) and
    `runs_until` (null: none do).
    """

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+", db_constraint=False
    )
    readings_from = InstantField(null=True)
    hours_from = InstantField(null=True)
    dropped_until = InstantField(null=True)
    archived_from = InstantField(null=True)
    archived_until = InstantField(null=True)
    runs_from = InstantField(null=True)
    runs_until = InstantField(null=True)

    def __str__(self) -> str:
        """The device and the instant."""
        return f"{self.device_id}: {self.readings_from}"
