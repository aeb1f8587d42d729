"""What time it is, as far as it can be believed: before readings go for their age.

A server's clock may jump ahead, and by it alone everything would be old. Readings carry the times
of their sources, and one that is ahead of the server's clock is refused when it comes: the newest
ones still tell what time it really is. Where nobody has measured for long, nothing has to go in a
hurry: what does not grow may stay.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db.models import Max

from devices.readings.models import LatestRow, LatestText, Watermark

log = structlog.get_logger(__name__)

AHEAD = timedelta(days=1)
"""The clock is believed so far ahead of the newest reading."""
_ADVICE = (
    "Nothing measured lately is stored. If the server's clock is wrong, put it right. If nobody "
    "has measured since, there is nothing to do: the next reading ends this."
)


def newest_reading() -> datetime | None:
    """When the newest reading of the whole site was measured; None when there never was one.

    To the hour: of numbers, one that is less than an hour newer may not stand here yet.
    """
    found = [
        model.objects.aggregate(newest=Max("at"))["newest"] for model in (LatestRow, LatestText)
    ]
    return max((at for at in found if at is not None), default=None)


def believed(now: datetime) -> datetime:
    """The time by which readings may go: now, but not long after the newest reading."""
    newest = newest_reading()
    return now if newest is None else min(now, newest + AHEAD)


def remember_doubt(now: datetime, today: datetime) -> None:
    """Log when the clock begins not to be believed, and when it is believed again."""
    books = Watermark.objects.all()
    if today < now:
        if books.filter(doubted_since=None).update(doubted_since=now):
            log.warning(
                "clock_not_believed",
                clock=now.isoformat(),
                newest_reading=(today - AHEAD).isoformat(),
                message=_ADVICE,
            )
    elif books.exclude(doubted_since=None).update(doubted_since=None):
        log.info("clock_believed_again", clock=now.isoformat())
