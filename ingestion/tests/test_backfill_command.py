"""`manage.py backfill`: opens the gap, tells how far it is, and is no part of the work itself."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from ingestion.gaps import backfill
from ingestion.management.commands.backfill import Command
from ingestion.models import EventKind, Gap, GapReason, GapState, SourceEvent
from ingestion.tests import stack as network
from ingestion.tests.stack import START, TANK, Stack
from ingestion.tests.test_nothing_lost import running, served, stack, stored

__all__ = ["running", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@pytest.fixture
def source(stack: Stack) -> Any:
    """A tank of which only today is wanted so far."""
    found = network.channel(
        network.connection(stack.simulator), interval_s=60, history_from=START - DAY / 24
    )
    stack.read_everything()
    return found


def run(stack: Stack, *arguments: Any, each: Any = None) -> str:
    """What the command prints; while it waits, the site works on."""
    out = StringIO()
    command = Command(stdout=out)
    command.sleep = each or (lambda _: stack.run(1))
    with time_machine.travel(stack.at, tick=False):
        call_command(command, *arguments)
    return out.getvalue()


def test_a_range_is_read_with_progress_until_it_is_done(stack: Stack, source: Any) -> None:
    said = run(stack, source.pk, "--from", "3d", "--wait")
    assert "entries, fetched in" in said
    assert "Backfill" in said
    assert f"of ThingSpeak channel {TANK} of {source.device.name} (Hill) is queued." in said
    assert "being filled, " in said
    assert said.strip().endswith("entries.")
    assert "filled, 100 %" in said
    numbers = sorted(stored(source))
    assert numbers == [n for n in served(stack, START - 3 * DAY, stack.at) if n <= numbers[-1]]
    assert [one.kind for one in SourceEvent.objects.all()] == [EventKind.BACKFILL_REQUESTED]


def test_a_killed_command_leaves_the_work_to_the_workers(stack: Stack, source: Any) -> None:
    def killed(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stack, source.pk, "--from", "2d", "--wait", each=killed)
    stack.read_everything()
    assert Gap.objects.get(reason=GapReason.REQUESTED).state == GapState.FILLED
    assert len(stored(source)) > 15_000


def test_all_sources_of_a_device_and_a_dry_run(stack: Stack, source: Any) -> None:
    before = Gap.objects.count()
    said = run(stack, "--device", source.device.uuid, "--from", "1d", "--dry-run")
    assert f"ThingSpeak channel {TANK} of {source.device.name} (Hill): About" in said
    assert Gap.objects.count() == before
    run(stack, "--device", source.device.uuid, "--from", "beginning", "--until", "1d")
    assert Gap.objects.get(reason=GapReason.REQUESTED).since.year == 1970


def test_a_channel_is_found_by_its_number_at_thingspeak(stack: Stack, source: Any) -> None:
    said = run(stack, "--channel", str(TANK), "--from", "1d")
    assert f"ThingSpeak channel {TANK} of {source.device.name} (Hill)" in said
    assert Gap.objects.get(reason=GapReason.REQUESTED).source_id == source.pk


def test_somebody_else_may_stop_it(stack: Stack, source: Any) -> None:
    def stopped(_: float) -> None:
        backfill.cancel(Gap.objects.get(reason=GapReason.REQUESTED), timezone.now())

    with pytest.raises(CommandError, match="cancelled"):
        run(stack, source.pk, "--from", "2d", "--wait", each=stopped)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("999999", "--from", "1d"), "There is no source 999999"),
        ((str(TANK), "--from", "1d"), f"ThingSpeak is given as --channel {TANK}"),
        (("--channel", "999999", "--from", "1d"), "There is no channel 999999"),
        (("--device", str(uuid4()), "--from", "1d"), "or it has no source"),
        (("--from", "1d"), "required"),
        (("{source}", "--from", "yesterday"), "is not a time"),
        (("{source}", "--from", "now"), "must begin before it ends"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(
    stack: Stack, source: Any, arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        run(stack, *(one.format(source=source.pk) for one in arguments))
    assert not Gap.objects.filter(reason=GapReason.REQUESTED).exists()
