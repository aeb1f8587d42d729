"""A cache for what providers say about sources: marked when stale, fetched once at a time. Pure.

Readings never come here: the database is their cache. What does come here is shown to people with
its age, so that pressing Verify twice does not spend the account's request budget twice.

A value is fresh for a while. Then one caller among all processes refreshes it, and meanwhile, or
when refreshing fails, the others get the old value marked stale, never as if it were new.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

PREFIX = "fresh"


class Cache(Protocol):
    """The part of Django's cache that is needed; any process-shared cache with `add` will do."""

    def get(self, key: str) -> Any:
        """The stored value, or None."""

    def set(self, key: str, value: Any, timeout: float | None = ...) -> Any:
        """Store a value for `timeout` seconds."""

    def add(self, key: str, value: Any, timeout: float | None = ...) -> bool:
        """Store a value unless there is one; whether it was stored. Atomic over processes."""

    def delete(self, key: str) -> Any:
        """Forget a value."""


class NotFetched(Exception):
    """The provider did not give the value; raised by what fetches it, with the reason."""


class StillFetching(NotFetched):
    """Somebody else is fetching the value, and it took too long to wait for."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A value as JSON, when it was fetched (aware UTC), and whether it is stale.

    `error` is why refreshing it failed just now; None when nobody tried, or somebody else does.
    """

    value: Any
    fetched_at: datetime
    stale: bool = False
    error: NotFetched | None = None


@dataclass(frozen=True)
class FreshCache:
    """Values by key, fresh for `fresh_s` and kept, then marked stale, for `keep_s` seconds.

    `fetch_s` is longer than fetching can last: after it, the next caller may fetch although the
    first one has not come back (its process died). Waiting for a first value lasts `wait_s` at
    most. `failures` are what the cache itself raises when it is away: then values are fetched
    each time, and nothing is kept.
    """

    cache: Cache
    secret: str = field(repr=False)
    fresh_s: float = 30.0
    keep_s: float = 3600.0
    fetch_s: float = 30.0
    wait_s: float = 8.0
    failures: tuple[type[Exception], ...] = ()
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def key(self, *parts: object) -> str:
        """A key that tells nothing of its parts: an API key may be one of them."""
        text = json.dumps([str(part) for part in parts])
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return f"{PREFIX}:{digest[:40]}"

    def get(self, key: str, fetch: Callable[[], Any]) -> Fresh:
        """The value, fetched when there is no fresh one. `fetch` returns JSON, never a secret.

        Raises NotFetched when there is no value at all and fetching fails.
        """
        ends = self.clock() + self.wait_s
        ticket = secrets.token_hex(8)
        while True:
            try:
                known = self._known(key)
                if known is not None and not known.stale:
                    return known
                ours = self.cache.add(f"{key}:fetching", ticket, timeout=self.fetch_s)
                if ours:  # whoever fetched before us may have come back since we looked
                    known = self._known(key)
            except self.failures:
                return Fresh(fetch(), self._now())
            if ours:
                return self._ours(key, ticket, known, fetch)
            if known is not None:
                return known
            if self.clock() >= ends:
                raise StillFetching(
                    "Somebody else is asking the same at this moment, and the provider takes its "
                    "time. Try again in a few seconds."
                )
            self.sleep(0.05)

    def _ours(self, key: str, ticket: str, known: Fresh | None, fetch: Callable[[], Any]) -> Fresh:
        """What the one caller does who may fetch."""
        try:
            if known is not None and not known.stale:
                return known
            value = fetch()
            now = self._now()
            with suppress(*self.failures):
                self.cache.set(key, json.dumps([now.timestamp(), value]), timeout=self.keep_s)
        except NotFetched as error:
            if known is None:
                raise
            return Fresh(known.value, known.fetched_at, stale=True, error=error)
        finally:
            self._let_others(key, ticket)
        return Fresh(value, now)

    def _let_others(self, key: str, ticket: str) -> None:
        with suppress(*self.failures):
            if self.cache.get(f"{key}:fetching") == ticket:
                self.cache.delete(f"{key}:fetching")

    def _known(self, key: str) -> Fresh | None:
        stored = self.cache.get(key)
        if not isinstance(stored, str):
            return None
        at, value = json.loads(stored)
        age_s = self.clock() - at
        # A clock that was set back must not keep a value fresh for ever.
        stale = not -1.0 <= age_s <= self.fresh_s
        return Fresh(value, datetime.fromtimestamp(at, UTC), stale=stale)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)
