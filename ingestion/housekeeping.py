"""What ingestion forgets: the poll log after two weeks, rejections after a year."""

from __future__ import annotations

from datetime import datetime, timedelta

from ingestion.models import PollLog, Rejection

KEEP_POLL_LOG = timedelta(days=14)
KEEP_REJECTIONS = timedelta(days=365)


def prune_logs(now: datetime) -> int:
    """Delete old log rows and rejections; returns how many rows went."""
    old_logs, _ = PollLog.objects.filter(at__lt=now - KEEP_POLL_LOG).delete()
    old_rejections, _ = Rejection.objects.filter(received_at__lt=now - KEEP_REJECTIONS).delete()
    return old_logs + old_rejections
