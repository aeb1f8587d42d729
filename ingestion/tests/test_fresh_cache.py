"""The cache of what providers say: one contract, on Django's cache in memory and on real Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

from ingestion.resilience.freshcache import Cache, FreshCache, NotFetched, StillFetching


@dataclass
class Clock:
    """Time that only the test and waiting move."""

    at: float = 1_800_000_000.0
    slept: int = 0
    while_sleeping: Callable[[], Any] = lambda: None

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.slept += 1
        self.while_sleeping()


@dataclass
class Provider:
    """Says how often it was asked; can be away."""

    away: bool = False
    asked: int = field(default=0)

    def __call__(self) -> Any:
        self.asked += 1
        if self.away:
            raise NotFetched("No connection.")
        return {"answer": self.asked}


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def shared(request: pytest.FixtureRequest) -> Iterator[Cache]:
    """A cache as the site uses it."""
    if request.param == "memory":
        memory = LocMemCache("fresh", {})
        memory.clear()
        yield memory
        return
    socket = request.getfixturevalue("redis_socket")
    request.getfixturevalue("redis_client")  # empties it
    cache = RedisCache(f"unix://{socket}", {"KEY_PREFIX": "test"})
    yield cache
    cache.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(shared: Cache, clock: Clock) -> FreshCache:
    return FreshCache(shared, "secret", clock=clock, sleep=clock.sleep)


def test_a_fresh_value_is_not_asked_for_again(cache: FreshCache, clock: Clock) -> None:
    provider = Provider()
    first = cache.get("k", provider)
    clock.at += 29
    second = cache.get("k", provider)
    assert provider.asked == 1
    assert (first.value, first.stale) == (second.value, second.stale) == ({"answer": 1}, False)
    assert second.fetched_at.timestamp() == clock.at - 29


def test_an_old_value_is_refreshed(cache: FreshCache, clock: Clock) -> None:
    provider = Provider()
    cache.get("k", provider)
    clock.at += 31
    found = cache.get("k", provider)
    assert (found.value, found.stale, found.error) == ({"answer": 2}, False, None)


def test_a_value_whose_refresh_fails_is_marked_stale_and_says_why(
    cache: FreshCache, clock: Clock
) -> None:
    provider = Provider()
    cache.get("k", provider)
    clock.at += 31
    provider.away = True
    found = cache.get("k", provider)
    assert (found.value, found.stale, str(found.error)) == ({"answer": 1}, True, "No connection.")
    assert provider.asked == 2  # it was asked, and counts as asked
    provider.away = False
    assert cache.get("k", provider).value == {"answer": 3}


def test_a_first_value_that_cannot_be_fetched_is_an_error_and_blocks_nobody(
    cache: FreshCache,
) -> None:
    provider = Provider(away=True)
    for _ in range(2):
        with pytest.raises(NotFetched, match="No connection"):
            cache.get("k", provider)
    assert provider.asked == 2
    provider.away = False
    assert cache.get("k", provider).value == {"answer": 3}


def test_whoever_comes_while_another_refreshes_gets_the_old_value_marked(
    cache: FreshCache, clock: Clock
) -> None:
    cache.get("k", Provider())
    clock.at += 31
    seen = []

    def slow() -> Any:
        seen.append(cache.get("k", Provider()))
        return {"answer": "new"}

    assert cache.get("k", slow).value == {"answer": "new"}
    (meanwhile,) = seen
    assert (meanwhile.value, meanwhile.stale, meanwhile.error) == ({"answer": 1}, True, None)


def test_whoever_waits_for_a_first_value_gets_it(
    cache: FreshCache, shared: Cache, clock: Clock
) -> None:
    assert shared.add("k:fetching", "somebody", timeout=30)

    def done() -> None:
        if clock.slept == 3:
            other = FreshCache(shared, "secret", clock=clock)
            shared.delete("k:fetching")
            other.get("k", lambda: "theirs")

    clock.while_sleeping = done
    provider = Provider()
    assert cache.get("k", provider).value == "theirs"
    assert provider.asked == 0


def test_waiting_has_an_end(cache: FreshCache, shared: Cache) -> None:
    assert shared.add("k:fetching", "somebody", timeout=60)
    with pytest.raises(StillFetching, match="Try again"):
        cache.get("k", Provider())


def test_a_fetcher_that_died_is_replaced(shared: Cache) -> None:
    cache = FreshCache(shared, "secret", fetch_s=0.2, wait_s=5)  # the cache's own clock decides
    assert shared.add("k:fetching", "dead", timeout=0.2)
    assert cache.get("k", Provider()).value == {"answer": 1}


def test_a_lock_that_expired_is_not_taken_from_the_next_one(
    cache: FreshCache, shared: Cache
) -> None:
    def overtaken() -> Any:
        shared.set("k:fetching", "the next one", timeout=30)
        return "mine"

    cache.get("k", overtaken)
    assert shared.get("k:fetching") == "the next one"


def test_many_callers_at_once_ask_once(shared: Cache) -> None:
    cache = FreshCache(shared, "secret", wait_s=20)
    gate = threading.Barrier(8)
    asked = []

    def fetch() -> Any:
        asked.append(1)
        return "once"

    def call(_: int) -> Any:
        gate.wait()
        return cache.get("k", fetch).value

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, range(8))) == {"once"}
    assert len(asked) == 1


def test_who_looked_just_before_the_answer_came_does_not_ask_again(
    shared: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, add = FreshCache(shared, "secret"), shared.add

    def overtaken(key: str, value: Any, timeout: float | None = None) -> bool:
        monkeypatch.setattr(shared, "add", add)
        cache.get("k", lambda: "the other's")  # asks and comes back between our look and our turn
        return add(key, value, timeout)

    monkeypatch.setattr(shared, "add", overtaken)
    assert cache.get("k", lambda: "ours").value == "the other's"
    assert shared.get("k:fetching") is None


def test_a_clock_that_was_set_back_keeps_nothing_fresh_for_ever(
    cache: FreshCache, clock: Clock
) -> None:
    provider = Provider()
    cache.get("k", provider)
    clock.at -= 86_400
    assert cache.get("k", provider).value == {"answer": 2}


def test_a_key_tells_nothing_of_its_parts(cache: FreshCache, shared: Cache) -> None:
    key = cache.key("channel", 7, "READKEY012345678")
    assert "READKEY" not in key
    assert key == cache.key("channel", 7, "READKEY012345678")
    others = [
        cache.key("channel", 7, "READKEY012345679"),
        cache.key("channel", "7READKEY012345678"),
        FreshCache(shared, "another").key("channel", 7, "READKEY012345678"),
    ]
    assert key not in others
    assert "secret" not in repr(cache)


def test_without_its_cache_every_question_is_asked() -> None:
    away = RedisCache("redis://127.0.0.1:1", {})
    cache = FreshCache(away, "secret", failures=(redis.RedisError,))
    provider = Provider()
    assert [cache.get("k", provider).value["answer"] for _ in range(2)] == [1, 2]


def test_a_cache_that_goes_away_meanwhile_does_not_ask_twice(
    shared: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise redis.ConnectionError

    def fetch() -> Any:
        provider()
        monkeypatch.setattr(shared, "set", gone)
        monkeypatch.setattr(shared, "get", gone)
        return "answer"

    provider = Provider()
    cache = FreshCache(shared, "secret", failures=(redis.RedisError,))
    assert cache.get("k", fetch).value == "answer"
    assert provider.asked == 1
