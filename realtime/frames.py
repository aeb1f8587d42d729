"""What a browser may ask over its socket: parsed and checked here, pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import parse_qs

from realtime.limits import MAX_FRAME_CHARACTERS, MAX_TOPICS
from realtime.messages import Close, StreamId


class Refused(Exception):
    """The frame cannot be served; the socket ends with `code`."""

    def __init__(self, code: Close) -> None:
        """`code` is a close code of `docs/realtime.md`."""
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `op` is «ping» or «sub»; `since` maps topics to the last id seen.

    Without `topics`, the socket's own is meant.
    """

    op: str
    ref: str | int | None
    topics: frozenset[str]
    since: dict[str, StreamId]


def parse(text: str | None) -> Request:
    """Understand a text frame; Refused if it is binary, too long, or not of the protocol."""
    if text is None:
        raise Refused(Close.BAD_FRAME)
    if len(text) > MAX_FRAME_CHARACTERS:
        raise Refused(Close.TOO_BIG)
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(Close.BAD_FRAME) from error
    if not isinstance(frame, dict) or frame.get("op") not in ("ping", "sub"):
        raise Refused(Close.BAD_FRAME)
    ref = frame.get("ref")
    if not isinstance(ref, str | int | None):
        raise Refused(Close.BAD_FRAME)
    since = _positions(frame.get("since", {}))
    return Request(frame["op"], ref, _topics(frame.get("topics", list(since))), since)


@dataclass(frozen=True, slots=True)
class Opening:
    """What the socket's address asks for: hear its topic at once (from `since`), or `later`."""

    later: bool
    since: StreamId | None


def opening(query: bytes) -> Opening:
    """Understand `?since=<id>` and `?subscribe=later`; Refused if they say something else."""
    given = parse_qs(query.decode("latin-1"))
    if given.get("subscribe", ["later"]) != ["later"]:
        raise Refused(Close.BAD_FRAME)
    since = given.get("since")
    return Opening("subscribe" in given, None if since is None else _position(since[-1]))


def _topics(topics: object) -> frozenset[str]:
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise Refused(Close.BAD_FRAME)
    if len(topics) > MAX_TOPICS:
        raise Refused(Close.TOO_MANY)
    return frozenset(topics)


def _positions(since: object) -> dict[str, StreamId]:
    if not isinstance(since, dict):
        raise Refused(Close.BAD_FRAME)
    return {topic: _position(text) for topic, text in since.items()}


def _position(text: object) -> StreamId:
    try:
        return StreamId.parse(str(text))
    except ValueError as error:
        raise Refused(Close.BAD_FRAME) from error
