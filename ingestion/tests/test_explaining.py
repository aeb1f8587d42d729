"""«Explain this number»: the request, the text received, each step, and what was changed since."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devices.jobs import work_on_jobs
from devices.models import (
    CalibrationKind,
    CalibrationVersion,
    FieldMapping,
    Membership,
    Metric,
    Role,
    ThingSpeakChannel,
)
from devices.readings.instants import HOUR
from devices.readings.samples import HistoryRequest, Reading
from devices.readings.store import get_store
from devices.tests.scene import browser, person
from ingestion.explaining.finding import NoSuchReading, find
from ingestion.explaining.tracing import explain
from ingestion.models import Gap, Lane
from ingestion.recalculation import request
from ingestion.tests import stack as network
from ingestion.tests.stack import START, Stack
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db
PAGE = "/admin/ingestion/status/explain/"


@pytest.fixture(scope="module")
def simulator() -> Any:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def channel(simulator: RunningSimulator) -> ThingSpeakChannel:
    """The tank's channel, read for the last hour and a half; then polled once more."""
    stack = Stack(simulator)
    found = network.channel(
        network.connection(simulator), interval_s=60, history_from=START - 1.5 * HOUR
    )
    stack.read_everything()
    stack.run(70)
    return found


@pytest.fixture
def level(channel: ThingSpeakChannel) -> Metric:
    return channel.device.metrics.get(name="field1")


def newest(metric: Metric) -> Reading:
    return get_store().latest([metric.pk])[metric.pk]


def recalculate(channel: ThingSpeakChannel) -> None:
    now = START + HOUR
    request(channel, None, None, None, "Corrected.", now)
    assert work_on_jobs(lambda: now, timedelta(minutes=10))


def test_a_number_leads_back_to_its_text_and_its_request(level: Metric) -> None:
    found = explain(level, newest(level))
    origin = found.origin
    assert origin is not None
    assert float(origin.raw) == found.reading.value
    assert origin.poll is not None
    assert origin.poll.lane == Lane.LIVE
    assert origin.poll.at < origin.entry.arrived  # type: ignore[operator]
    assert [one.what for one in found.steps] == ["Read as a number"]
    assert found.agrees
    assert found.hour is not None
    assert found.hour.minimum <= found.reading.value <= found.hour.maximum


def test_what_was_filled_in_names_the_request_that_filled_it(level: Metric) -> None:
    assert Gap.objects.exists()
    found = explain(level, find(level, START - HOUR))
    assert found.reading.at <= START - HOUR
    assert found.origin is not None
    assert found.origin.poll is not None
    assert found.origin.poll.lane == Lane.BACKFILL


def test_a_correction_is_told_from_what_made_the_number(
    channel: ThingSpeakChannel, level: Metric
) -> None:
    mapping = FieldMapping.objects.get(metric=level)
    level.unit, level.maximum = "mm", 9_000_000
    level.save()
    mapping.unit = "cm"
    mapping.save()
    version = CalibrationVersion.objects.create(
        mapping=mapping, kind=CalibrationKind.LINEAR, scale=2.0, offset=1.0
    )
    found = explain(level, newest(level))
    assert found.origin is not None
    raw = float(found.origin.raw)
    assert found.origin.version.number == 1
    assert [one.result for one in found.steps] == [f"{raw:.12g}"]
    assert found.agrees is False  # nothing was recalculated yet
    assert found.origin.changed_at == found.origin.last.since
    assert [one.result for one in found.today] == [
        f"{raw:.12g}",
        f"{raw * 2 + 1:.12g} cm",
        f"{(raw * 2 + 1) * 10:.12g} mm",
        f"{(raw * 2 + 1) * 10:.12g} mm",
    ]
    assert found.today[-1].what == "Checked: at most 9e+06"

    recalculate(channel)

    after = explain(level, newest(level))
    assert after.origin is not None
    assert after.origin.calibration == version
    assert after.origin.version == after.origin.last
    assert after.steps == found.today
    assert (after.agrees, after.today) == (True, ())


def test_what_would_be_refused_today_is_told(level: Metric) -> None:
    level.maximum = 0.0
    level.save()
    found = explain(level, newest(level))
    assert found.agrees is False
    assert [one.what for one in found.steps] == ["Read as a number"]
    assert found.today[-1].what == "Would be refused"


def test_a_metric_that_nothing_feeds_any_more_still_has_its_number(level: Metric) -> None:
    reading = newest(level)
    FieldMapping.objects.filter(metric=level).delete()
    found = explain(level, reading)
    assert found.origin is not None
    assert found.origin.makes_it
    assert float(found.origin.raw) == reading.value


def test_exactly_the_entry_asked_for_is_found_or_refused(level: Metric) -> None:
    store = get_store()
    some = store.history(HistoryRequest(level.pk, START - HOUR, START, limit=2))
    assert find(level, some[1].at, some[1].sequence) == some[1]
    assert find(level, some[1].at - timedelta(milliseconds=1)) == some[0]
    with pytest.raises(NoSuchReading, match="under the number 99999999"):
        find(level, some[1].at, 99_999_999)


def test_the_api_explains_what_one_may_see(level: Metric) -> None:
    path = f"/api/v1/metrics/{level.pk}/explanation/"
    reading = newest(level)
    asked: dict[str, str | int] = {"at": reading.at.isoformat(), "sequence": reading.sequence}
    member = person("member", level.device.community, Role.VIEWER)
    answer = browser(member).get(path, asked)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["value"], told["sequence"], told["agrees"]) == (
        reading.value, reading.sequence, True,
    )  # fmt: skip
    assert told["received"]["field"] == "field1"
    assert told["received"]["request"]["lane"] == "live"
    assert (told["received"]["mapping_version"], told["received"]["mapping_versions"]) == (1, 1)
    assert browser(member).get(path, {"at": "tomorrow"}).status_code == 400
    assert browser(member).get(path, {**asked, "sequence": "x"}).status_code == 400
    assert browser(member).get(path, {**asked, "sequence": 7**15}).status_code == 404
    assert browser(person("stranger")).get(path, asked).status_code == 404


def test_the_page_tells_the_same_to_staff_of_the_community(level: Metric) -> None:
    operator = person("operator", level.device.community, Role.OPERATOR)

    def shown(**asked: str) -> str:
        answer = browser(operator).get(PAGE, {"metric": str(level.pk), **asked})
        assert answer.status_code == 200
        return answer.content.decode()

    found = explain(level, newest(level))
    assert found.origin is not None
    assert f'<code class="obs-raw">{found.origin.raw}</code>' in shown()
    assert "This is the stored value." in shown()
    assert "Live poll" in shown()
    assert "filled in later" in shown(at="2026-11-20T11:00:00")
    assert "no time" in shown(at="x")
    zone = level.device.community.zone
    assert found.hour is not None
    hour = found.hour.start.astimezone(ZoneInfo(zone))
    assert f"The hour from {hour:%Y-%m-%d %H:%M}:" in shown()
    assert f"1999-01-01 00:00:00 ({zone})" in shown(at="1999-01-01T00:00:00")
    assert "Which number?" in browser(operator).get(PAGE).content.decode()
    Membership.objects.all().delete()
    assert browser(operator).get(PAGE, {"metric": level.pk}).status_code == 404
