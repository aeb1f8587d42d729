"""What each kind of equipment reports at an instant: labels, and the texts that its controller
would send.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from simulator.channels import Value
from simulator.noise import drift, jitter, uniform
from simulator.waterworks import DAY, HOUR, Works, ambient_c, local_second

Readings = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Equipment:
    """A kind of device in one place: the labels of its fields in order, and its readings as a
    function of time.
    """

    kind: str
    labels: tuple[str, ...]
    read: Callable[[float], Readings]
    cadence_s: int
    facts: tuple[tuple[str, object], ...] = ()


def _flag(state: bool) -> str:
    return "1" if state else "0"


def overhead_tank(works: Works, seed: int, cadence_s: int) -> Equipment:
    """A tank on stilts with an ultrasonic level sensor on a solar battery."""

    def read(at: float) -> Readings:
        level = works.tank_cm(at) + 0.4 * jitter(seed, at)
        sun = max(0.0, math.cos(2 * math.pi * (local_second(at) - 13 * HOUR) / DAY))
        battery = 3.78 + 0.32 * sun + 0.02 * jitter(seed + 2, at)
        return f"{level:.1f}", f"{ambient_c(seed, at) - 2:.1f}", f"{battery:.2f}"

    labels = ("Water Level (cm)", "Water Temperature (°C)", "Battery (V)")
    return Equipment(
        "overhead_tank", labels, read, cadence_s, (("tank_height_cm", works.tank_height_cm),)
    )


def sump(works: Works, seed: int, cadence_s: int, missing: float = 0.0) -> Equipment:
    """An underground tank; `missing` is the share of entries whose temperature is null."""

    def read(at: float) -> Readings:
        level = works.sump_cm(at) + 0.5 * jitter(seed, at)
        temperature = f"{24.5 + 1.2 * drift(seed, at, 2 * DAY):.1f}"
        absent = missing > 0 and uniform(seed + 3, int(at)) < missing
        return f"{level:.1f}", None if absent else temperature

    labels = ("Water Level (cm)", "Water Temperature (°C)")
    return Equipment("sump", labels, read, cadence_s, (("tank_height_cm", works.sump_height_cm),))


def pump_house(works: Works, seed: int, cadence_s: int) -> Equipment:
    """The lift pump from sump to overhead tank."""

    def read(at: float) -> Readings:
        on = works.lift_on(at)
        power = works.lift_kw * (1 + 0.02 * jitter(seed, at)) if on else 0.0
        flow = works.lift_m3h * 1000 / 60 * (1 + 0.015 * jitter(seed + 1, at)) if on else 0.0
        return (
            f"{power:.2f}",
            f"{power * 1000 / (3**0.5 * 400 * 0.85):.1f}",
            _flag(on),
            f"{flow:.1f}",
        )

    labels = ("Pump Power (kW)", "Pump Current (A)", "Pump On", "Flow Rate (L/min)")
    return Equipment("pump_house", labels, read, cadence_s)


def borewell(works: Works, seed: int, cadence_s: int) -> Equipment:
    """The borewell that fills the sump."""

    def read(at: float) -> Readings:
        on = works.well_on(at)
        flow = works.well_m3h * 1000 / 60 * (1 + 0.02 * jitter(seed, at)) if on else 0.0
        return f"{works.depth_m(at) + 0.03 * jitter(seed + 1, at):.2f}", f"{flow:.1f}", _flag(on)

    return Equipment(
        "borewell", ("Depth to Water (m)", "Flow Rate (L/min)", "Pump On"), read, cadence_s
    )


def flow_meter(works: Works, seed: int, cadence_s: int) -> Equipment:
    """The meter of what the village draws; the total is a counter that only rises."""

    def read(at: float) -> Readings:
        flow = works.draw_m3h(at) * 1000 / 60 * (1 + 0.06 * jitter(seed, at))
        return f"{flow:.1f}", f"{1840 + works.drawn(at):.2f}"

    return Equipment("flow_meter", ("Flow Rate (L/min)", "Total Volume (m3)"), read, cadence_s)


def energy_meter(works: Works, seed: int, cadence_s: int) -> Equipment:
    """The electricity meter of the installation; the energy is a counter that only rises."""

    def read(at: float) -> Readings:
        voltage = 229 + 6 * drift(seed, at, 2 * HOUR) + jitter(seed + 1, at) - 3 * works.lift_on(at)
        return f"{works.power_kw(at):.2f}", f"{12750 + works.energy_kwh(at):.2f}", f"{voltage:.1f}"

    return Equipment("energy_meter", ("Power (kW)", "Energy (kWh)", "Voltage (V)"), read, cadence_s)


def cold_room(seed: int, cadence_s: int) -> Equipment:
    """A cold store at 3 °C: the compressor's saw tooth, a defrost at night, and doors opened by
    day.
    """
    slot_s = 600

    def opened(slot: int) -> tuple[float, float] | None:
        start = slot * slot_s + 300 * uniform(seed + 1, slot)
        hour = local_second(start) / HOUR
        chance = 0.22 if 6 <= hour < 20 else 0.01
        if uniform(seed + 2, slot) >= chance:
            return None
        return start, 40 + 200 * uniform(seed + 3, slot)

    def read(at: float) -> Readings:
        phase = (at / 1560 + uniform(seed, 0)) % 1
        temperature = 2.4 + (phase / 0.6 if phase < 0.6 else (1 - phase) / 0.4) * 1.4
        door = False
        for slot in range(int(at // slot_s) - 4, int(at // slot_s) + 1):
            opening = opened(slot)
            if opening is None or opening[0] > at:
                continue
            start, length = opening
            warmed = 2.6 * (1 - math.exp(-min(at - start, length) / 150))
            temperature += warmed * math.exp(-max(0.0, at - start - length) / 500)
            door = door or at - start < length
        humidity = 84 - 3.5 * (temperature - 3) + 1.5 * drift(seed + 4, at, HOUR)
        return f"{temperature + 0.08 * jitter(seed + 5, at):.2f}", f"{humidity:.1f}", _flag(door)

    return Equipment(
        "cold_room", ("Temperature (°C)", "Humidity (%)", "Door Open"), read, cadence_s
    )


def grill(seed: int, cadence_s: int) -> Equipment:
    """The grill of the canteen: lit at half past four, out at nine, two probes in the meat."""
    lit_s, length_s = 16.5 * HOUR, 4.5 * HOUR

    def heated(at: float, target: float, lag_s: float) -> float:
        outside = ambient_c(seed, at)
        since = (local_second(at) - lit_s) % DAY
        top = (target - outside) * (1 - math.exp(-min(since, length_s) / lag_s))
        return outside + top * math.exp(-max(0.0, since - length_s) / 2400)

    def read(at: float) -> Readings:
        chamber = heated(at, 132 + 9 * drift(seed + 1, at, 900), 700) + 0.5 * jitter(seed + 2, at)
        return f"{chamber:.1f}", f"{heated(at, 96, 6200):.1f}", f"{heated(at, 91, 7400):.1f}"

    labels = ("Chamber Temperature (°C)", "Probe 1 Temperature (°C)", "Probe 2 Temperature (°C)")
    return Equipment("grill", labels, read, cadence_s)
