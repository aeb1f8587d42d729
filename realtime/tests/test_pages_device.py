"""The device page: values with their age, the tank, the sources, the last entry as received."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from devices.alerts.watch import Trouble, open_alert
from devices.models import Community, Connection, Device, FieldMapping, Metric
from realtime.presenters.rows import DevicePage, Made, MetricValue
from realtime.tests import network
from realtime.tests.valkey import Valkey
from realtime.way_in import Entry, Polling, Refused, SourceDetail, register

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ingestion() -> Iterator[network.KnownPolling]:
    known = network.KnownPolling()
    before = register(known)
    yield known
    register(before)


@pytest.fixture
def hill() -> Community:
    return network.community("Hill village")


@pytest.fixture
def via() -> Connection:
    return network.account()


@pytest.fixture
def member(hill: Community) -> Client:
    return network.client_of(network.user("member", hill))


@pytest.fixture
def tank(hill: Community) -> Device:
    return network.device(hill, "School tank", tank_height_cm=250)


def page_of(member: Client, device: Device) -> DevicePage:
    page: DevicePage = member.get(device.get_absolute_url()).context["device"]
    return page


def value_of(member: Client, metric: Metric) -> MetricValue:
    (found,) = [one for one in page_of(member, metric.device).metrics if one.id == metric.pk]
    return found


def test_a_device_that_never_reported(member: Client, tank: Device) -> None:
    level = network.metric(tank)
    response = member.get(tank.get_absolute_url())
    page = response.context["device"]
    assert (page.state, page.last_at, page.level_percent) == ("new", None, None)
    value = value_of(member, level)
    assert (value.freshness, value.value, value.text, value.at) == ("never", None, None, None)
    assert "Never reported" in response.content.decode()


def test_a_device_without_metrics_and_sources_stands(member: Client, tank: Device) -> None:
    response = member.get(tank.get_absolute_url())
    assert response.status_code == 200
    assert response.context["chart_metric"] is None
    assert "no metrics yet" in response.content.decode()
    assert "No source is connected" in response.content.decode()


def test_a_value_comes_with_its_age_and_what_is_expected(
    member: Client, tank: Device, via: Connection
) -> None:
    network.source(tank, via, interval_s=120)
    level = network.metric(tank)
    at = network.say(tank, {level: 182.44}, age_s=20)
    value = value_of(member, level)
    assert (value.text, value.unit, value.value) == ("182.4", "cm", 182.44)
    assert (value.at, value.freshness, value.origin) == (at, "live", "live")
    assert value.age_s is not None
    assert 19 <= value.age_s < 30
    assert value.expected_every_s == 120
    assert value.history_url == f"/api/v1/metrics/{level.pk}/series/"


def test_expectations_what_people_said_then_the_source_then_the_type(
    member: Client, tank: Device, via: Connection, ingestion: network.KnownPolling
) -> None:
    level = network.metric(tank)
    said = network.metric(tank, "battery_v", label="Battery", expected_every_s=3600)
    assert value_of(member, level).expected_every_s == tank.type.default_interval_s
    slow = network.source(tank, via, interval_s=300)
    network.source(tank, via, interval_s=20, enabled=False)
    assert value_of(member, level).expected_every_s == 300
    ingestion.how = {slow.pk: Polling(cadence_s=899.6)}
    assert value_of(member, level).expected_every_s == 900
    assert value_of(member, said).expected_every_s == 3600


def test_each_value_ages_for_itself(member: Client, tank: Device, via: Connection) -> None:
    network.source(tank, via, interval_s=60)
    level = network.metric(tank)
    slow = network.metric(tank, "battery_v", label="Battery", expected_every_s=86_400)
    old = network.metric(tank, "flow_l_per_min", label="Flow")
    network.say(tank, {level: 1}, age_s=5)
    network.say(tank, {old: 1, slow: 1}, age_s=1000)
    assert value_of(member, level).freshness == "live"
    assert value_of(member, slow).freshness == "live"
    assert value_of(member, old).freshness == "stale"
    assert page_of(member, tank).state == "online"


@pytest.mark.parametrize(
    ("fields", "value", "text"),
    [
        ({"data_type": "boolean", "unit": ""}, True, "On"),
        ({"data_type": "boolean", "unit": ""}, False, "Off"),
        ({"data_type": "text", "unit": ""}, "<b>Filling</b>", "<b>Filling</b>"),
        ({"data_type": "integer", "unit": ""}, 17, "17"),
        ({"data_type": "float", "decimals": 3}, 0.12345, "0.123"),
        ({"data_type": "float", "decimals": 0}, -4.6, "-5"),
    ],
)
def test_values_as_people_read_them(
    member: Client, tank: Device, fields: dict[str, object], value: object, text: str
) -> None:
    metric = network.metric(tank, "anything", label="Anything", **fields)
    network.say(tank, {metric: value})  # type: ignore[dict-item]
    assert value_of(member, metric).text == text
    assert "<b>Filling</b>" not in member.get(tank.get_absolute_url()).content.decode()


@pytest.mark.parametrize(
    ("name", "unit", "value", "percent"),
    [
        ("water_level_cm", "cm", 100.0, 40.0),
        ("water_level_m", "m", 1.0, 40.0),
        ("water_level_percent", "%", 82.0, 82.0),
        ("water_level_cm", "cm", 400.0, 100.0),
        ("water_level_cm", "cm", -3.0, 0.0),
        ("temperature_c", "°C", 20.0, None),
        ("humidity_percent", "%", 55.0, None),
    ],
)
def test_the_tank_is_drawn_at_its_level(
    member: Client, tank: Device, name: str, unit: str, value: float, percent: float | None
) -> None:
    metric = network.metric(tank, name, label="Some", unit=unit)
    network.say(tank, {metric: value})
    page = page_of(member, tank)
    assert page.level_percent == (None if percent is None else pytest.approx(percent))
    assert page.level_metric == (None if percent is None else name)


def test_without_a_height_a_level_in_cm_draws_no_tank(member: Client, hill: Community) -> None:
    sump = network.device(hill, "Sump", "sump")
    network.say(sump, {network.metric(sump): 100})
    assert page_of(member, sump).level_percent is None


def test_changed_fields_are_not_called_a_failing_source(
    member: Client, tank: Device, via: Connection
) -> None:
    source = network.source(tank, via)
    changed = Trouble.failing(source)
    open_alert(changed, "schema_changed", "field1 was renamed.", timezone.now())
    response = member.get(tank.get_absolute_url())
    assert [row.title for row in response.context["alerts"]] == ["Fields changed"]
    assert "Source failing" not in response.content.decode()
    open_alert(changed, "key_rejected", "The key was refused.", timezone.now())
    response = member.get(tank.get_absolute_url())
    assert [row.title for row in response.context["alerts"]] == ["Source failing"]


def test_offline_shows_the_alert(member: Client, tank: Device, via: Connection) -> None:
    network.source(tank, via)
    network.say(tank, {network.metric(tank): 100}, age_s=4000)
    opened = timezone.now() - timedelta(minutes=30)
    open_alert(Trouble.offline(tank), "silent", "Check its power.", opened)
    response = member.get(tank.get_absolute_url())
    page = response.context["device"]
    assert (page.state, page.state_since, page.reason) == ("offline", opened, "Check its power.")
    assert len(response.context["alerts"]) == 1


def test_an_outage_upstream_leaves_a_stale_value_and_names_the_source(
    member: Client, tank: Device, via: Connection
) -> None:
    network.source(tank, via)
    network.say(tank, {network.metric(tank): 100}, age_s=4000)
    since = timezone.now() - timedelta(minutes=50)
    open_alert(Trouble.upstream(via), "timeout", "The provider does not answer.", since)
    response = member.get(tank.get_absolute_url())
    page = response.context["device"]
    (source,) = response.context["sources"]
    assert (page.state, page.source_state) == ("stale", "upstream_down")
    assert (source.state_label, source.since) == ("Provider down", since)
    assert page.metrics[0].text == "100.0"
    assert "The provider does not answer." in response.content.decode()


def test_a_paused_source_and_a_paused_device(member: Client, tank: Device, via: Connection) -> None:
    network.source(tank, via, enabled=False)
    assert page_of(member, tank).source_state == "paused"
    Device.objects.filter(pk=tank.pk).update(enabled=False)
    assert page_of(member, tank).state == "paused"


def test_how_polling_goes(
    member: Client, tank: Device, via: Connection, ingestion: network.KnownPolling
) -> None:
    channel = network.source(tank, via)
    now = timezone.now()
    ingestion.how = {channel.pk: Polling(now, now, now + timedelta(seconds=40), throttled=True)}
    ingestion.detail = {channel.pk: SourceDetail("channel 12397", "/admin/somewhere/")}
    (source,) = member.get(tank.get_absolute_url()).context["sources"]
    assert (source.name, source.admin_url) == ("channel 12397", "/admin/somewhere/")
    assert (source.state, source.last_success_at) == ("throttled", now)
    assert source.next_poll_at == now + timedelta(seconds=40)


def test_the_last_entry_stands_beside_what_became_of_it(
    member: Client, tank: Device, via: Connection, ingestion: network.KnownPolling
) -> None:
    channel = network.source(tank, via)
    level = network.metric(tank)
    flow = network.metric(tank, "flow_l_per_min", label="Flow", unit="L/min")
    old = network.metric(tank, "battery_v", label="Battery", unit="V")
    volume = network.metric(tank, "volume_l", label="Volume", unit="L")
    fed = (("field1", level), ("field2", flow), ("field4", old), ("field1", volume))
    for name, metric in fed:
        FieldMapping.objects.create(source=channel, field=name, metric=metric)
    at = network.say(tank, {level: 182.4, volume: 5731.0}, sequence=17)
    network.say(tank, {old: 3.3}, age_s=900, sequence=4)
    entry = Entry(
        at,
        17,
        {"field1": "182.40", "field2": "abc", "field3": "7", "field4": None},
        {"field1": "Water Level (cm)"},
        refusals={"field2": "“abc” is not a number."},
    )
    ingestion.detail = {channel.pk: SourceDetail("channel 1", None, entry)}
    page = member.get(tank.get_absolute_url())
    shown = page.context["entry"]
    assert (shown.at, shown.sequence) == (at, 17)
    rows = {row.field: row for row in shown.rows}
    assert rows["field1"].raw == "182.40"
    assert list(rows["field1"].made) == [
        Made(level.label, "182.4", "cm"), Made("Volume", "5731.0", "L"),
    ]  # fmt: skip
    assert rows["field1"].label == "Water Level (cm)"
    assert rows["field2"].refusal == "“abc” is not a number."
    assert not rows["field3"].made
    # An older value is not what became of this entry.
    assert list(rows["field4"].made) == [Made("Battery", None, "V")]
    text = page.content.decode()
    assert "no value for Battery" in text
    assert "no value for Flow" not in text  # it was refused, and says why


def test_refused_values_are_counted_for_staff(
    member: Client, tank: Device, ingestion: network.KnownPolling
) -> None:
    ingestion.refusals = Refused(3, "/admin/rejections/")
    context = member.get(tank.get_absolute_url()).context
    assert (context["rejections_count"], context["rejections_url"]) == (3, "/admin/rejections/")


def test_the_chart_draws_what_is_asked_and_only_numbers(member: Client, tank: Device) -> None:
    pump = network.metric(tank, "pump_on", label="Pump", unit="", data_type="boolean")
    level = network.metric(tank)
    flow = network.metric(tank, "flow_l_per_min", label="Flow", unit="L/min")
    address = tank.get_absolute_url()
    first = member.get(address).context
    assert [one.name for one in first["chart_metrics"]] == [level.name, flow.name]
    assert (first["chart_metric"].name, first["chart_range"]) == (level.name, "24h")
    asked = member.get(address, {"metric": flow.name, "range": "7d"}).context
    assert (asked["chart_metric"].name, asked["chart_range"]) == (flow.name, "7d")
    odd = member.get(address, {"metric": pump.name, "range": "<b>"}).context
    assert (odd["chart_metric"].name, odd["chart_range"]) == (level.name, "24h")


def test_the_page_hears_its_device(member: Client, tank: Device, valkey: Valkey) -> None:
    live = member.get(tank.get_absolute_url()).context["live"]
    topic = f"d:{tank.uuid}"
    assert (live.url, live.topics) == (f"/ws/device/{tank.uuid}/telemetry", [topic])
    assert live.poll_url == f"/devices/{tank.uuid}/snapshot/"
    assert topic in live.since
