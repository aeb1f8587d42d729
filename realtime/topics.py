"""Topics, and the names under which Redis knows them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from uuid import UUID

_COMMUNITY = re.compile(r"c:(\d{1,19})", re.ASCII)
_DEVICE = re.compile(r"d:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)
_LARGEST_KEY = 2**63 - 1  # of a database


def community_topic(community: int) -> str:
    """The topic with everything that happens in a community: `c:<primary key>`."""
    return f"c:{int(community)}"


def device_topic(device: UUID | str) -> str:
    """The topic of one device: `d:<uuid>`, in canonical lower case."""
    return f"d:{UUID(str(device))}"


def named(topics: Iterable[str]) -> tuple[set[int], set[UUID]]:
    """Communities and devices that the topics name; what names neither is left out."""
    communities = {int(m[1]) for topic in topics if (m := _COMMUNITY.fullmatch(topic))}
    devices = {UUID(m[1]) for topic in topics if (m := _DEVICE.fullmatch(topic))}
    return {pk for pk in communities if pk <= _LARGEST_KEY}, devices


@dataclass(frozen=True, slots=True)
class Keyspace:
    """Names in Redis: one stream (history) and one channel (live) per topic, one epoch for all."""

    prefix: str

    @property
    def epoch(self) -> str:
        """Hash with the current epoch and the Redis run it belongs to."""
        return f"{self.prefix}epoch"

    def stream(self, topic: str) -> str:
        """Stream with the topic's recent messages."""
        return f"{self.prefix}stream:{topic}"

    def channel(self, topic: str) -> str:
        """Channel on which the topic's messages are published."""
        return f"{self.prefix}topic:{topic}"

    def topic_of(self, channel: str) -> str:
        """The topic of a channel named by `channel()`."""
        return channel.removeprefix(f"{self.prefix}topic:")


def keyspace(url: str) -> Keyspace:
    """The key space for a Redis URL.

    Channels ignore the database number, so it is part of the name: two sites that share one
    server under different numbers must not hear each other.
    """
    database = unquote(urlsplit(url).path).strip("/") or "0"
    return Keyspace(f"telemetry:live:{database}:")
