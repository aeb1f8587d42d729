"""What was exported comes back as it was: every format, every kind of value, to the byte."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devices.readings.export import FORMATS
from devices.readings.imports import stepping
from devices.readings.imports.choices import Choices
from devices.readings.imports.columns import plan_of
from devices.readings.imports.judging import Target
from devices.readings.imports.opening import opened
from devices.readings.imports.stepping import Position, next_portion
from devices.readings.imports.tests.scene import Tank
from devices.readings.samples import LARGEST, Sample
from devices.readings.store import get_store
from devices.readings.tests.network import undone

pytestmark = pytest.mark.django_db
NOW = datetime(2027, 1, 1, tzinfo=UTC)
FORMS = list(FORMATS)

numbers = st.floats(-LARGEST, LARGEST, allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
odd_texts = st.sampled_from(
    ["", "'", "''", "'=x", "=1+1", "+a", "-", "@", "\t", "\r\n", "true", "1", "007", " a ",
     "_x0041_", "<r><t>x</t></r>", "http://a.b", "#REF!", "\"", "a,b;c\td", "\x0b", "\ufffe",
     "\ufeff"]
)  # fmt: skip
# Around a change of the clock in Berlin, where one hour of local time happens twice.
around_change = st.integers(0, 4 * 3_600_000).map(
    lambda ms: datetime(2026, 10, 24, 23, tzinfo=UTC) + timedelta(milliseconds=ms)
)
anytime = st.integers(0, 1_790_000_000_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
values = st.fixed_dictionaries(
    {},
    optional={
        "level_cm": numbers,
        "depth_cm": numbers,
        "litres": st.integers(-(2**53), 2**53),
        "pump_on": st.booleans(),
        "state": texts | odd_texts,
    },
).filter(bool)
rows = st.lists(
    st.tuples(around_change | anytime, st.integers(0, 2**40), values), min_size=1, max_size=12
)


@pytest.mark.parametrize("form", FORMS)
@given(rows=rows)
@example(rows=[(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), 0, {"state": "\r"}),
               (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 0, {"level_cm": -0.0})])  # fmt: skip
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_export_comes_back_to_the_byte(
    monkeypatch: pytest.MonkeyPatch, form: str, rows: Any
) -> None:
    monkeypatch.setattr(stepping, "PORTION", 5)  # every few rows the file is opened anew
    with undone(), time_machine.travel(NOW, tick=False):
        tank = Tank.make("Europe/Berlin")
        with undone():
            for at, sequence, row in rows:
                tank.write(at, sequence, **row)
            before = tank.exported(form)
            held = {name: tank.readings(name) for name in tank.metrics}
        assert not tank.values("level_cm")
        position = bring_in(tank, before)
        assert position.tally.refused == {}
        assert tank.exported(form) == before
        for name, readings in held.items():
            assert [(r.at, r.sequence, r.value) for r in tank.readings(name)] == [
                (r.at, r.sequence, r.value) for r in readings
            ]
        again = bring_in(tank, before)
        assert (again.tally.new, again.tally.differing) == (0, 0)
        assert again.tally.same == position.tally.new


def bring_in(tank: Tank, data: bytes) -> Position:
    """Portion by portion, each as a new worker would begin it."""
    position = Position()
    while not position.ended:
        samples: list[Sample] = []
        with opened(io.BytesIO(data)) as content:
            plan = plan_of(content.heading, tank.device, Choices().columns)
            target = Target.of(tank.device, plan, replace=False)
            samples = next_portion(content, position, target, NOW)
        get_store().write(samples)
        position = Position.of(position.as_json())
    return position
