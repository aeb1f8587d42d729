"""Recorded feeds of real channels, served by the simulator, polled by the real stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from devices.readings.samples import HistoryRequest
from devices.readings.store import get_store
from ingestion.gaps import BEGINNING, END
from ingestion.models import GapState, PollState, Rejection
from ingestion.tests import stack as network
from ingestion.tests.stack import Stack
from simulator.testing import RunningSimulator
from tests.recorded import Expected, expect, read

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "thingspeak"
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded feeds beside the checkout"),
    pytest.mark.timeout(300),
]


@pytest.fixture
def stack(request: Any, redis_socket: str, settings: Any) -> Iterator[Stack]:
    settings.REDIS_URL = f"unix://{redis_socket}"
    with RunningSimulator(replay=RECORDED / request.param) as simulator:
        yield Stack(simulator)


def add_channels(stack: Stack, folder: Path) -> dict[str, Any]:
    """A channel for every recorded file, each labelled field mapped to a number."""
    account = network.connection(stack.simulator, rate_limit=60_000)
    sources = {}
    for known in stack.simulator.control("catalogue"):
        name = known.get("file")
        if name is None:
            continue
        fields, _ = read(folder / name)
        owner = network.device(name, type="generic")
        sources[name] = network.channel(account, known["id"], tuple(fields), owner, interval_s=3600)
    return sources


def stored(source: Any) -> dict[Any, float]:
    """Every stored reading of a source: (time, entry number, field) -> value."""
    found = {}
    for metric in source.device.metrics.all():
        request = HistoryRequest(metric.pk, BEGINNING, END, limit=1_000_000)
        for one in get_store().history(request):
            found[one.at, one.sequence, metric.name] = float(one.value)
    return found


def rejected(source: Any) -> Counter[str]:
    rows = Rejection.objects.filter(source=source)
    return Counter(rows.values_list("reason", flat=True))


@pytest.mark.parametrize("stack", ["."], indirect=True)
def test_every_row_of_every_file_is_stored_or_refused_with_a_reason(stack: Stack) -> None:
    sources = add_channels(stack, RECORDED)
    assert len(sources) >= 50
    stack.read_everything()
    wrong = {
        name: (len(stored(source)), dict(rejected(source)), expected.rejections)
        for name, source in sources.items()
        if (expected := expect(RECORDED / name, stack.at))
        and not agrees(expected, source, stored(source))
    }
    assert not wrong
    before = totals()
    PollState.objects.update(next_poll_at=stack.at, cursor_at=None)
    stack.read_everything()
    stack.run(5)
    assert totals() == before  # reading everything once more adds nothing
    settle_numbers(stack)
    assert totals() == before
    lost = {name: list(one.gaps.filter(state=GapState.LOST)) for name, one in sources.items()}
    assert max(len(gaps) for gaps in lost.values()) <= 10
    for file, count in LOST.items():
        assert sum(gap.missing for gap in lost[file]) == count, file
        assert all("not among the entries" in gap.message for gap in lost[file])


# Numbers that do not occur between the lowest and the highest of a recorded answer.
LOST = {
    "lab11-390408-entry-id-gaps.json": 98,
    "lab11-540711-equal-timestamps-ids-descending.json": 9801,
    "lab11-501419-id-gaps-dup-ts.json": 33392 - 26851 + 1 - 100,
    "lab11-308177-out-of-order-ids.json": 20988 - 13564 + 1 - 100,
    "lab11-392484-nan-text.json": 0,
}


def settle_numbers(stack: Stack) -> None:
    """Let the site look for missing numbers, as often as it wants to within some hours."""
    for _ in range(4):
        stack.advance(3 * 3600)
        PollState.objects.update(next_poll_at=stack.at)
        stack.read_everything()
        stack.run(5)


def agrees(expected: Expected, source: Any, found: dict[Any, float]) -> bool:
    return found == expected.readings and rejected(source).total() == expected.rejections


def totals() -> tuple[int, ...]:
    """How much is stored in all tables that polling fills."""
    tables = ("readings_row", "ingestion_rejection", "readings_received")
    with connection.cursor() as cursor:
        counts = []
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table}")
            counts.append(cursor.fetchone()[0])
    return tuple(counts)


@pytest.mark.parametrize("stack", ["fleet"], indirect=True)
def test_a_fleet_of_150_channels_is_read_completely(stack: Stack) -> None:
    folder = RECORDED / "fleet"
    sources = add_channels(stack, folder)
    assert len(sources) == 150
    stack.read_everything()
    for name, source in sources.items():
        assert agrees(expect(folder / name, stack.at), source, stored(source)), name
