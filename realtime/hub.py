"""The hub: one Redis subscription per topic and process, handed to all of its sockets.

There is one hub per event loop. Each message is parsed and framed once, however many sockets get
it. Ids are contiguous, so the hub sees every hole, whatever its cause (a reconnect, Redis cutting
a slow reader), and fills it from the topic's stream; what cannot be filled becomes a `reset`.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Iterable
from typing import Any

import structlog
from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from realtime import messages
from realtime.client import Client
from realtime.messages import Close, Event, StreamId
from realtime.publish import RealtimeUnavailable
from realtime.replay import Replay, replay
from realtime.revoke import Revocation, control_channel, read_control
from realtime.subscription import Subscription
from realtime.topics import keyspace

log = structlog.get_logger(__name__)

BEFORE_ALL = StreamId(0, 0)
RETRY_S = 0.5
HEARTBEAT_S = 20.0
READY_WITHIN_S = 3.0
TURN = 32  # messages read at a stretch
REPLAYS_AT_ONCE = 16  # redis-py's pool refuses more than 100 connections


class Hub:
    """Fan-out of one event loop. Not thread-safe: use it from its own loop only."""

    def __init__(self, url: str, *, retry_s: float = RETRY_S) -> None:
        """Connects when first used; `url` is a redis:// address."""
        retry = Retry(NoBackoff(), 0)
        # redis-py 8 cuts idle connections after 5 s unless socket_timeout is None.
        self._listening: Redis = Redis.from_url(
            url, socket_timeout=None, socket_connect_timeout=5, retry=retry
        )
        self._asking: Redis = Redis.from_url(
            url, socket_timeout=5, socket_connect_timeout=5, retry=retry
        )
        self._keys = keyspace(url)
        self._retry_s = retry_s
        self._topics: dict[str, Subscription] = {}
        self._clients: set[Client] = set()
        self._pubsub: PubSub | None = None
        self._runner: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._replays = asyncio.Semaphore(REPLAYS_AT_ONCE)
        self._down = False

    # --- sockets ------------------------------------------------------------------------------

    async def subscribe(
        self, client: Client, name: str, since: StreamId | None, ref: object = None
    ) -> None:
        """Hand the topic's messages to the client: first what it missed after `since`, then live.

        Queues `ok`, or `reset` and `ok` if what was missed is not known. Subscribing again with
        `since` repeats from there. Raises RealtimeUnavailable when Redis does not answer.
        """
        repeated = name in client.topics
        topic = await self._open(client, name)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await topic.ready.wait()
                if since is not None:
                    await self._resume(client, topic, since, ref)
                    return
        except (TimeoutError, RedisError, OSError) as error:
            await self._leave(client, (name,))
            raise RealtimeUnavailable("Redis does not answer.") from error
        position = topic.last or BEFORE_ALL
        answer = messages.ok(ref, name, position, 0)
        if repeated:
            client.reply(answer)
        else:
            client.release(name, [answer], (), position)

    async def leave(self, client: Client) -> None:
        """The socket is gone: forget it, and every topic nobody else listens to."""
        self._clients.discard(client)
        await self._leave(client, tuple(client.topics))

    async def _resume(
        self, client: Client, topic: Subscription, since: StreamId, ref: object
    ) -> None:
        client.hold(topic.name)
        found = await self._replay(topic.name, since)
        if found.lost is None:
            answers = [messages.ok(ref, topic.name, found.head, len(found.events))]
            client.release(topic.name, answers, found.events, found.head)
        else:
            answers = [
                messages.reset(topic.name, found.head, found.lost),
                messages.ok(ref, topic.name, found.head, 0),
            ]
            client.release(topic.name, answers, (), found.head)

    async def _open(self, client: Client, name: str) -> Subscription:
        self.start()
        topic = self._topics.get(name)
        created = topic is None
        if topic is None:
            topic = self._topics[name] = Subscription(name)
        if name not in client.topics:
            client.hold(name)
        self._clients.add(client)
        client.topics.add(name)
        topic.clients.add(client)
        if created:
            await self._ask_for([topic])
        return topic

    async def _leave(self, client: Client, names: Iterable[str]) -> None:
        for name in names:
            client.topics.discard(name)
            topic = self._topics.get(name)
            if topic is None:
                continue
            topic.clients.discard(client)
            if not topic.clients:
                await self._close(topic)

    async def _close(self, topic: Subscription) -> None:
        del self._topics[topic.name]
        topic.stop_filling()
        async with self._lock:
            # Somebody may have come back while this waited for the lock.
            if self._pubsub is None or topic.name in self._topics:
                return
            try:
                await self._pubsub.unsubscribe(self._keys.channel(topic.name))
            except (RedisError, OSError):
                log.debug("realtime_unsubscribe_failed", topic=topic.name)

    # --- Redis --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to listen, if not yet done."""
        if self._runner is None or self._runner.done():
            self._runner = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop listening and close the connections."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._listen()
                except (RedisError, OSError) as error:
                    self._note(error)
                except Exception:
                    # A fault of ours must not end live updates for good.
                    log.exception("realtime_hub_failed")
                await asyncio.sleep(self._retry_s)
        finally:
            for topic in self._topics.values():
                topic.stop_filling()
            await self._listening.aclose()
            await self._asking.aclose()

    async def _listen(self) -> None:
        """One connection, until it breaks."""
        pubsub = self._listening.pubsub()
        try:
            async with self._lock:
                # Without a channel that is always subscribed, redis-py's reader would spin.
                await pubsub.subscribe(control_channel())
                self._pubsub = pubsub
            await self._ask_for(tuple(self._topics.values()))
            await self._read(pubsub)
        finally:
            self._pubsub = None
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _ask_for(self, topics: Iterable[Subscription]) -> None:
        """Subscribe, or leave it to the reconnect when there is no connection."""
        async with self._lock:
            wanted = [topic.name for topic in topics if self._topics.get(topic.name) is topic]
            if self._pubsub is None or not wanted:
                return
            try:
                await self._pubsub.subscribe(*map(self._keys.channel, wanted))
            except (RedisError, OSError) as error:
                # The reader fails on the same connection, reconnects and asks again.
                log.debug("realtime_subscribe_failed", error=str(error))

    async def _read(self, pubsub: PubSub) -> None:
        silent = False
        for count in itertools.count(1):
            if count % TURN == 0:
                # A burst that is already in memory is read without a pause: let the writers run,
                # or sockets that keep up would look slow.
                await asyncio.sleep(0)
            message: dict[str, Any] | None = await pubsub.get_message(timeout=HEARTBEAT_S)
            if message is not None:
                silent = False
                self._received(message)
            elif silent:
                raise ConnectionError("Redis has been silent for two heartbeats.")
            else:
                silent = True
                await pubsub.ping()

    def _received(self, message: dict[str, Any]) -> None:
        if message["type"] not in ("message", "subscribe"):
            return
        channel = message["channel"].decode()
        if channel == control_channel():
            self._controlled(message)
            return
        topic = self._topics.get(self._keys.topic_of(channel))
        if topic is None:
            return
        if message["type"] == "subscribe":
            topic.behind = True
        else:
            topic.take(Event.received(topic.name, message["data"]))
        if topic.behind and topic.filling is None:
            topic.filling = asyncio.get_running_loop().create_task(self._fill(topic))

    def _controlled(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._note(None)
            return
        revocation = read_control(message["data"])
        if revocation is not None:
            self._revoke(revocation)

    def _revoke(self, revocation: Revocation) -> None:
        for client in tuple(self._clients):
            if client.user != revocation.user:
                continue
            if client.session == revocation.session:
                client.cut(Close.NOT_SIGNED_IN)
            client.recheck.set()

    async def _fill(self, topic: Subscription) -> None:
        """Bring a topic up to its stream's head, however long Redis takes to answer."""
        try:
            while topic.behind:
                topic.behind = False
                try:
                    topic.catch_up(await self._replay(topic.name, topic.last))
                    topic.ready.set()
                    self._note(None)
                except (RedisError, OSError) as error:
                    topic.behind = True
                    self._note(error)
                    await asyncio.sleep(self._retry_s)
        except Exception:
            log.exception("realtime_fill_failed", topic=topic.name)
        finally:
            topic.filling = None

    async def _replay(self, name: str, since: StreamId | None) -> Replay:
        async with self._replays:
            return await replay(self._asking, self._keys, name, since)

    def _note(self, error: Exception | None) -> None:
        """Log on the edges only: one line when Redis is lost, one when it is back."""
        if error is not None and not self._down:
            log.error("realtime_redis_lost", error=str(error))
        elif error is None and self._down:
            log.info("realtime_redis_back")
        self._down = error is not None


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = weakref.WeakKeyDictionary()


def get_hub() -> Hub:
    """The running loop's hub."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub(settings.REDIS_URL)
    return hub
