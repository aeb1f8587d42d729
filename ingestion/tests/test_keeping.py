"""Sources kept from poll to poll: a change by any means counts at once, and no secret is kept."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from django.db import connection, models

from devices.models import (
    CalibrationVersion,
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Metric,
    Source,
    ThingSpeakChannel,
)
from devices.secrets import Secret
from ingestion.claims import Claim
from ingestion.derived import derived
from ingestion.drift.waiting import Waiting
from ingestion.enrolment import enrol
from ingestion.keeping import Kept
from ingestion.loading import load_polls
from ingestion.models import FieldProfile, FormerField, MappingPause, PauseKind, Rejection
from ingestion.rules import field_rules, route_of
from ingestion.tests import stack as network
from ingestion.tests.stack import Stack
from simulator.testing import RunningSimulator

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PLAIN = "VERYSECRETREADKEY"


@pytest.fixture
def source(db: None) -> ThingSpeakChannel:
    """A channel with a mapping, a calibration and a fingerprint."""
    account = Connection.objects.create(name="Provider", base_url="https://example.org")
    channel = network.channel(account, 7, fields=("field1",), read_key=Secret.of(PLAIN))
    mapping = channel.mappings.get()
    CalibrationVersion.objects.create(mapping=mapping, kind="linear", scale=2.0, offset=0.0)
    FieldProfile.objects.create(
        source=channel, field="field1", learned_since=NOW, updated_at=NOW, learned={"calm": 3}
    )
    enrol(NOW)
    return channel


def loaded(source: Source) -> Source:
    """The source as a worker has it for its next poll."""
    return load_polls([Claim(source.pk, 0, 0.0)])[source.pk].source


def rule(source: Source) -> Any:
    return field_rules(source).usable[0]


def pause(source: Source) -> None:
    MappingPause.objects.create(
        mapping=source.mappings.get(), source=source, kind=PauseKind.TYPE, since=NOW, found_at=NOW
    )


def by_sql(model: type[models.Model], assignment: str) -> Callable[[Source], None]:
    """A change that passes by everything of ours."""

    def change(_: Source) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {model._meta.db_table} SET {assignment}")

    return change


CHANGES: dict[str, tuple[Callable[[Source], Any], Callable[[Source], Any], Any]] = {
    "mapping": (
        lambda _: FieldMapping.objects.update(field="field2"),
        lambda one: rule(one).field,
        "field2",
    ),
    "mapping switched off": (
        by_sql(FieldMapping, "enabled = FALSE"),
        lambda one: field_rules(one).usable,
        (),
    ),
    "name of its field": (
        by_sql(FieldMapping, "remote_label = 'Level'"),
        lambda one: one.mappings.all()[0].remote_label,
        "Level",
    ),
    "mapping gone": (
        lambda one: one.mappings.all().delete(),
        lambda one: field_rules(one).usable,
        (),
    ),
    "range": (by_sql(Metric, "maximum = 5"), lambda one: rule(one).maximum, 5.0),
    "calibration": (
        by_sql(CalibrationVersion, "scale = 3"),
        lambda one: rule(one).versions[0][1].calibration.apply(1.0),
        3.0,
    ),
    "priority": (
        by_sql(DeviceType, "default_priority = 3"),
        lambda one: one.effective_priority,
        3,
    ),
    "interval": (by_sql(Source, "interval_s = 77"), lambda one: one.effective_interval_s, 77),
    "account": (
        by_sql(Connection, "rate_limit = 9"),
        lambda one: route_of(one.connection).rate.limit,
        9,
    ),
    "zone": (
        lambda _: Community.objects.update(zone="Asia/Kolkata"),
        lambda one: one.device.community.zone,
        "Asia/Kolkata",
    ),
    "device": (by_sql(Device, "name = 'New'"), lambda one: one.device.name, "New"),
    "channel": (
        by_sql(ThingSpeakChannel, "channel_id = 8"),
        lambda one: one.channel_id,  # type: ignore[attr-defined]
        8,
    ),
    "pause": (pause, lambda one: len(field_rules(one).problems), 1),
    "suspicion": (
        lambda one: one.field_profiles.update(suspicion={"held": [{"at": NOW.isoformat()}]}),
        lambda one: Waiting.of(one).suspected,
        {"field1": NOW},
    ),
    "former field": (
        lambda one: FormerField.objects.create(
            mapping=one.mappings.get(), source=one, field="field5", until=NOW
        ),
        lambda one: rule(one).field,
        "field5",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_by_any_means_counts_at_the_next_poll(
    source: ThingSpeakChannel, name: str
) -> None:
    change, seen, after = CHANGES[name]
    assert seen(loaded(source)) != after
    change(source)
    assert seen(loaded(source)) == after


def test_a_source_whose_rows_are_the_same_is_the_same(source: ThingSpeakChannel) -> None:
    before = loaded(source)
    assert loaded(source) is before
    assert field_rules(loaded(source)) is field_rules(before)
    FieldMapping.objects.update(scale=4.0)
    assert loaded(source) is not before


def test_what_is_derived_of_a_source_that_is_not_kept_is_made_each_time(
    source: ThingSpeakChannel,
) -> None:
    fields = derived(lambda one: [mapping.field for mapping in one.mappings.all()])
    assert fields(source) == ["field1"]
    source.mappings.update(field="field3")
    assert fields(source) == ["field3"]


def test_a_worker_forgets_beyond_its_bound() -> None:
    kept = Kept(most=2)
    made: list[int] = []

    def load(pks: Any) -> dict[int, Source]:
        made.extend(sorted(pks))
        return {pk: ThingSpeakChannel(pk=pk) for pk in pks}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestion.keeping.rows_of", lambda _, pks: [(pk, "same") for pk in pks])
        for pks in ([1], [2], [1], [3], [1], [2]):
            assert list(kept.get(pks, load)) == pks
            assert len(kept) <= 2
    assert made == [1, 2, 3, 2]  # the one that was not used for longest goes first


def test_no_plain_secret_is_kept(source: ThingSpeakChannel) -> None:
    kept = loaded(source)
    assert kept.read_key.reveal() == PLAIN  # type: ignore[attr-defined]
    texts = [one for one in reachable(kept) if isinstance(one, str | bytes)]
    assert kept.read_key.token in texts  # type: ignore[attr-defined]
    assert not [one for one in texts if PLAIN in str(one)]


def reachable(root: object) -> Iterator[object]:
    """Everything that an object holds, classes and modules aside."""
    seen, left = {id(root)}, [root]
    while left:
        yield (one := left.pop())
        for other in gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, type | ModuleType | Callable):
                seen.add(id(other))
                left.append(other)


@pytest.fixture
def stack(redis_socket: str, settings: Any) -> Iterator[Stack]:
    settings.REDIS_URL = f"unix://{redis_socket}"
    with RunningSimulator() as simulator:
        yield Stack(simulator)


@pytest.mark.django_db(transaction=True)
def test_a_poll_leaves_what_is_kept_as_it_was(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator), history_from=stack.at)
    stack.run(30)
    kept = loaded(source)
    before = values(kept)
    stack.run(120)
    assert values(kept) == before


def values(source: Source) -> list[dict[str, Any]]:
    """What the rows held of which the source was made."""
    rows = [source, source.connection, source.device, source.device.type, source.device.community]
    for mapping in source.mappings.all():
        rows += [mapping, mapping.metric, *mapping.calibrations.all()]
    return [
        {field.attname: one.__dict__[field.attname] for field in one._meta.concrete_fields}
        for one in [*rows, *source.field_profiles.all()]
    ]


@pytest.mark.django_db(transaction=True)
def test_values_out_of_a_new_range_are_refused_from_the_next_poll_on(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator), history_from=stack.at)
    stack.advance(60)
    stack.tick()
    assert not Rejection.objects.exists()
    by_sql(Metric, "maximum = -1000")(source)
    stack.run(int(timedelta(minutes=2).total_seconds()))
    assert set(Rejection.objects.values_list("reason", flat=True)) == {"out_of_range"}
