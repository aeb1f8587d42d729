"""What becomes of a ThingSpeak answer: rows are entries or refusals, failures are told apart."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.entries import Reason
from ingestion.resilience.classify import EFFECTS, Kind, Outcome, SourceError
from ingestion.resilience.transport import HttpResponse
from ingestion.sources import ADAPTERS
from ingestion.sources.base import Fetched, Window

RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "thingspeak"
ADAPTER = ADAPTERS["thingspeak"]
WINDOW = Window(limit=100)
AT = datetime(2026, 11, 20, 21, 58, tzinfo=UTC)


def decode(body: object, status: int = 200, **headers: str) -> Fetched:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ADAPTER.decode(HttpResponse(status, headers, raw), WINDOW)


def rows(*feeds: Any, **channel: Any) -> Fetched:
    return decode({"channel": {"id": 9, **channel}, "feeds": list(feeds)})


def row(**changes: Any) -> dict[str, Any]:
    return {"created_at": "2026-11-20T21:58:00Z", "entry_id": 17, "field1": "182.4", **changes}


def failure(body: bytes, status: int = 200) -> Kind:
    with pytest.raises(SourceError) as caught:
        decode(body, status)
    assert caught.value.message.endswith(".")
    return caught.value.kind


def test_rows_become_entries() -> None:
    fetched = rows(row(field2=None), row(entry_id="18", field1=" 3 "))
    first, second = fetched.entries
    assert (first.at, first.sequence) == (AT, 17)
    assert dict(first.fields) == {"field1": "182.4", "field2": None}
    assert (second.sequence, second.fields["field1"]) == (18, " 3 ")
    assert not fetched.refusals
    assert not fetched.full
    assert not fetched.empty


def test_the_channel_tells_about_itself() -> None:
    facts = rows(
        row(), name=" Tank ", field1="Water Level (cm)", field2="", last_entry_id=17,
        latitude="12.97", longitude="77.59", updated_at="2026-11-20T21:58:00Z",
    ).facts  # fmt: skip
    assert facts is not None
    assert (facts.remote_id, facts.name, facts.last_entry_id) == ("9", "Tank", 17)
    assert facts.labels == {"field1": "Water Level (cm)"}
    assert (facts.latitude, facts.longitude, facts.updated_at) == (12.97, 77.59, AT)


def test_a_place_that_was_never_set_is_no_place() -> None:
    facts = rows(latitude="0.0", longitude="0.0", last_entry_id=None).facts
    assert facts is not None
    assert (facts.latitude, facts.longitude, facts.last_entry_id) == (None, None, None)


def test_an_answer_with_as_many_rows_as_asked_for_may_lack_older_ones() -> None:
    body = {"channel": {}, "feeds": [row(entry_id=n) for n in range(100)]}
    assert decode(body).full
    body["feeds"].pop()  # type: ignore[attr-defined]
    assert not decode(body).full


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"created_at": "2026-11-20 21:58:00"}, Reason.NO_ZONE),
        ({"created_at": "2020-11-19 08:25:02 CAT"}, Reason.UNKNOWN_ZONE),
        ({"created_at": "20/11/2026"}, Reason.UNREADABLE_TIME),
        ({"created_at": None}, Reason.UNREADABLE_TIME),
        ({"created_at": 1795212345}, Reason.UNREADABLE_TIME),
        ({"created_at": "1969-12-31T23:59:59Z"}, Reason.BEFORE_1970),
        ({"entry_id": None}, Reason.MISSING_SEQUENCE),
        ({"entry_id": "x"}, Reason.MISSING_SEQUENCE),
        ({"entry_id": 1.5}, Reason.MISSING_SEQUENCE),
        ({"entry_id": True}, Reason.MISSING_SEQUENCE),
        ({"entry_id": -1}, Reason.MISSING_SEQUENCE),
        ({"entry_id": 2**63}, Reason.MISSING_SEQUENCE),
    ],
)
def test_a_row_without_clear_time_or_number_is_refused_once(
    changes: dict[str, Any], reason: Reason
) -> None:
    fetched = rows(row(**changes), row(entry_id=18))
    (refusal,) = fetched.refusals
    assert refusal.reason is reason
    assert "182.4" in refusal.raw
    assert [entry.sequence for entry in fetched.entries] == [18]


def test_what_is_no_row_is_refused() -> None:
    fetched = rows(None, 5, "row", [row()], row())
    assert [refusal.reason for refusal in fetched.refusals] == [Reason.NOT_A_ROW] * 4
    assert len(fetched.entries) == 1


def test_a_row_that_comes_twice_in_one_answer_is_kept_once() -> None:
    fetched = rows(row(), row(field1="9"), row(entry_id=18))
    assert [entry.fields["field1"] for entry in fetched.entries] == ["182.4", "182.4"]
    assert [refusal.reason for refusal in fetched.refusals] == [Reason.DUPLICATE_IN_ANSWER]


def test_a_nested_value_costs_that_field_alone() -> None:
    fetched = rows(row(field2={"a": [1]}, field3="a\x00"))
    assert [(refusal.field, refusal.reason) for refusal in fetched.refusals] == [
        ("field2", Reason.NESTED_VALUE),
        ("field3", Reason.UNREADABLE_TEXT),
    ]
    (entry,) = fetched.entries
    assert dict(entry.fields) == {"field1": "182.4"}


def test_values_of_json_arrive_as_the_text_that_is_kept() -> None:
    fetched = rows(row(field1=21.5, field2=True, field3=7, field4=None, field5=-0.0))
    (entry,) = fetched.entries
    assert dict(entry.fields) == {
        "field1": "21.5", "field2": "true", "field3": "7", "field4": None, "field5": "-0.0",
    }  # fmt: skip


def test_a_number_longer_than_python_reads_costs_nothing_else() -> None:
    body = json.dumps({"channel": {"name": "X"}, "feeds": [row(field2=0), row(entry_id=18)]})
    fetched = decode(body.replace('"field2": 0', f'"field2": {"9" * 5000}').encode())
    assert [entry.fields.get("field2") for entry in fetched.entries] == ["9" * 5000, None]


def test_a_row_of_nothing_but_damage_is_told_once() -> None:
    fetched = rows(row(field1=[1], field2=None))
    assert [refusal.field for refusal in fetched.refusals] == ["field1"]
    assert fetched.entries == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "outcome"),
    [
        (400, b"-1", Kind.CREDENTIAL, Outcome.SOURCE_ERROR),
        (200, b" -1\n", Kind.CREDENTIAL, Outcome.SOURCE_ERROR),
        (401, b"{}", Kind.CREDENTIAL, Outcome.SOURCE_ERROR),
        (403, b"", Kind.CREDENTIAL, Outcome.SOURCE_ERROR),
        (400, b"Bad Request", Kind.BAD_REQUEST, Outcome.SOURCE_ERROR),
        (404, b'{"status":"404"}', Kind.NOT_FOUND, Outcome.SOURCE_ERROR),
        (402, b"", Kind.LICENCE, Outcome.THROTTLED),
        (429, b"", Kind.THROTTLED, Outcome.THROTTLED),
        (301, b"", Kind.REDIRECTED, Outcome.UPSTREAM_ERROR),
        (500, b"", Kind.SERVER, Outcome.UPSTREAM_ERROR),
        (502, b"<html>", Kind.GATEWAY, Outcome.UPSTREAM_ERROR),
        (200, b"<!doctype html><html></html>", Kind.NOT_THE_API, Outcome.UPSTREAM_ERROR),
        (200, b'{"channel":{"id":9},"feeds":[{"crea', Kind.NOT_THE_API, Outcome.UPSTREAM_ERROR),
        (200, b"", Kind.NOT_THE_API, Outcome.UPSTREAM_ERROR),
        (200, b"{}", Kind.NOT_THE_API, Outcome.UPSTREAM_ERROR),
        (200, b'{"channel":"-1","feeds":[]}', Kind.NOT_THE_API, Outcome.UPSTREAM_ERROR),
        (200, b"[" * 100_000, Kind.NOT_THE_API, Outcome.UPSTREAM_ERROR),
        (200, b"\xff\xfe\x00", Kind.NOT_THE_API, Outcome.UPSTREAM_ERROR),
    ],
)
def test_failures_are_told_apart(status: int, body: bytes, kind: Kind, outcome: Outcome) -> None:
    assert failure(body, status) is kind
    assert EFFECTS[kind].outcome is outcome


def test_a_channel_without_data_is_empty_not_broken() -> None:
    assert decode(b'"-1"').empty
    assert rows(last_entry_id=None).empty


def test_one_damaged_byte_costs_one_value_not_the_answer() -> None:
    body = json.dumps({"channel": {"name": "X"}, "feeds": [row(), row(entry_id=18)]}).encode()
    fetched = decode(body.replace(b'"X"', b'"T\xe4nk"'))
    assert len(fetched.entries) == 2


def test_every_kind_has_words_for_people() -> None:
    for kind in Kind:
        sentence = ADAPTER.describe(kind)
        assert sentence.endswith(".")
        assert len(sentence) >= 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ROWS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("created_at", "entry_id", "field1", "status", "x"), JSON)
) | st.fixed_dictionaries(
    {"created_at": st.just("2026-11-20T21:58:00Z"), "entry_id": st.integers(0, 3)},
    optional={"field1": JSON, "field8": JSON},
)
CHANNELS = st.dictionaries(
    st.sampled_from(
        ["id", "name", "latitude", "longitude", "last_entry_id", "updated_at", "field1"]
    ),
    JSON,
)


@settings(max_examples=200)
@given(body=JSON | st.fixed_dictionaries({"channel": CHANNELS, "feeds": st.lists(ROWS | JSON)}))
def test_no_json_whatsoever_crashes_the_reader(body: Any) -> None:
    try:
        fetched = decode(body)
    except SourceError:
        return
    feeds = [] if body == "-1" else body["feeds"]
    whole = sum(refusal.field is None for refusal in fetched.refusals)
    damaged = {(one.at, one.sequence) for one in fetched.refusals if one.field is not None}
    entries = {(entry.at, entry.sequence) for entry in fetched.entries}
    assert whole + len(fetched.entries) + len(damaged - entries) == len(feeds)


@given(body=st.binary(max_size=200), status=st.integers(100, 599))
def test_no_bytes_whatsoever_crash_the_reader(body: bytes, status: int) -> None:
    try:
        fetched = ADAPTER.decode(HttpResponse(status, {}, body), WINDOW)
    except SourceError:
        return
    assert fetched.empty


recorded = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded feeds in {RECORDED}")


@recorded
def test_recorded_answers_are_read_completely() -> None:
    files = sorted([*RECORDED.glob("lab11-*.json"), *RECORDED.glob("fleet/*.json")])
    assert len(files) > 150
    for file in files:
        body = file.read_bytes()
        fetched = ADAPTER.decode(HttpResponse(200, {}, body), Window(limit=8000))
        assert len(fetched.entries) == len(json.loads(body)["feeds"]), file.name
        assert not fetched.refusals
        assert fetched.facts is not None


@recorded
def test_exports_with_other_ways_to_write_a_time() -> None:
    def times(name: str) -> list[dict[str, str]]:
        with (RECORDED / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))[:20]

    for name in ("climate-19781rows-utc.csv", "air-offset-plus0530.csv",
                 "ds-blank-separated-offset.csv", "esp32-offset-minus03-nulls.csv"):  # fmt: skip
        fetched = rows(*times(name))
        assert len(fetched.entries) == 20, name
    for name, reason in (
        ("dht-cat-zone-crlf-in-value.csv", Reason.UNKNOWN_ZONE),
        ("aquafarm-naive-minutes.csv", Reason.NO_ZONE),
    ):
        fetched = rows(*times(name))
        assert {refusal.reason for refusal in fetched.refusals} == {reason}, name
        assert len(fetched.refusals) == 20
