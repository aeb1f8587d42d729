"""The water works of a village in closed form: any instant can be computed without its past.

The trick: everything follows from one cumulative curve, the water the village has drawn since the
beginning. It is known for every instant (a daily volume and a daily profile). The lift pump starts
whenever one more `batch` has been drawn and runs until it has lifted exactly one batch, so the
number of batches drawn gives the start of the running session, the volume lifted, the levels, the
energy and the depth of the borewell, exactly and without jumps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from simulator.noise import drift, jitter, uniform

HOUR = 3600.0
DAY = 86400.0
LOCAL_OFFSET_S = 5.5 * HOUR
"""Villages live at UTC+05:30; days and habits follow their clock."""

# Relative demand at each full hour: a morning peak at seven, a smaller one at noon, an evening peak
# at seven.
_HOURLY = (2, 1, 1, 2, 6, 20, 46, 60, 42, 26, 20, 22, 27, 22, 16, 15, 20, 34, 50, 53, 36, 19, 9, 4)
_KNOTS = (*_HOURLY, _HOURLY[0])
_AREAS = tuple((_KNOTS[hour] + _KNOTS[hour + 1]) / 2 for hour in range(24))
_BEFORE = tuple(sum(_AREAS[:hour]) for hour in range(24))
_TOTAL = sum(_AREAS)


def local_second(at: float) -> float:
    """Seconds since local midnight."""
    return (at + LOCAL_OFFSET_S) % DAY


def share_drawn(second: float) -> float:
    """Share of a day's water drawn up to this second of the local day: 0 at midnight, 1 at the
    next.
    """
    hour = min(int(second / HOUR), 23)
    part = second / HOUR - hour
    slope = _KNOTS[hour + 1] - _KNOTS[hour]
    return (_BEFORE[hour] + (_KNOTS[hour] + slope * part / 2) * part) / _TOTAL


def share_per_hour(second: float) -> float:
    """Share of a day's water drawn per hour at this second of the local day."""
    hour = min(int(second / HOUR), 23)
    part = second / HOUR - hour
    return (_KNOTS[hour] + (_KNOTS[hour + 1] - _KNOTS[hour]) * part) / _TOTAL


@dataclass(frozen=True)
class Works:
    """Sizes of one village's installation: volumes in m3, areas in m2, flows in m3/h, levels in cm,
    power in kW.
    """

    seed: int
    origin: float
    daily_m3: float = 60.0
    batch_m3: float = 30.0
    tank_area_m2: float = 18.0
    tank_height_cm: int = 320
    tank_low_cm: float = 110.0
    sump_area_m2: float = 13.0
    sump_height_cm: int = 260
    sump_full_cm: float = 225.0
    lift_m3h: float = 18.0
    lift_kw: float = 5.5
    well_m3h: float = 8.0
    well_kw: float = 3.7
    static_depth_m: float = 24.0
    drawdown_m: float = 9.0

    def _drawn_before(self, day: int) -> float:
        """Water drawn before a local day (counted from the origin): some days more, some less."""
        swing = 0.3 * self.daily_m3 * (uniform(self.seed, day) - 0.5)
        return self.daily_m3 * day + swing

    def _day(self, at: float) -> tuple[int, float]:
        since = at - self.origin + LOCAL_OFFSET_S + DAY
        day = int(since // DAY)
        return day, since - day * DAY

    def drawn(self, at: float) -> float:
        """Water drawn by the village since the beginning, m3; never falls."""
        day, second = self._day(at)
        before = self._drawn_before(day)
        return before + (self._drawn_before(day + 1) - before) * share_drawn(second)

    def draw_m3h(self, at: float) -> float:
        """Water the village draws now, m3/h."""
        day, second = self._day(at)
        volume = self._drawn_before(day + 1) - self._drawn_before(day)
        return volume * share_per_hour(second)

    def session(self, at: float) -> tuple[int, float]:
        """Number of the batch being or last lifted, and the seconds since its pump started."""
        number = math.floor(self.drawn(at) / self.batch_m3)
        return number, max(0.0, at - _started(self, number))

    def lifted(self, at: float) -> float:
        """Water lifted from the sump to the tank since the beginning, m3."""
        number, seconds = self.session(at)
        return number * self.batch_m3 + min(self.batch_m3, self.lift_m3h * seconds / HOUR)

    def raised(self, at: float) -> float:
        """Water raised from the borewell to the sump since the beginning, m3."""
        number, seconds = self.session(at)
        return number * self.batch_m3 + min(self.batch_m3, self.well_m3h * seconds / HOUR)

    def lift_on(self, at: float) -> bool:
        """Whether the lift pump runs."""
        return self.session(at)[1] < self.batch_m3 / self.lift_m3h * HOUR

    def well_on(self, at: float) -> bool:
        """Whether the borewell's pump runs."""
        return self.session(at)[1] < self.batch_m3 / self.well_m3h * HOUR

    def tank_cm(self, at: float) -> float:
        """Level of the overhead tank."""
        return self.tank_low_cm + (self.lifted(at) - self.drawn(at)) / self.tank_area_m2 * 100

    def sump_cm(self, at: float) -> float:
        """Level of the sump."""
        return self.sump_full_cm - (self.lifted(at) - self.raised(at)) / self.sump_area_m2 * 100

    def depth_m(self, at: float) -> float:
        """Depth to water in the borewell: falls while its pump runs, recovers afterwards, wanders
        with the weeks.
        """
        _, seconds = self.session(at)
        running = self.batch_m3 / self.well_m3h * HOUR
        down = 1 - math.exp(-min(seconds, running) / 1500)
        recovery = math.exp(-max(0.0, seconds - running) / 3600)
        return (
            self.static_depth_m
            + self.drawdown_m * down * recovery
            + 1.2 * drift(self.seed, at, 9 * DAY)
        )

    def energy_kwh(self, at: float) -> float:
        """Energy used since the beginning; never falls."""
        lights = 0.18 * (at - self.origin) / HOUR
        lift = self.lifted(at) / self.lift_m3h * self.lift_kw
        return lift + self.raised(at) / self.well_m3h * self.well_kw + lights

    def power_kw(self, at: float) -> float:
        """Power drawn now."""
        unsteady = 1 + 0.015 * jitter(self.seed + 5, at)
        return (self.lift_kw * self.lift_on(at) + self.well_kw * self.well_on(at) + 0.18) * unsteady


def first_instant(reached: Callable[[float], bool], low: float, high: float) -> float:
    """The instant between `low` and `high` at which a condition that stays true becomes true, to a
    millisecond.
    """
    while high - low > 0.001:
        middle = (low + high) / 2
        if reached(middle):
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=8192)
def _started(works: Works, number: int) -> float:
    volume = number * works.batch_m3
    around = works.origin + (volume / works.daily_m3 - 1) * DAY - LOCAL_OFFSET_S
    return first_instant(
        lambda at: works.drawn(at) >= volume, around - 1.5 * DAY, around + 1.5 * DAY
    )


def ambient_c(seed: int, at: float) -> float:
    """Outdoor temperature, °C: warmest at three in the afternoon, cooler in January."""
    daily = 5.5 * math.cos(2 * math.pi * (local_second(at) - 15 * HOUR) / DAY)
    yearly = 4.5 * math.cos(2 * math.pi * (at / DAY - 130) / 365.25)
    return 26.5 + daily + yearly + 1.5 * drift(seed, at, 5 * HOUR)
