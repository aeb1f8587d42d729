"""Measures through the API: named, with their units, and refused where they make no sense."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import DataType, Membership, Metric
from devices.readings.samples import Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics, minutes
from devices.readings.tests.test_api import get

pytestmark = pytest.mark.django_db
NOW = minutes(START, 240)


@pytest.fixture
def flow(store: ReadingStore, client: Client) -> Metric:
    """Twelve litres a minute for two hours, then nothing, seen by a member."""
    (metric,) = metrics(device("Asia/Kolkata"), 1)
    metric.unit, metric.expected_every_s = "L/min", 60
    metric.save()
    user = User.objects.create_user("member")
    Membership.objects.create(community=metric.device.community, user=user)
    client.force_login(user)
    store.write(
        [
            Sample(metric.device_id, minutes(START, n), n, {metric.pk: 12.0 if n < 120 else 0.0})
            for n in range(240)
        ]
    )
    return metric


def asked(client: Client, metric: Metric, query: str, status: int = 200) -> Any:
    return get(client, f"/api/v1/metrics/{metric.pk}/measures/?start=-4h&{query}", NOW, status)


def test_a_flow_adds_up_to_a_volume(client: Client, flow: Metric) -> None:
    answer = asked(client, flow, "width=1h&measures=integral,count,p50,rate,time_weighted,known")

    assert answer["at"] == [minutes(START, 60 * n).timestamp() for n in range(4)]
    volume = answer["measures"]["integral"]
    assert (volume["unit"], volume["tier"]) == ("L", "raw")
    assert volume["values"] == pytest.approx([720, 714, 6 * 0, 0], abs=7)
    assert sum(volume["values"]) == pytest.approx(12 * 119 + 6)
    assert answer["measures"]["count"] == {"unit": "", "tier": "raw", "values": [60] * 4}
    assert answer["measures"]["p50"]["values"] == [12.0, 12.0, 0.0, 0.0]
    assert answer["measures"]["p50"]["unit"] == "L/min"
    assert answer["measures"]["rate"]["unit"] == "L/min/h"
    assert answer["measures"]["rate"]["values"][0] == 0
    assert answer["measures"]["known"]["values"] == [3600, 3600, 3600, 3540]


def test_buckets_of_the_calendar_and_one_of_all(client: Client, flow: Metric) -> None:
    day = asked(client, flow, "width=day&measures=count")
    whole = asked(client, flow, "width=all&measures=count,integral")

    assert day["at"] == [(START.replace(hour=0) - timedelta(hours=5, minutes=30)).timestamp()]
    assert day["measures"]["count"]["values"] == [240]
    assert whole["at"] == [START.timestamp()]
    assert whole["measures"]["integral"]["values"] == pytest.approx([12 * 119 + 6])


def test_statistics_unless_told_otherwise(client: Client, flow: Metric) -> None:
    answer = asked(client, flow, "")
    assert list(answer["measures"]) == ["minimum", "average", "maximum"]
    assert len(answer["at"]) == 4


@pytest.mark.parametrize(
    ("query", "attr", "part"),
    [
        ("measures=volume", "measures", "no measure"),
        ("measures=p0", "measures", "percentile"),
        ("measures=p101", "measures", "percentile"),
        ("measures=p", "measures", "no measure"),
        ("width=fortnight", "width", "length of time"),
        ("width=0m", "width", "length of time"),
        ("width=1s&start=-40d", "width", "buckets"),
        ("bridge=ten", "bridge", "length of time"),
        ("what=1", "what", "no such parameter"),
    ],
)
def test_what_is_not_understood_is_refused(
    client: Client, flow: Metric, query: str, attr: str, part: str
) -> None:
    answer = get(client, f"/api/v1/metrics/{flow.pk}/measures/?{query}", NOW, status=400)
    assert [error["attr"] for error in answer["errors"]] == [attr]
    assert part in answer["errors"][0]["detail"]


def test_no_sum_where_none_has_a_unit_and_no_guess_where_no_cadence_is_known(
    client: Client, flow: Metric
) -> None:
    Metric.objects.filter(pk=flow.pk).update(unit="°C", expected_every_s=None)

    refused = asked(client, flow, "measures=integral", 400)
    unsure = asked(client, flow, "measures=time_weighted", 400)
    told = asked(client, flow, "measures=time_weighted&bridge=5m")

    assert "“°C” adds up to nothing" in refused["errors"][0]["detail"]
    assert "how often" in unsure["errors"][0]["detail"]
    assert told["measures"]["time_weighted"]["values"][0] == 12.0


def test_a_switch_adds_up_to_hours_on(client: Client, flow: Metric, store: ReadingStore) -> None:
    Metric.objects.filter(pk=flow.pk).update(data_type=DataType.BOOLEAN)
    store.write(
        [Sample(flow.device_id, minutes(START, n), n, {flow.pk: 30 <= n < 75}) for n in range(240)]
    )

    on = asked(client, flow, "width=all&measures=integral")["measures"]["integral"]
    refused = asked(client, flow, "measures=rate", 400)

    assert (on["unit"], on["values"]) == ("h", [0.75])
    assert "time on" in refused["errors"][0]["detail"]
