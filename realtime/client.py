"""One socket as the hub sees it: what waits for it, what it hears, when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from realtime.messages import Close, Event, StreamId
from realtime.outbox import Outbox, Overflow

SEND_TIMEOUT_S = 10.0


class Client:
    """A subscriber with its own outbox and writer; nothing here waits for Redis or a database."""

    def __init__(self, user: int, session: str, *, send_timeout_s: float = SEND_TIMEOUT_S) -> None:
        """`user` is a primary key, `session` a digest of the session's key (`realtime.revoke`)."""
        self.user = user
        self.session = session
        self.outbox = Outbox()
        self.topics: set[str] = set()
        self.recheck = asyncio.Event()
        self.code: int | None = None
        self._held: dict[str, list[Event]] = {}
        # Up to here the client resumed from the stream, which may be ahead of the hub.
        self._resumed: dict[str, StreamId] = {}
        self._wake = asyncio.Event()
        self._send_timeout_s = send_timeout_s

    def push(self, event: Event) -> None:
        """Take a live message; whoever is too slow for what may not be dropped is cut."""
        if self.code is not None:
            return
        if event.topic in self._held:
            self._held[event.topic].append(event)
            return
        if event.topic in self._resumed:
            if event.id <= self._resumed[event.topic]:
                return
            del self._resumed[event.topic]
        try:
            self.outbox.push(event)
        except Overflow:
            self.cut(Close.TOO_SLOW)
        self._wake.set()

    def recover(self, topic: str, events: Sequence[Event]) -> None:
        """Take what the hub itself had missed."""
        if self.code is not None:
            return
        if topic in self._held:
            self._held[topic].extend(events)
            return
        resumed = self._resumed.get(topic)
        self.outbox.recover([e for e in events if resumed is None or e.id > resumed])
        self._wake.set()

    def reply(self, text: str) -> None:
        """Queue a frame for this socket alone."""
        if self.code is not None:
            return
        try:
            self.outbox.reply(text)
        except Overflow:
            self.cut(Close.TOO_SLOW)
        self._wake.set()

    def hold(self, topic: str) -> None:
        """Keep the topic's live messages back until `release`, and forget what waits of it."""
        self.outbox.forget(topic)
        self._held[topic] = []

    def release(
        self, topic: str, answers: Sequence[str], missed: Sequence[Event], position: StreamId
    ) -> None:
        """Queue the answers, what was missed, then what came live after `position`."""
        held = self._held.pop(topic, [])
        if self.code is not None:
            return
        for text in answers:
            self.reply(text)
        self.outbox.recover(missed)
        self._resumed[topic] = position
        for event in held:
            self.push(event)
        self._wake.set()

    def cut(self, code: int, last: str | None = None) -> None:
        """End the socket with this close code, after the frame `last` if there is one.

        What waits is dropped; a resume gets it back.
        """
        if self.code is None:
            self.outbox.forget()
            if last is not None:
                self.outbox.reply(last)
            self.code = code
            self._held.clear()
            self._wake.set()

    async def write(self, send: Callable[[str], Awaitable[None]]) -> int:
        """Send what waits until the socket is to end; returns the close code.

        Raises OSError when the peer is gone.
        """
        while True:
            while len(self.outbox):
                try:
                    async with asyncio.timeout(self._send_timeout_s):
                        await send(self.outbox.pop())
                except TimeoutError:
                    self.cut(Close.TOO_SLOW)
            if self.code is not None:
                return self.code
            await self._wake.wait()
            self._wake.clear()
