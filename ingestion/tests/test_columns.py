"""Whole columns come to exactly what their rows come to, one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.calibrations import Linear
from ingestion.entries import Entry, FieldValue, as_text
from ingestion.normalise import FUTURE_TOLERANCE, FieldRule, normalise
from ingestion.normalise.columns import FROM, sound_values

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PLAIN = FieldRule("field1", 1)
ODD = [
    "",
    " ",
    "x",
    "nan",
    "-inf",
    "1_0",
    "٣",
    "1,5",
    "1e400",
    "12 cm",
    "0x1A",
    "-0",
    " 7 ",
    "1e150",
]
RAWS = st.one_of(
    st.none(),
    st.sampled_from(ODD),
    st.floats(allow_nan=False, width=32).map(str),
    st.integers(-(10**6), 10**6).map(str),
    st.integers().map(as_text),
    st.floats().map(as_text),
    st.booleans().map(as_text),
)
GOOD = st.floats(-1e6, 1e6).map(str)
RULES = st.lists(
    st.builds(
        FieldRule,
        field=st.sampled_from(["field1", "field2"]),
        metric=st.integers(1, 3),
        data_type=st.sampled_from(["float", "float", "float", "integer", "boolean", "text"]),
        scale=st.sampled_from([1.0, 0.1, -3.0]),
        offset=st.sampled_from([0.0, 17.5]),
        decimal_mark=st.sampled_from([".", ","]),
        unit=st.sampled_from(["", "cm"]),
        convert=st.sampled_from([(1.0, 0.0), (1.8, 32.0), (1e140, 0.0)]),
        minimum=st.sampled_from([None, -50.0]),
        maximum=st.sampled_from([None, 1e5]),
        held=st.sampled_from([(), ((NOW - timedelta(minutes=8), NOW),)]),
        calibration=st.sampled_from([None, Linear(2.0, 1.0)]),
    ),
    max_size=3,
)


def entries_of(rows: list[tuple[FieldValue, FieldValue]]) -> list[Entry]:
    return [
        Entry(NOW - timedelta(minutes=n), n, {"field1": first, "field2": second, "field3": None})
        for n, (first, second) in enumerate(rows)
    ]


@given(
    rows=st.one_of(
        st.lists(st.tuples(RAWS, RAWS), min_size=FROM, max_size=FROM + 3),
        st.lists(st.tuples(GOOD, st.one_of(st.none(), GOOD)), min_size=FROM, max_size=FROM + 3),
        st.lists(st.tuples(GOOD, GOOD), min_size=FROM, max_size=FROM + 3),
    ),
    rules=RULES,
)
def test_columns_give_what_rows_give_or_give_up(
    rows: list[tuple[FieldValue, FieldValue]], rules: list[FieldRule]
) -> None:
    entries = entries_of(rows)
    singly = [normalise(entry, rules, NOW) for entry in entries]

    found = sound_values(entries, rules, NOW + FUTURE_TOLERANCE)

    if found is not None:
        assert not any(one.refusals for one in singly)
        assert [
            {metric: (type(value), repr(value)) for metric, value in row.items()} for row in found
        ] == [
            {metric: (type(value), repr(value)) for metric, value in one.values.items()}
            for one in singly
        ]


def test_plain_columns_are_not_given_up() -> None:
    entries = entries_of([("1.5", None), (None, "x")] * FROM)
    assert sound_values(entries, [PLAIN], NOW) == [{1: 1.5}, {}] * FROM


@pytest.mark.parametrize("raw", ["", "x", "nan", "1_0", "٣", "1", "true", "1e400", " "])
def test_one_odd_value_is_told_as_if_it_were_alone(raw: FieldValue) -> None:
    entries = entries_of([("1.5", "1")] * FROM + [(raw, "1")])
    found = sound_values(entries, [PLAIN], NOW)
    alone = normalise(entries[-1], [PLAIN], NOW)
    assert (found is None) == bool(alone.refusals)
    if found is not None:
        assert found[-1] == alone.values


def test_rows_of_the_future_and_silent_ones_are_left_to_the_careful_way() -> None:
    entries = entries_of([("1.5", None)] * FROM)
    assert sound_values(entries, [PLAIN], NOW - timedelta(seconds=1)) is None
    assert sound_values([*entries, Entry(NOW, 99, {"field1": " "})], [PLAIN], NOW) is None
    assert sound_values(entries[1:], [PLAIN], NOW) is None
