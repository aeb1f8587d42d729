"""Which entries of a source were read: by number, and counted by day."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Source


class EntryLedgerQuerySet(ScopedQuerySet["EntryLedger"]):
    """Ledgers, scoped by community."""

    community_path = "source__device__community"


class EntryLedger(models.Model):
    """The entry numbers that were read since the channel was last cleared.

    One row a source, so that whoever changes it holds one lock: a poll and a page of one source
    may be settled at the same time. `ingestion.gaps.ledger` says what the columns mean.
    """

    source = models.OneToOneField(
        Source, on_delete=models.CASCADE, primary_key=True, related_name="entry_ledger"
    )
    epoch = models.PositiveIntegerField(
        default=0, help_text="How often numbering began anew: the channel was cleared."
    )
    ranges = models.JSONField(
        default=list, help_text="Ranges of numbers read: [first, last, time of first, of last]."
    )
    claimed = models.BigIntegerField(
        null=True, help_text="The last entry number, as the source told in its last answer."
    )
    proves = models.BooleanField(
        default=True, help_text="Whether numbers rise with time, so that a hole means a loss."
    )
    suspect = models.CharField(
        max_length=10, blank=True, help_text="What the last answer looked like: cleared, or fell."
    )
    hole_since = models.DateTimeField(null=True, help_text="When the numbers first had a hole.")
    search_at = models.DateTimeField(
        null=True, help_text="Not before then missing numbers are looked for again."
    )
    barren = models.PositiveSmallIntegerField(
        default=0, help_text="Searches in a row that found none of the missing numbers."
    )

    objects = EntryLedgerQuerySet.as_manager()

    def __str__(self) -> str:
        """Whose ledger this is."""
        return f"Entry numbers of {self.source}"


class SourceDayQuerySet(ScopedQuerySet["SourceDay"]):
    """Days, scoped by community."""

    community_path = "source__device__community"


class SourceDay(models.Model):
    """How many entries of a source a calendar day of its community holds, and how many are lost."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    entries = models.PositiveBigIntegerField(default=0, help_text="Entries read, each once.")
    lost = models.PositiveBigIntegerField(
        default=0, help_text="Entry numbers of that day that the source does not give."
    )

    objects = SourceDayQuerySet.as_manager()

    class Meta:
        ordering = ["source", "day"]
        constraints = [
            # record.count_days: one row to add to; completeness: the days of a source in order
            models.UniqueConstraint(fields=["source", "day"], name="source_day_once")
        ]

    def __str__(self) -> str:
        """Whose day."""
        return f"{self.day} of {self.source}"
