"""Fields that changed and changed back before anybody looked: the rows between wait for a word."""

from __future__ import annotations

import pytest

from devices.alerts.models import Alert
from devices.models import ThingSpeakChannel
from ingestion import recalculation
from ingestion.drift.fixes import Fix, fitting
from ingestion.drift.preview import lines
from ingestion.drift.rows import WaitingRows
from ingestion.models import MappingPause, PauseKind, Resolution
from ingestion.tests.stack import TANK, Stack
from ingestion.tests.test_drift_end_to_end import (
    LABELS,
    decide,
    paused,
    polls,
    received,
    source,
    stored,
    truth,
)
from ingestion.tests.test_nothing_lost import running, stack

__all__ = ["running", "source", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)


def swapped_for_a_while(stack: Stack) -> None:
    """Swapped, and swapped again: what was sent meanwhile stays as it was sent."""
    for _ in range(2):
        stack.simulator.fault("swap", channel=TANK, first=1, second=2)
        polls(stack, 4)


def all_is_true(stack: Stack, source: ThingSpeakChannel, exactly: float = 0.0) -> None:
    """Everything received is stored, and is what was measured; also when all is read again."""
    fields = ("field1", "field2")
    for again in (False, True):
        if again:
            recalculation.request(source, None, None, None, "Everything.", stack.at)
            stack.work()
        for field in fields:
            assert len(stored(source, field)) == len(received(source))
            right = truth(stack, source, field)
            assert stored(source, field) == pytest.approx(right, abs=exactly or 1e-9)


def test_fields_swapped_and_swapped_back_wait_for_somebody(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    swapped_for_a_while(stack)
    assert not Alert.objects.open().exists()
    waiting = MappingPause.objects.filter(resolved_at=None)
    assert waiting.count() == 2
    right = truth(stack, source, "field1")
    assert right.items() >= stored(source, "field1").items()  # only what is right
    assert 0 < len(right) - len(stored(source, "field1")) < 25
    pause = waiting.get(mapping__field="field1")
    assert fitting(pause, WaitingRows(pause)) == [Fix.FOLLOW, Fix.GO_ON, Fix.LEAVE_OUT]
    decide(stack, Fix.LEAVE_OUT, mapping__field="field1")
    recalculation.request(source, None, None, None, "Everything.", stack.at)
    stack.work()
    assert right.items() >= stored(source, "field1").items()  # for good


def test_rows_of_a_swap_that_passed_are_read_from_the_other_field(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    polls(stack, 2)
    swapped_for_a_while(stack)
    pause = MappingPause.objects.get(resolved_at=None, mapping__field="field1")
    level = stored(source, "field1")
    shown = lines(Fix.FOLLOW, WaitingRows(pause))
    assert shown
    assert all(abs(float(one.received) - max(level.values())) < 50 for one in shown)
    done = decide(stack, Fix.FOLLOW, mapping__field="field1")
    assert " UTC until 2026-11-20 12:" in done
    assert not MappingPause.objects.filter(resolved_at=None).exists()  # both sides at once
    polls(stack, 2)
    assert not paused()
    all_is_true(stack, source)
    fed = dict(source.mappings.values_list("metric__name", "field"))
    assert (fed["field1"], fed["field2"]) == ("field1", "field2")


def test_names_that_were_exchanged_before_the_values_are_followed_from_the_values_on(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    for field, label in ((1, LABELS[1]), (2, LABELS[0])):
        stack.simulator.fault("rename", channel=TANK, field=field, label=label)
    polls(stack, 3)
    stack.simulator.fault("swap", channel=TANK, first=1, second=2, labels=False)
    polls(stack, 3)
    assert paused() == {"field1": PauseKind.MOVED, "field2": PauseKind.MOVED}
    decide(stack, Fix.FOLLOW)
    polls(stack, 2)
    assert not paused()
    all_is_true(stack, source)


def test_a_swap_that_passed_is_not_decided_with_the_next_one(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    swapped_for_a_while(stack)
    stack.simulator.fault("swap", channel=TANK, first=1, second=2)
    polls(stack, 4)
    decide(stack, Fix.FOLLOW, until=None)
    waiting = MappingPause.objects.filter(resolved_at=None)
    assert waiting.count() == 2
    passed = waiting.get(mapping__metric__name="field1")
    assert passed.mapping.field == "field2"
    assert WaitingRows(passed).field == "field1"  # what it read then
    decide(stack, Fix.FOLLOW)
    assert set(MappingPause.objects.values_list("resolution", flat=True)) == {Resolution.FOLLOWED}
    polls(stack, 2)
    assert not paused()
    all_is_true(stack, source)


def test_a_unit_that_passed_with_a_name_is_converted_for_those_rows_alone(
    stack: Stack, source: ThingSpeakChannel
) -> None:
    for unit, factor in (("m", 0.01), ("cm", 100.0)):
        stack.simulator.fault("rename", channel=TANK, field=1, label=f"Water Level ({unit})")
        stack.simulator.fault("scale", channel=TANK, field=1, factor=factor, decimals=4)
        polls(stack, 5)
    pause = MappingPause.objects.get(resolved_at=None)
    assert fitting(pause, WaitingRows(pause)) == [Fix.CONVERT, Fix.GO_ON, Fix.LEAVE_OUT]
    done = decide(stack, Fix.CONVERT)
    assert " UTC until 2026-11-20 12:" in done
    polls(stack, 3)
    assert not paused()
    assert source.mappings.get(field="field1").remote_label == "Water Level (cm)"
    all_is_true(stack, source, exactly=0.02)
