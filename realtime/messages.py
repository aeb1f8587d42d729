"""What travels to browsers: every message is typed and built here (`docs/realtime.md`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, Self

import orjson

VERSION = 1
Item = Mapping[str, Any]

_STREAM_ID = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)
_READING_KEYS = frozenset({"device", "metric", "at", "value", "sequence", "origin", "revised"})


class Kind(StrEnum):
    """Kinds of messages that belong to a topic and carry an id of its stream."""

    TELEMETRY = "tel"
    STATE = "state"
    ALERT = "alert"
    RESET = "reset"


class Close(IntEnum):
    """Codes with which the server closes a socket."""

    TRY_LATER = 1013
    BAD_FRAME = 4400
    NOT_SIGNED_IN = 4401
    NOT_YOURS = 4403
    TOO_BIG = 4413
    TOO_MANY = 4429
    TOO_SLOW = 4503


class StreamId(NamedTuple):
    """Place in a topic's stream. Within an epoch `n` counts 1, 2, 3: a hole is visible."""

    epoch: int
    n: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<epoch>-<n>`; ValueError if it is anything else."""
        match = _STREAM_ID.fullmatch(text)
        if match is None:
            raise ValueError("An id looks like 1700000000000-17.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        """The id as it travels."""
        return f"{self.epoch}-{self.n}"

    def follows(self, other: StreamId) -> bool:
        """Whether nothing can lie between `other` and this."""
        return self.epoch == other.epoch and self.n == other.n + 1


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def compact(content: Mapping[str, Any]) -> str:
    """Compact JSON; ValueError for NaN and infinities, which browsers refuse."""
    return _ENCODER.encode(content)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a topic before it is published, that is without its id."""

    kind: Kind
    topic: str
    data: Sequence[Item]

    def encode(self) -> bytes:
        """Compact JSON, UTF-8; the hub splices the id in, so nothing is encoded twice.

        ValueError as for `compact`.
        """
        content = {"v": VERSION, "t": self.kind, "topic": self.topic, "d": list(self.data)}
        body = orjson.dumps(content)
        # orjson writes null for NaN as well: then the strict encoder has a look.
        return compact(content).encode() if b"null" in body else body


def telemetry(topic: str, readings: Sequence[Item]) -> Message:
    """New readings, and newest ones with another value than before.

    Each as `devices.readings.represent` gives it; ValueError if one is not.
    """
    for reading in readings:
        if missing := _READING_KEYS - reading.keys():
            raise ValueError(f"A reading lacks {', '.join(sorted(missing))}.")
    return Message(Kind.TELEMETRY, topic, readings)


def state(topic: str, states: Sequence[Item]) -> Message:
    """Changes of devices' states (online, offline, source down); never dropped on the way."""
    return Message(Kind.STATE, topic, states)


def alert(topic: str, alerts: Sequence[Item]) -> Message:
    """Alerts opened, acknowledged or resolved; never dropped on the way."""
    return Message(Kind.ALERT, topic, alerts)


def undelivered(topic: str) -> Message:
    """Tells a topic's subscribers that earlier messages never reached Redis: reload."""
    return Message(Kind.RESET, topic, [{"reason": "undelivered"}])


def recalculated(topic: str) -> Message:
    """Tells a topic's subscribers that readings they have seen are others now: reload."""
    return Message(Kind.RESET, topic, [{"reason": "recalculated"}])


@dataclass(frozen=True, slots=True)
class Event:
    """A published message as every subscriber of a process shares it; `text` is the frame."""

    topic: str
    id: StreamId
    kind: Kind
    text: str
    _items: list[Item] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def build(cls, topic: str, stream_id: str, kind: str, body: str) -> Self:
        """From what the publish script stored; ValueError if it is not of our making."""
        if not body.endswith("}"):
            raise ValueError("A stored message is not a JSON object.")
        text = f'{body[:-1]},"id":"{stream_id}"}}'
        return cls(topic, StreamId.parse(stream_id), Kind(kind), text)

    @classmethod
    def received(cls, topic: str, payload: bytes) -> Self:
        """From a channel's payload, `<id> <kind> <body>`."""
        stream_id, kind, body = payload.decode().split(" ", 2)
        return cls.build(topic, stream_id, kind, body)

    def items(self) -> list[Item]:
        """The message's `d`, decoded at most once and only if some subscriber lags."""
        if not self._items:
            self._items.extend(json.loads(self.text)["d"])
        return self._items


def merged(topic: str, upto: StreamId, items: Sequence[Item], count: int) -> str:
    """Frame for a slow subscriber: the newest readings of `count` telemetry messages."""
    content = {"v": VERSION, "t": Kind.TELEMETRY, "topic": topic, "d": list(items)}
    return compact({**content, "merged": count, "id": str(upto)})


def ok(ref: object, topic: str, position: StreamId, recovered: int) -> str:
    """Answer to a subscription: live from `position`, `recovered` missed messages follow."""
    topics = {topic: {"id": str(position), "recovered": recovered}}
    return compact({"v": VERSION, "t": "ok", "ref": ref, "topics": topics})


def reset(topic: str, position: StreamId, reason: str) -> str:
    """What was missed is not known: reload the snapshot, then continue from `position`."""
    content = {"v": VERSION, "t": Kind.RESET, "topic": topic, "d": [{"reason": reason}]}
    return compact({**content, "id": str(position)})


def err(ref: object, code: str, text: str) -> str:
    """A request was understood and refused; the socket stays open."""
    return compact({"v": VERSION, "t": "err", "ref": ref, "code": code, "text": text})


def pong(ref: object) -> str:
    """Answer to a ping."""
    return compact({"v": VERSION, "t": "pong", "ref": ref})


def bye(retry_after_s: float) -> str:
    """The server is about to close; try again after so many seconds."""
    return compact({"v": VERSION, "t": "bye", "retry_after_s": round(retry_after_s, 1)})
