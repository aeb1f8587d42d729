"""What a hub knows of one topic: who listens, and up to where everything was handed out."""

from __future__ import annotations

import asyncio

from realtime import messages
from realtime.client import Client
from realtime.messages import Event, StreamId
from realtime.replay import Replay


class Subscription:
    """A topic somebody in this process listens to."""

    def __init__(self, name: str) -> None:
        """Of the topic `name`; nothing is known of it yet."""
        self.name = name
        self.clients: set[Client] = set()
        self.last: StreamId | None = None  # everything up to here was handed out
        self.newest: StreamId | None = None  # heard of while filling
        self.behind = False  # the stream may hold more than was handed out
        self.filling: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()  # subscribed, and `last` is known

    def take(self, event: Event) -> None:
        """Deliver a live message; if one before it is missing, fall behind instead."""
        if self.last is None or self.filling is not None:
            # The task that fills reads it from the stream.
            self.newest = event.id
        elif event.id.follows(self.last):
            self.last = event.id
            for client in tuple(self.clients):
                client.push(event)
        elif event.id > self.last:
            self.behind = True

    def catch_up(self, found: Replay) -> None:
        """Deliver what the stream held after `last`; say so if that may not be all."""
        for client in tuple(self.clients):
            client.recover(self.name, found.events)
            if found.lost is not None:
                client.reply(messages.reset(self.name, found.head, found.lost))
        self.last = found.head
        if self.newest is not None and self.newest > found.head:
            self.behind = True
        self.newest = None

    def stop_filling(self) -> None:
        """Nobody listens any more."""
        if self.filling is not None:
            self.filling.cancel()
