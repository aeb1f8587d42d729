"""What stays of texts and on/off values when their readings go: states are what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from devices.models import DataType, Membership, Metric
from devices.readings.instants import MILLISECOND
from devices.readings.keeping import Cut
from devices.readings.models import KeptFrom, StateRun
from devices.readings.samples import Sample, Value
from devices.readings.staying import States, Told, states, stays_of
from devices.readings.store import NotKept, ReadingStore, dropping, get_store, runs
from devices.readings.store.runs import Said, runs_of
from devices.readings.tests.archived import APRIL, CUT, FEBRUARY, JANUARY, MARCH, NOW, network
from devices.readings.tests.network import device, examples, metrics, undone
from devices.readings.tests.test_api import get

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
END = APRIL + 20 * DAY
RANGES = [
    (JANUARY - DAY, END),
    (JANUARY + timedelta(days=19, minutes=197), FEBRUARY + timedelta(days=2, minutes=245)),
    (FEBRUARY + timedelta(hours=3, minutes=30), FEBRUARY + timedelta(hours=3, minutes=31)),
    (APRIL - timedelta(days=9, minutes=13), APRIL + timedelta(days=9, minutes=3)),
    (APRIL + DAY, END),
]


@pytest.fixture(autouse=True)
def archive(settings: Any, tmp_path: Path) -> Iterator[None]:
    """An archive of the test's own; the clock stands after everything that is written here."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    with time_machine.travel(NOW, tick=False):
        yield


def spoken(store: ReadingStore) -> list[Metric]:
    """A pump and a mode that say something each hour for months, but for some silences."""
    owner = device("Asia/Kolkata")
    pump, mode = (metrics(owner, 1, kind)[0] for kind in (DataType.BOOLEAN, DataType.TEXT))
    Metric.objects.filter(device=owner).update(expected_every_s=3600)
    samples = []
    for n in range(24 * 110):
        if n % 300 > 290:  # silence
            continue
        at = JANUARY + n * HOUR + timedelta(seconds=n % 7)
        values: dict[int, Value] = {pump.pk: n // 5 % 3 == 0}
        if n % 2 == 0:
            values[mode.pk] = f"mode {n // 31 % 3} “°”"
        samples.append(Sample(owner.pk, at, n, values))
        if n % 50 == 0:  # another value of the same instant
            samples.append(Sample(owner.pk, at, n + 10_000, {pump.pk: n % 100 == 0}))
    store.write(samples)
    store.roll_up(NOW)
    return list(Metric.objects.filter(device=owner).order_by("pk"))


def told(found: States) -> tuple[Any, Any]:
    return found.stays, found.lasted


def answers(asked: Sequence[Metric]) -> list[Any]:
    return [
        told(states(metric, *bounds, bridge))
        for metric in asked
        for bounds in RANGES
        for bridge in (None, 4 * HOUR, 15 * HOUR)
    ]


def gone(store: ReadingStore, asked: Sequence[Metric], before: datetime) -> None:
    """Drop what is older, and see that it is gone."""
    store.drop({asked[0].device_id: Cut(before)})
    dropped_until = KeptFrom.objects.get(device=asked[0].device).dropped_until
    assert dropped_until == before - dropping.KEPT_LONGER
    assert store.held([one.pk for one in asked], JANUARY - DAY, MARCH) == 0


@pytest.mark.parametrize("most", [runs.MOST, 40])
def test_states_are_what_they_were_before_readings_were_dropped(
    store: ReadingStore, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(runs, "MOST", most)  # in one piece, and in very many
    said = spoken(store)
    before = answers(said)
    for cut in (CUT, CUT + 3 * DAY, CUT + 3 * DAY):  # more is over age; nothing more
        gone(store, said, cut)
        assert answers(said) == before
    readings = 24 * 110
    assert 0 < StateRun.objects.filter(metric=said[0].pk).count() < readings / 3
    assert states(said[0], *RANGES[0], None).runs_until == CUT + DAY
    assert states(said[0], CUT + 3 * DAY, END, None).runs_until is None


def test_archived_readings_leave_runs_for_when_there_is_no_archive(store: ReadingStore) -> None:
    said = spoken(store)
    before = answers(said)
    store.drop({said[0].device_id: Cut(CUT, archive=True)})
    assert answers(said) == before
    KeptFrom.objects.update(archived_from=None, archived_until=None)  # switched off long ago
    assert answers(said) == before


def test_what_is_cut_off_between_runs_and_rows_is_neither_lost_nor_doubled(
    store: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = spoken(store)
    before = answers(said)

    class Killed(Exception):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(dropping, "_drop_readings", killed)
        with pytest.raises(Killed):
            store.drop({said[0].device_id: Cut(CUT)})
    made = StateRun.objects.count()
    assert answers(said) == before
    gone(store, said, CUT)
    assert answers(said) == before
    assert StateRun.objects.count() == made


@pytest.mark.parametrize("other", [FEBRUARY, CUT - dropping.KEPT_LONGER])
def test_of_two_processes_one_makes_the_runs_and_nothing_goes_without(
    store: ReadingStore, monkeypatch: pytest.MonkeyPatch, other: datetime
) -> None:
    """The other one has come as far as that, and is not through or is."""
    said = spoken(store)
    before = answers(said)
    ours = runs.runs_of

    def overtaken(*asked: Any) -> Iterator[StateRun]:
        monkeypatch.setattr(runs, "runs_of", ours)
        runs.make(store.engine, {said[0].device_id: other})  # type: ignore[attr-defined]
        return ours(*asked)

    monkeypatch.setattr(runs, "runs_of", overtaken)
    store.drop({said[0].device_id: Cut(CUT)})
    assert KeptFrom.objects.get(device=said[0].device).dropped_until == other
    assert answers(said) == before
    gone(store, said, CUT)
    assert answers(said) == before


def test_a_bridge_that_is_finer_than_what_is_known_is_refused(
    store: ReadingStore, client: Client
) -> None:
    pump, _ = said = spoken(store)
    gone(store, said, CUT)
    user = User.objects.create_user("member")
    Membership.objects.create(community=pump.device.community, user=user)
    client.force_login(user)
    asked = f"/api/v1/metrics/{pump.pk}/states/?start=2026-02-01T03:30Z&end=2026-02-01T07:30Z"

    answer = get(client, asked, NOW, 200)
    assert answer["runs_until"] == "2026-04-01T00:00:00Z"
    assert answer["unknown_s"] == 0
    refused = get(client, asked + "&bridge=30m", NOW, 400)
    assert "ask for a “bridge” of 3601s or more" in str(refused)
    assert get(client, asked + "&bridge=3601s", NOW, 200)["stays"] == answer["stays"]


def test_without_a_known_pace_no_pause_is_bridged(store: ReadingStore) -> None:
    pump, _ = said = spoken(store)
    Metric.objects.update(expected_every_s=None)
    before = [told(states(pump, *bounds, 100 * MINUTE)) for bounds in RANGES]
    gone(store, said, CUT)
    pump.refresh_from_db()
    assert [told(states(pump, *bounds, 100 * MINUTE)) for bounds in RANGES] == before


def test_numbers_leave_no_runs_and_say_so(store: ReadingStore) -> None:
    found = network()
    count = found[1]
    store.write([Sample(count.device_id, JANUARY, 1, {count.pk: 3})])
    store.write([Sample(count.device_id, END, 2, {count.pk: 3})])
    store.roll_up(NOW)
    store.drop({count.device_id: Cut(CUT)})
    with pytest.raises(NotKept, match="are too old"):
        states(count, JANUARY, FEBRUARY, DAY)


def test_what_went_before_there_were_runs_is_called_gone(store: ReadingStore) -> None:
    pump, _ = said = spoken(store)
    gone(store, said, CUT)
    StateRun.objects.filter(at__lt=FEBRUARY).delete()
    KeptFrom.objects.update(runs_from=FEBRUARY)
    with pytest.raises(NotKept, match="before 2026-02-01 00:00 UTC"):
        states(pump, JANUARY, MARCH, None)
    assert states(pump, FEBRUARY, MARCH, None).stays


def test_runs_of_a_deleted_metric_go_with_it(store: ReadingStore) -> None:
    pump, mode = said = spoken(store)
    gone(store, said, CUT)
    key = pump.pk
    pump.delete()
    assert not StateRun.objects.filter(metric=key).exists()
    assert StateRun.objects.filter(metric=mode.pk).exists()


def test_a_clock_that_was_wrong_leaves_room_for_what_is_measured_now(store: ReadingStore) -> None:
    pump, _ = said = spoken(store)
    store.drop({pump.device_id: Cut(END + 200 * DAY)})  # by a clock that had jumped
    assert store.take_again(END) == 1
    ends = KeptFrom.objects.get(device=pump.device).readings_from
    assert ends is not None
    before = told(states(pump, JANUARY, ends - HOUR, None))
    live = [Sample(pump.device_id, ends + n * HOUR, n, {pump.pk: True}) for n in range(5)]
    assert store.write(live).expired == []
    assert told(states(pump, JANUARY, ends - HOUR, None)) == before
    (held,) = states(pump, ends, END + DAY, None).stays
    assert (held.value, held.length) == (True, 4 * HOUR)
    store.roll_up(NOW)
    gone(store, said, ends + 10 * DAY)
    assert told(states(pump, JANUARY, ends - HOUR, None)) == before
    (held,) = states(pump, ends, END + DAY, None).stays
    assert (held.value, held.length) == (True, 4 * HOUR)


SAID = st.lists(st.tuples(st.integers(0, 200), st.sampled_from("abc")), max_size=60)


@given(SAID, st.lists(st.integers(0, 200), max_size=4), st.integers(0, 9), st.integers(0, 20))
def test_runs_tell_of_the_same_stays_as_their_readings(
    said: list[tuple[int, str]], cuts: list[int], patience: int, more: int
) -> None:
    """Wherever readings were cut into parts, for every bridge that is not finer than the runs."""
    said.sort(key=lambda one: one[0])
    readings = [
        Said(1, JANUARY + minute * MINUTE, place, text, None)
        for place, (minute, text) in enumerate(said)
    ]
    made: list[StateRun] = []
    for since, until in pairwise([-1, *sorted(cuts), 201]):
        part = [one for one in readings if since < (one.at - JANUARY) / MINUTE <= until]
        made += runs_of(part, lambda _: patience * MINUTE)
    longest = max((run.longest_ms for run in made), default=0) * MILLISECOND
    bridge = longest + more * MINUTE

    bounds = JANUARY + 20 * MINUTE, JANUARY + 180 * MINUTE
    single = [Told(one.text or "", one.at, one.at) for one in readings]
    whole = [Told(run.text or "", run.at, run.until) for run in made]
    assert list(stays_of(whole, *bounds, bridge)) == list(stays_of(single, *bounds, bridge))


@given(
    said=st.lists(
        st.tuples(st.integers(0, 90 * 24), st.integers(0, 2), st.booleans(), st.integers(0, 2)),
        max_size=80,
    ),
    drops=st.lists(st.integers(3, 95), min_size=1, max_size=3),
    asked=st.tuples(st.integers(0, 80 * 24), st.integers(1, 40 * 24), st.integers(12, 100)),
)
@how(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_states_from_the_store_are_what_they_were(
    said: list[tuple[int, int, bool, int]],
    drops: list[int],
    asked: tuple[int, int, int],
) -> None:
    store = get_store()
    with undone():
        owner = device()
        pump, mode = (metrics(owner, 1, kind)[0] for kind in (DataType.BOOLEAN, DataType.TEXT))
        Metric.objects.filter(device=owner).update(expected_every_s=4 * 3600)
        values: dict[tuple[datetime, int], Mapping[int, Value]] = {
            (JANUARY + hour * HOUR, sequence): {pump.pk: on, mode.pk: f"mode {number}"}
            for hour, sequence, on, number in said
        }
        store.write([Sample(owner.pk, *key, dict(one)) for key, one in values.items()])
        store.roll_up(NOW)
        start, length, bridge = (number * HOUR for number in asked)
        wanted = JANUARY + start, JANUARY + start + length, bridge
        found = [Metric.objects.get(pk=one.pk) for one in (pump, mode)]
        before = [told(states(one, *wanted)) for one in found]
        for day in sorted(drops):
            store.drop({owner.pk: Cut(JANUARY + day * DAY)})
        assert [told(states(one, *wanted)) for one in found] == before
