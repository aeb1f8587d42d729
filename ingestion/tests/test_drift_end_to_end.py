"""Fields that change under way: nothing wrong is stored, nothing is lost, one click mends it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import time_machine

from devices.alerts.models import Alert
from devices.models import Device, Metric, ThingSpeakChannel
from devices.readings.models import RetentionRule
from devices.readings.samples import HistoryRequest, Received, ReceivedRequest, Sample
from devices.readings.store import get_store
from ingestion import recalculation, tasks
from ingestion.drift.accepting import accept_field_names
from ingestion.drift.fixes import CannotFix, Decision, Fix, apply, fitting
from ingestion.drift.preview import lines
from ingestion.drift.rows import WaitingRows
from ingestion.gaps import BEGINNING, END
from ingestion.models import EventKind, FieldProfile, MappingPause, PauseKind, SourceEvent
from ingestion.tests import stack as network
from ingestion.tests.stack import TANK, Stack
from ingestion.tests.test_nothing_lost import running, stack

__all__ = ["running", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)

LABELS = ("Water Level (cm)", "Water Temperature (°C)", "Battery (V)")
UNITS = ("cm", "°C", "V")


@pytest.fixture
def source(stack: Stack) -> ThingSpeakChannel:
    """A tank whose fields are known: their names, and an hour of their values."""
    account = network.connection(stack.simulator)
    history = stack.at - timedelta(minutes=17)
    made = network.channel(account, interval_s=5, history_from=history)
    for mapping, label, unit in zip(made.mappings.order_by("field"), LABELS, UNITS, strict=True):
        mapping.remote_label = label
        mapping.save()
        mapping.metric.unit = unit
        mapping.metric.save()
    stack.read_everything()
    return made


def polls(stack: Stack, count: int, apart_s: float = 30.0) -> None:
    """Polls one after the other; the tank sends an entry every 11 seconds."""
    for _ in range(count):
        stack.advance(apart_s)
        stack.tick()


def stored(source: ThingSpeakChannel, field: str) -> dict[int, float]:
    """Every reading of what a field was mapped to at first, by entry number."""
    metric = source.device.metrics.get(name=field)
    readings = get_store().history(HistoryRequest(metric.pk, BEGINNING, END, limit=100_000))
    found = {one.sequence: float(one.value) for one in readings}
    assert len(found) == len(readings)  # none twice
    return found


def received(source: ThingSpeakChannel) -> list[Received]:
    return list(get_store().received(ReceivedRequest(source.pk, limit=10_000)))


def truth(stack: Stack, source: ThingSpeakChannel, field: str) -> dict[int, float]:
    """What the tank really measured, for every entry that was received; ends all faults."""
    stack.simulator.heal()
    window = {"results": 8000, "start": f"{source.history_from:%Y-%m-%d %H:%M:%S}"}
    url = f"{stack.simulator.url}/channels/{TANK}/feeds.json?{urlencode(window)}"
    with urlopen(url) as answer:  # noqa: S310  # the simulator
        rows = json.load(answer)["feeds"]
    numbers = {one.sequence for one in received(source)}
    return {row["entry_id"]: float(row[field]) for row in rows if row["entry_id"] in numbers}


def decide(stack: Stack, fix: Fix, **of: Any) -> str:
    """Press the button, then let the rows that waited be worked through."""
    pause = MappingPause.objects.filter(resolved_at=None, **of).earliest("pk")
    done = apply(Decision(fix, pause, None, stack.at))
    stack.work()
    return done


def paused() -> dict[str, str]:
    """Which fields' mappings are paused, and why."""
    open_ = MappingPause.objects.filter(resolved_at=None, until=None)
    return dict(open_.values_list("mapping__field", "kind"))


def kinds() -> list[str]:
    return list(SourceEvent.objects.order_by("pk").values_list("kind", flat=True))


def test_nothing_is_suspected_of_a_tank_that_lives_its_life(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    polls(stack, 20, apart_s=400.0)
    assert not MappingPause.objects.exists()
    assert not kinds()
    profile = FieldProfile.objects.get(field="field1")
    assert profile.count > 100
    assert profile.numbers == 1.0


def test_fingerprints_are_written_now_and_then(stack: Stack, source: ThingSpeakChannel) -> None:
    polls(stack, 4, apart_s=400.0)
    known = FieldProfile.objects.get(field="field2")
    assert known.count > 200
    stack.advance(600)
    stack.tick()
    written = FieldProfile.objects.get(field="field2").updated_at
    assert written > known.updated_at
    polls(stack, 8)
    assert FieldProfile.objects.get(field="field2").updated_at == written


def test_a_jump_to_metres_is_withheld_and_converted(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    polls(stack, 3)
    before = stored(source, "field1")
    stack.simulator.fault("scale", channel=TANK, field=1, factor=0.01, decimals=3)
    polls(stack, 1, apart_s=11.0)
    assert stored(source, "field1") == before  # already the first value waits
    assert not paused()
    polls(stack, 6)
    assert paused() == {"field1": PauseKind.UNIT}
    assert stored(source, "field1") == before
    assert len(stored(source, "field2")) == len(received(source))  # its neighbours go on
    assert kinds() == [EventKind.UNIT_JUMPED]
    alert = Alert.objects.open().get()
    assert alert.reason == "schema_changed"
    assert "as if m were sent instead of cm" in alert.text
    decide(stack, Fix.CONVERT)
    polls(stack, 3)
    assert not Alert.objects.open().exists()
    assert kinds()[:2] == [EventKind.UNIT_JUMPED, EventKind.SCHEMA_ACCEPTED]
    assert stored(source, "field1") == pytest.approx(truth(stack, source, "field1"), abs=0.2)
    assert not paused()


def retention_passes(stack: Stack) -> None:
    """The hourly tasks, on a site whose other devices go on."""
    other = Device.objects.filter(name="Meter").first() or network.device("Meter")
    level, _ = Metric.objects.get_or_create(device=other, name="level", defaults={"label": "Level"})
    get_store().write([Sample(other.pk, stack.at, 0, {level.pk: 1.0})])
    with time_machine.travel(stack.at, tick=False):
        tasks.run_roll_up()
        tasks.run_prune()


def test_what_waits_outlives_every_retention_rule(stack: Stack, source: ThingSpeakChannel) -> None:
    RetentionRule.objects.all().delete()
    RetentionRule.objects.create(readings_days=7, hours_days=7)
    RetentionRule.objects.update(changed_at=stack.at - timedelta(days=30))
    polls(stack, 3)
    since = stack.at
    stack.simulator.fault("scale", channel=TANK, field=1, factor=0.01, decimals=3)
    polls(stack, 7)
    measured = {
        number: value
        for number, value in truth(stack, source, "field1").items()
        if number in {one.sequence for one in received(source) if one.at > since}
    }
    assert not measured.keys() & stored(source, "field1").keys()

    for _ in range(2):
        stack.advance(40 * 86_400)
        retention_passes(stack)
    pause = MappingPause.objects.get(resolved_at=None)
    apply(Decision(Fix.CONVERT, pause, None, stack.at))
    retention_passes(stack)  # before anybody has come to the rows
    stack.work()

    found = stored(source, "field1")
    assert {number: found[number] for number in measured} == pytest.approx(measured, abs=0.2)

    retention_passes(stack)  # nothing waits any more
    assert not stored(source, "field1")
    assert not received(source)


def test_after_a_conversion_the_watch_goes_on(stack: Stack, source: ThingSpeakChannel) -> None:
    stack.simulator.fault("scale", channel=TANK, field=1, factor=0.01, decimals=3)
    polls(stack, 7)
    decide(stack, Fix.CONVERT)
    polls(stack, 3)
    stack.simulator.fault("scale", channel=TANK, field=1, factor=1000.0, decimals=1)  # now mm
    polls(stack, 7)
    assert paused() == {"field1": PauseKind.UNIT}
    decide(stack, Fix.CONVERT)
    polls(stack, 3)
    assert stored(source, "field1") == pytest.approx(truth(stack, source, "field1"), abs=0.2)


def sent_in(stack: Stack, factor: float) -> None:
    """From now on the tank sends its level in another unit than before."""
    stack.simulator.fault("scale", channel=TANK, field=1, factor=factor, decimals=4)


def test_a_unit_that_comes_back_is_converted_back(stack: Stack, source: ThingSpeakChannel) -> None:
    sent_in(stack, 1 / 2.54)
    polls(stack, 7)
    decide(stack, Fix.CONVERT)
    polls(stack, 3)
    before = stored(source, "field1")
    sent_in(stack, 2.54)  # the firmware is rolled back
    polls(stack, 7)
    assert paused() == {"field1": PauseKind.UNIT}
    assert stored(source, "field1") == before
    assert kinds()[-1] == EventKind.UNIT_JUMPED
    assert "as if cm were sent instead of in" in Alert.objects.open().get().text
    decide(stack, Fix.CONVERT)
    polls(stack, 3)
    assert not paused()
    assert stored(source, "field1") == pytest.approx(truth(stack, source, "field1"), abs=0.001)


def test_a_renamed_field_that_came_back_to_its_unit_is_converted_back(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    sent_in(stack, 1 / 2.54)
    polls(stack, 7)
    decide(stack, Fix.CONVERT)
    polls(stack, 3)
    sent_in(stack, 2.54)
    stack.simulator.fault("rename", channel=TANK, field=1, label="Level")
    polls(stack, 7)
    assert paused() == {"field1": PauseKind.RENAMED}
    decide(stack, Fix.CONVERT)
    polls(stack, 3)
    assert stored(source, "field1") == pytest.approx(truth(stack, source, "field1"), abs=0.001)


def test_a_renamed_field_that_changed_its_unit_too_is_converted(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    stack.simulator.fault("rename", channel=TANK, field=1, label="Water Level (m)")
    stack.simulator.fault("scale", channel=TANK, field=1, factor=0.01, decimals=3)
    polls(stack, 5)
    assert paused() == {"field1": PauseKind.RENAMED}
    pause = MappingPause.objects.get()
    assert fitting(pause, WaitingRows(pause))[0] is Fix.CONVERT
    shown = lines(Fix.CONVERT, WaitingRows(pause))
    assert len(shown) == 4
    assert all(line.value.endswith(" cm") for line in shown)
    decide(stack, Fix.CONVERT)
    polls(stack, 2)
    assert not paused()
    assert stored(source, "field1") == pytest.approx(truth(stack, source, "field1"), abs=0.2)


@pytest.mark.parametrize("labels", [True, False])
def test_swapped_fields_are_withheld_and_followed(
    stack: Stack, source: ThingSpeakChannel, labels: bool
) -> None:
    polls(stack, 2)
    before = stored(source, "field1"), stored(source, "field2")
    stack.simulator.fault("swap", channel=TANK, first=1, second=2, labels=labels)
    polls(stack, 1, apart_s=11.0)
    assert (stored(source, "field1"), stored(source, "field2")) == before
    polls(stack, 5)
    kind = PauseKind.MOVED if labels else PauseKind.SWAPPED
    assert paused() == {"field1": kind, "field2": kind}
    assert (stored(source, "field1"), stored(source, "field2")) == before
    assert len(stored(source, "field3")) == len(received(source))
    assert kinds() == [EventKind.FIELDS_SWAPPED]
    told = Alert.objects.open().get(source=source.pk).text
    assert told.count("Nothing is stored for field1 and field2 until somebody has looked") == 1
    done = decide(stack, Fix.FOLLOW)
    assert "field1 is read from field2 instead of field1" in done
    assert not MappingPause.objects.filter(resolved_at=None).exists()  # both sides at once
    polls(stack, 3)
    fed = dict(source.mappings.values_list("metric__name", "field"))
    assert (fed["field1"], fed["field2"]) == ("field2", "field1")
    assert stored(source, "field1") == truth(stack, source, "field1")
    assert stored(source, "field2") == truth(stack, source, "field2")


def test_what_was_stored_before_a_swap_survives_recalculation(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    stack.simulator.fault("swap", channel=TANK, first=1, second=2)
    polls(stack, 4)
    decide(stack, Fix.FOLLOW)
    polls(stack, 1)
    before = stored(source, "field1")
    recalculation.request(source, None, None, None, "Everything.", stack.at)
    stack.work()
    assert stored(source, "field1") == before
    assert before == truth(stack, source, "field1")


def test_names_exchanged_without_the_values_can_be_accepted(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    stack.simulator.fault("rename", channel=TANK, field=1, label=LABELS[1])
    stack.simulator.fault("rename", channel=TANK, field=2, label=LABELS[0])
    polls(stack, 4)
    assert paused() == {"field1": PauseKind.MOVED, "field2": PauseKind.MOVED}
    pause = MappingPause.objects.get(mapping__field="field1")
    assert fitting(pause, WaitingRows(pause))[0] is Fix.ACCEPT_NAME  # the values stayed
    assert accept_field_names(source, stack.at) == []  # not without looking
    decide(stack, Fix.ACCEPT_NAME, mapping__field="field1")
    decide(stack, Fix.ACCEPT_NAME, mapping__field="field2")
    polls(stack, 2)
    assert not paused()
    assert stored(source, "field1") == truth(stack, source, "field1")


def test_a_field_that_is_gone_is_switched_off(stack: Stack, source: ThingSpeakChannel) -> None:
    polls(stack, 2)
    stack.simulator.fault("vanish", channel=TANK, field=2)
    polls(stack, 3)
    assert paused() == {"field2": PauseKind.VANISHED}
    assert kinds() == [EventKind.FIELD_VANISHED]
    assert "does not exist any more" in Alert.objects.open().get().text
    decide(stack, Fix.SWITCH_OFF)
    polls(stack, 2)
    assert not Alert.objects.open().exists()
    assert not source.mappings.get(field="field2").enabled
    assert len(stored(source, "field1")) == len(received(source))


def test_a_field_that_comes_back_is_stored_by_itself(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    fault = stack.simulator.fault("rename", channel=TANK, field=1, label="Tank 1")
    polls(stack, 4)
    stack.simulator.control(f"faults/{fault}", "DELETE")
    polls(stack, 2)
    assert not MappingPause.objects.filter(resolved_at=None).exists()
    stack.work()
    polls(stack, 2)
    assert not Alert.objects.open().exists()
    assert stored(source, "field1") == truth(stack, source, "field1")


def test_a_jump_that_is_none_is_stored_late_but_whole(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    fault = stack.simulator.fault("scale", channel=TANK, field=1, factor=0.1, decimals=2)
    polls(stack, 1, apart_s=25.0)
    assert FieldProfile.objects.get(field="field1").suspicion is not None
    held = len(received(source)) - len(stored(source, "field1"))
    assert 0 < held < 5
    stack.simulator.control(f"faults/{fault}", "DELETE")
    stack.simulator.fault("scale", channel=TANK, field=1, factor=0.37, decimals=2)
    polls(stack, 4)
    assert FieldProfile.objects.get(field="field1").suspicion is None
    assert not MappingPause.objects.exists()
    assert len(stored(source, "field1")) == len(received(source))


def test_values_that_are_right_are_stored_on_one_click(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    stack.simulator.fault("scale", channel=TANK, field=1, factor=10.0, decimals=1)
    polls(stack, 6)
    assert paused() == {"field1": PauseKind.UNIT}
    decide(stack, Fix.GO_ON)
    polls(stack, 2)
    assert not paused()
    assert len(stored(source, "field1")) == len(received(source))


def test_a_decision_is_taken_once(stack: Stack, source: ThingSpeakChannel) -> None:
    stack.simulator.fault("rename", channel=TANK, field=1, label="Tank 1")
    polls(stack, 2)
    pause = MappingPause.objects.get()
    apply(Decision(Fix.ACCEPT_NAME, pause, None, stack.at))
    with pytest.raises(CannotFix, match="decided about this already"):
        apply(Decision(Fix.ACCEPT_NAME, pause, None, stack.at))
    assert kinds().count(EventKind.SCHEMA_ACCEPTED) == 1


def test_a_corrected_mapping_counts_from_the_next_poll_on(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    polls(stack, 1)
    before = set(stored(source, "field1"))
    mapping = source.mappings.get(field="field1")
    mapping.scale = 10.0
    mapping.save()
    polls(stack, 1)
    right = truth(stack, source, "field1")
    new = {number: value for number, value in stored(source, "field1").items()
           if number not in before}  # fmt: skip
    assert new
    assert new == pytest.approx({number: 10 * right[number] for number in new})
