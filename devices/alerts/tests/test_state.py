"""One state per device: what makes it, and that silence never makes it better."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.alerts.state import (
    DeviceFacts,
    Freshness,
    Notice,
    SourceFacts,
    SourceState,
    State,
    device_state,
    duration,
    expected_every,
    freshness,
    late_after,
    stale_after,
    worst_source,
)

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=7)
WELL = SourceFacts(enabled=True)
LOST = Notice(EARLIER, "critical", "silent", "Tank 1 has not reported.")
DOWN = Notice(EARLIER, "warning", "timeout", "ThingSpeak does not answer.")
WRONG_KEY = Notice(EARLIER, "warning", "key_rejected", "The read key was refused.")
LOW = Notice(EARLIER, "warning", "below", "The level is low.")
EMPTY = Notice(EARLIER, "critical", "below", "The tank is empty.")
FRESHNESS_ORDER = [Freshness.LIVE, Freshness.LATE, Freshness.STALE]


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def facts(last_at: datetime | None, **others: object) -> DeviceFacts:
    given: dict[str, object] = {"enabled": True, "expected_s": 60, "sources": [WELL], **others}
    return DeviceFacts(last_at=last_at, **given)  # type: ignore[arg-type]


def state_of(last_at: datetime | None, **others: object) -> State:
    return device_state(facts(last_at, **others), NOW).state


def test_a_device_that_never_reported_is_new() -> None:
    state = device_state(facts(None), NOW)
    assert state.state is State.NEW
    assert state.since is None
    assert state.reason


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (0, State.ONLINE),
        (150, State.ONLINE),
        (151, State.LATE),
        (210, State.LATE),
        (211, State.STALE),
    ],
)
def test_silence_makes_it_late_then_stale(age_s: float, expected: State) -> None:
    assert state_of(ago(age_s)) is expected


def test_silence_alone_never_makes_it_offline() -> None:
    assert state_of(ago(86_400 * 365)) is State.STALE


def test_late_and_stale_say_since_when() -> None:
    late = device_state(facts(ago(180)), NOW)
    stale = device_state(facts(ago(1000)), NOW)
    assert late.since == ago(180) + late_after(60)
    assert stale.since == ago(1000) + stale_after(60)
    assert stale.reason == "A reading is expected every 60 s."
    usual = device_state(facts(ago(1000), usual=True), NOW)
    assert usual.reason == "Devices of its type usually report every 60 s."


def test_an_open_offline_alert_makes_it_offline_with_its_words() -> None:
    state = device_state(facts(ago(1000), offline=LOST), NOW)
    assert (state.state, state.since, state.reason) == (State.OFFLINE, EARLIER, LOST.text)


def test_an_outage_upstream_leaves_a_stale_value_and_says_so_on_the_other_axis() -> None:
    down = SourceFacts(enabled=True, upstream=DOWN)
    state = device_state(facts(ago(1000), sources=[down]), NOW)
    assert state.state is State.STALE
    assert state.source.state is SourceState.UPSTREAM_DOWN
    assert (state.source.since, state.source.reason) == (EARLIER, DOWN.text)


def test_throttling_says_nothing_about_the_device() -> None:
    waiting = SourceFacts(enabled=True, throttled=True)
    state = device_state(facts(ago(5), sources=[waiting]), NOW)
    assert state.state is State.ONLINE
    assert state.source.state is SourceState.THROTTLED
    assert not state.needs_attention


def test_a_wrong_key_of_a_new_device_asks_for_somebody() -> None:
    refused = SourceFacts(enabled=True, failing=WRONG_KEY, upstream=DOWN)
    state = device_state(facts(None, sources=[refused]), NOW)
    assert state.state is State.NEW
    assert state.source.state is SourceState.KEY_REJECTED
    assert state.needs_attention


def test_a_reason_that_is_no_state_of_a_source_is_a_failure() -> None:
    odd = SourceFacts(enabled=True, failing=Notice(EARLIER, "warning", "ok", "Something."))
    assert worst_source([odd]).state is SourceState.FAILING


def test_one_well_source_does_not_hide_a_failing_one_but_a_paused_one_is_hidden() -> None:
    refused = SourceFacts(enabled=True, failing=WRONG_KEY)
    off = SourceFacts(enabled=False, failing=WRONG_KEY)
    assert worst_source([WELL, refused]).state is SourceState.KEY_REJECTED
    assert worst_source([off, WELL]).state is SourceState.OK
    assert worst_source([off]).state is SourceState.PAUSED
    assert worst_source([]).state is SourceState.NONE


def test_a_paused_device_is_paused_whatever_is_open() -> None:
    state = device_state(facts(ago(1000), enabled=False, offline=LOST, alerts=[EMPTY]), NOW)
    assert state.state is State.PAUSED
    assert not state.needs_attention


def test_the_most_urgent_alert_speaks() -> None:
    state = device_state(facts(ago(5), alerts=[LOW, EMPTY]), NOW)
    assert (state.state, state.severity, state.reason) == (State.ALERT, "critical", EMPTY.text)


def test_what_is_worst_comes_first() -> None:
    inputs = [
        facts(ago(5), enabled=False),
        facts(ago(5)),
        facts(None),
        facts(ago(180)),
        facts(ago(1000)),
        facts(ago(5), alerts=[LOW]),
        facts(ago(5), offline=LOST),
        facts(ago(5), alerts=[EMPTY]),
    ]
    states = sorted((device_state(one, NOW) for one in inputs), key=lambda one: one.rank)
    assert [one.state for one in states] == [
        State.ALERT, State.OFFLINE, State.ALERT, State.STALE, State.LATE, State.NEW, State.ONLINE,
        State.PAUSED,
    ]  # fmt: skip
    assert [one.severity for one in states if one.state is State.ALERT] == ["critical", "warning"]


def test_freshness_of_one_value() -> None:
    assert freshness(None, 60, NOW) is Freshness.NEVER
    assert freshness(ago(10**9), None, NOW) is Freshness.LIVE
    assert freshness(ago(-3600), 60, NOW) is Freshness.LIVE
    assert freshness(ago(160), 60, NOW) is Freshness.LATE
    assert freshness(ago(130), 30, NOW) is Freshness.STALE


def test_how_often_a_reading_is_expected() -> None:
    assert expected_every(900, 30, 15.0) == 900
    assert expected_every(None, 60, None) == 60
    assert expected_every(None, 60, 15.2) == 60
    assert expected_every(None, 60, 299.5) == 300


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(30, "30 s"), (90, "90 s"), (300, "5 min"), (5400, "90 min"), (7200, "2 h"), (86_400, "24 h"),
     (259_200, "3 days")],
)  # fmt: skip
def test_durations_in_words(seconds: int, words: str) -> None:
    assert duration(seconds) == words


notices = st.builds(
    Notice,
    since=st.just(EARLIER),
    severity=st.sampled_from(["critical", "warning", "info"]),
    reason=st.sampled_from(["silent", "key_rejected", "not_found", "timeout", ""]),
    text=st.text(max_size=5),
)
sources = st.builds(
    SourceFacts,
    enabled=st.booleans(),
    failing=st.none() | notices,
    upstream=st.none() | notices,
    throttled=st.booleans(),
)
any_facts = st.builds(
    DeviceFacts,
    enabled=st.booleans(),
    last_at=st.none() | st.integers(-3600, 10**7).map(ago),
    expected_s=st.none() | st.integers(1, 30 * 86_400),
    offline=st.none() | notices,
    alerts=st.lists(notices, max_size=3),
    sources=st.lists(sources, max_size=3),
)
seconds = st.integers(0, 10**8).map(lambda n: timedelta(seconds=n))


@given(any_facts, seconds, seconds)
def test_a_state_never_improves_while_nothing_arrives(
    known: DeviceFacts, wait: timedelta, more: timedelta
) -> None:
    sooner = device_state(known, NOW + wait)
    later = device_state(known, NOW + wait + more)
    assert later.rank <= sooner.rank
    assert later.source == sooner.source


@given(any_facts, seconds)
def test_a_state_began_before_now(known: DeviceFacts, wait: timedelta) -> None:
    state = device_state(known, NOW + wait)
    assert state.since is None or state.since <= NOW + wait


@given(any_facts, seconds)
def test_only_an_alert_about_the_device_makes_it_offline(
    known: DeviceFacts, wait: timedelta
) -> None:
    offline = device_state(known, NOW + wait).state is State.OFFLINE
    assert offline == (known.enabled and known.offline is not None)


@given(st.integers(-3600, 10**7), st.integers(1, 10**6), st.integers(0, 10**7))
def test_a_value_never_gets_fresher(age_s: int, expected_s: int, more_s: int) -> None:
    at = ago(age_s)
    sooner = freshness(at, expected_s, NOW)
    later = freshness(at, expected_s, NOW + timedelta(seconds=more_s))
    assert FRESHNESS_ORDER.index(later) >= FRESHNESS_ORDER.index(sooner)
