"""A network to measure pages with: devices in every state, readings behind each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction

from devices.alerts.watch import Trouble, open_alert
from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Membership,
    Metric,
    ThingSpeakChannel,
)
from devices.readings.samples import Sample
from devices.readings.store import get_store

COMMUNITIES = 3
INTERVAL_S = 60
ENTRIES = 60
METRICS = (
    ("water_level_cm", "Water level", "cm"),
    ("temperature_c", "Temperature", "°C"),
    ("flow_l_per_min", "Flow", "L/min"),
    ("battery_v", "Battery", "V"),
)
# Every so many devices: what is wrong with it. The rest is online.
OFFLINE_EVERY, STALE_EVERY, FAILING_EVERY = 10, 7, 15


@dataclass(frozen=True, slots=True)
class Network:
    """What was made, and who may see all of it."""

    member: User
    communities: Sequence[Community]
    devices: Sequence[Device]


@transaction.atomic
def build(size: int, now: datetime) -> Network:
    """`size` devices with four metrics each in three communities, one of them a member's."""
    member = User.objects.create_user(f"member-{size}")
    connection = Connection.objects.create(name=f"Account {size}")
    kind = DeviceType.objects.get(slug="overhead-tank")
    communities = [
        Community.objects.create(name=f"Village {size}-{n}", slug=f"village-{size}-{n}")
        for n in range(COMMUNITIES)
    ]
    for community in communities:
        Membership.objects.create(community=community, user=member)
    devices = [_device(n, communities[n % COMMUNITIES], kind, connection, now) for n in range(size)]
    return Network(member, communities, devices)


def _device(
    n: int, community: Community, kind: DeviceType, connection: Connection, now: datetime
) -> Device:
    device = Device.objects.create(
        community=community, type=kind, name=f"Tank {n}", tank_height_cm=300
    )
    channel = ThingSpeakChannel.objects.create(
        device=device, connection=connection, channel_id=n + 1, interval_s=INTERVAL_S
    )
    metrics = [
        Metric.objects.create(device=device, name=name, label=label, unit=unit, position=position)
        for position, (name, label, unit) in enumerate(METRICS)
    ]
    for position, metric in enumerate(metrics, 1):
        FieldMapping.objects.create(source=channel, field=f"field{position}", metric=metric)
    silent_s = 3600 if n % STALE_EVERY == 0 else 10
    newest = now - timedelta(seconds=silent_s)
    get_store().write(
        [
            Sample(
                device.pk,
                newest - timedelta(seconds=INTERVAL_S * back),
                ENTRIES - back,
                {metric.pk: 100.0 + back + place for place, metric in enumerate(metrics)},
            )
            for back in range(ENTRIES)
        ]
    )
    if n % OFFLINE_EVERY == 0:
        open_alert(Trouble.offline(device), "silent", f"{device.name} has not reported.", now)
    if n % FAILING_EVERY == 0:
        open_alert(Trouble.failing(channel), "key_rejected", "The read key was refused.", now)
    return device
