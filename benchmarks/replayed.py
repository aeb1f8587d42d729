"""The site's side of `benchmarks.replay`: channels, polling to the end, counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from devices.models import Community, Connection, Device, DeviceType, ThingSpeakChannel
from devices.readings.store import get_store
from ingestion.dispatch import Queues, dispatch
from ingestion.equipment import batch_equipment, equipment
from ingestion.models import Gap, GapState, PollLog, PollState, Rejection
from ingestion.verify import create_mappings, verify_channel
from ingestion.work import Worker

RATE_LIMIT = 60_000
MOST_TICKS = 5000

Channel = Mapping[str, Any]


class Unfinished(Exception):
    """Something was still unread after very many ticks."""


def add_channels(url: str, channels: Sequence[Channel]) -> None:
    """One device and source for each recorded feed, mapped as Verify proposes it."""
    kind = DeviceType.objects.get(slug="generic")
    community = Community.objects.create(name="Recorded", slug="recorded")
    connection = Connection.objects.create(
        name="Recorded feeds", base_url=url, rate_limit=RATE_LIMIT, rate_window_s=60
    )
    for channel in channels:
        device = Device.objects.create(community=community, type=kind, name=channel["file"])
        source = ThingSpeakChannel.objects.create(
            device=device, connection=connection, channel_id=channel["id"], interval_s=86_400
        )
        create_mappings(source, verify_channel(source, equipment(), timezone.now()).proposals)


def read_everything() -> int:
    """Tick the real dispatcher and worker until nothing is left to read; returns the ticks."""
    worker = Worker(batch_equipment())
    queues = Queues(worker.poll, worker.fill)
    for tick in range(1, MOST_TICKS):
        dispatch(timezone.now, equipment().gate, queues)
        unread = Gap.objects.filter(state__in=[GapState.OPEN, GapState.FILLING])
        if not unread.exists() and not PollState.objects.filter(last_polled_at=None).exists():
            return tick
    raise Unfinished(f"After {MOST_TICKS} ticks there were still gaps or sources never polled.")


def report(channels: Sequence[Channel]) -> dict[str, Any]:
    """Channels, rows, readings, rejections by reason, and whether every gap was closed."""
    reasons = Counter(Rejection.objects.values_list("reason", flat=True))
    metrics = sum(device.metrics.count() for device in Device.objects.all())
    return {
        "channels": len(channels),
        "complete": PollState.objects.filter(failures=0, last_success_at__isnull=False).count(),
        "rows": sum(channel["rows"] for channel in channels),
        "metrics": metrics,
        "readings": PollLog.objects.aggregate(total=Sum("readings"))["total"] or 0,
        "rejections": dict(reasons.most_common()),
        "requests": PollLog.objects.count(),
        "gaps": dict(Counter(Gap.objects.values_list("state", flat=True))),
        "rollups": get_store().roll_up(timezone.now()),
    }
