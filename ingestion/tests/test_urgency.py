"""While its device is in alert, a source is asked before others of its class; then as before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from devices.alerts.models import Alert, Severity
from devices.alerts.models import Kind as Kinds
from devices.alerts.watch import Trouble, open_alert, resolve_alert
from devices.models import Connection, Priority, Source, ThingSpeakChannel
from ingestion.claims import Claim
from ingestion.dispatch import Queues, dispatch, poll_now
from ingestion.enrolment import align_with_alerts, enrol, reconcile
from ingestion.models import PollLog, PollState
from ingestion.models.poll_state import BY_HAND
from ingestion.tests import stack as network
from ingestion.tests.stack import START, Stack
from ingestion.tests.test_nothing_lost import running, stack

__all__ = ["running", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)


def alert(source: Source) -> None:
    """Its device fell silent, and the schedule followed."""
    assert open_alert(Trouble.offline(source.device), "silent", "Check its power.", START)
    align_with_alerts()


def resolved(source: Source) -> None:
    """Its device reports again, and the schedule followed."""
    assert resolve_alert(Trouble.offline(source.device), START)
    align_with_alerts()


def urgency(source: Source) -> int:
    return PollState.objects.get(pk=source.pk).urgency


def claimed(stack: Stack) -> list[int]:
    """Whom the next tick would have polled, first come first."""
    claims: list[Claim] = []
    dispatch(lambda: stack.at, stack.gate, Queues(claims.extend, lambda _: None))
    PollState.objects.update(lease_until=None)
    return [one.pk for one in claims]


@pytest.fixture
def account() -> Connection:
    return Connection.objects.create(name="Provider", base_url="https://example.org")


@pytest.fixture
def source(account: Connection) -> ThingSpeakChannel:
    made = network.channel(account, 1, ("field1",), priority=Priority.NORMAL)
    enrol(START)
    return made


def test_a_device_in_alert_is_asked_before_others_of_its_class(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    first, second, last = (
        network.channel(account, number, history_from=stack.at, priority=Priority.NORMAL)
        for number in (710001, 710002, 710003)
    )
    enrol(stack.at)
    for place, one in enumerate((first, second, last)):
        due = stack.at - timedelta(seconds=30 - place)
        PollState.objects.filter(pk=one.pk).update(next_poll_at=due)
    assert claimed(stack) == [first.pk, second.pk, last.pk]
    alert(last)
    assert urgency(last) == Priority.HIGH
    assert claimed(stack) == [last.pk, first.pk, second.pk]
    resolved(last)
    assert urgency(last) == Priority.NORMAL
    assert claimed(stack) == [first.pk, second.pk, last.pk]


def test_a_silent_device_is_raised_until_it_reports_again(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(
        account, interval_s=10, history_from=stack.at, priority=Priority.NORMAL
    )
    stack.run(30)
    source.device.metrics.update(maximum=-1e9)  # whatever it says is refused
    stack.run(200)
    assert Alert.objects.open().get().kind == Kinds.DEVICE_OFFLINE
    align_with_alerts()
    assert urgency(source) == Priority.HIGH
    polls = PollLog.objects.count()
    stack.run(30)
    assert PollLog.objects.count() > polls
    assert urgency(source) == Priority.HIGH
    source.device.metrics.update(maximum=None)
    stack.run(60)
    assert not Alert.objects.open().exists()
    align_with_alerts()
    assert urgency(source) == Priority.NORMAL
    stack.run(30)
    assert urgency(source) == Priority.NORMAL


def test_any_critical_alert_about_a_device_raises(source: ThingSpeakChannel) -> None:
    about = {"device": source.device, "kind": Kinds.SOURCE_FAILING, "opened_at": START}
    Alert.objects.create(key="1", severity=Severity.WARNING, **about)
    assert align_with_alerts() == 0
    Alert.objects.create(key="2", severity=Severity.CRITICAL, **about)
    assert align_with_alerts() == 1
    assert urgency(source) == Priority.HIGH


def test_a_poll_asked_for_by_hand_comes_back_to_the_raised_class(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator), priority=Priority.LOW)
    enrol(stack.at)
    alert(source)
    poll_now([source.pk], stack.at)
    reconcile(stack.at)
    assert urgency(source) == BY_HAND
    stack.tick()
    assert urgency(source) == Priority.NORMAL


def test_nothing_is_more_urgent_than_critical(source: ThingSpeakChannel) -> None:
    source.priority = Priority.CRITICAL
    source.save()
    alert(source)
    assert urgency(source) == Priority.CRITICAL
    resolved(source)
    assert urgency(source) == Priority.CRITICAL


def test_a_priority_edited_during_an_alert_is_raised_as_well(source: ThingSpeakChannel) -> None:
    alert(source)
    source.priority = Priority.LOW
    source.save()
    assert urgency(source) == Priority.NORMAL
    resolved(source)
    assert urgency(source) == Priority.LOW


def test_all_channels_of_the_device_are_raised_and_no_others(source: ThingSpeakChannel) -> None:
    also = ThingSpeakChannel.objects.create(
        device=source.device, connection=source.connection, channel_id=2, priority=Priority.LOW
    )
    other = network.channel(source.connection, 3, ("field1",), priority=Priority.NORMAL)
    enrol(START)
    alert(source)
    assert [urgency(one) for one in (source, also, other)] == [
        Priority.HIGH, Priority.NORMAL, Priority.NORMAL,
    ]  # fmt: skip


@pytest.mark.parametrize("trouble", ["failing", "upstream"])
def test_trouble_of_a_channel_or_a_provider_raises_nothing(
    source: ThingSpeakChannel, trouble: str
) -> None:
    about = {"failing": Trouble.failing(source), "upstream": Trouble.upstream(source.connection)}
    assert open_alert(about[trouble], "", "Refused.", START)
    assert align_with_alerts() == 0
    assert urgency(source) == Priority.NORMAL


def test_following_the_alerts_again_changes_nothing(source: ThingSpeakChannel) -> None:
    alert(source)
    assert align_with_alerts() == 0
    resolved(source)
    assert align_with_alerts() == 0


@pytest.mark.parametrize("in_alert", [False, True])
@pytest.mark.parametrize("left_behind", [Priority.CRITICAL, Priority.NORMAL, Priority.LOW])
def test_a_class_that_was_left_behind_is_put_right(
    source: ThingSpeakChannel, in_alert: bool, left_behind: Priority
) -> None:
    if in_alert:
        alert(source)
    right = urgency(source)
    # A poll under way while the alert opened or ended writes the class that it knew.
    PollState.objects.update(urgency=left_behind)
    assert reconcile(START) == (left_behind != right)
    assert urgency(source) == right
    assert reconcile(START) == 0


@pytest.mark.parametrize("by", ["channel", "type"])
def test_a_shorter_interval_counts_from_now(source: ThingSpeakChannel, by: str) -> None:
    PollState.objects.update(next_poll_at=START + timedelta(hours=6))
    with time_machine.travel(START, tick=False):
        save_interval(source, by, 60)
        assert next_in(source) == 60
        save_interval(source, by, 3600)  # a longer one counts from the next poll on
    assert next_in(source) == 60


def test_a_channel_with_an_interval_of_its_own_does_not_follow_its_type(
    source: ThingSpeakChannel,
) -> None:
    source.interval_s = 21_600
    source.save()
    PollState.objects.update(next_poll_at=START + timedelta(hours=6))
    with time_machine.travel(START, tick=False):
        save_interval(source, "type", 60)
    assert next_in(source) == 21_600


def save_interval(source: ThingSpeakChannel, by: str, interval_s: int) -> None:
    """As an operator does, in the channel's form or in that of its device's type."""
    changed: Any = source if by == "channel" else source.device.type
    setattr(changed, "interval_s" if by == "channel" else "default_interval_s", interval_s)
    changed.save()


def next_in(source: ThingSpeakChannel) -> float:
    """Seconds from START until it is polled."""
    return (PollState.objects.get(pk=source.pk).next_poll_at - START).total_seconds()
