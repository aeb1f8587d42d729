"""What pages need of the readings, in few queries."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet

from devices.models import Metric
from devices.readings.samples import Reading
from devices.readings.store import get_store


def latest_of_devices(
    device_ids: Collection[int],
) -> dict[int, list[tuple[Metric, Reading | None]]]:
    """Each device's metrics in their order with their newest reading, in a few queries.

    Every asked device is there; a metric that was never heard has None.
    """
    answer: dict[int, list[tuple[Metric, Reading | None]]] = {key: [] for key in device_ids}
    metrics = list(
        Metric.objects.filter(device_id__in=device_ids).order_by("device_id", "position", "pk")
    )
    if not metrics:
        return answer
    latest = get_store().latest([metric.pk for metric in metrics])
    for metric in metrics:
        answer[metric.device_id].append((metric, latest.get(metric.pk)))
    return answer


def heard_of_devices(
    device_ids: Collection[int],
) -> dict[int, list[tuple[int | None, datetime | None]]]:
    """Of each device's metrics: every how many seconds one speaks, and when it last did (UTC).

    None: nobody says how often, and never. In a few queries; devices without metrics are absent.
    """
    metrics = Metric.objects.filter(device_id__in=device_ids).order_by()
    rows = list(metrics.values_list("pk", "device_id", "expected_every_s"))
    latest = get_store().latest([metric for metric, *_ in rows]) if rows else {}
    answer: dict[int, list[tuple[int | None, datetime | None]]] = {}
    for metric, device, expected_s in rows:
        reading = latest.get(metric)
        answer.setdefault(device, []).append((expected_s, reading.at if reading else None))
    return answer


def ever_heard(metrics: QuerySet[Metric]) -> QuerySet[Metric]:
    """Those of which a value was ever stored."""
    return metrics.filter(Q(slot__isnull=False) | Q(latest_text__isnull=False))
