"""What people configure is checked where it is entered."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from devices.models import Connection, FieldMapping, Metric, ThingSpeakChannel
from devices.tests.scene import Scene


def problems(row: Metric | FieldMapping | Connection | ThingSpeakChannel) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    return caught.value.message_dict


def test_a_mapping_feeds_only_its_own_device(scene: Scene) -> None:
    mapping = FieldMapping(source=scene.hill.channel, field="field2", metric=scene.valley.metric)
    assert "another device" in problems(mapping)["metric"][0]


def test_a_mapping_converts_only_what_compares(scene: Scene) -> None:
    scene.hill.mapping.unit = "L"
    assert "cannot be converted" in problems(scene.hill.mapping)["unit"][0]


def test_a_channel_is_read_once_per_device(scene: Scene) -> None:
    again = ThingSpeakChannel(
        device=scene.hill.device, connection=scene.hill.connection, channel_id=101
    )
    assert "already reads this channel" in problems(again)["channel_id"][0]


@pytest.mark.parametrize(
    "address", ["https://me:secret@example.org", "https://example.org/?api_key=x", "ftp://a.org"]
)
def test_addresses_hold_no_credentials(db: None, address: str) -> None:
    assert "base_url" in problems(Connection(name="A", base_url=address))


@pytest.mark.parametrize("name", ["Water Level", "2nd", "_x", "höhe"])
def test_metric_names_are_canonical(scene: Scene, name: str) -> None:
    metric = Metric(device=scene.hill.device, name=name, label="L")
    assert "small letter" in problems(metric)["name"][0]
