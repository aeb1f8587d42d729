"""A retry: only what it can cure, once, paid for with its own slot, within the deadline."""

from __future__ import annotations

import pytest

from ingestion.resilience.classify import Kind, Outcome
from ingestion.resilience.policy import BreakerPolicy, Route
from ingestion.resilience.transport import BodyCutOff, ConnectFailed, TimedOut, TlsFailed
from ingestion.tests.scenes import OK, Ending, Scene, status


@pytest.mark.parametrize("ending", [ConnectFailed("x"), TimedOut("x"), status(503)])
def test_what_may_pass_is_tried_once_more_after_full_jitter(ending: Ending) -> None:
    scene = Scene([ending, OK])
    result = scene.ask()
    assert (result.outcome, result.attempts) == (Outcome.OK, 2)
    assert scene.slept == [1.0]  # half of the two seconds


@pytest.mark.parametrize(
    "ending",
    [status(500), status(404), status(429), status(400, b"-1"), status(200, b"<html>"),
     BodyCutOff("x"), TlsFailed("x"), status(503, retry_after="5")],
)  # fmt: skip
def test_what_a_retry_cannot_cure_is_not_tried_again(ending: Ending) -> None:
    scene = Scene([ending, OK])
    assert scene.ask().attempts == 1
    assert scene.slept == []


def test_there_is_never_a_third_attempt() -> None:
    scene = Scene([TimedOut("x")])
    result = scene.ask()
    assert (result.kind, result.attempts) == (Kind.TIMEOUT, 2)


def test_a_retry_takes_its_own_slot_and_waits_for_it() -> None:
    scene = Scene([ConnectFailed("x"), OK], chance=0.0)
    assert scene.ask(reserved=False).attempts == 2
    first, second = scene.sent_at
    assert second - first >= scene.route.rate.interval_s


def test_without_a_slot_for_the_retry_the_first_ending_stands() -> None:
    scene = Scene([ConnectFailed("x"), OK])
    scene.gate.reserve(scene.route.group, scene.route.rate, 10, 10)
    result = scene.ask()
    assert (result.kind, result.attempts) == (Kind.CONNECT, 1)


def test_when_everything_fails_retries_stay_a_tenth() -> None:
    scene = Scene([ConnectFailed("x")])
    scene.route = Route(
        scene.route.host, scene.route.group, scene.route.rate, BreakerPolicy(failures=10_000)
    )
    for _ in range(200):
        scene.now_s += 5
        scene.ask()
    assert 200 < len(scene.sent_at) <= 220


def test_an_open_circuit_ends_the_retry() -> None:
    scene = Scene([ConnectFailed("x")])
    results = [scene.ask() for _ in range(2)]
    assert [result.attempts for result in results] == [2, 1]
    assert results[1].kind is Kind.CONNECT


def test_who_opens_the_circuit_is_told_at_once() -> None:
    """What the provider did is known before anybody is refused for it."""
    scene = Scene([TimedOut("x")])
    scene.route = Route(
        scene.route.host, scene.route.group, scene.route.rate, BreakerPolicy(failures=1)
    )
    result = scene.ask()
    assert (result.kind, result.circuit_open, scene.slept) == (Kind.TIMEOUT, True, [])


def test_no_attempt_starts_or_lasts_beyond_the_deadline() -> None:
    scene = Scene([TimedOut("x")], takes_s=12.0)
    scene.ask()
    assert scene.limits[0].total_s == 12.0
    assert scene.limits[1].total_s == pytest.approx(25 - 12 - 1)
    late = Scene([TimedOut("x")], takes_s=24.5)
    assert late.ask().attempts == 1
