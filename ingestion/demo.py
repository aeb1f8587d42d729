"""The demonstration network: three villages whose channels the bundled simulator answers for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    SourceKind,
    ThingSpeakChannel,
)
from ingestion.verify.confirming import create_mappings, metrics_known_to
from ingestion.verify.proposals import propose_mappings

CONNECTION = "ThingSpeak (simulated)"
ZONE = "Asia/Kolkata"
# The simulator knows years; this much fills the charts of a first look within minutes.
HISTORY = timedelta(days=3)
# Local and our own: it may be asked far more often than a stranger's server.
REQUESTS_A_MINUTE = 1200

Channel = Mapping[str, Any]


class NoCatalogue(Exception):
    """The simulator did not say which channels it has."""


def catalogue() -> Sequence[Channel]:
    """The channels that the bundled simulator answers for, as it describes them itself."""
    answer = subprocess.run(  # our own module, no input from outside
        [sys.executable, "-m", "simulator", "--catalogue"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=settings.BASE_DIR,
    )
    if answer.returncode:
        raise NoCatalogue(f"The simulator could not be asked: {answer.stderr.strip()}")
    channels: Sequence[Channel] = json.loads(answer.stdout)
    return channels


@transaction.atomic
def seed(channels: Sequence[Channel], simulator_url: str, now: datetime) -> list[Device]:
    """Create communities, devices, channels and mappings for the simulator's catalogue.

    Run again, it adds only what is missing; what people changed stays as it is.
    """
    connection, _ = Connection.objects.get_or_create(
        name=CONNECTION,
        defaults={
            "kind": SourceKind.THINGSPEAK,
            "base_url": simulator_url,
            "rate_limit": REQUESTS_A_MINUTE,
        },
    )
    types = {kind.slug: kind for kind in DeviceType.objects.all()}
    return [_device(channel, connection, types, now) for channel in channels]


def _device(
    channel: Channel, connection: Connection, types: Mapping[str, DeviceType], now: datetime
) -> Device:
    village = channel["village"]
    community, _ = Community.objects.get_or_create(
        slug=slugify(village), defaults={"name": village, "zone": ZONE}
    )
    device, created = Device.objects.get_or_create(
        community=community,
        name=channel["name"].removeprefix(f"{village} "),
        defaults={
            "type": types.get(channel["kind"].replace("_", "-"), types["generic"]),
            "latitude": channel["latitude"],
            "longitude": channel["longitude"],
            "tank_height_cm": channel.get("tank_height_cm"),
        },
    )
    if created:
        _source(channel, device, connection, now)
    return device


def _source(channel: Channel, device: Device, connection: Connection, now: datetime) -> None:
    source = ThingSpeakChannel.objects.create(
        device=device,
        connection=connection,
        channel_id=channel["id"],
        read_key=channel["read_key"] or "",
        interval_s=max(channel["cadence_s"], 10),
        history_from=now - HISTORY,
    )
    create_mappings(source, propose_mappings(channel["fields"], [], metrics_known_to(source)))
