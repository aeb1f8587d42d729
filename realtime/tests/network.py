"""A small network for tests of the pages: two villages that must not know of each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    Membership,
    Metric,
    Role,
    ThingSpeakChannel,
)
from devices.readings.samples import Sample, Value
from devices.readings.store import get_store
from realtime.presenters.rows import Banner
from realtime.way_in import NoWayIn, Polling, Refused, SourceDetail


def community(name: str = "Hill village", **fields: Any) -> Community:
    return Community.objects.create(name=name, slug=name.lower().replace(" ", "-"), **fields)


def user(name: str, *communities: Community, role: Role = Role.VIEWER, **flags: Any) -> User:
    created = User.objects.create_user(name, **flags)
    for one in communities:
        Membership.objects.create(community=one, user=created, role=role)
    return created


def client_of(who: User) -> Client:
    client = Client()
    client.force_login(who, "django.contrib.auth.backends.ModelBackend")
    return client


def device(
    where: Community, name: str = "Tank 1", kind: str = "overhead-tank", **fields: Any
) -> Device:
    kind_row = DeviceType.objects.get(slug=kind)
    return Device.objects.create(community=where, name=name, type=kind_row, **fields)


def metric(of: Device, name: str = "water_level_cm", **fields: Any) -> Metric:
    defaults = {"label": "Water level", "unit": "cm", "position": of.metrics.count()}
    return Metric.objects.create(device=of, name=name, **{**defaults, **fields})


def account(name: str = "ThingSpeak account", **fields: Any) -> Connection:
    return Connection.objects.create(name=name, **fields)


def source(of: Device, via: Connection, interval_s: int = 60, **fields: Any) -> ThingSpeakChannel:
    number = 1000 + ThingSpeakChannel.objects.count()
    return ThingSpeakChannel.objects.create(
        device=of, connection=via, channel_id=number, interval_s=interval_s, **fields
    )


def say(
    of: Device, values: Mapping[Metric, Value], age_s: float = 5, sequence: int = 1
) -> datetime:
    """Store what a device said so many seconds ago; returns when."""
    at = (timezone.now() - timedelta(seconds=age_s)).replace(microsecond=0)
    get_store().write([Sample(of.pk, at, sequence, {m.pk: v for m, v in values.items()})])
    return at


def reporting(where: Community, name: str, via: Connection, age_s: float = 5) -> Device:
    """A device of four metrics with a source, which reported so many seconds ago."""
    made = device(where, name, tank_height_cm=300)
    source(made, via)
    metrics = [
        metric(made),
        metric(made, "temperature_c", label="Temperature", unit="°C"),
        metric(made, "flow_l_per_min", label="Flow", unit="L/min"),
        metric(made, "battery_v", label="Battery", unit="V", decimals=2),
    ]
    say(made, {one: 12.5 * place for place, one in enumerate(metrics, 1)}, age_s)
    return made


@dataclass
class KnownPolling(NoWayIn):
    """Answers in ingestion's place with what the test says."""

    how: Mapping[int, Polling] = field(default_factory=dict)
    detail: Mapping[int, SourceDetail] = field(default_factory=dict)
    refusals: Refused | None = None
    wrong: Sequence[Banner] = ()

    def polling(self, sources: Collection[int]) -> Mapping[int, Polling]:
        return {pk: self.how[pk] for pk in sources if pk in self.how}

    def details(self, sources: Collection[int], request: HttpRequest) -> Mapping[int, SourceDetail]:
        return {pk: self.detail[pk] for pk in sources if pk in self.detail}

    def refused(self, device: Device, request: HttpRequest) -> Refused | None:
        return self.refusals

    def troubles(self, now: datetime) -> Sequence[Banner]:
        return self.wrong
