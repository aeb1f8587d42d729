"""Rules about how long readings are kept, and what they will do, told before they do it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.html import strip_tags

from devices.readings.models import RetentionRule
from devices.readings.outlook import outlook
from devices.readings.retention import NOTICE, prune
from devices.readings.samples import (
    Received,
)
from devices.readings.store import ReadingStore
from devices.readings.tests.network import (
    device,
    metrics,
    minutes,
    source,
)
from devices.readings.tests.retained import (
    DAYS,
    JANUARY,
    NOW,
    afterwards,
    daily,
    held,
    rule,
    spoken,
)
from devices.tests.scene import browser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with afterwards():
        yield


def test_nothing_goes_while_a_changed_rule_gives_notice(store: ReadingStore) -> None:
    level = spoken(store)
    made = rule(30)
    made.save()  # now, as the clock of this test has it
    for days in (0, 6):
        prune(NOW + timedelta(days=days))
        assert len(held(store, level)) == DAYS
    assert outlook(NOW).effective == NOW + NOTICE

    other = rule(999, community=device().community)
    RetentionRule.objects.update(changed_at=JANUARY)
    other.delete()  # whose rule takes over gives notice too
    prune(NOW)
    assert len(held(store, level)) == DAYS

    prune(NOW + NOTICE)
    assert len(held(store, level)) < DAYS


def test_what_will_go_is_told_before(store: ReadingStore) -> None:
    usual, patient = spoken(store), spoken(store)
    rule(90, 730)
    rule(400, community=patient.device.community)

    told = outlook(NOW)

    months = [one for one in told.months if JANUARY <= one.volume.begins < NOW]
    assert [one.volume.begins.month for one in months] == [1, 2, 3, 4, 5]
    assert told.holds >= sum(one.volume.size for one in months) > 0
    january = months[0]
    assert [(str(step.rule), step.due) for step in january.steps] == [
        ("Whole site", True),
        (str(patient.device.community), False),
    ]
    assert january.steps[0].on == NOW.date()  # over age already
    assert january.last.on == datetime(2027, 3, 10, tzinfo=UTC).date()
    assert january.soon
    assert not january.last.soon
    assert months[4].steps[0].on == datetime(2026, 9, 1, tzinfo=UTC).date()
    assert len(held(store, usual)) == DAYS  # told, not done
    assert told.hours[0][1] == (NOW - timedelta(days=730)).date()

    prune(NOW)
    (still, *_) = [one for one in outlook(NOW).months if one.volume.begins == JANUARY]
    assert [str(step.rule) for step in still.steps] == [str(patient.device.community)]


def test_entries_as_received_are_part_of_what_is_told_before(store: ReadingStore) -> None:
    channel = source()
    (level,) = metrics(channel.device, 1)
    entries = [
        Received(channel.pk, level.device_id, minutes(JANUARY, n), n, {"field1": "1" * 50})
        for n in range(5_000)
    ]
    store.write(daily(level.pk, level.device_id), entries)
    keeper = rule(90)

    told = outlook(NOW)
    january = next(one for one in told.months if one.volume.begins == JANUARY)
    assert january.received > 0
    assert told.received >= january.received
    assert not told.received_stay
    assert told.goes >= january.volume.size + january.received
    assert told.returned == (told.goes if store.drops_whole_months() else 0)

    keeper.readings_days = None
    keeper.save()
    assert outlook(NOW).received_stay


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"readings_days": 90, "hours_days": 30}, "at least as long"),
        ({"readings_days": None, "hours_days": 30}, "at least as long"),
        ({"readings_days": 3, "hours_days": 30}, "greater than or equal to 7"),
        ({"readings_days": 90, "hours_days": None}, "of the whole site already"),
    ],
)
def test_rules_that_cannot_work_are_refused(given: dict[str, int | None], words: str) -> None:
    rule(90, 730)
    with pytest.raises(ValidationError, match=words):
        RetentionRule(**given).full_clean()


def test_what_goes_is_told_rule_by_rule_while_others_keep_for_ever(store: ReadingStore) -> None:
    _, _, patient = (spoken(store) for _ in range(3))
    young = device().community  # nobody there has said anything
    rule(90)
    rule(None, community=patient.device.community)
    rule(400, community=young)

    told = outlook(NOW)

    january = next(one for one in told.months if one.volume.begins == JANUARY)
    goes, stays = january.steps
    assert (str(goes.rule), goes.due) == ("Whole site", True)
    assert goes.size == pytest.approx(january.volume.size * 2 / 3, rel=0.01)
    assert (stays.rule and stays.rule.community, stays.on) == (patient.device.community, None)
    assert stays.size == pytest.approx(january.volume.size / 3, rel=0.01)
    assert january.soon
    assert not january.last.soon
    assert told.goes > goes.size * 1.5  # February goes as well
    assert told.returned == 0  # the room is used again


def test_devices_without_a_rule_keep_their_months(store: ReadingStore) -> None:
    ruled, free = spoken(store), spoken(store)
    rule(90, community=ruled.device.community)

    january = next(one for one in outlook(NOW).months if one.volume.begins == JANUARY)

    assert [(one.rule is None, one.on is None) for one in january.steps] == [
        (False, False),
        (True, True),
    ]
    prune(NOW)
    assert len(held(store, free)) == DAYS


def test_the_page_says_what_each_rule_frees(store: ReadingStore) -> None:
    spoken(store)
    patient = spoken(store)
    rule(90)
    rule(None, community=patient.device.community)
    administrator = User.objects.create_superuser("administrator")

    page = browser(administrator).get("/admin/readings/retentionrule/").content.decode()

    said = " ".join(unescape(strip_tags(page.replace("<dd>", " "))).replace("\xa0", " ").split())
    assert re.search(r"Goes within 30 days about \d", said)
    assert re.search(
        r"within the hour: about [\d.]+ KB \(Whole site\)\s*never: about [\d.]+ KB", said
    )
    returned = "the disk gets back nothing" if store.drops_whole_months() else "does not shrink"
    assert returned in said
