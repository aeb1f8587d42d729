"""Which stretch of time a calibration governs."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from devices.models import CalibrationVersion


class Stretch(NamedTuple):
    """`since` <= at < `until`; None means no limit on that side."""

    since: datetime | None
    until: datetime | None

    def with_(self, other: Stretch) -> Stretch:
        """One stretch that holds both."""
        since = None if None in (self.since, other.since) else min(self.since, other.since)  # type: ignore[type-var]
        until = None if None in (self.until, other.until) else max(self.until, other.until)  # type: ignore[type-var]
        return Stretch(since, until)

    def holds(self, other: Stretch) -> bool:
        """Whether the other lies inside."""
        begins = self.since is None or (other.since is not None and self.since <= other.since)
        ends = self.until is None or (other.until is not None and other.until <= self.until)
        return begins and ends


def governed(version: CalibrationVersion) -> Stretch:
    """From a calibration's beginning to the next one's of the same mapping, as stored now.

    The calibration itself need not be stored.
    """
    others = CalibrationVersion.objects.filter(
        mapping=version.mapping_id, valid_from__isnull=False
    ).exclude(pk=version.pk)
    if version.valid_from is not None:
        others = others.filter(valid_from__gt=version.valid_from)
    until = others.order_by("valid_from").values_list("valid_from", flat=True).first()
    return Stretch(version.valid_from, until)
