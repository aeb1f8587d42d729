"""What a topic's stream still knows: its head, and everything after an id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime import scripts
from realtime.messages import Event, StreamId
from realtime.publish import RealtimeUnavailable, publisher
from realtime.topics import Keyspace

# More than a stream holds: `MAXLEN ~` lets it grow a little beyond its length.
_ALL = 5000

Entry = tuple[bytes, dict[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Replay:
    """What was missed since an id.

    `lost` is None if `events` are all there is between that id and `head`; otherwise the reason
    why more may have existed: «epoch» (Redis was restarted, or the id is from another life) or
    «history» (the stream no longer reaches back so far).
    """

    head: StreamId
    events: Sequence[Event]
    lost: str | None


def head_of(epoch: int, newest: Sequence[Entry]) -> StreamId:
    """The last id given out; `<epoch>-0` if this epoch has none."""
    before_first = StreamId(epoch, 0)
    return max(StreamId.parse(newest[0][0].decode()), before_first) if newest else before_first


def why_lost(since: StreamId, head: StreamId, found: int) -> str | None:
    """Whether `found` messages after `since` can be all there were, and if not, why."""
    if since.epoch != head.epoch or since.n > head.n:
        return "epoch"
    return None if found == head.n - since.n else "history"


async def replay(redis: Redis, keys: Keyspace, topic: str, since: StreamId | None) -> Replay:
    """Everything after `since`, in order (nothing if it is None), read at one instant.

    Raises RedisError or OSError when Redis does not answer.
    """
    stream = keys.stream(topic)
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.eval(scripts.EPOCH, 1, keys.epoch)
        pipeline.xrevrange(stream, count=1)
        if since is not None:
            pipeline.xrange(stream, min=f"({since}", count=_ALL)
        answers: list[Any] = await pipeline.execute()
    head = head_of(int(answers[0]), answers[1])
    if since is None:
        return Replay(head, (), None)
    events = [_stored(topic, entry) for entry in answers[2]]
    return Replay(head, events, why_lost(since, head, len(events)))


def _stored(topic: str, entry: Entry) -> Event:
    stream_id, fields = entry
    return Event.build(
        topic, stream_id.decode(), fields[b"kind"].decode(), fields[b"body"].decode()
    )


def heads(topics: Sequence[str]) -> dict[str, str]:
    """Id of each topic's newest message, for a page to carry beside its snapshot.

    Read them *before* the snapshot: a message between the two is then shown twice at worst, and
    readings merge by identity. Two round trips for any number of topics. Raises
    RealtimeUnavailable when Redis does not answer.
    """
    connection = publisher()
    try:
        epoch = int(connection.epoch())
        pipeline = connection.redis.pipeline(transaction=False)
        for topic in topics:
            pipeline.xrevrange(connection.keys.stream(topic), count=1)
        newest: list[Any] = pipeline.execute()
    except (RedisError, OSError) as error:
        raise RealtimeUnavailable("Redis does not answer.") from error
    return {topic: str(head_of(epoch, found)) for topic, found in zip(topics, newest, strict=True)}


def head(topic: str) -> str:
    """As `heads`, of one topic."""
    return heads([topic])[topic]
