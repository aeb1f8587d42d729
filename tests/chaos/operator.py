"""An operator's work: accounts, devices, channels and mappings of a plan, in a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Metric,
    ThingSpeakChannel,
)
from tests.chaos.plan import Account, Polled


@transaction.atomic
def set_up(accounts: Sequence[Account], url: str, history_from: datetime) -> None:
    """One device with one channel for each that is to be polled; no history before now."""
    community, _ = Community.objects.get_or_create(slug="chaos", defaults={"name": "Chaos"})
    # Tests with real commits empty the tables, seeded rows included.
    kind, _ = DeviceType.objects.get_or_create(slug="generic", defaults={"name": "Generic"})
    for account in accounts:
        values = {"base_url": url, **account.settings}
        connection = Connection.objects.create(name=account.name, **values)
        for polled in account.channels:
            name = f"{account.name}: channel {polled.channel}"
            device = Device.objects.create(community=community, type=kind, name=name)
            _channel(device, connection, polled, history_from)


def _channel(
    device: Device, connection: Connection, polled: Polled, history_from: datetime
) -> None:
    source = ThingSpeakChannel.objects.create(
        device=device,
        connection=connection,
        channel_id=polled.channel,
        read_key=polled.read_key,
        interval_s=polled.interval_s,
        priority=polled.priority,
        history_from=history_from,
    )
    for position, name in enumerate(polled.fields):
        metric = Metric.objects.create(device=device, name=name, label=name, position=position)
        FieldMapping.objects.create(source=source, field=name, metric=metric)
