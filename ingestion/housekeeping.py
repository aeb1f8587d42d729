"""What ingestion forgets: successful polls after two days, other polls and rejections later."""

from __future__ import annotations

from datetime import datetime, timedelta

from ingestion.models import Lane, PollLog, Rejection
from ingestion.observe.counting import counted_until
from ingestion.resilience.classify import Kind

# A hundred sources polled every ten seconds leave a million rows in this time.
KEEP_SUCCESSES = timedelta(days=2)
KEEP_POLL_LOG = timedelta(days=30)
# Not before they are counted, unless counting stands still for so long.
KEEP_UNCOUNTED = timedelta(days=7)
KEEP_REJECTIONS = timedelta(days=365)


def prune_logs(now: datetime) -> int:
    """Delete old log rows and rejections; returns how many rows went."""
    bound = max(min(now - KEEP_SUCCESSES, counted_until() or now), now - KEEP_UNCOUNTED)
    fine = PollLog.objects.filter(at__lt=bound, outcome=Kind.OK, lane=Lane.LIVE)
    old_successes, _ = fine.delete()
    old_logs, _ = PollLog.objects.filter(at__lt=now - KEEP_POLL_LOG).delete()
    old_rejections, _ = Rejection.objects.filter(received_at__lt=now - KEEP_REJECTIONS).delete()
    return old_successes + old_logs + old_rejections
