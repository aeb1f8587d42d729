"""Records by key: whatever order they come in, and whether one, some or all are asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from devices.readings.samples import Origin, Sample
from devices.readings.store.batch import Rows
from devices.readings.store.places import Shape
from devices.readings.store.tables import NUMBERS, Key, Record, Records, whole

START = datetime(2026, 11, 1, tzinfo=UTC)


def key(owner: int, minute: int) -> Key:
    return owner, START + timedelta(minutes=minute), minute


keys = st.lists(st.builds(key, st.integers(1, 3), st.integers(0, 9)), unique=True)


@given(keys, st.data())
def test_any_part_of_them_is_what_was_put(known: list[Key], data: st.DataObject) -> None:
    records = Records(lambda key, *behind: (*key, *behind), behind=2)
    cut = data.draw(st.integers(0, len(known)))
    for part in (known[:cut], known[cut:]):
        records.put(part, [str(one) for one in part], [hash(one) for one in part])
        list(records)  # somebody looks in between
    right = {one: (str(one), hash(one)) for one in known}
    assert list(records) == sorted(known)
    assert dict(records) == right
    assert (len(records), key(9, 9) in records) == (len(known), False)
    some = sorted(
        data.draw(st.lists(st.sampled_from(known), unique=True) if known else st.just([]))
    )
    assert list(whole(records, some)) == [(*one, *right[one]) for one in some]
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(known))] * 2)))
    part = sorted(known)[first:last]
    assert list(whole(records, part)) == [(*one, *right[one]) for one in part]


def shape(*slots: int) -> Shape:
    """Of samples whose values go to these slots (1 to 8), in their order."""
    order = [slots.index(slot) + 1 if slot in slots else 0 for slot in range(1, len(NUMBERS) + 1)]
    return Shape(1, 1, sum(1 << (slot - 1) for slot in slots), itemgetter(*order))


SHAPES = [shape(1, 2), shape(2, 1), shape(1, 2), shape(3), shape(*range(8, 0, -1))]
SHAPES[2].arrange = SHAPES[0].arrange  # another device with the same slots
numbers = st.floats(-1e9, 1e9) | st.integers(-1000, 1000)


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Usual samples and whole records, as they come."""
    found = Rows()
    some = draw(keys)
    kinds = draw(st.lists(st.sampled_from(SHAPES), min_size=1))
    usual = draw(st.booleans())
    values: list[float] = []
    for place, (owner, at, sequence) in enumerate(some):
        kind = kinds[place % len(kinds)]
        if not usual and draw(st.booleans()):
            record: Record = (1, 0, *[draw(st.none() | st.floats(0, 9)) for _ in NUMBERS])
            found.put([(owner, at, sequence)], [None], [record])
            continue
        width = bin(kind.filled).count("1")
        sent = draw(st.lists(numbers, min_size=width, max_size=width))
        sample = Sample(owner, at, sequence, dict(enumerate(sent)), draw(st.sampled_from(Origin)))
        found.put([(owner, at, sequence)], [kind], [sample])
        values += sent
    found.numbers = values if usual else ()
    return found


@given(rows(), st.data())
def test_columns_say_what_the_rows_say(found: Rows, data: st.DataObject) -> None:
    part = sorted(data.draw(st.sets(st.sampled_from(list(found)))) if len(found) else [])
    for some in (list(found), part):
        told: list[tuple[Any, ...]] = []
        for columns in found.columns(some) if some else ():
            height = len(columns[0] or ())
            told += zip(*[one or [None] * height for one in columns], strict=True)
        assert sorted(told, key=itemgetter(0, 1, 2)) == list(whole(found, some))
