"""What waits for one socket: bounded, in order, the newest of each metric never lost.

As long as a subscriber keeps up, it is handed the frames that all share. When more than
`CONFLATE_FROM` wait, telemetry merges into the last waiting telemetry of its topic: the newest
value per (device, metric) stays, older ones go. Alerts, states and resets are never merged or
dropped; too many of them, and the socket is cut so that it resumes from its last id. Ids leave in
the order of their stream, so the last id a browser saw is always a true position.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from realtime.messages import Event, Item, Kind, StreamId, merged

CONFLATE_FROM = 128
MOST_WAITING = 512
MOST_MERGED = 20_000


class Overflow(Exception):
    """More waits than may: the socket is too slow."""


class _Merged:
    """Telemetry messages of one topic, conflated."""

    __slots__ = ("count", "newest", "topic", "upto")

    def __init__(self, first: Event) -> None:
        self.topic = first.topic
        self.count = 0
        self.upto: StreamId = first.id
        self.newest: dict[tuple[str, str], Item] = {}
        self.add(first)

    def add(self, event: Event) -> None:
        """Keep the newest of each metric, newest by reading time and not by arrival."""
        self.count += 1
        self.upto = event.id
        for item in event.items():
            key = (item["device"], item["metric"])
            held = self.newest.get(key)
            if held is None or _moment(held) <= _moment(item):
                self.newest[key] = item
        if len(self.newest) > MOST_MERGED:
            raise Overflow

    @property
    def text(self) -> str:
        """The frame that stands for all of them."""
        return merged(self.topic, self.upto, list(self.newest.values()), self.count)


class _Slot:
    """One place in the queue."""

    __slots__ = ("content", "topic")

    def __init__(self, topic: str | None, content: str | Event | _Merged) -> None:
        self.topic = topic
        self.content = content

    def text(self) -> str:
        """The frame to send."""
        return self.content if isinstance(self.content, str) else self.content.text


class Outbox:
    """Queue of frames for one socket."""

    def __init__(self, conflate_from: int = CONFLATE_FROM) -> None:
        """Empty; telemetry merges once `conflate_from` frames wait."""
        self._conflate_from = conflate_from
        self._slots: deque[_Slot] = deque()
        self._last_telemetry: dict[str, _Slot] = {}
        self._recovered = 0  # of what waits: history, which does not count against the limits

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._slots)

    def reply(self, text: str) -> None:
        """Queue a frame for this socket alone; Overflow if too much waits already."""
        self._append(_Slot(None, text))

    def push(self, event: Event) -> None:
        """Queue a live message; Overflow if it can neither wait nor merge."""
        last = self._last_telemetry.get(event.topic)
        if event.kind is not Kind.TELEMETRY:
            self._last_telemetry.pop(event.topic, None)
            self._append(_Slot(event.topic, event))
        elif last is not None and self._live() >= self._conflate_from:
            _merge(last, event)
        else:
            self._last_telemetry[event.topic] = slot = _Slot(event.topic, event)
            self._append(slot)

    def recover(self, events: Sequence[Event]) -> None:
        """Queue what was missed, whole: its length is bounded by the topic's history."""
        self._recovered += len(events)
        for event in events:
            slot = _Slot(event.topic, event)
            self._slots.append(slot)
            if event.kind is Kind.TELEMETRY:
                self._last_telemetry[event.topic] = slot
            else:
                self._last_telemetry.pop(event.topic, None)

    def pop(self) -> str:
        """The next frame; IndexError if none waits."""
        slot = self._slots.popleft()
        self._recovered = max(0, self._recovered - 1)
        if slot.topic is not None and self._last_telemetry.get(slot.topic) is slot:
            del self._last_telemetry[slot.topic]
        return slot.text()

    def forget(self, topic: str | None = None) -> None:
        """Drop what waits of one topic, or everything."""
        kept = [slot for slot in self._slots if topic is not None and slot.topic != topic]
        self._slots = deque(kept)
        self._recovered = min(self._recovered, len(kept))
        self._last_telemetry.pop(topic or "", None)

    def _live(self) -> int:
        return len(self._slots) - self._recovered

    def _append(self, slot: _Slot) -> None:
        if self._live() >= MOST_WAITING:
            raise Overflow
        self._slots.append(slot)


def _merge(slot: _Slot, event: Event) -> None:
    if isinstance(slot.content, Event):
        slot.content = _Merged(slot.content)
    if isinstance(slot.content, _Merged):
        slot.content.add(event)


def _moment(item: Item) -> tuple[datetime, int]:
    """When a reading was taken; its sequence decides within one instant."""
    return datetime.fromisoformat(item["at"]), item["sequence"]
