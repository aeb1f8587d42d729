"""Requests of each account, counted: minutes for the live page, hours for a year and more."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Connection
from ingestion.models.poll_log import Lane


class CountsQuerySet(ScopedQuerySet["ConnectionMinute | ConnectionHour"]):
    """Counters, scoped by the account's community; those of shared ones are the administrator's."""

    community_path = "connection__community"


class _Counters(models.Model):
    """What the requests of an account and lane came to (`observe.counts.Counts`)."""

    lane = models.CharField(max_length=10, choices=Lane.choices)
    requests = models.PositiveIntegerField(default=0)
    answered = models.PositiveIntegerField(default=0)
    entries = models.PositiveBigIntegerField(default=0)
    readings = models.PositiveBigIntegerField("new readings", default=0)
    rejected = models.PositiveBigIntegerField("new rejections", default=0)
    outcomes = models.JSONField(default=dict, help_text="Requests by outcome.")
    latency = models.JSONField(
        default=dict, help_text="Answers by bucket of their duration (observe.latency)."
    )

    objects = CountsQuerySet.as_manager()

    class Meta:
        abstract = True


class ConnectionMinute(_Counters):
    """One minute of an account, for the live page; kept two days."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    minute = models.DateTimeField(help_text="When the minute began.")

    class Meta:
        constraints = [
            # counting.stored_minutes: a range of minutes of all accounts
            models.UniqueConstraint(
                fields=["minute", "connection", "lane"], name="one_count_per_minute"
            )
        ]

    def __str__(self) -> str:
        """When, and how many."""
        return f"{self.requests} requests at {self.minute:%Y-%m-%d %H:%M}"


class ConnectionHour(_Counters):
    """One hour of an account; kept 400 days."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    hour = models.DateTimeField(help_text="When the hour began.")
    answered_at = models.DateTimeField(
        null=True, blank=True, help_text="The first minute in which a request was answered."
    )

    class Meta:
        constraints = [
            # counting.stored_hours: a range of hours of all accounts
            models.UniqueConstraint(
                fields=["hour", "connection", "lane"], name="one_count_per_hour"
            )
        ]

    def __str__(self) -> str:
        """When, and how many."""
        return f"{self.requests} requests from {self.hour:%Y-%m-%d %H:%M}"


class CountedUntil(models.Model):
    """Up to when the poll log is counted: one row, locked by whoever counts on."""

    until = models.DateTimeField(help_text="Requests that began before this are counted.")

    def __str__(self) -> str:
        """The instant."""
        return f"{self.until:%Y-%m-%d %H:%M}"


class Status(ConnectionHour):
    """The name under which the admin lists the live page of ingestion."""

    class Meta:
        proxy = True
        verbose_name = "live status"
        verbose_name_plural = "live status"
