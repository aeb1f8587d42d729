"""The page of an account: its budget by name, where the limiter stands, and the end of a pause."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devices.models import Connection
from devices.models.connection import LONGEST_TRY_S
from devices.tests.scene import ACCOUNT_KEY, Scene, browser
from ingestion import equipment, pulse
from ingestion.resilience.gate import RedisGate
from ingestion.resilience.policy import BreakerPolicy, RetryPolicy
from ingestion.rules import route_of

pytestmark = [pytest.mark.redis]


@pytest.fixture
def gate(redis_socket: str, redis_client: redis.Redis, settings: Any) -> RedisGate:
    """The gate that the site asks; another process's view of it."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    pulse.client.cache_clear()
    equipment.equipment.cache_clear()
    return RedisGate(redis_client)


@pytest.fixture
def scene(transactional_db: None, gate: RedisGate) -> Scene:
    return Scene.make()


def url(scene: Scene, what: str = "change") -> str:
    return reverse(f"admin:devices_connection_{what}", args=[scene.hill.connection.pk])


def text_of(answer: Any) -> str:
    """What stands on the page, without its markup."""
    plain = unescape(re.sub(r"<[^>]+>", " ", answer.content.decode()))
    return re.sub(r"\s+", " ", plain)


def save(client: Client, scene: Scene, **changes: Any) -> Any:
    """Send the page's form as a browser would, with some boxes changed."""
    form = client.get(url(scene)).context["adminform"].form
    data = {name: form[name].value() for name in form.fields} | changes
    sent = {name: value for name, value in data.items() if value not in (None, False)}
    return client.post(url(scene), sent, follow=True)


def now(client: Client, scene: Scene) -> str:
    return text_of(client.get(url(scene, "now")))


# --- presets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "window", "preset"),
    [(4, 60, "4"), (12, 60, "12"), (60, 60, "60"), (240, 60, "240"), (4, 15, "custom"),
     (61, 60, "custom")],
)  # fmt: skip
def test_the_budget_is_shown_by_the_name_that_people_know(
    scene: Scene, limit: int, window: int, preset: str
) -> None:
    Connection.objects.filter(pk=scene.hill.connection.pk).update(
        rate_limit=limit, rate_window_s=window
    )
    page = browser(scene.operator).get(url(scene))
    assert page.context["adminform"].form["preset"].value() == preset
    assert "4 a minute: one every 15 seconds" in text_of(page)


def test_a_preset_is_the_whole_budget(scene: Scene) -> None:
    Connection.objects.filter(pk=scene.hill.connection.pk).update(rate_limit=7, rate_window_s=9)
    save(browser(scene.operator), scene, preset="240")
    account = Connection.objects.get(pk=scene.hill.connection.pk)
    assert (account.rate_limit, account.rate_window_s) == (240, 60)


def test_a_budget_of_ones_own(scene: Scene) -> None:
    client = browser(scene.operator)
    save(client, scene, preset="custom", rate_limit=100, rate_window_s=15)
    account = Connection.objects.get(pk=scene.hill.connection.pk)
    assert (account.rate_limit, account.rate_window_s) == (100, 15)
    changelist = client.get(reverse("admin:devices_connection_changelist"))
    assert "100 in 15 s" in text_of(changelist)


def test_numbers_are_never_overruled_by_a_preset_in_silence(scene: Scene) -> None:
    answer = save(browser(scene.operator), scene, rate_limit=100)  # still «60 a minute»
    assert "You chose a budget and entered another one below." in text_of(answer)
    assert Connection.objects.get(pk=scene.hill.connection.pk).rate_limit == 60


def test_no_budget_at_all_is_refused(scene: Scene) -> None:
    answer = save(browser(scene.operator), scene, preset="custom", rate_limit="")
    assert "Enter a number, or choose one of the budgets above." in text_of(answer)


def test_the_longest_pause_is_not_shorter_than_the_first(scene: Scene) -> None:
    answer = save(browser(scene.operator), scene, breaker_open_s=60, breaker_open_max_s=30)
    assert "cannot be shorter than the first one of 60 s" in text_of(answer)


@pytest.mark.parametrize("name", ["connect_timeout_s", "read_timeout_s"])
def test_a_timeout_that_could_never_pass_is_refused(scene: Scene, name: str) -> None:
    assert RetryPolicy().deadline_s == LONGEST_TRY_S
    answer = save(browser(scene.operator), scene, **{name: LONGEST_TRY_S + 1})
    assert "less than or equal to 25" in text_of(answer)


def test_a_new_account_starts_polite(scene: Scene) -> None:
    page = browser(scene.operator).get(reverse("admin:devices_connection_add"))
    assert page.context["adminform"].form["preset"].value() == "60"
    assert "Right now" not in text_of(page)


# --- in force at once -----------------------------------------------------------------------------


def test_an_edit_governs_workers_that_still_hold_older_settings(
    scene: Scene, gate: RedisGate
) -> None:
    """Without a tick of the dispatcher in between, and in both directions."""
    stale = route_of(scene.hill.connection)  # as a worker read it with its claim
    assert gate.reserve(stale.group, stale.rate, 1, 0).interval_s == pytest.approx(61 / 60)
    save(browser(scene.operator), scene, preset="4")
    lowered = gate.reserve(stale.group, stale.rate, 1, 0)
    assert (lowered.granted, lowered.interval_s) == (0, 15.25)
    save(browser(scene.operator), scene, preset="custom", rate_limit=60_000)
    raised = gate.reserve(stale.group, stale.rate, 1, 0.1)
    assert raised.granted == 1
    assert raised.interval_s == pytest.approx(61 / 60_000, abs=1e-6)


def test_what_was_typed_but_not_saved_governs_nobody(scene: Scene, gate: RedisGate) -> None:
    route = route_of(scene.hill.connection)
    save(browser(scene.operator), scene, preset="custom", rate_limit=1, rate_window_s=0)
    assert gate.reserve(route.group, route.rate, 1, 0).interval_s == pytest.approx(61 / 60)


# --- where the limiter stands ---------------------------------------------------------------------


def test_all_is_well(scene: Scene) -> None:
    text = text_of(browser(scene.viewer).get(url(scene)))
    assert "Right now Full speed" in text
    assert "Running at its full rate of 60/min: a request every 1.02 s." in text
    assert "The provider answers." in text
    assert "Ask again now" not in text


def test_a_refusal_is_explained_while_it_lasts(scene: Scene, gate: RedisGate) -> None:
    route, client = route_of(scene.hill.connection), browser(scene.operator)
    gate.throttled(route.group, route.rate, 120)
    text = now(client, scene)
    assert "Right now Paused" in text
    assert "the provider answered 429 at" in text
    assert "(Retry-After 120 s). It goes on at 50 % of 60/min" in text
    assert "Ask again now" in text
    assert "Ask again now" not in now(browser(scene.viewer), scene)
    gate.resume(route.group, route.rate)
    text = now(client, scene)
    assert "Right now Slowed down" in text
    assert "Running at 50 % of 60/min since the provider answered 429 at" in text


def test_a_provider_that_is_down_is_explained(scene: Scene, gate: RedisGate) -> None:
    host = route_of(scene.hill.connection).host
    policy = BreakerPolicy(open_s=60)
    for _ in range(5):
        gate.record(host, policy, False, gate.enter(host, policy))
    text = now(browser(scene.operator), scene)
    assert "Right now Provider down" in text
    assert "when 5 requests in a row failed. At " in text


def test_a_switched_off_account_says_so(scene: Scene) -> None:
    Connection.objects.filter(pk=scene.hill.connection.pk).update(enabled=False)
    assert "Right now Switched off" in now(browser(scene.operator), scene)


def test_without_redis_the_page_says_that_it_does_not_know(
    scene: Scene, settings: Any, tmp_path: Path
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/nowhere"
    pulse.client.cache_clear()
    equipment.equipment.cache_clear()
    client = browser(scene.operator)
    text = now(client, scene)
    assert "Right now Not known" in text
    assert "Start Redis, or correct REDIS_URL" in text
    assert "Saved. Redis cannot be reached" in text_of(save(client, scene, preset="12"))
    assert Connection.objects.get(pk=scene.hill.connection.pk).rate_limit == 12
    answer = client.post(url(scene, "resume"), follow=True)
    assert "The pause was not ended. Redis cannot be reached" in text_of(answer)


def test_neither_page_nor_lines_show_the_key(scene: Scene) -> None:
    client = browser(scene.admin)
    for what in ("change", "now"):
        assert ACCOUNT_KEY not in client.get(url(scene, what)).content.decode()


# --- the end of a pause ---------------------------------------------------------------------------


def test_the_licence_is_renewed_and_the_provider_is_asked_again_now(
    scene: Scene, gate: RedisGate
) -> None:
    route, client = route_of(scene.hill.connection), browser(scene.operator)
    gate.pause(route.group, route.rate, 3600)
    assert "the provider says that its licence is used up" in now(client, scene)
    assert gate.reserve(route.group, route.rate, 1, 2).granted == 0
    answer = client.post(url(scene, "resume"), follow=True)
    assert "The pause is over and the provider is asked again now." in text_of(answer)
    assert "Right now Full speed" in text_of(answer)
    assert gate.reserve(route.group, route.rate, 1, 2).granted == 1
    entry = LogEntry.objects.get()
    assert (entry.user, entry.get_change_message()) == (scene.operator, "Pause ended by hand.")


def test_ending_what_is_over_is_harmless(scene: Scene) -> None:
    answer = browser(scene.operator).post(url(scene, "resume"), follow=True)
    assert "There was no pause left to end." in text_of(answer)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("who", ["viewer", "stranger", "nobody"])
def test_who_may_not_end_it(scene: Scene, gate: RedisGate, who: str) -> None:
    route = route_of(scene.hill.connection)
    gate.pause(route.group, route.rate, 3600)
    answer = browser(scene.user(who)).post(url(scene, "resume"))
    assert answer.status_code in (302, 403, 404)
    assert gate.snapshot(route.host, route.group, route.rate).budget.paused_for_s > 3590


def test_a_look_at_it_ends_nothing(scene: Scene, gate: RedisGate) -> None:
    route = route_of(scene.hill.connection)
    gate.pause(route.group, route.rate, 3600)
    assert browser(scene.operator).get(url(scene, "resume")).status_code == 405
    assert gate.snapshot(route.host, route.group, route.rate).budget.paused_for_s > 3590


def test_poll_now_says_that_the_account_is_paused(scene: Scene, gate: RedisGate) -> None:
    route = route_of(scene.hill.connection)
    gate.pause(route.group, route.rate, 3600)
    channel = scene.hill.channel
    poll = reverse("admin:devices_thingspeakchannel_poll_now", args=[channel.pk])
    answer = browser(scene.operator).post(poll, follow=True)
    text = text_of(answer)
    assert "Account of Hill is paused, so this poll waits." in text
    assert url(scene) in answer.content.decode()
    assert timezone.now() - channel.poll_state.next_poll_at < timedelta(minutes=1)
