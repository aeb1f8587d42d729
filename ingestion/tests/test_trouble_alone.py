"""One channel goes on failing while its provider is well: told once, as what it is, never more."""

from __future__ import annotations

import logging
import re
from html import unescape
from typing import Any

import pytest

from devices.alerts.models import Alert, Kind
from devices.models import Connection, Priority, Role
from devices.tests.scene import browser, person
from ingestion.blame import ALONE_AFTER
from ingestion.claims import Claim
from ingestion.dispatch import Queues, dispatch, poll_now
from ingestion.models import Gap, PollState
from ingestion.tests import stack as network
from ingestion.tests.stack import TANK, Stack
from ingestion.tests.test_observe_edges import lines
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db(transaction=True)

OTHERS = (710002, 710003)


@pytest.fixture(scope="module")
def running() -> Any:
    with RunningSimulator() as simulator:
        yield simulator


@pytest.fixture
def stack(running: RunningSimulator, redis_socket: str, settings: Any) -> Any:
    settings.REDIS_URL = f"unix://{redis_socket}"
    running.control("reset", "POST", {})
    yield Stack(running)
    running.control("reset", "POST", {})


def asked(stack: Stack, others_every_s: int = 10, **changes: Any) -> Any:
    """A channel among others of its account, all of them well."""
    account = network.connection(stack.simulator, breaker_open_s=20, breaker_open_max_s=20)
    first = network.channel(account, TANK, interval_s=10, history_from=stack.at, **changes)
    for number in OTHERS:
        network.channel(account, number, interval_s=others_every_s, history_from=stack.at)
    stack.run(30)
    return first


def fail_until(stack: Stack, source: Any, failures: int) -> None:
    """Tick until so many polls in a row have failed."""
    while PollState.objects.get(pk=source.pk).failures < failures:
        stack.tick()


@pytest.mark.parametrize(
    ("fault", "options", "words"),
    [
        ("html", {}, "HTTP 200, a web page or something else instead of its API's answer"),
        ("status", {"code": 500}, "HTTP 500, an error of its own"),
        ("status", {"code": 503}, "HTTP 503, not available"),
    ],
)
def test_a_channel_that_fails_alone_is_told_once_and_is_well_with_its_first_answer(
    stack: Stack,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    options: dict[str, Any],
    words: str,
) -> None:
    source = asked(stack)
    caplog.set_level(logging.INFO)
    number = stack.simulator.fault(fault, channel=TANK, **options)
    fail_until(stack, source, ALONE_AFTER - 1)
    assert not Alert.objects.exists()  # once or twice happens to everybody
    stack.run(200)
    alert = Alert.objects.get()
    assert (alert.kind, alert.source_id, alert.resolved_at) == (
        Kind.SOURCE_FAILING, source.pk, None,
    )  # fmt: skip
    assert "ThingSpeak answers others, but asked for this source it goes on failing" in alert.text
    assert words in alert.text
    viewer = person("viewer", source.device.community, Role.VIEWER)
    page = browser(viewer).get(source.device.get_absolute_url()).content.decode()
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))
    assert words in text
    stack.simulator.control(f"faults/{number}", "DELETE")
    stack.run(40)
    assert not Alert.objects.open().exists()
    assert not Gap.objects.filter(state__in=["open", "filling"]).exists()
    told = [one["event"] for one in lines(caplog)]
    assert told == ["source_failing", "source_back"]


def test_an_outage_is_the_providers_trouble_also_for_whoever_fails_once_more_after_it(
    stack: Stack,
) -> None:
    # The most urgent one is every trial, so that its failures in a row grow as if it failed alone.
    source = asked(stack, priority=Priority.CRITICAL)
    stack.simulator.fault("status", code=500)
    fail_until(stack, source, 2 * ALONE_AFTER)
    assert [one.kind for one in Alert.objects.open()] == [Kind.UPSTREAM_DOWN]
    stack.simulator.heal()
    stack.simulator.fault("status", code=500, channel=TANK, requests=ALONE_AFTER - 1)
    others = PollState.objects.exclude(pk=source.pk)
    others.update(urgency=-1)  # one of them is the trial that finds the provider well
    stack.run(120)
    assert list(Alert.objects.values_list("kind", flat=True)) == [Kind.UPSTREAM_DOWN]
    assert not Alert.objects.open().exists()
    assert set(PollState.objects.values_list("last_outcome", flat=True)) == {"ok"}


def test_that_others_answered_a_while_ago_says_nothing_of_now(stack: Stack) -> None:
    """Asked less often, they have not been asked yet since the provider failed."""
    source = asked(stack, others_every_s=3600)
    stack.simulator.fault("html", channel=TANK)
    fail_until(stack, source, 1)
    poll_now([one.pk for one in PollState.objects.exclude(pk=source.pk)], stack.at)
    stack.run(3)
    stack.simulator.fault("status", code=500)
    fail_until(stack, source, 2 * ALONE_AFTER)
    assert [one.kind for one in Alert.objects.all()] == [Kind.UPSTREAM_DOWN]


def test_what_a_mapping_missed_is_read_again_although_its_channel_then_failed_alone(
    stack: Stack,
) -> None:
    source = asked(stack)
    mapping = source.mappings.get(field="field1")
    mapping.unit = "kg"
    mapping.save()
    stack.run(30)
    assert Alert.objects.open().get().reason == "failing"
    stack.simulator.fault("html", channel=TANK)
    fail_until(stack, source, ALONE_AFTER + 1)
    mapping.unit = ""
    mapping.save()
    stack.simulator.heal()
    stack.run(40)
    assert not Alert.objects.open().exists()
    assert Gap.objects.filter(source=source, state="filled").exists()


def test_an_account_that_was_only_held_back_tells_what_others_met(stack: Stack) -> None:
    """Accounts of one provider share its breaker; `circuit open` would tell nobody anything."""
    asked(stack)
    other = Connection.objects.create(name="Other", base_url=stack.simulator.url, rate_limit=6000)
    source = network.channel(other, 710004, interval_s=10, history_from=stack.at)
    stack.run(20)
    held: list[Claim] = []
    poll_now([source.pk], stack.at)
    dispatch(lambda: stack.at, stack.gate, Queues(held.extend, stack.worker.fill))
    stack.simulator.fault("status", code=503)
    while not Alert.objects.open().exists():
        stack.tick()
    stack.worker.poll([one for one in held if one.pk == source.pk])
    alert = Alert.objects.get(connection=other)
    assert alert.reason == "gateway"
    assert "Other does not answer (HTTP 503, not available)." in alert.text
