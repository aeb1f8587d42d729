"""A number that its age has dropped: the explanation names the rule, and what still tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from devices.models import Metric, Role
from devices.readings.retention import prune
from devices.readings.store import ReadingStore, get_store
from devices.readings.tests.network import device, metrics
from devices.readings.tests.retained import DAYS, JANUARY, NOW, afterwards, daily, rule, spoken
from devices.tests.scene import browser, person
from ingestion.explaining.finding import NoSuchReading, find

pytestmark = pytest.mark.django_db(transaction=True)
SAID_AT = JANUARY + timedelta(days=3, hours=5)  # 10:30 in India
RULE = (
    "Single readings from before 2026-03-02 05:30:00 are dropped for their age by the retention "
    "rule “Whole site” (90 days)."
)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with afterwards():
        yield


def said(metric: Metric, **when: int) -> str:
    """Why there is no such reading."""
    with pytest.raises(NoSuchReading) as none:
        find(metric, SAID_AT + timedelta(**when), 3)
    return str(none.value)


def test_a_dropped_number_names_the_rule_and_what_is_left_of_it() -> None:
    store: ReadingStore = get_store()
    level = spoken(store)
    assert find(level, SAID_AT, 3).value == 3.0
    assert "dropped" not in said(level, minutes=1)
    rule(90)
    prune(NOW)

    assert RULE in said(level)
    assert (
        "Still kept: the hour from 2026-01-04 10:30 (1 reading, average 3 cm) and the day "
        "2026-01-04 (1 reading, average 3 cm)." in said(level)
    )
    assert "No hour and no day of that time has a reading." in said(level, days=-40)
    assert "dropped" not in said(level, days=DAYS - 30)  # that is not why there is none
    operator = person("operator", level.device.community, Role.OPERATOR)
    path = f"/api/v1/metrics/{level.pk}/explanation/"
    answer = browser(operator).get(path, {"at": "2026-01-04T10:30:00+05:30"})
    assert answer.status_code == 404
    assert RULE in answer.json()["errors"][0]["detail"]

    rule(90, 100)
    prune(NOW)
    assert "Still kept: the day 2026-01-04 (1 reading, average 3 cm)." in said(level)
    rule(None)  # too late
    assert "are dropped for their age. Still" in said(level)


def test_of_a_text_its_states_stay() -> None:
    store = get_store()
    (mode,) = metrics(device(), 1, "text")
    store.write(daily(mode.pk, mode.device_id, "filling"))
    store.roll_up(NOW)
    rule(90)
    prune(NOW)
    assert "which value was said from when to when" in said(mode)
