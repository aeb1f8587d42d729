"""What the books say of metrics: whose they are and where their values stand."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from devices.models import DataType
from devices.readings.store.engine import Engine


@dataclass(slots=True)
class Slots:
    """Where the values of some devices' metrics stand."""

    numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    """Metric by stream and position."""
    device_of_stream: dict[int, int] = field(default_factory=dict)
    flags: set[int] = field(default_factory=set)
    """On/off metrics: they count as numbers."""
    device: dict[int, int] = field(default_factory=dict)
    """Device of each metric."""

    def _add(
        self, metric: int, device: int, data_type: str, stream: int | None, position: int
    ) -> None:
        self.device[metric] = device
        if stream is not None:
            self.numbers[stream, position] = metric
            self.device_of_stream[stream] = device
        if data_type == DataType.BOOLEAN:
            self.flags.add(metric)


def slots_of_metric(engine: Engine, metric: int) -> Slots:
    """Of one metric."""
    return _slots(engine, "id", [metric])


def slots_of_devices(engine: Engine, devices: Collection[int]) -> Slots:
    """Of all metrics of these devices."""
    return _slots(engine, "device_id", devices)


def _slots(engine: Engine, column: str, owners: Collection[int]) -> Slots:
    found = Slots()
    if not owners:
        return found
    wanted, params = engine.relation("k", [("owner", "int8")], [[one] for one in sorted(owners)])
    rows = engine.query(
        "SELECT m.id, m.device_id, m.data_type, s.stream_id, s.position "
        f"FROM {wanted} JOIN devices_metric m ON m.{column} = k.owner "
        "LEFT JOIN readings_slot s ON s.metric_id = m.id",
        params,
    )
    for row in rows:
        found._add(*row)
    return found
