"""Publishing to live subscribers: synchronous, for workers and web, one round trip a batch."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from realtime import scripts
from realtime.messages import Message, undelivered
from realtime.topics import Keyspace, keyspace

log = structlog.get_logger(__name__)

# Messages kept per topic for subscribers that were away; a device's page needs less than a
# community's, and there are many more devices.
HISTORY = {"c": 1000, "d": 50}


class RealtimeUnavailable(Exception):
    """Redis does not answer, so nothing can be said about live updates."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: ids of the published messages, and the messages that were not."""

    ids: tuple[str, ...]
    undelivered: tuple[Message, ...]


class Publisher:
    """One Redis client with the knowledge of whether it works and whom it still owes news.

    Messages that do not reach Redis leave no hole that a subscriber could see. Their topics are
    therefore remembered, and the next batch that gets through tells those topics to reload.
    """

    def __init__(self, url: str) -> None:
        """Connects when first used; `url` is a redis:// address."""
        # No retry: a repeated command may have been executed. Stale pooled connections are
        # noticed by the client when it takes them out of the pool.
        self.redis: redis.Redis = redis.Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
        )
        self.keys: Keyspace = keyspace(url)
        self._owed: set[str] = set()
        self._down = False

    def publish(self, messages: Sequence[Message]) -> Receipt:
        """Publish in order. Never raises for Redis: what failed is in the receipt."""
        if not messages:
            return Receipt((), ())
        debts = [undelivered(topic) for topic in sorted(self._owed)]
        batch = [*debts, *messages]
        bodies = [message.encode() for message in batch]
        results = self._run(batch, bodies)
        failed = [m for m, result in zip(batch, results, strict=True) if _is_error(result)]
        self._owed.difference_update(message.topic for message in debts)
        self._owed.update(message.topic for message in failed)
        self._note(next((result for result in results if _is_error(result)), None), len(failed))
        sent = results[len(debts) :]
        return Receipt(
            tuple(result.decode() for result in sent if isinstance(result, bytes)),
            tuple(m for m, result in zip(messages, sent, strict=True) if _is_error(result)),
        )

    def epoch(self) -> str:
        """The current epoch, renewed if Redis was restarted or emptied; RedisError if away."""
        answer: bytes = self.redis.eval(scripts.EPOCH, 1, self.keys.epoch)
        return answer.decode()

    def _run(self, batch: Sequence[Message], bodies: Sequence[bytes]) -> list[object]:
        """Each message's id as bytes, or the error that befell it."""
        try:
            results = self._pipeline(batch, bodies)
            again = [at for at, result in enumerate(results) if _needs_epoch(result)]
            if again:
                self.epoch()
                self.redis.script_load(scripts.PUBLISH)
                repeated = self._pipeline([batch[at] for at in again], [bodies[at] for at in again])
                for at, result in zip(again, repeated, strict=True):
                    results[at] = result
        except (RedisError, OSError) as error:
            return [error] * len(batch)
        return results

    def _pipeline(self, batch: Sequence[Message], bodies: Sequence[bytes]) -> list[object]:
        """One round trip for all."""
        pipeline = self.redis.pipeline(transaction=False)
        for message, body in zip(batch, bodies, strict=True):
            pipeline.evalsha(
                scripts.PUBLISH_SHA,
                2,
                self.keys.epoch,
                self.keys.stream(message.topic),
                self.keys.channel(message.topic),
                HISTORY[message.topic[0]],
                message.kind.value,
                body,
            )
        results: list[object] = pipeline.execute(raise_on_error=False)
        return results

    def _note(self, error: object, failed: int) -> None:
        """Log on the edges only: one line when publishing breaks, one when it works again."""
        if error is not None and not self._down:
            log.error("realtime_publish_failed", error=str(error), messages=failed)
        elif error is None and self._down:
            log.info("realtime_publish_recovered")
        self._down = error is not None


def _is_error(result: object) -> bool:
    return isinstance(result, Exception)


def _needs_epoch(result: object) -> bool:
    """Whether Redis was restarted (script forgotten) or emptied (epoch forgotten)."""
    return isinstance(result, NoScriptError) or (_is_error(result) and "NOEPOCH" in str(result))


_publishers: dict[tuple[int, str], Publisher] = {}
_lock = threading.Lock()


def publisher() -> Publisher:
    """This process's publisher; made after a fork, never inherited over it."""
    key = (os.getpid(), settings.REDIS_URL)
    with _lock:
        if key not in _publishers:
            _publishers[key] = Publisher(settings.REDIS_URL)
        return _publishers[key]


def publish(messages: Sequence[Message]) -> Receipt:
    """Publish messages to their topics' subscribers, in order, in one round trip.

    Call it on commit, after the readings are stored: a failure is logged once, reported in the
    receipt, and healed by a reload of the pages concerned; it never undoes the storing.
    """
    return publisher().publish(messages)
