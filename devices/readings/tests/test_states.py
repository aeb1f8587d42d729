"""Time in state: which state held when, and for how long, never across silence."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from devices.models import DataType, Membership, Metric
from devices.readings import staying
from devices.readings.keeping import Cut
from devices.readings.models import RetentionRule
from devices.readings.retention import prune
from devices.readings.samples import HistoryRequest, Reading, Sample, Value
from devices.readings.staying import Told, stays_of
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics, minutes
from devices.readings.tests.test_api import get

pytestmark = pytest.mark.django_db
NOW = minutes(START, 60)
BRIDGE = timedelta(minutes=5)


def asked(client: Client, metric: Metric, query: str = "", status: int = 200) -> Any:
    return get(client, f"/api/v1/metrics/{metric.pk}/states/?start=-60m{query}", NOW, status)


def seen(client: Client, data_type: str) -> Metric:
    """A metric that is expected each minute, seen by a member."""
    (metric,) = metrics(device("Asia/Kolkata"), 1, data_type)
    metric.expected_every_s = 60
    metric.save()
    user = User.objects.create_user("member")
    Membership.objects.create(community=metric.device.community, user=user)
    client.force_login(user)
    return metric


def write(store: ReadingStore, metric: Metric, values: dict[int, Value]) -> None:
    """Values by minute."""
    store.write(
        [
            Sample(metric.device_id, minutes(START, at), 0, {metric.pk: value})
            for at, value in values.items()
        ]
    )


def words(answer: Any) -> list[tuple[Any, str, str]]:
    return [(one["value"], one["start"][11:16], one["end"][11:16]) for one in answer["stays"]]


def test_a_valve_and_the_time_it_stood_open(store: ReadingStore, client: Client) -> None:
    valve = seen(client, DataType.TEXT)
    spoken: dict[int, Value] = {at: "open" if 20 <= at < 35 else "shut" for at in range(-10, 61)}
    for silent in range(40, 50):
        del spoken[silent]
    write(store, valve, spoken)

    answer = asked(client, valve)
    assert words(answer) == [
        ("shut", "10:00", "10:20"),  # known from the reading before
        ("open", "10:20", "10:35"),
        ("shut", "10:35", "10:39"),
        ("shut", "10:50", "11:00"),
    ]
    assert answer["lasted"] == [
        {"value": "shut", "seconds": 34 * 60.0},
        {"value": "open", "seconds": 15 * 60.0},
    ]
    assert answer["unknown_s"] == 11 * 60
    assert answer["bridge_s"] == 3 * 60

    assert asked(client, valve, "&bridge=11m")["unknown_s"] == 0


def test_on_off_and_whole_numbers_have_states_too(store: ReadingStore, client: Client) -> None:
    pump = seen(client, DataType.BOOLEAN)
    write(store, pump, {at: at % 2 == 0 for at in range(61)})
    assert asked(client, pump)["lasted"] == [
        {"value": True, "seconds": 1800.0},
        {"value": False, "seconds": 1800.0},
    ]


def test_numbers_that_measure_are_refused(client: Client) -> None:
    assert "measures a number" in str(asked(client, seen(client, DataType.FLOAT), status=400))


def test_what_was_dropped_by_age_is_refused_and_never_called_unknown(
    store: ReadingStore, client: Client
) -> None:
    mode = seen(client, DataType.INTEGER)
    write(store, mode, dict.fromkeys(range(60), 3))
    write(store, mode, {30 * 24 * 60: 3})  # it still speaks
    store.roll_up(NOW + timedelta(days=30))
    RetentionRule.objects.all().delete()  # whether or not another test emptied the tables
    RetentionRule.objects.create(readings_days=7, hours_days=730)
    RetentionRule.objects.update(changed_at=START - timedelta(days=30))
    prune(NOW + timedelta(days=30))
    assert "are too old" in str(asked(client, mode, status=400))


def test_what_is_refused_for_its_age_is_not_called_dropped_while_it_is_there(
    store: ReadingStore, client: Client
) -> None:
    mode = seen(client, DataType.INTEGER)
    write(store, mode, dict.fromkeys(range(60), 3))
    store.roll_up(START + timedelta(hours=2))
    cut = START + timedelta(hours=1)
    store.drop({mode.device_id: Cut(cut)})  # rows go two days later
    assert store.history(HistoryRequest(mode.pk, START, cut))
    said = str(asked(client, mode, status=400))
    assert f"before {cut:%Y-%m-%d %H:%M} UTC are too old: their age has dropped them or is" in said


def test_more_changes_than_can_be_read_are_refused(
    store: ReadingStore, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump = seen(client, DataType.BOOLEAN)
    write(store, pump, {at: at % 2 == 0 for at in range(61)})
    monkeypatch.setattr(staying, "MOST_STAYS", 60)
    assert len(asked(client, pump)["stays"]) == 60
    monkeypatch.setattr(staying, "MOST_STAYS", 59)
    assert "shorter one" in str(asked(client, pump, status=400))


def test_strangers_are_told_nothing(store: ReadingStore, client: Client) -> None:
    (foreign,) = metrics(device(), 1, DataType.TEXT)
    seen(client, DataType.TEXT)
    asked(client, foreign, status=404)
    client.logout()
    asked(client, foreign, status=403)


@given(
    st.lists(st.tuples(st.integers(-20, 80), st.sampled_from("abc")), max_size=40),
    st.integers(1, 15),
)
def test_each_second_is_in_the_state_last_heard_or_in_none(
    spoken: list[tuple[int, str]], bridge: int
) -> None:
    spoken.sort(key=lambda one: one[0])
    readings = [Reading(1, minutes(START, at), n, value) for n, (at, value) in enumerate(spoken)]
    told = [Told(one.value, one.at, one.at) for one in readings]
    found = list(stays_of(told, START, NOW, timedelta(minutes=bridge)))

    for minute in range(60):
        before = [one for one in spoken if one[0] <= minute]
        after = [one for one in spoken if one[0] > minute]
        known = before and after and after[0][0] - before[-1][0] <= bridge
        within = [stay.value for stay in found if stay.since <= minutes(START, minute) < stay.until]
        assert within == ([before[-1][1]] if known else [])
    for one, following in pairwise(found):
        assert one.until < following.since or (
            one.until == following.since and one.value != following.value
        )
