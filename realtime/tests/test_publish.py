"""Publishing: ids, receipts, and what happens when Redis is away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from realtime import publish, replay
from realtime.messages import Message, StreamId, alert, telemetry
from realtime.publish import Publisher, RealtimeUnavailable
from realtime.tests.test_outbox import reading
from realtime.tests.valkey import Valkey


def batch(*values: float, topic: str = "c:1") -> list[Message]:
    return [telemetry(topic, [reading("level", 1, value)]) for value in values]


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def test_ids_count_one_two_three_within_an_epoch(valkey: Valkey) -> None:
    assert StreamId.parse(replay.head("c:1")).n == 0
    first = publish.publish(batch(1, 2))
    second = publish.publish([*batch(3), *batch(9, topic="d:x")])
    ids = [StreamId.parse(one) for one in (*first.ids, *second.ids)]
    assert [one.n for one in ids] == [1, 2, 3, 1]
    assert len({one.epoch for one in ids}) == 1
    assert replay.head("c:1") == first.ids[0].replace("-1", "-3")
    assert not first.undelivered


def test_nothing_to_publish_needs_no_redis(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert publish.publish([]).ids == ()


def test_history_is_bounded(valkey: Valkey) -> None:
    publish.publish(batch(*range(400), topic="d:x"))
    connection = publish.publisher()
    kept = connection.redis.xlen(connection.keys.stream("d:x"))
    assert publish.HISTORY["d"] <= kept < publish.HISTORY["d"] + 100


def test_a_restarted_redis_never_gives_an_id_twice(own_valkey: Valkey) -> None:
    (before,) = publish.publish(batch(1)).ids
    own_valkey.kill()
    own_valkey.start()
    (after,) = publish.publish(batch(2)).ids
    assert StreamId.parse(after).epoch > StreamId.parse(before).epoch
    assert StreamId.parse(after).n == 1


def test_an_emptied_redis_starts_a_new_epoch(valkey: Valkey) -> None:
    connection = publish.publisher()
    (before,) = publish.publish(batch(1)).ids
    connection.redis.flushdb()
    (after,) = publish.publish(batch(2)).ids
    assert StreamId.parse(after).epoch > StreamId.parse(before).epoch
    assert StreamId.parse(after).n == 1


def test_what_redis_did_not_take_is_handed_back_logged_once_and_healed(
    own_valkey: Valkey, logged: list[Any]
) -> None:
    publish.publish(batch(1))
    own_valkey.stop()
    lost = [*batch(2), alert("d:x", [{"state": "opened"}])]
    first, second = publish.publish(lost), publish.publish(lost[:1])
    assert first.undelivered == tuple(lost)
    assert second.ids == ()
    with pytest.raises(RealtimeUnavailable):
        replay.head("c:1")
    own_valkey.start()
    back = publish.publish(batch(3, topic="c:2"))
    assert [line["event"] for line in logged] == [
        "realtime_publish_failed",
        "realtime_publish_recovered",
    ]
    assert len(back.ids) == 1
    # Whoever listens to the topics that lost a message is told to reload.
    assert newest("c:1")[1] == newest("d:x")[1] == b"reset"
    publish.publish(batch(4, topic="c:2"))
    assert newest("c:1")[0].endswith("-1"), "the debt is paid once"


def newest(topic: str) -> tuple[str, bytes]:
    """Id and kind of the topic's last message."""
    connection = publish.publisher()
    entries: Any = connection.redis.xrevrange(connection.keys.stream(topic), count=1)
    ((stream_id, fields),) = entries
    return stream_id.decode(), fields[b"kind"]


def test_a_forked_worker_makes_its_own_connection(valkey: Valkey) -> None:
    publish.publish(batch(1))
    parent = id(publish.publisher())
    child = os.fork()
    if child == 0:
        receipt = publish.publish(batch(2))
        own = id(publish.publisher()) != parent
        os._exit(0 if own and len(receipt.ids) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert replay.head("c:1").endswith("-2")


def test_the_password_of_redis_is_not_logged(logged: list[Any]) -> None:
    Publisher("redis://:s3cret-word@127.0.0.1:1/0").publish(batch(1))
    assert logged
    assert "s3cret-word" not in repr(logged)
