"""What pages need of the readings, in few queries."""

from __future__ import annotations

from collections.abc import Collection

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
