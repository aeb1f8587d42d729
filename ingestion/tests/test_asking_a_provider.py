"""One request from start to end: what is sent, what is learnt, and what never happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingestion.resilience.classify import (
    EFFECTS,
    Breaker,
    Kind,
    Outcome,
    SourceError,
    kind_of_status,
)
from ingestion.resilience.exchange import Exchange
from ingestion.resilience.gate import CircuitState, GateUnavailable
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, RetryPolicy, Timeouts
from ingestion.resilience.transport import (
    AddressRefused,
    BodyCutOff,
    BodyTooLarge,
    ConnectFailed,
    HttpResponse,
    NameUnknown,
    RequestRefused,
    TimedOut,
    TlsFailed,
)
from ingestion.sources.base import Fetched
from ingestion.tests.scenes import OK, REQUEST, Ending, Scene, read, status


def test_an_answer_is_handed_on() -> None:
    result = Scene([OK]).ask()
    assert (result.outcome, result.status, result.attempts) == (Outcome.OK, 200, 1)
    assert result.answer is not None
    assert len(result.answer.entries) == 1
    assert result.elapsed_s == pytest.approx(0.1)


def test_an_answer_without_rows_is_empty() -> None:
    result = Scene([status(200, b'{"channel":{},"feeds":[]}')]).ask()
    assert result.outcome is Outcome.EMPTY


@pytest.mark.parametrize(
    ("ending", "kind", "breaker"),
    [
        (OK, Kind.OK, Breaker.SUCCESS),
        (status(400, b"-1"), Kind.CREDENTIAL, Breaker.NOTHING),
        (status(401), Kind.CREDENTIAL, Breaker.NOTHING),
        (status(402), Kind.LICENCE, Breaker.NOTHING),
        (status(403), Kind.CREDENTIAL, Breaker.NOTHING),
        (status(404), Kind.NOT_FOUND, Breaker.NOTHING),
        (status(410), Kind.NOT_FOUND, Breaker.NOTHING),
        (status(422), Kind.BAD_REQUEST, Breaker.NOTHING),
        (status(429), Kind.THROTTLED, Breaker.NOTHING),
        (status(302), Kind.REDIRECTED, Breaker.NOTHING),
        (status(500), Kind.SERVER, Breaker.FAILURE),
        (status(502), Kind.GATEWAY, Breaker.FAILURE),
        (status(503), Kind.GATEWAY, Breaker.FAILURE),
        (status(504), Kind.GATEWAY, Breaker.FAILURE),
        (status(200, b"<html>"), Kind.NOT_THE_API, Breaker.FAILURE),
        (NameUnknown("x"), Kind.NAME, Breaker.FAILURE),
        (ConnectFailed("x"), Kind.CONNECT, Breaker.FAILURE),
        (TimedOut("x"), Kind.TIMEOUT, Breaker.FAILURE),
        (TlsFailed("x"), Kind.TLS, Breaker.FAILURE),
        (BodyCutOff("x"), Kind.CUT_OFF, Breaker.FAILURE),
        (BodyTooLarge("x"), Kind.TOO_LARGE, Breaker.NOTHING),
        (AddressRefused("x"), Kind.ADDRESS_REFUSED, Breaker.NOTHING),
        (RequestRefused("x"), Kind.OURS, Breaker.NOTHING),
    ],
)
def test_each_ending_teaches_the_breaker_what_it_should(
    ending: Ending, kind: Kind, breaker: Breaker
) -> None:
    scene = Scene([ending])
    result = scene.ask()
    assert result.kind is kind
    assert result.message.endswith(".")
    failures = scene.look().failures_in_a_row
    assert failures == (result.attempts if breaker is Breaker.FAILURE else 0)
    if breaker is Breaker.NOTHING:
        for _ in range(20):
            scene.now_s += 7 * 3600  # beyond any pause of the budget
            scene.ask()
        assert scene.look().circuit is CircuitState.CLOSED


def test_every_status_has_a_kind() -> None:
    for code in range(100, 600):
        kind = kind_of_status(code)
        assert (kind is None) == (200 <= code < 300)


def test_only_what_concerns_one_channel_is_an_error_of_the_source() -> None:
    own = {kind for kind in Kind if EFFECTS[kind].outcome is Outcome.SOURCE_ERROR}
    assert own == {Kind.CREDENTIAL, Kind.NOT_FOUND, Kind.BAD_REQUEST, Kind.TOO_LARGE}


def test_an_outage_opens_the_circuit_and_then_nothing_is_sent() -> None:
    scene = Scene([status(500)])
    for _ in range(3):
        scene.ask()
    result = scene.ask()
    assert (result.outcome, result.attempts, len(scene.sent_at)) == (Outcome.OPEN, 0, 3)
    assert result.wait_s == pytest.approx(60, abs=0.2)
    scene.endings = [OK]
    scene.now_s += 60
    assert scene.ask().outcome is Outcome.OK
    assert scene.look().circuit is CircuitState.CLOSED


@pytest.mark.parametrize(("failed_ago_s", "circuit"), [
    (60.0, CircuitState.CLOSED),  # before the host answered somebody: it is theirs
    (0.5, CircuitState.OPEN),  # since then: it is the host's
    (None, CircuitState.OPEN),
])  # fmt: skip
def test_channels_that_went_on_failing_while_others_were_answered_stop_nobody(
    failed_ago_s: float | None, circuit: CircuitState
) -> None:
    scene = Scene([OK, *[status(500)] * 6])
    scene.ask()
    scene.sleep(1)
    struck = [
        Exchange(REQUEST, scene.route, read, scene.now_s, failed_ago_s=failed_ago_s)
        for _ in range(6)
    ]
    for _ in scene.client.perform_all(struck):
        pass
    assert scene.look().circuit is circuit


def test_one_devices_wrong_key_does_not_stop_the_others() -> None:
    scene = Scene([status(400, b"-1")] * 50 + [OK])
    results = [scene.ask() for _ in range(51)]
    assert results[0].effects.credential
    assert results[0].effects.quarantine
    assert results[-1].outcome is Outcome.OK


def test_a_429_pauses_for_as_long_as_the_provider_asks() -> None:
    scene = Scene([status(429, retry_after="17"), OK])
    first = scene.ask()
    assert (first.outcome, first.wait_s, first.attempts) == (Outcome.THROTTLED, 17.0, 1)
    second = scene.ask()  # its slot was reserved before the 429 came
    assert (second.kind, second.attempts) == (Kind.BUDGET, 0)
    assert second.wait_s == pytest.approx(17.0)
    scene.now_s += 17
    assert scene.ask().outcome is Outcome.OK
    assert scene.look().budget.rate == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("header", "date", "pause_s"),
    [
        ("Fri, 20 Nov 2026 22:00:30 GMT", None, 30),
        ("Fri, 20 Nov 2026 22:00:30 GMT", "Fri, 20 Nov 2026 22:00:10 GMT", 20),
        ("Fri, 20 Nov 2026 21:00:00 GMT", None, 1),  # past: no sooner than the next slot
        ("0", None, 1),
        ("soon", None, 60),
        ("-5", None, 60),
        ("", None, 60),
        ("99999999999999999999", None, 6 * 3600),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str, date: str | None, pause_s: float) -> None:
    headers = {"retry-after": header} | ({"date": date} if date else {})
    scene = Scene([HttpResponse(429, headers, b"")])
    scene.ask()
    assert scene.look().budget.paused_for_s == pytest.approx(pause_s)


def test_an_exhausted_licence_pauses_the_account_for_an_hour() -> None:
    scene = Scene([status(402)])
    scene.ask()
    assert scene.look().budget.paused_for_s == pytest.approx(3600)
    assert scene.look().budget.rate == 1.0


def test_a_persons_request_waits_for_a_slot_but_not_for_ever() -> None:
    scene = Scene([OK])
    assert scene.ask(reserved=False).outcome is Outcome.OK
    assert scene.ask(reserved=False, max_wait_s=2).outcome is Outcome.OK
    assert scene.sent_at[1] - scene.sent_at[0] == pytest.approx(1.0)
    scene.gate.reserve(scene.route.group, scene.route.rate, 30, 30)
    refused = scene.ask(reserved=False, max_wait_s=2)
    assert (refused.outcome, refused.kind) == (Outcome.THROTTLED, Kind.BUDGET)
    assert refused.wait_s == pytest.approx(31, abs=0.2)


def test_a_defect_in_an_adapter_is_not_hidden_and_blocks_nobody() -> None:
    scene = Scene([status(500)])
    for _ in range(3):
        scene.ask()
    scene.now_s += 60

    def broken(response: HttpResponse) -> Fetched:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scene.ask(decode=broken)
    assert scene.look().circuit is CircuitState.HALF_OPEN  # the probe's turn was handed on


def test_without_the_gate_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene([OK])

    def gone(*args: object, **kwargs: object) -> None:
        raise GateUnavailable("Redis cannot be reached")

    monkeypatch.setattr(scene.gate, "enter_batch", gone)
    with pytest.raises(GateUnavailable):
        scene.ask()
    assert scene.sent_at == []


def test_an_adapters_own_words_are_kept() -> None:
    def refuse(response: HttpResponse) -> Fetched:
        raise SourceError(Kind.CREDENTIAL, "Enter the read key.", retry_after_s=3.0)

    scene = Scene([OK])
    result = scene.ask(decode=refuse)
    assert (result.message, result.wait_s) == ("Enter the read key.", 3.0)


def test_policies_without_meaning_are_refused() -> None:
    wrong: list[Callable[[], object]] = [
        lambda: RatePolicy(0, 60),
        lambda: RatePolicy(1, 60, -1),
        lambda: BreakerPolicy(failures=0),
        lambda: BreakerPolicy(ratio=1.5),
        lambda: Timeouts(total_s=0),
        lambda: RetryPolicy(attempts=0),
        lambda: RetryPolicy(share=-1),
    ]
    for build in wrong:
        with pytest.raises(ValueError, match=r".+"):
            build()
