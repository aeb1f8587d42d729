"""Phase lock beside asking strictly at the interval: requests per reading, and age when stored.

The real dispatcher, gate and schedule on a virtual clock; only asking is played. Channels speak as
real ones do: 137 recorded channels of such cadences deviate from their period by this much (a
quarter of them by less, a quarter by more), and leave out one entry in fifty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.report import Figure, percentile
from benchmarks.virtual import Polls, VirtualFleet
from devices.models import Community, Connection, Device, DeviceType, Source
from ingestion.models import PollState

# Steps of each cadence lie evenly up to this share of the period around it: twice the mean
# deviation that was recorded, by quartiles of the channels.
NOISE: Mapping[int, Sequence[float]] = {
    15: (0.032, 0.071, 0.071, 0.145),
    60: (0.009, 0.018, 0.018, 0.052),
    300: (0.003, 0.006, 0.006, 0.030),
}
MISSING = 0.02
CHANNELS = 40  # of each cadence
LEARNING_S = 45 * 60
MEASURED_S = 100 * 60

MOST_REQUESTS = 1.1
OLDEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What channels of one cadence came to. Ages in seconds."""

    requests: float
    age_s: float
    late_s: float
    readings: int


def run() -> Iterator[Figure]:
    """For each cadence both figures, told beside those without phase lock."""
    with_lock, without = _measure(phase_lock=True), _measure(phase_lock=False)
    for period_s, ours in with_lock.items():
        plain = without[period_s]
        name = f"an entry every {period_s} s"
        yield Figure(
            "phase",
            f"{name}: requests per reading (without phase lock {plain.requests:.2f})",
            ours.requests,
            MOST_REQUESTS,
            "requests",
            ours.readings,
        )
        yield Figure(
            "phase",
            f"{name}: median age when stored, p95 {ours.late_s:.1f} s (without phase lock "
            f"{plain.age_s:.1f} s, p95 {plain.late_s:.1f} s)",
            ours.age_s,
            OLDEST_S,
            "s",
            ours.readings,
        )


def _measure(*, phase_lock: bool) -> dict[int, Measured]:
    Source.objects.all().delete()
    PollState.objects.all().delete()
    place, _ = Community.objects.get_or_create(slug="hill", defaults={"name": "Hill"})
    kind = DeviceType.objects.get(slug="overhead-tank")
    device, _ = Device.objects.get_or_create(community=place, type=kind, name="Tank")
    account, _ = Connection.objects.get_or_create(name="Account", rate_limit=1200)
    fleet = VirtualFleet(account, missing=MISSING)
    keys = {
        period_s: [
            fleet.add(device, period_s, noises[n % len(noises)], phase_lock=phase_lock)
            for n in range(CHANNELS)
        ]
        for period_s, noises in NOISE.items()
    }
    fleet.enrol()
    fleet.run(LEARNING_S)
    fleet.forget()
    fleet.run(MEASURED_S)
    return {
        period_s: _figures([fleet.polls[one] for one in of_period])
        for period_s, of_period in keys.items()
    }


def _figures(polls: Sequence[Polls]) -> Measured:
    ages = [age for one in polls for age in one.ages_s]
    requests = sum(len(one.asked_at) for one in polls)
    return Measured(
        requests=requests / len(ages),
        age_s=percentile(ages, 50),
        late_s=percentile(ages, 95),
        readings=len(ages),
    )
