"""The device types that a new site starts with. From then on they are rows that people edit."""

from __future__ import annotations

from typing import NamedTuple

from devices.models.device import DefaultMetric, DeviceType, Picture
from devices.models.priority import Priority


class _Standard(NamedTuple):
    slug: str
    name: str
    picture: Picture
    priority: Priority
    interval_s: int
    metrics: tuple[tuple[str, str, str], ...] = ()


_LEVEL = ("water_level_cm", "Water level", "cm")
_TEMPERATURE = ("temperature_c", "Temperature", "°C")
_DEPTH = ("water_depth_m", "Depth to water", "m")
_FLOW = ("flow_l_per_min", "Flow", "L/min")
_POWER = ("power_kw", "Power", "kW")

STANDARD = (
    _Standard(
        "overhead-tank", "Overhead tank (OHT)", Picture.TANK, Priority.CRITICAL, 30, (_LEVEL,)
    ),
    _Standard("sump", "Sump", Picture.SUMP, Priority.CRITICAL, 30, (_LEVEL,)),
    _Standard(
        "pump-house",
        "Pump house",
        Picture.PUMP,
        Priority.HIGH,
        30,
        (("pump_power_kw", "Pump power", "kW"), ("current_a", "Current", "A")),
    ),
    _Standard(
        "flow-meter",
        "Flow meter",
        Picture.FLOW,
        Priority.NORMAL,
        60,
        (_FLOW, ("total_m3", "Total", "m³")),
    ),
    _Standard("borewell", "Borewell", Picture.BOREWELL, Priority.HIGH, 60, (_DEPTH,)),
    _Standard(
        "government-borewell",
        "Government borewell",
        Picture.BOREWELL,
        Priority.NORMAL,
        300,
        (_DEPTH,),
    ),
    _Standard("grill", "Grill", Picture.GRILL, Priority.HIGH, 30, (_TEMPERATURE,)),
    _Standard(
        "cold-room",
        "Cold room",
        Picture.COLD_ROOM,
        Priority.CRITICAL,
        60,
        (_TEMPERATURE, ("humidity_percent", "Humidity", "%")),
    ),
    _Standard(
        "energy-meter",
        "Energy meter",
        Picture.ENERGY,
        Priority.NORMAL,
        60,
        (_POWER, ("energy_kwh", "Energy", "kWh")),
    ),
    _Standard(
        "grid-region",
        "Grid region",
        Picture.GRID,
        Priority.LOW,
        300,
        (("co2_g_per_kwh", "Carbon intensity", "g/kWh"),),
    ),
    _Standard("generic", "Generic sensor", Picture.GENERIC, Priority.NORMAL, 60),
)


def ensure_standard_types() -> None:
    """Create the standard types on a site that has none; one that has any is left as it is."""
    if DeviceType.objects.exists():
        return
    for one in STANDARD:
        kind = DeviceType.objects.create(
            slug=one.slug,
            name=one.name,
            picture=one.picture,
            default_priority=one.priority,
            default_interval_s=one.interval_s,
        )
        DefaultMetric.objects.bulk_create(
            DefaultMetric(device_type=kind, name=name, label=label, unit=unit)
            for name, label, unit in one.metrics
        )
