"""What waits for a slow socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime import messages
from realtime.messages import Event, Kind, Message, StreamId
from realtime.outbox import CONFLATE_FROM, MOST_WAITING, Outbox, Overflow


def reading(metric: str, minute: int, value: float, device: str = "dev") -> dict[str, Any]:
    at = f"2026-11-20T{minute // 60:02}:{minute % 60:02}:00Z"
    return {
        "device": device,
        "metric": metric,
        "at": at,
        "value": value,
        "sequence": minute,
        "origin": "live",
        "revised": False,
    }


def event(n: int, *readings: dict[str, Any], topic: str = "c:1", kind: str = "tel") -> Event:
    body = Message(Kind(kind), topic, readings).encode().decode()
    return Event.build(topic, f"1-{n}", kind, body)


def drain(outbox: Outbox) -> list[dict[str, Any]]:
    return [json.loads(outbox.pop()) for _ in range(len(outbox))]


def test_who_keeps_up_gets_every_frame_as_it_is() -> None:
    outbox = Outbox()
    events = [event(n, reading("level", n, n)) for n in range(1, CONFLATE_FROM + 1)]
    for each in events:
        outbox.push(each)
    assert [outbox.pop() for _ in events] == [each.text for each in events]


def test_a_stalled_socket_keeps_the_newest_of_every_metric_in_bounded_space() -> None:
    outbox = Outbox()
    for n in range(1, 5001):
        outbox.push(event(n, reading(f"metric{n % 7}", n % 1440, n)))
    assert len(outbox) == CONFLATE_FROM
    frames = drain(outbox)
    newest = {item["metric"]: item["value"] for item in frames[-1]["d"]}
    assert len(frames[-1]["d"]) == 7
    assert frames[-1]["merged"] == 5001 - CONFLATE_FROM
    assert frames[-1]["id"] == "1-5000"
    assert set(newest) == {f"metric{n}" for n in range(7)}


def test_newest_is_by_reading_time_not_by_arrival() -> None:
    outbox = Outbox()
    for n in range(1, CONFLATE_FROM + 1):
        outbox.push(event(n, reading("filler", n, n)))
    late = {**reading("level", 30, 1.0), "at": "2026-11-20T00:30:00Z"}
    newer = {**reading("level", 30, 2.0), "at": "2026-11-20T00:30:00.250Z"}
    outbox.push(event(1000, newer))
    outbox.push(event(1001, late))
    (value,) = [item["value"] for item in drain(outbox)[-1]["d"] if item["metric"] == "level"]
    assert value == 2.0


def test_alerts_are_never_merged_and_keep_their_place() -> None:
    outbox = Outbox()
    for n in range(1, 301):
        kind = "alert" if n % 3 == 0 else "tel"
        outbox.push(event(n, reading("level", n, n), kind=kind))
    frames = drain(outbox)
    assert [frame["id"] for frame in frames if frame["t"] == "alert"] == [
        f"1-{n}" for n in range(3, 301, 3)
    ]
    numbers = [StreamId.parse(frame["id"]).n for frame in frames]
    assert numbers == sorted(numbers)
    assert sum(frame.get("merged", 1) for frame in frames) == 300


def test_too_many_alerts_end_the_socket_instead_of_losing_one() -> None:
    outbox = Outbox()
    for n in range(1, MOST_WAITING + 1):
        outbox.push(event(n, {"alert": n}, kind="alert"))
    with pytest.raises(Overflow):
        outbox.push(event(MOST_WAITING + 1, {"alert": 0}, kind="alert"))


def test_history_is_handed_out_whole_and_does_not_count_as_slowness() -> None:
    outbox = Outbox()
    outbox.reply(messages.pong(None))
    outbox.recover([event(n, reading("level", n, n)) for n in range(1, 1001)])
    outbox.push(event(1001, reading("level", 1001, 1001)))
    outbox.push(event(1002, {"alert": 1}, kind="alert"))
    frames = drain(outbox)
    assert [frame.get("id") for frame in frames] == [None, *(f"1-{n}" for n in range(1, 1003))]
    assert not any("merged" in frame for frame in frames)


def test_a_topic_can_be_forgotten_alone() -> None:
    outbox = Outbox()
    outbox.push(event(1, reading("level", 1, 1), topic="c:1"))
    outbox.push(event(1, reading("level", 1, 1), topic="d:x"))
    outbox.forget("c:1")
    assert [frame["topic"] for frame in drain(outbox)] == ["d:x"]


TOPICS = ("c:1", "d:x")
steps = st.lists(
    st.one_of(
        st.none(),  # the socket takes one frame
        st.tuples(st.sampled_from(TOPICS), st.sampled_from(["a", "b", "alert"])),
    ),
    max_size=600,
)


def play(steps: list[tuple[str, str] | None]) -> tuple[list[dict[str, Any]], list[Event]]:
    """What arrived and what was pushed, when the socket takes frames at those moments."""
    outbox = Outbox(conflate_from=3)
    arrived: list[dict[str, Any]] = []
    pushed: list[Event] = []
    for step in steps:
        if step is not None:
            topic, metric = step
            n = sum(one.topic == topic for one in pushed) + 1
            kind = "alert" if metric == "alert" else "tel"
            pushed.append(event(n, reading(metric, n, n), topic=topic, kind=kind))
            outbox.push(pushed[-1])
        elif len(outbox):
            arrived.append(json.loads(outbox.pop()))
    return arrived + drain(outbox), pushed


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_at_any_pace_the_last_values_and_every_alert_arrive_in_order(
    steps: list[tuple[str, str] | None],
) -> None:
    arrived, pushed = play(steps)
    assert last_values(arrived) == last_values([json.loads(one.text) for one in pushed])
    for topic in TOPICS:
        frames = [frame for frame in arrived if frame["topic"] == topic]
        numbers = [StreamId.parse(frame["id"]).n for frame in frames]
        mine = [one for one in pushed if one.topic == topic]
        assert numbers == sorted(set(numbers))
        assert sum(frame.get("merged", 1) for frame in frames) == len(mine)
        assert [frame["id"] for frame in frames if frame["t"] == "alert"] == [
            str(one.id) for one in mine if one.kind is Kind.ALERT
        ]


def last_values(frames: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    return {
        (frame["topic"], item["metric"]): item["value"] for frame in frames for item in frame["d"]
    }
