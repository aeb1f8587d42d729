"""The backfill lane: a page is fetched only where it makes no live poll wait.

At 4 requests a minute the slot of one page is the only one for 15 seconds: a poll that becomes due
meanwhile would wait for it, though nothing was due when the page was taken.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from devices.models import Connection
from ingestion.claiming import CLASSES
from ingestion.models import Gap, PollState
from ingestion.rules import route_of

# Slots closer than this (seconds) come again within the tick: whoever waits does not notice.
DENSE_S = 0.25


def has_room(connection: Connection, now: datetime, ahead_s: float) -> bool:
    """Whether a page of this account delays no live poll: neither its budget nor its worker.

    `ahead_s`: how far ahead of now the page's slot may be booked.
    """
    in_flight = Gap.objects.filter(lease_until__gt=now).count()
    return in_flight < settings.PAGES_AT_ONCE and not poll_comes(connection, now, ahead_s)


def poll_comes(connection: Connection, now: datetime, ahead_s: float) -> bool:
    """Whether a poll becomes due before the slot after the page's; those under way included."""
    interval_s = route_of(connection).rate.interval_s
    if interval_s <= DENSE_S:
        return False
    span_s = ahead_s + interval_s
    every = Coalesce(F("source__interval_s"), F("source__device__type__default_interval_s"))
    again = Q(next_poll_at__lte=now, lease_until__gt=now, every__lt=span_s)
    asked = PollState.objects.annotate(every=every).filter(
        Q(next_poll_at__gt=now) | again,
        connection=connection,
        active=True,
        urgency__in=CLASSES,
        next_poll_at__lt=now + timedelta(seconds=span_s),
    )
    return asked.exists()
