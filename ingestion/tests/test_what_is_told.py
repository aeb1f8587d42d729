"""What is told of a device and its source is so: silence, pauses, permanent refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from devices.alerts.models import Alert, Kind
from ingestion.dispatch import Queues, dispatch
from ingestion.gaps import BEGINNING, END
from ingestion.models import Gap
from ingestion.tests import stack as network
from ingestion.tests.fault_server import FaultServer, Peer
from ingestion.tests.stack import TANK, Stack
from ingestion.tests.test_nothing_lost import running, stack, stored

__all__ = ["running", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_device_whose_values_are_all_refused_is_offline(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(account, interval_s=10, history_from=stack.at - timedelta(minutes=5))
    stack.run(30)
    source.device.metrics.update(maximum=-1e9)
    stack.run(200)
    assert Alert.objects.open().get().kind == Kind.DEVICE_OFFLINE
    source.device.metrics.update(maximum=None)
    stack.run(60)
    assert not Alert.objects.open().exists()


def test_a_renamed_field_says_nothing_about_its_device(stack: Stack) -> None:
    source = network.channel(
        network.connection(stack.simulator), interval_s=10, history_from=stack.at
    )
    source.mappings.update(remote_label="Something else")
    stack.run(300)
    assert set(Alert.objects.open().values_list("kind", flat=True)) == {Kind.SOURCE_FAILING}


def test_a_name_that_comes_back_brings_what_was_not_stored(stack: Stack) -> None:
    source = network.channel(
        network.connection(stack.simulator),
        interval_s=10,
        history_from=stack.at - timedelta(minutes=20),
    )
    source.mappings.filter(field="field1").update(remote_label="Water Level (cm)")
    stack.run(60)
    fault = stack.simulator.fault("rename", channel=TANK, field=1, label="Other")
    stack.run(400)
    stack.simulator.control(f"faults/{fault}", "DELETE")
    stack.run(60)
    stack.work()
    assert not Alert.objects.open().exists()
    assert sorted(stored(source)) == sorted(stored(source, "field2"))


def test_what_only_a_person_can_mend_is_told(stack: Stack) -> None:
    network.channel(network.connection(stack.simulator), interval_s=10)
    stack.simulator.fault("redirect", to="http://127.0.0.1:1/x")
    stack.run(60)
    alert = Alert.objects.open().get()
    assert alert.kind == Kind.SOURCE_FAILING
    assert "final address" in alert.text


class Sensor:
    """A channel of which we hold the rows: (time, number, value)."""

    def __init__(self) -> None:
        self.rows: list[tuple[datetime, int, str | None]] = []
        self.server = FaultServer({"/channels/1/feeds.json": self.answer})

    def answer(self, peer: Peer) -> None:
        asked = parse_qs(urlsplit(self.server.requests[-1].decode().split(" ")[1]).query)
        since, until = (
            datetime.fromisoformat(asked[end][0]).replace(tzinfo=UTC) if end in asked else default
            for end, default in (("start", BEGINNING), ("end", END))
        )
        found = [row for row in self.rows if since <= row[0] <= until]
        feeds = [
            {"created_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "entry_id": number, "field1": value}
            for at, number, value in found[-int(asked["results"][0]) :]
        ]
        channel = {"id": 1, "name": "n", "field1": "Level"}
        peer.answer(json.dumps({"channel": channel, "feeds": feeds}).encode())


@pytest.fixture
def sensor() -> Iterator[tuple[Sensor, str]]:
    made = Sensor()
    with made.server.running() as url:
        yield made, url


def test_empty_rows_for_an_hour_make_no_gaps(
    stack: Stack,
    sensor: tuple[Sensor, str],
) -> None:
    made, url = sensor
    account = network.connection(stack.simulator, base_url=url)
    network.channel(account, 1, ("field1",), interval_s=30)
    for second in range(0, 5400, 10):
        made.rows.append((stack.at, second, "5" if second < 600 else None))
        queues: Any = Queues(stack.worker.poll, stack.worker.fill)
        dispatch(lambda: stack.at, stack.gate, queues)
        stack.at += timedelta(seconds=10)
    assert not Gap.objects.exists()
    assert Alert.objects.open().get().kind == Kind.DEVICE_OFFLINE
