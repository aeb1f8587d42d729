"""Whatever a channel says, every entry is stored as it was meant or refused for the true reason."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from devices.models import ThingSpeakChannel
from devices.readings.samples import HistoryRequest
from devices.readings.store import get_store
from ingestion.gaps import BEGINNING, END
from ingestion.models import PollLog, Rejection
from simulator.testing import RunningSimulator
from tests.chaos import figures
from tests.chaos.judge import Judge
from tests.chaos.operator import set_up
from tests.chaos.plan import Account, Polled
from tests.chaos.virtual import START, Virtual

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]

PROOF = "odd data"
# What a channel may do while it is polled.
FAULTS = ("cleared", "falling_ids", "duplicate", "future")
KEY = "ZX81QL3KSPECTRUM"

# What a channel says: time, entry number, value; and what must come of it: number or reason.
Case = tuple[str, int, str, float | str]
CASES: dict[str, list[Case]] = {
    "equal timestamps": [
        ("2026-11-19T10:00:00Z", 1, "1.5", 1.5),
        ("2026-11-19T10:00:00Z", 2, "2.5", 2.5),
        ("2026-11-19T10:00:00Z", 3, "3.5", 3.5),
    ],
    "falling ids": [
        ("2026-11-19T10:00:00Z", 900, "1", 1.0),
        ("2026-11-19T10:01:00Z", 12, "2", 2.0),
        ("2026-11-19T10:02:00Z", 11, "3", 3.0),
    ],
    "future years": [
        ("2086-01-01T00:00:00Z", 1, "7", "future_time"),
        ("2026-11-19T10:00:00Z", 2, "8", 8.0),
    ],
    "DST, the hour that comes twice": [
        ("2026-10-25T02:30:00+02:00", 1, "1", 1.0),
        ("2026-10-25T02:30:00+01:00", 2, "2", 2.0),
    ],
    "a time without a zone": [
        ("2026-11-19 10:00:00", 1, "1", "no_zone"),
        ("2026-11-19T10:00:00Z", 2, "2", 2.0),
    ],
    "CRLF": [("2026-11-19T10:00:00Z", 1, "36.00\r\n\r\n", 36.0)],
    "nan": [
        ("2026-11-19T10:00:00Z", 1, "nan", "not_finite"),
        ("2026-11-19T10:01:00Z", 2, " NAN", "not_finite"),
        ("2026-11-19T10:02:00Z", 3, "inf", "not_finite"),
        ("2026-11-19T10:03:00Z", 4, "-4", -4.0),
    ],
    "decimal comma": [
        ("2026-11-19T10:00:00Z", 1, "4,8", "decimal_comma"),
        ("2026-11-19T10:01:00Z", 2, "4.8", 4.8),
    ],
    "keys inside values": [
        ("2026-11-19T10:00:00Z", 1, f"19.00GET /update?key={KEY}", "text_after_number"),
        ("2026-11-19T10:01:00Z", 2, f"api_key={KEY}&field1=3", "not_a_number"),
        ("2026-11-19T10:02:00Z", 3, "19.5", 19.5),
    ],
}


@pytest.fixture
def client(redis_client: redis.Redis, redis_socket: str, settings: Any) -> redis.Redis:
    """The gate's server."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    return redis_client


def record(folder: Path) -> None:
    """Write a recording of each kind of oddity, for a simulator to serve."""
    for name, cases in CASES.items():
        rows = [
            {"created_at": at, "entry_id": number, "field1": value}
            for at, number, value, _ in cases
        ]
        text = json.dumps({"channel": {"name": name, "field1": "Level"}, "feeds": rows})
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def test_every_entry_is_stored_or_refused_for_the_true_reason(
    tmp_path: Path, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    record(tmp_path)
    with RunningSimulator(replay=tmp_path) as simulator:
        known = {one["name"]: one["id"] for one in simulator.control("catalogue") if "file" in one}
        assert known.keys() == CASES.keys()
        channels = [Polled(number, fields=("field1",)) for number in known.values()]
        set_up([Account("ThingSpeak", channels, {"rate_limit": 6000})], simulator.url, BEGINNING)
        virtual = Virtual(simulator, client)  # type: ignore[arg-type]
        virtual.run(30)
    wrong = {
        name: found
        for name, number in known.items()
        if (found := became_of(number)) != expected(CASES[name])
    }
    entries = sum(len(cases) for cases in CASES.values())
    figures.none(PROOF, f"of {entries} odd entries, neither stored nor truly refused", wrong)
    assert all(one.detail for one in Rejection.objects.all())
    figures.none(PROOF, "places that show a key", places_with_a_key(caplog.text))


def expected(cases: list[Case]) -> Counter[tuple[Any, ...]]:
    """What must come of them: (time, number, value), or (number, reason)."""
    return Counter(
        (number, outcome)
        if isinstance(outcome, str)
        else (datetime.fromisoformat(at).astimezone(UTC), number, outcome)
        for at, number, _, outcome in cases
    )


def became_of(channel: int) -> Counter[tuple[Any, ...]]:
    """What the site made of a channel's entries."""
    source = ThingSpeakChannel.objects.get(channel_id=channel)
    metric = source.device.metrics.get()
    stored = get_store().history(HistoryRequest(metric.pk, BEGINNING, END, limit=1000))
    refused = Rejection.objects.filter(source=source).values_list("sequence", "reason")
    return Counter([*((one.at, one.sequence, one.value) for one in stored), *refused])


def places_with_a_key(log: str) -> list[str]:
    """Where people look and would find a key."""
    texts = {"log": log}
    for refused in Rejection.objects.all():
        texts[f"rejection {refused.pk}"] = f"{refused.raw} {refused.detail}"
    for poll in PollLog.objects.all():
        texts[f"poll log {poll.pk}"] = poll.message
    return [place for place, text in texts.items() if KEY in text]


def test_living_channels_that_behave_oddly_lose_nothing(client: redis.Redis) -> None:
    with Judge(f"{len(FAULTS)}x15") as judge:
        virtual = Virtual(judge, client)
        judge.control("journal", "POST", {"record_rows": True})
        channels = judge.polled(interval_s=30)
        set_up([Account("ThingSpeak", channels, {"rate_limit": 6000})], judge.url, START)
        virtual.run(200)
        struck = virtual.at.timestamp()
        for polled, kind in zip(channels, FAULTS, strict=True):
            judge.fault(kind, channel=polled.channel)
        virtual.run(400)
        for polled, kind in zip(channels, FAULTS, strict=True):
            compare(judge, polled.channel, kind, struck, virtual.at.timestamp())


def compare(judge: Judge, channel: int, kind: str, struck: float, now: float) -> None:
    """What is stored is what was served, and all that there is now was."""
    # What was cleared before anybody asked for it is nowhere to be had.
    served = rows_of(judge, f"rows?channel={channel}&served=true")
    present = rows_of(judge, f"rows?channel={channel}&faulted=1&start={int(struck) + 1}")
    ahead = {row for row in served if row[0] > now}
    provided = {row for row in served | present if START.timestamp() <= row[0] <= now - 60}
    kept = became_of_living(channel)
    figures.none(PROOF, f"lost: {kind}", sorted(provided - set(kept)))
    figures.none(PROOF, f"doubled or invented: {kind}", sorted(set(kept) - (served - ahead)))
    assert len(kept) == len(set(kept))
    source = ThingSpeakChannel.objects.get(channel_id=channel)
    refused = Rejection.objects.filter(source=source, reason="future_time")
    assert {number for _, number in ahead} == set(refused.values_list("sequence", flat=True))


def rows_of(judge: Judge, query: str) -> set[tuple[int, int]]:
    return {identity(row) for row in judge.control(query)["rows"]}


def identity(row: list[Any]) -> tuple[int, int]:
    return int(datetime.fromisoformat(row[0]).timestamp()), int(row[1])


def became_of_living(channel: int) -> list[tuple[int, int]]:
    source = ThingSpeakChannel.objects.get(channel_id=channel)
    metric = source.device.metrics.get(name="field1")
    request = HistoryRequest(metric.pk, BEGINNING, END, limit=10_000)
    return [(int(one.at.timestamp()), one.sequence) for one in get_store().history(request)]
