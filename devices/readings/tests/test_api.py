"""Readings through the API: scoped, paged, and clear about what it does not understand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from devices.models import DataType, Membership, Metric
from devices.readings.samples import Origin, Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics, minutes

pytestmark = pytest.mark.django_db
NOW = minutes(START, 61)


@pytest.fixture
def level() -> Metric:
    (metric,) = metrics(device("Asia/Kolkata"), 1)
    return metric


@pytest.fixture
def member(client: Client, level: Metric) -> Client:
    user = User.objects.create_user("member")
    Membership.objects.create(community=level.device.community, user=user)
    client.force_login(user)
    return client


def fill(store: ReadingStore, metric: Metric, count: int, every: int = 1) -> None:
    store.write(
        [
            Sample(metric.device_id, minutes(START, every * n), n, {metric.pk: n / 2})
            for n in range(count)
        ]
    )


def get(client: Client, url: str, now: datetime = NOW, status: int = 200) -> Any:
    with time_machine.travel(now, tick=False):
        answer = client.get(url, headers={"accept": "application/json"})
    assert answer.status_code == status, answer.content
    return answer.json()


def test_history_is_paged_and_every_reading_comes_once(
    store: ReadingStore, member: Client, level: Metric
) -> None:
    fill(store, level, 60)

    seen: list[Any] = []
    url: str | None = f"/api/v1/metrics/{level.pk}/history/?start=-55m&limit=20"
    pages = 0
    while url:
        page = get(member, url, minutes(NOW, pages))  # time goes on while somebody reads
        pages += 1
        seen += page["results"]
        url = page["next"]

    assert pages == 3
    assert [reading["sequence"] for reading in seen] == list(range(6, 60))
    assert seen[0] == {
        "device": str(level.device.uuid),
        "metric": level.name,
        "at": "2026-11-20T10:06:00Z",
        "value": 3.0,
        "sequence": 6,
        "origin": "live",
        "revised": False,
    }


def test_what_its_source_corrected_is_marked(
    store: ReadingStore, member: Client, level: Metric
) -> None:
    fill(store, level, 2)
    store.write([Sample(level.device_id, minutes(START, 1), 1, {level.pk: 9.0})])

    history = get(member, f"/api/v1/metrics/{level.pk}/history/")["results"]
    (newest,) = get(member, f"/api/v1/devices/{level.device.uuid}/latest/")["results"]

    assert [(one["value"], one["revised"]) for one in history] == [(0.0, False), (9.0, True)]
    assert newest == get(member, "/api/v1/latest/")["results"][0] == history[1]


def test_the_range_is_the_last_day_unless_told_otherwise(
    store: ReadingStore, member: Client, level: Metric
) -> None:
    fill(store, level, 30, every=60)
    url = f"/api/v1/metrics/{level.pk}/history/"
    now = minutes(START, 30 * 60)

    assert len(get(member, url, now)["results"]) == 24
    given = get(member, f"{url}?start=2026-11-20T16:30:00%2B05:30&end=2026-11-20T13:00:00Z", now)
    assert [reading["sequence"] for reading in given["results"]] == [1, 2]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("start=yesterday", "start"),
        ("end=-5y", "end"),
        ("start=-999999d", "start"),
        ("start=0001-01-01", "start"),
        ("start=9999-12-31T23:59:59-10:00", "start"),
        ("start=-1h&end=-2h", "start"),
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("limit=٣", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=99999999999999999999.1", "cursor"),
        ("days=3", "days"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    member: Client, level: Metric, query: str, field: str
) -> None:
    answer = get(member, f"/api/v1/metrics/{level.pk}/history/?{query}", status=400)

    assert [error["attr"] for error in answer["errors"]] == [field]
    assert answer["errors"][0]["detail"]


def test_series_come_in_columns(store: ReadingStore, member: Client, level: Metric) -> None:
    fill(store, level, 60)

    raw = get(member, f"/api/v1/metrics/{level.pk}/series/?start=-2h")
    few = get(member, f"/api/v1/metrics/{level.pk}/series/?start=-2h&points=10")

    assert (raw["tier"], raw["bucket_s"], raw["unit"]) == ("raw", None, "cm")
    assert raw["at"][:2] == [START.timestamp(), START.timestamp() + 60]
    assert raw["avg"] == [n / 2 for n in range(60)]
    assert few["bucket_s"] == 900
    assert (few["min"][0], few["avg"][0], few["max"][0]) == (0.0, 3.5, 7.0)
    get(member, f"/api/v1/metrics/{level.pk}/series/?points=1", status=400)


def test_text_has_a_history_but_no_series(
    store: ReadingStore, member: Client, level: Metric
) -> None:
    (state,) = metrics(level.device, 1, DataType.TEXT)
    at = minutes(START, 1).replace(microsecond=250_000)
    store.write([Sample(level.device_id, at, 1, {state.pk: "voll"}, Origin.BACKFILL)])

    (reading,) = get(member, f"/api/v1/metrics/{state.pk}/history/")["results"]
    assert (reading["value"], reading["origin"]) == ("voll", "backfill")
    assert reading["at"] == "2026-11-20T10:01:00.250Z"
    get(member, f"/api/v1/metrics/{state.pk}/series/", status=400)


def test_latest_of_a_device_and_of_everything(
    store: ReadingStore, member: Client, level: Metric
) -> None:
    fill(store, level, 3)
    metrics(level.device, 1)  # never heard
    slug = level.device.community.slug

    device_page = get(member, f"/api/v1/devices/{level.device.uuid}/latest/")
    everything = get(member, "/api/v1/latest/")
    of_community = get(member, f"/api/v1/latest/?community={slug}&page_size=5")

    assert [reading["value"] for reading in device_page["results"]] == [1.0]
    assert everything["results"] == of_community["results"] == device_page["results"]
    assert everything["count"] == 1
    get(member, "/api/v1/latest/?community=elsewhere", status=404)
    get(member, f"/api/v1/devices/{level.device.uuid}/latest/?x=1", status=400)


def test_what_belongs_to_others_does_not_exist(
    store: ReadingStore, member: Client, level: Metric
) -> None:
    (foreign,) = metrics(device(), 1)
    fill(store, foreign, 3)

    for url in (
        f"/api/v1/metrics/{foreign.pk}/history/",
        f"/api/v1/metrics/{foreign.pk}/series/",
        f"/api/v1/devices/{foreign.device.uuid}/latest/",
        f"/api/v1/latest/?community={foreign.device.community.slug}",
    ):
        get(member, url, status=404)
    assert get(member, "/api/v1/latest/")["results"] == []


def test_strangers_get_nothing(client: Client, level: Metric) -> None:
    for url in (f"/api/v1/metrics/{level.pk}/history/", "/api/v1/latest/"):
        get(client, url, status=403)


def test_histories_of_several_metrics_in_one_call(
    store: ReadingStore, member: Client, level: Metric
) -> None:
    (other,) = metrics(level.device, 1, DataType.TEXT)
    (hidden,) = metrics(device(), 1)
    fill(store, level, 60)
    store.write([Sample(other.device_id, minutes(START, 3), 1, {other.pk: "open"})])
    url = "/api/v1/histories/?start=-1h&metrics="

    first, second = get(member, f"{url}{other.pk},{level.pk}")["results"]

    assert (first["metric"], first["at"], first["values"]) == (
        other.pk,
        [minutes(START, 3).timestamp()],
        ["open"],
    )
    assert second["values"] == [n / 2 for n in range(1, 60)]
    assert second["device"] == str(level.device.uuid)
    get(member, f"{url}{level.pk},{hidden.pk}", status=404)
    for wrong in ("", "level", "1,", ",".join(map(str, range(101)))):
        answer = get(member, f"{url}{wrong}", status=400)
        assert [error["attr"] for error in answer["errors"]] == ["metrics"]


def test_a_chart_says_where_it_came_from(
    store: ReadingStore, member: Client, level: Metric
) -> None:
    fill(store, level, 60)
    raw = get(member, f"/api/v1/metrics/{level.pk}/series/?start=-2h")
    ends = {"start": minutes(NOW, -120).timestamp(), "end": NOW.timestamp()}
    assert raw["parts"] == [{"tier": "raw", "bucket_s": None, **ends}]
