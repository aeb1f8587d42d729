"""What a mapped value becomes: a typed value in the metric's unit, or a reason for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.readings.samples import LARGEST
from ingestion.entries import Entry, JsonValue, Reason, Refusal, as_text
from ingestion.normalise import FieldRule, Normalised, normalise
from ingestion.normalise.rules import DataType

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
METRIC = 7


def entry(**fields: JsonValue) -> Entry:
    texts = {name: as_text(value) for name, value in fields.items()}
    return Entry(NOW - timedelta(minutes=1), 17, texts)


def read(raw: JsonValue, **rule: object) -> Normalised:
    return normalise(entry(field1=raw, field2="1"), [FieldRule("field1", METRIC, **rule)], NOW)  # type: ignore[arg-type]


def value(raw: JsonValue, **rule: object) -> object:
    found = read(raw, **rule)
    assert found.refusals == []
    return found.values[METRIC]


def reason(raw: JsonValue, **rule: object) -> Reason:
    found = read(raw, **rule)
    assert found.values == {}
    (refusal,) = found.refusals
    assert (refusal.field, refusal.at, refusal.sequence) == ("field1", entry().at, 17)
    assert refusal.detail.endswith(".")
    return refusal.reason


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("182.4", 182.4), (" 36.00\r\n\r\n", 36.0), ("-57", -57.0), ("+3", 3.0), ("1e3", 1000.0),
        (".5", 0.5), ("5.", 5.0), ("0", 0.0), (25, 25.0), (25.5, 25.5), ("007", 7.0),
    ],
)  # fmt: skip
def test_plain_numbers_are_read(raw: JsonValue, number: float) -> None:
    assert value(raw) == number


@pytest.mark.parametrize("raw", [None, "", "   ", "\r\n"])
@pytest.mark.parametrize("data_type", ["float", "integer", "boolean", "text"])
def test_a_blank_value_was_not_sent(raw: JsonValue, data_type: DataType) -> None:
    assert read(raw, data_type=data_type) == Normalised({}, [])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("4,8", Reason.DECIMAL_COMMA),
        ("1,234", Reason.DECIMAL_COMMA),
        ("1,234.5", Reason.THOUSANDS_SEPARATOR),
        ("1.234.567", Reason.THOUSANDS_SEPARATOR),
        ("12 345", Reason.THOUSANDS_SEPARATOR),
        ("1'234", Reason.THOUSANDS_SEPARATOR),
        ("27.4°C", Reason.TEXT_AFTER_NUMBER),
        ("24HTTP/1.1", Reason.TEXT_AFTER_NUMBER),
        ("44730652field5=0", Reason.TEXT_AFTER_NUMBER),
        ("nan", Reason.NOT_FINITE),
        ("-NaN", Reason.NOT_FINITE),
        ("Infinity", Reason.NOT_FINITE),
        ("1e999", Reason.NOT_FINITE),
        (math.nan, Reason.NOT_FINITE),
        (10**400, Reason.NOT_FINITE),
        ("0x1F", Reason.NOT_A_NUMBER),
        ("1_000", Reason.NOT_A_NUMBER),
        ("٣", Reason.NOT_A_NUMBER),
        ("undefined", Reason.NOT_A_NUMBER),
        ("[object Object]", Reason.NOT_A_NUMBER),
        ("()", Reason.NOT_A_NUMBER),
        ("192.168.1.1", Reason.NOT_A_NUMBER),
        (True, Reason.NOT_A_NUMBER),
    ],
)
def test_what_is_no_plain_number_is_refused_with_its_reason(raw: JsonValue, why: Reason) -> None:
    assert reason(raw) is why


def test_a_decimal_comma_is_read_when_the_mapping_says_so() -> None:
    assert value("4,8", decimal_mark=",") == 4.8
    assert value(" -0,5 ", decimal_mark=",") == -0.5
    assert value("12", decimal_mark=",") == 12.0
    assert reason("4.8", decimal_mark=",") is Reason.DECIMAL_POINT
    assert reason("1.234,5", decimal_mark=",") is Reason.THOUSANDS_SEPARATOR


def test_a_number_of_json_is_read_as_the_text_that_is_read_again_later() -> None:
    assert reason(4.8, decimal_mark=",") is reason("4.8", decimal_mark=",")
    assert value(48, decimal_mark=",") == value("48", decimal_mark=",") == 48.0


def test_a_refused_comma_says_which_setting_to_change() -> None:
    (refusal,) = read("4,8").refusals
    assert "decimal mark to comma" in refusal.detail
    assert refusal.raw == "4,8"


def test_only_the_mappings_own_unit_may_follow_the_number() -> None:
    assert value("27.4 °C", unit="°C") == 27.4
    assert value("27,4°C", unit="°C", decimal_mark=",") == 27.4
    assert reason("27.4 °F", unit="°C") is Reason.TEXT_AFTER_NUMBER
    assert reason("°C", unit="°C") is Reason.NOT_A_NUMBER


def test_scale_and_offset_come_before_conversion_and_range() -> None:
    # (10 x 2 + 12) °F = 32 °F = 0 °C
    fahrenheit = (5 / 9, -160 / 9)
    assert value("10", scale=2, offset=12, convert=fahrenheit) == pytest.approx(0.0, abs=1e-12)
    assert value("10", scale=2, offset=12, convert=fahrenheit, maximum=1) == pytest.approx(
        0.0, abs=1e-12
    )
    assert reason("100", scale=2, offset=12, convert=fahrenheit, maximum=1) is Reason.OUT_OF_RANGE
    assert reason("1e300", scale=1e300) is Reason.NOT_FINITE


def test_limits_are_inclusive_and_named_in_the_refusal() -> None:
    assert value("0", minimum=0, maximum=100) == 0
    assert value("100", minimum=0, maximum=100) == 100
    (refusal,) = read("-127", minimum=0, maximum=100).refusals
    assert refusal.reason is Reason.OUT_OF_RANGE
    assert "from 0 to 100" in refusal.detail


def test_integers_keep_whole_numbers_only() -> None:
    whole = value("25.0", data_type="integer")
    assert (whole, type(whole)) == (25, int)
    assert reason("25.5", data_type="integer") is Reason.NOT_WHOLE
    assert reason("25.0000000001", data_type="integer") is Reason.NOT_WHOLE
    assert value("70", data_type="integer", scale=0.1) == 7  # 70 x 0.1 = 7.000000000000001
    assert reason("75", data_type="integer", scale=0.1) is Reason.NOT_WHOLE


def test_integers_too_large_to_be_exact_are_refused() -> None:
    assert value("9007199254740991", data_type="integer") == 2**53 - 1
    assert reason("9007199254740993", data_type="integer") is Reason.TOO_LARGE
    assert reason(2**63, data_type="integer") is Reason.TOO_LARGE


@pytest.mark.parametrize("raw", ["1", "1.0", " ON ", "true", "Yes", 1, 1.0, True])
def test_words_and_numbers_for_true(raw: JsonValue) -> None:
    assert value(raw, data_type="boolean") is True


@pytest.mark.parametrize("raw", ["0", "0.0", "off", "False", "NO", 0, False])
def test_words_and_numbers_for_false(raw: JsonValue) -> None:
    assert value(raw, data_type="boolean") is False


@pytest.mark.parametrize("raw", ["2", "open", "nan", "maybe", 0.5, "-1"])
def test_anything_else_is_no_boolean(raw: JsonValue) -> None:
    assert reason(raw, data_type="boolean") is Reason.NOT_A_BOOLEAN


def test_booleans_are_never_scaled() -> None:
    assert value("1", data_type="boolean", scale=0.5, offset=3, maximum=0.2) is True


def test_texts_are_kept_stripped() -> None:
    assert value(" Clouds\n", data_type="text") == "Clouds"
    assert value(12.5, data_type="text") == "12.5"
    assert value(True, data_type="text") == "true"
    assert reason("x" * 256, data_type="text") is Reason.TOO_LONG_TEXT
    assert reason("a\x00b", data_type="text") is Reason.UNREADABLE_TEXT
    assert reason("a\ud800", data_type="text") is Reason.UNREADABLE_TEXT


def test_one_bad_value_does_not_harm_its_neighbours() -> None:
    rules = [FieldRule("field1", 1), FieldRule("field2", 2), FieldRule("field3", 3)]
    found = normalise(entry(field1="1", field2="broken", field3="3"), rules, NOW)
    assert found.values == {1: 1.0, 3: 3.0}
    assert [refusal.field for refusal in found.refusals] == ["field2"]


def test_one_field_may_feed_several_metrics_and_is_refused_once() -> None:
    rules = [FieldRule("field1", 1), FieldRule("field1", 2, scale=0.5)]
    assert normalise(entry(field1="8"), rules, NOW).values == {1: 8.0, 2: 4.0}
    assert len(normalise(entry(field1="x"), rules, NOW).refusals) == 1


def test_a_row_from_the_future_is_refused_whole() -> None:
    rules = [FieldRule("field1", 1)]
    near = Entry(NOW + timedelta(minutes=10), 1, {"field1": "1"})
    assert normalise(near, rules, NOW).values == {1: 1.0}
    far = Entry(NOW + timedelta(minutes=10, seconds=1), 2, {"field1": "1"})
    found = normalise(far, rules, NOW)
    assert found.values == {}
    assert [refusal.reason for refusal in found.refusals] == [Reason.FUTURE_TIME]
    assert '"field1": "1"' in found.refusals[0].raw


def test_a_row_without_any_value_is_refused_once() -> None:
    rules = [FieldRule("field1", 1), FieldRule("field2", 2)]
    found = normalise(entry(field1=None, field2=" ", field3=None), rules, NOW)
    assert [refusal.reason for refusal in found.refusals] == [Reason.EMPTY_ROW]
    assert normalise(entry(), rules, NOW).refusals[0].reason is Reason.EMPTY_ROW


def test_a_row_with_unmapped_values_only_is_neither_stored_nor_refused() -> None:
    assert normalise(entry(field3="5"), [FieldRule("field1", 1)], NOW) == Normalised({}, [])


@pytest.mark.parametrize(
    "rule",
    [
        {"scale": 0}, {"scale": math.nan}, {"offset": math.inf}, {"convert": (0.0, 1.0)},
        {"minimum": 2, "maximum": 1}, {"data_type": "double"}, {"decimal_mark": ";"},
    ],
)  # fmt: skip
def test_rules_that_could_only_produce_nonsense_are_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        FieldRule("field1", 1, **rule)  # type: ignore[arg-type]


JSON_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(raw=JSON_VALUES, data_type=st.sampled_from(["float", "integer", "boolean", "text"]),
       mark=st.sampled_from([".", ","]), unit=st.sampled_from(["", "°C", "e"]))  # fmt: skip
def test_whatever_arrives_ends_as_a_sound_value_or_a_refusal(
    raw: JsonValue, data_type: DataType, mark: str, unit: str
) -> None:
    found = read(raw, data_type=data_type, decimal_mark=mark, unit=unit, minimum=-1e6, maximum=1e6)
    assert len(found.values) + len(found.refusals) <= 1
    for kept in found.values.values():
        expected = {"float": float, "integer": int, "boolean": bool, "text": str}[data_type]
        assert type(kept) is expected
        if data_type in ("float", "integer"):
            assert -1e6 <= kept <= 1e6  # type: ignore[operator]
    for refusal in found.refusals:
        assert isinstance(refusal, Refusal)
        refusal.raw.encode()


@given(number=st.floats(-LARGEST, LARGEST))
def test_numbers_survive_exactly_as_the_device_wrote_them(number: float) -> None:
    assert value(repr(number)) == number
    assert value(repr(number).replace(".", ","), decimal_mark=",") == number
