"""What a person would notice of polling: nothing lost, nothing doubled, nobody asked too often."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from devices.alerts.models import Alert, Kind
from devices.models import Priority
from devices.readings.samples import HistoryRequest
from devices.readings.store import get_store
from devices.secrets import Secret
from ingestion.dispatch import LEASE, Queues, dispatch, poll_now
from ingestion.drift.accepting import accept_field_names
from ingestion.models import Gap, PollLog, PollState, Rejection
from ingestion.tests import stack as network
from ingestion.tests.stack import TANK, Stack
from ingestion.trouble import resolve_obsolete
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def running() -> Any:
    with RunningSimulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: RunningSimulator) -> Any:
    running.control("reset", "POST", {})
    yield running
    running.control("reset", "POST", {})


@pytest.fixture
def stack(simulator: RunningSimulator, redis_socket: str, settings: Any) -> Stack:
    settings.REDIS_URL = f"unix://{redis_socket}"
    return Stack(simulator)


def stored(source: Any, stack: Stack, field: str = "field1") -> list[tuple[str, int]]:
    """(time, entry number) of every reading of one field, oldest first."""
    metric = source.device.metrics.get(name=field)
    request = HistoryRequest(
        metric.pk, stack.at - timedelta(days=4000), stack.at + timedelta(days=1), limit=100_000
    )
    return [(f"{one.at:%Y-%m-%dT%H:%M:%SZ}", one.sequence) for one in get_store().history(request)]


def served(stack: Stack, number: int, since: Any) -> list[tuple[str, int]]:
    """The simulator's own list of what the channel holds since then."""
    query = f"rows?channel={number}&start={since.timestamp():.0f}&end={stack.at.timestamp():.0f}"
    answer = stack.simulator.control(query)
    return sorted((at, number) for at, number in answer["rows"])


def test_a_new_channel_brings_its_whole_history_once(stack: Stack) -> None:
    since = stack.at - timedelta(hours=30)  # 9,818 entries: a live answer and two pages
    source = network.channel(network.connection(stack.simulator), history_from=since)
    stack.read_everything()
    first = stored(source, stack)
    assert first == sorted(set(first))
    polled_at = PollState.objects.get().last_polled_at
    assert polled_at is not None
    expected = [row for row in served(stack, TANK, since) if row[0] <= first[-1][0]]
    assert first == expected
    poll_now([source.pk], stack.at)
    stack.tick()
    assert stored(source, stack)[: len(first)] == first


def test_hours_without_polling_lose_nothing(stack: Stack) -> None:
    since = stack.at - timedelta(minutes=10)
    source = network.channel(network.connection(stack.simulator), history_from=since)
    stack.read_everything()
    stack.advance(7200)
    stack.read_everything()
    stack.run(40)
    stack.read_everything()
    readings = stored(source, stack)
    assert readings == [row for row in served(stack, TANK, since) if row[0] <= readings[-1][0]]
    assert Gap.objects.filter(state="filled").exists()


def test_every_poll_leaves_a_log_row(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator), history_from=stack.at)
    stack.advance(60)
    stack.tick()
    row = PollLog.objects.get(source=source)
    assert (row.outcome, row.status, row.entries) == ("ok", 200, 5)
    assert row.readings == 15
    assert row.duration_ms > 0


def test_the_budget_is_never_exceeded(stack: Stack) -> None:
    account = network.connection(stack.simulator, rate_limit=30)
    for number in (710001, 710002, 710003, 720001, 720002, 720003):
        network.channel(account, number, interval_s=5, history_from=stack.at)
    stack.simulator.control("limiter", "POST", {"limit": 30, "window_s": 60, "retry_after": False})
    stack.run(150)
    outcomes = set(PollLog.objects.values_list("outcome", flat=True))
    assert "throttled" not in outcomes
    asked = PollLog.objects.count()
    assert 60 <= asked <= 75  # two and a half minutes at 30 a minute, spaced for jitter


def test_slots_missed_while_messages_waited_are_not_used_all_at_once(stack: Stack) -> None:
    account = network.connection(stack.simulator, rate_limit=30)
    for number in (710001, 710002, 710003, 720001, 720002, 720003):
        network.channel(account, number, interval_s=5, history_from=stack.at)
    stack.simulator.control("limiter", "POST", {"limit": 30, "window_s": 60, "retry_after": False})
    stack.run(90)
    waiting: list[Any] = []
    for _ in range(19):  # the worker is busy, or was restarted
        dispatch(lambda: stack.at, stack.gate, Queues(waiting.append, lambda claims: None))
        stack.advance(1)
    for claims in waiting:
        stack.worker.poll(claims)
    stack.run(90)
    assert len(waiting) > 4
    assert "throttled" not in set(PollLog.objects.values_list("outcome", flat=True))


def test_urgent_devices_come_first_and_nobody_starves(stack: Stack) -> None:
    account = network.connection(stack.simulator, rate_limit=12)
    urgent = network.channel(account, 710001, interval_s=10, priority=Priority.CRITICAL)
    patient = [
        network.channel(account, number, interval_s=10, priority=Priority.LOW)
        for number in (710002, 710003, 720001)
    ]
    for source in (urgent, *patient):
        source.history_from = stack.at
        source.save()
    stack.run(600)
    polls = {
        source.pk: PollLog.objects.filter(source=source).count() for source in (urgent, *patient)
    }
    assert all(polls[one.pk] >= 5 for one in patient)
    assert polls[urgent.pk] > 1.5 * max(polls[one.pk] for one in patient)


def test_two_clocks_never_poll_a_source_twice_at_once(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    for number in (710001, 710002, 710003):
        network.channel(account, number, history_from=stack.at)
    claimed: list[int] = []
    queues = Queues(lambda claims: claimed.extend(one.pk for one in claims), lambda claims: None)
    dispatch(lambda: stack.at, stack.gate, queues)
    dispatch(lambda: stack.at, stack.gate, queues)
    assert len(claimed) == len(set(claimed)) == 3


def test_a_worker_that_dies_loses_nothing_and_a_late_one_is_refused(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator), history_from=stack.at)
    stack.advance(60)
    taken: list[Any] = []
    dispatch(lambda: stack.at, stack.gate, Queues(taken.extend, lambda claims: None))
    assert (
        dispatch(lambda: stack.at, stack.gate, Queues(taken.extend, lambda claims: None)).polls == 0
    )
    # The lease ends: its worker is dead, as far as anybody knows.
    stack.advance(LEASE.total_seconds() + 1)
    stack.tick()
    before = stored(source, stack)
    assert before
    stack.advance(120)
    assert stack.worker.poll(taken) == 0  # the late worker may not store with an old lease
    assert stored(source, stack) == before


def test_a_wrong_key_is_shown_and_asked_ever_less_often(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    private = network.channel(account, 710006, read_key="WRONGKEY00000001", interval_s=10)
    healthy = network.channel(account, 710001, history_from=stack.at, interval_s=10)
    stack.run(120)
    alert = Alert.objects.open().get()
    assert (alert.kind, alert.source_id, alert.reason) == (
        Kind.SOURCE_FAILING,
        private.pk,
        "key_rejected",
    )
    assert "read key" in alert.text
    assert PollLog.objects.filter(source=private).count() <= 4
    assert PollLog.objects.filter(source=healthy, outcome="ok").count() >= 8
    private.read_key = Secret.of("DEMOREADKEY00106")  # type: ignore[assignment]
    private.save()
    poll_now([private.pk], stack.at)
    stack.tick()
    assert not Alert.objects.open().exists()


def test_three_silent_polls_make_a_device_offline_and_the_next_reading_back(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator), interval_s=10)
    source.history_from = stack.at - timedelta(minutes=5)
    source.save()
    stack.read_everything()
    number = stack.simulator.fault("late", channel=TANK)
    stack.run(120)
    alert = Alert.objects.open().get()
    assert alert.kind == Kind.DEVICE_OFFLINE
    assert PollState.objects.get().misses >= 3
    stack.simulator.control(f"faults/{number}", "DELETE")
    stack.run(30)
    alert.refresh_from_db()
    assert alert.resolved_at is not None


@pytest.mark.parametrize(
    ("fault", "options"),
    [("status", {"code": 500}), ("status", {"code": 429}), ("reset", {}), ("html", {})],
)
def test_trouble_upstream_makes_no_device_offline(
    stack: Stack, fault: str, options: dict[str, Any]
) -> None:
    # Patient: each trial of a dead provider takes its time, and the test has none.
    account = network.connection(stack.simulator, breaker_open_s=60, breaker_open_max_s=120)
    for number in (710001, 710002, 710003):
        network.channel(account, number, interval_s=10, history_from=stack.at)
    stack.run(30)
    stack.simulator.fault(fault, **options)
    stack.run(240)
    kinds = list(Alert.objects.open().values_list("kind", flat=True))
    assert Kind.DEVICE_OFFLINE not in kinds
    assert kinds in ([], [Kind.UPSTREAM_DOWN])
    stack.simulator.heal()
    stack.run(400)
    assert not Alert.objects.open().exists()
    assert set(PollState.objects.values_list("last_outcome", flat=True)) == {"ok"}


@pytest.mark.parametrize(
    ("fault", "options"),
    [("status", {"code": 404}), ("wrong_key", {}), ("huge", {})],
)
def test_a_channel_that_cannot_be_read_makes_no_device_offline(
    stack: Stack, fault: str, options: dict[str, Any]
) -> None:
    """Whoever is told to look at the key must not be sent to the pump house as well."""
    account = network.connection(stack.simulator)
    network.channel(account, 710001, interval_s=10, history_from=stack.at)
    stack.run(60)
    stack.simulator.fault(fault, **options)
    stack.run(900)
    alert = Alert.objects.open().get()
    assert alert.kind == Kind.SOURCE_FAILING
    stack.simulator.heal()
    stack.run(1800)
    assert not Alert.objects.exclude(kind=Kind.SOURCE_FAILING).exists()
    assert not Alert.objects.open().exists()


def test_refused_values_are_kept_with_their_reason_once(stack: Stack) -> None:
    source = network.channel(
        network.connection(stack.simulator), 710001, interval_s=5, history_from=stack.at
    )
    metric = source.device.metrics.get(name="field1")
    metric.maximum = 1.0
    metric.save()
    stack.run(60)
    rejections = Rejection.objects.filter(source=source)
    assert set(rejections.values_list("reason", "field")) == {("out_of_range", "field1")}
    assert rejections.count() == len(stored(source, stack, "field2"))
    assert not stored(source, stack, "field1")


def test_a_renamed_field_pauses_its_mapping_and_nothing_is_lost(stack: Stack) -> None:
    source = network.channel(
        network.connection(stack.simulator), interval_s=10, history_from=stack.at
    )
    mapping = source.mappings.get(field="field1")
    mapping.remote_label = "Water Level (cm)"
    mapping.save()
    stack.run(60)
    before = stored(source, stack)
    stack.simulator.fault("rename", channel=TANK, field=1, label="Pump Pressure (bar)")
    stack.advance(60)
    stack.run(60)
    paused = stored(source, stack)
    assert before
    assert paused == before  # nothing is stored under the old name
    assert len(stored(source, stack, "field2")) > len(before)  # its neighbours go on
    alert = Alert.objects.open().get()
    assert alert.reason == "schema_changed"
    assert "“Water Level (cm)”" in alert.text
    assert "“Pump Pressure (bar)”" in alert.text
    assert accept_field_names(source, stack.at)
    stack.work()
    stack.run(30)
    assert not Alert.objects.open().exists()
    assert stored(source, stack) == stored(source, stack, "field2")  # what waited is stored


def test_switching_off_what_fails_ends_its_alert(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(account, 710006, read_key="WRONGKEY00000001", interval_s=10)
    stack.run(3)
    assert Alert.objects.open().get().source_id == source.pk
    source.enabled = False
    source.save()
    resolve_obsolete(stack.at)
    assert not Alert.objects.open().exists()
