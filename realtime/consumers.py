"""The sockets: authorise, subscribe, forward; nothing else (`docs/realtime.md`)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.sessions.backends.base import SessionBase

from devices.access import Viewer
from realtime import frames, messages
from realtime.access import current_user, visible
from realtime.client import SEND_TIMEOUT_S, Client
from realtime.hub import get_hub
from realtime.limits import Allowance
from realtime.messages import Close, StreamId
from realtime.publish import RealtimeUnavailable
from realtime.revoke import session_digest
from realtime.topics import community_topic, device_topic

log = structlog.get_logger(__name__)

Receive = Callable[[], Awaitable[Any]]
CLOSE_WITHIN_S = 1.0


def until(gone: asyncio.Event, receive: Receive) -> Receive:
    """`receive`, which reports a disconnect once `gone` is set.

    A peer that stopped reading cannot be sent a close frame, so the server would never report
    the end of such a socket.
    """

    async def received() -> Any:
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(receive()),
            asyncio.ensure_future(gone.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                return tasks[0].result()
            return {"type": "websocket.disconnect", "code": Close.TOO_SLOW}
        finally:
            for task in tasks:
                task.cancel()

    return received


class TopicConsumer(AsyncWebsocketConsumer):
    """One socket. `recheck_s`: how often access is checked again."""

    channel_layer_alias = "none"  # the hub hears control messages for all sockets
    recheck_s = 180.0
    send_timeout_s = SEND_TIMEOUT_S

    def topic(self) -> str:
        """The topic that the address names."""
        raise NotImplementedError

    def session(self) -> SessionBase:
        """The session of the handshake."""
        session: SessionBase = self.scope["session"]
        return session

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        """Serve one socket."""
        self.gone = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        try:
            await super().__call__(scope, until(self.gone, receive), send)
        finally:
            for task in self.tasks:
                task.cancel()

    async def connect(self) -> None:
        """Accept, then close at once whoever may not: a browser sees codes only after accept."""
        await self.accept()
        user: Any = self.scope["user"]
        refused = await refusal(user, self.topic())
        if refused is not None:
            await self.close(refused)
            return
        session = session_digest(self.session().session_key or "")
        self.client = Client(user.pk, session, send_timeout_s=self.send_timeout_s)
        self.allowance = Allowance(asyncio.get_running_loop().time)
        self.tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._watch())]
        try:
            asked = frames.opening(self.scope["query_string"])
        except frames.Refused as error:
            self.client.cut(error.code)
            return
        if not asked.later:
            await self._subscribe(self.topic(), asked.since, None)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a request of the browser."""
        if not self.tasks:
            return
        try:
            if not self.allowance.take():
                raise frames.Refused(Close.TOO_MANY)
            request = frames.parse(text_data)
        except frames.Refused as error:
            self.client.cut(error.code)
            return
        if request.op == "ping":
            self.client.reply(messages.pong(request.ref))
            return
        topics = request.topics or {self.topic()}
        allowed = await visible(await current_user(self.session()), topics)
        for topic in sorted(topics - allowed):
            self.client.reply(messages.err(request.ref, "topic", f"No topic {topic[:60]} for you."))
        for topic in sorted(allowed):
            await self._subscribe(topic, request.since.get(topic), request.ref)

    async def disconnect(self, code: int) -> None:
        """Forget the socket."""
        if self.tasks:
            await get_hub().leave(self.client)

    async def _subscribe(self, topic: str, since: StreamId | None, ref: object) -> None:
        try:
            await get_hub().subscribe(self.client, topic, since, ref)
        except RealtimeUnavailable:
            # Jitter, so that a thousand browsers do not come back in one instant.
            self.client.cut(Close.TRY_LATER, messages.bye(random.uniform(2, 8)))  # noqa: S311

    async def _write(self) -> None:
        with suppress(OSError):  # the peer is gone
            code = await self.client.write(self.send)
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self.close(code)
        self.gone.set()

    async def _watch(self) -> None:
        """Check access again from time to time, and at once when something was taken away."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.recheck_s):
                    await self.client.recheck.wait()
            self.client.recheck.clear()
            try:
                user = await current_user(self.session())
                refused = await refusal(user, self.topic(), *self.client.topics)
            except Exception:
                # Not knowing is not a permission: the browser returns and is checked then.
                log.exception("realtime_access_check_failed")
                refused = Close.TRY_LATER
            if refused is not None:
                self.client.cut(refused)


async def refusal(user: Viewer, own: str, *added: str) -> Close | None:
    """Why the user may not hear the socket's own topic or the others it has added, or None."""
    if not user.is_authenticated:
        return Close.NOT_SIGNED_IN
    allowed = await visible(user, (own, *added))
    if own not in allowed:
        return Close.NOT_YOURS
    # The browser comes back and learns which of its topics it lost.
    return None if allowed.issuperset(added) else Close.TRY_LATER


class CommunityConsumer(TopicConsumer):
    """Everything that happens in one community: `/ws/community/<id>/updates`."""

    def topic(self) -> str:
        """`c:<id>`."""
        return community_topic(self.scope["url_route"]["kwargs"]["pk"])


class DeviceConsumer(TopicConsumer):
    """What one device says: `/ws/device/<uuid>/telemetry`, also `/ws/node/…`."""

    def topic(self) -> str:
        """`d:<uuid>`."""
        return device_topic(self.scope["url_route"]["kwargs"]["uuid"])
