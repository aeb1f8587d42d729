"""What is written on the wire."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from realtime import frames, messages
from realtime.limits import MAX_FRAME_CHARACTERS, MAX_TOPICS, Allowance
from realtime.messages import Close, Event, Kind, StreamId
from realtime.publish import HISTORY
from realtime.topics import community_topic, device_topic, keyspace, named

READING = {
    "device": "5f0c6c0e-8d3a-4b7e-9a7e-0d5a4c1f2b3c",
    "metric": "water_level_cm",
    "at": "2026-11-20T21:58:00Z",
    "value": 182.4,
    "sequence": 17,
    "origin": "live",
    "revised": False,
}


def test_topics_are_named_by_primary_key_and_canonical_uuid() -> None:
    assert community_topic(7) == "c:7"
    device = UUID("5F0C6C0E-8D3A-4B7E-9A7E-0D5A4C1F2B3C")
    assert device_topic(str(device).upper()) == device_topic(device) == f"d:{device}"


def test_topics_name_rows_and_nonsense_names_none() -> None:
    device = "5f0c6c0e-8d3a-4b7e-9a7e-0d5a4c1f2b3c"
    nonsense = ["", "c:", "c:-1", "c:1x", "c:１", f"c:{2**64}", "d:x", f"d:{device.upper()}", "x:1"]
    assert named(["c:7", f"d:{device}", *nonsense]) == ({7}, {UUID(device)})


def test_two_sites_on_one_redis_do_not_hear_each_other() -> None:
    first, second = keyspace("redis://host:6379/1"), keyspace("redis://host:6379/2")
    assert first.channel("c:1") != second.channel("c:1")
    assert keyspace("redis://host").prefix == keyspace("redis://host/0").prefix
    assert first.topic_of(first.channel("c:1")) == "c:1"


def test_a_published_reading_arrives_in_the_envelope_with_its_id() -> None:
    body = messages.telemetry("c:1", [READING]).encode()
    event = Event.received("c:1", b"1700000000000-3 tel " + body)
    assert json.loads(event.text) == {
        "v": 1,
        "t": "tel",
        "topic": "c:1",
        "id": "1700000000000-3",
        "d": [READING],
    }
    assert event.kind is Kind.TELEMETRY
    assert event.id == StreamId(1_700_000_000_000, 3)


def test_what_a_browser_could_not_read_is_refused_before_it_is_published() -> None:
    with pytest.raises(ValueError, match="JSON"):
        messages.telemetry("c:1", [{**READING, "value": float("nan")}]).encode()
    with pytest.raises(ValueError, match="metric, value"):
        messages.telemetry(
            "c:1", [{k: v for k, v in READING.items() if k not in ("metric", "value")}]
        )


def test_ids_show_holes() -> None:
    first = StreamId.parse("5-1")
    assert StreamId(5, 2).follows(first)
    assert not StreamId(5, 3).follows(first)
    assert not StreamId(6, 2).follows(first)
    for nonsense in ("", "5", "5-", "-5", "5-1-2", "a-b", "５-1", "5-1\n"):
        with pytest.raises(ValueError, match="id"):
            StreamId.parse(nonsense)


def test_requests_are_understood() -> None:
    request = frames.parse('{"op":"sub","ref":4,"since":{"c:1":"5-7"}}')
    assert (request.op, request.ref, request.since) == ("sub", 4, {"c:1": StreamId(5, 7)})
    assert frames.parse('{"op":"ping"}').op == "ping"
    assert request.topics == {"c:1"}
    assert frames.parse('{"op":"sub","topics":["c:1","d:x"]}').topics == {"c:1", "d:x"}
    assert frames.opening(b"since=5-7") == frames.Opening(False, StreamId(5, 7))
    assert frames.opening(b"subscribe=later").later
    assert frames.opening(b"") == frames.Opening(False, None)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (None, Close.BAD_FRAME),
        ("", Close.BAD_FRAME),
        ("[]", Close.BAD_FRAME),
        ("[" * 4000, Close.BAD_FRAME),
        ('{"op":"drop"}', Close.BAD_FRAME),
        ('{"op":"sub","since":"5-1"}', Close.BAD_FRAME),
        ('{"op":"sub","since":{"c:1":5}}', Close.BAD_FRAME),
        ('{"op":"sub","ref":[]}', Close.BAD_FRAME),
        ('{"op":"sub","topics":"c:1"}', Close.BAD_FRAME),
        ('{"op":"sub","topics":[1]}', Close.BAD_FRAME),
        ('{"op":"sub","topics":[' + '"c:1",' * 300 + '"c:2"]}', Close.TOO_MANY),
        ('{"op":"ping","ref":"' + "x" * MAX_FRAME_CHARACTERS + '"}', Close.TOO_BIG),
    ],
)
def test_frames_outside_the_protocol_end_the_socket(frame: str | None, code: Close) -> None:
    with pytest.raises(frames.Refused) as refused:
        frames.parse(frame)
    assert refused.value.code is code


def test_a_position_in_the_address_must_be_an_id() -> None:
    for query in (b"since=yesterday", b"since=1-1&subscribe=never"):
        with pytest.raises(frames.Refused):
            frames.opening(query)


def test_a_socket_may_say_a_burst_and_then_a_steady_rate() -> None:
    now = 100.0
    allowance = Allowance(lambda: now, burst=3, per_second=2)
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now += 0.5
    assert [allowance.take() for _ in range(2)] == [True, False]
    now += 60
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]


def test_the_protocol_page_knows_every_message_and_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "realtime.md").read_text()
    known = [
        *(f"`{kind}`" for kind in (*Kind, "ok", "err", "pong", "bye")),
        *map(str, map(int, Close)),
    ]
    assert [name for name in known if f"| {name} |" not in page] == []
    assert f"{MAX_FRAME_CHARACTERS:,} characters" in page
    assert f"{MAX_TOPICS} topics" in page
    assert all(f"{length:,} " in page for length in HISTORY.values())
