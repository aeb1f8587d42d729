"""What ingestion forgets: successful polls after two days, troubles, gaps, rejections later."""

from __future__ import annotations

from datetime import datetime, timedelta

from ingestion.models import Gap, GapReason, GapState, Lane, PollLog, Rejection
from ingestion.observe.counting import counted_until
from ingestion.resilience.classify import Kind

# A hundred sources polled every ten seconds leave a million rows in this time.
KEEP_SUCCESSES = timedelta(days=2)
KEEP_POLL_LOG = timedelta(days=30)
# Not before they are counted, unless counting stands still for so long.
KEEP_UNCOUNTED = timedelta(days=7)
KEEP_REJECTIONS = timedelta(days=365)
# What was filled is in the readings; days remember how many entries are lost for good.
KEEP_FILLED_GAPS = timedelta(days=30)
KEEP_GAPS = timedelta(days=365)


def prune_logs(now: datetime, today: datetime) -> int:
    """Delete old log rows, rejections and gaps; returns how many rows went.

    The log goes by the clock, as it grows. What nothing brings back goes by `today`, a time that
    can be believed (`devices.readings.believing`): a clock may jump ahead.
    """
    bound = max(min(now - KEEP_SUCCESSES, counted_until() or now), now - KEEP_UNCOUNTED)
    fine = PollLog.objects.filter(at__lt=bound, outcome=Kind.OK, lane=Lane.LIVE)
    old_successes, _ = fine.delete()
    old_logs, _ = PollLog.objects.filter(at__lt=now - KEEP_POLL_LOG).delete()
    old_rejections, _ = Rejection.objects.filter(received_at__lt=today - KEEP_REJECTIONS).delete()
    return old_successes + old_logs + old_rejections + prune_gaps(today)


def prune_gaps(now: datetime) -> int:
    """Delete gaps that were closed long ago; what the site found and filled itself goes sooner."""
    filled = Gap.objects.filter(state=GapState.FILLED, closed_at__lt=now - KEEP_FILLED_GAPS)
    old_filled, _ = filled.exclude(reason=GapReason.REQUESTED).delete()
    old, _ = Gap.objects.filter(closed_at__lt=now - KEEP_GAPS).delete()
    return old_filled + old
