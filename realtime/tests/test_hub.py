"""The hub between Redis and the sockets of one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.client import Client
from realtime.hub import Hub
from realtime.messages import Close, StreamId, alert, telemetry
from realtime.outbox import CONFLATE_FROM, MOST_WAITING
from realtime.publish import HISTORY, Publisher, RealtimeUnavailable
from realtime.tests.test_outbox import reading
from realtime.tests.valkey import Valkey

writers: list[asyncio.Task[int]] = []


@pytest.fixture(autouse=True)
async def _no_writer_is_left() -> AsyncIterator[None]:
    yield
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    writers.clear()


class Browser:
    """A subscriber that notes every frame; `stalled` ones stop taking any."""

    def __init__(self, hub: Hub, *, stalled: bool = False, send_timeout_s: float = 10) -> None:
        self.hub = hub
        self.client = Client(1, "session", send_timeout_s=send_timeout_s)
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.going = asyncio.Event()
        if not stalled:
            self.going.set()
        self.writer = asyncio.create_task(self.client.write(self._take))
        writers.append(self.writer)

    async def _take(self, text: str) -> None:
        await self.going.wait()
        self.frames.put_nowait(json.loads(text))

    async def open(self, topic: str = "c:1", since: str | None = None) -> dict[str, Any]:
        """Subscribe; returns the answer."""
        place = None if since is None else StreamId.parse(since)
        await self.hub.subscribe(self.client, topic, place)
        return await self.frame() if self.going.is_set() else {}

    async def frame(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self.frames.get()

    async def values(self, count: int) -> list[float]:
        """The next telemetry values; fails on anything else."""
        frames = [await self.frame() for _ in range(count)]
        assert {frame["t"] for frame in frames} == {"tel"}, frames
        return [item["value"] for frame in frames for item in frame["d"]]


@pytest.fixture
def publisher(valkey: Valkey) -> Publisher:
    return Publisher(valkey.url)


def send(publisher: Publisher, *values: float, topic: str = "c:1") -> list[str]:
    receipt = publisher.publish([telemetry(topic, [reading("level", 1, v)]) for v in values])
    assert not receipt.undelivered
    return list(receipt.ids)


async def test_a_published_message_reaches_every_socket_once_and_in_order(
    hub: Hub, publisher: Publisher
) -> None:
    browsers = [Browser(hub) for _ in range(50)]
    for browser in browsers:
        answer = await browser.open()
        assert answer["t"] == "ok"
    send(publisher, *range(100))
    for browser in browsers:
        assert await browser.values(100) == list(range(100))
        assert browser.frames.empty()


async def test_many_sockets_share_one_redis_subscription_and_leave_none_behind(
    hub: Hub, publisher: Publisher
) -> None:
    def subscriptions() -> int:
        ((_, count),) = publisher.redis.pubsub_numsub(publisher.keys.channel("c:1"))
        return int(count)

    browsers = [Browser(hub) for _ in range(30)]
    await asyncio.gather(*(browser.open() for browser in browsers))
    assert subscriptions() == 1
    assert len(publisher.redis.client_list(_type="pubsub")) == 1
    for browser in browsers[1:]:
        await hub.leave(browser.client)
    assert subscriptions() == 1
    await hub.leave(browsers[0].client)
    last = Browser(hub)
    await last.open("d:other")  # answered after the unsubscription, on the same connection
    assert subscriptions() == 0


async def test_topics_do_not_mix(hub: Hub, publisher: Publisher) -> None:
    mine, other = Browser(hub), Browser(hub)
    await mine.open("c:1")
    await other.open("c:2")
    send(publisher, 1, topic="c:1")
    send(publisher, 2, topic="c:2")
    assert await mine.values(1) == [1]
    assert await other.values(1) == [2]
    assert mine.frames.empty()


async def test_who_was_away_gets_exactly_what_it_missed(hub: Hub, publisher: Publisher) -> None:
    ids = send(publisher, *range(1, 21))
    browser = Browser(hub)
    answer = await browser.open(since=ids[9])
    send(publisher, 21, 22)
    assert answer["topics"]["c:1"] == {"id": ids[-1], "recovered": 10}
    assert await browser.values(12) == list(range(11, 23))


async def test_a_page_made_before_the_first_message_misses_none(
    hub: Hub, publisher: Publisher
) -> None:
    head = f"{publisher.epoch()}-0"
    send(publisher, 1, 2)
    browser = Browser(hub)
    await browser.open(since=head)
    assert await browser.values(2) == [1, 2]


async def test_messages_published_while_a_socket_resumes_are_neither_lost_nor_doubled(
    hub: Hub, publisher: Publisher
) -> None:
    head = f"{publisher.epoch()}-0"
    resumed = 0

    async def publish_all() -> None:
        for value in range(300):
            await asyncio.to_thread(send, publisher, value)

    publishing = asyncio.create_task(publish_all())
    while not publishing.done():
        browser = Browser(hub)
        answer = await browser.open(since=head)
        place = StreamId.parse(answer["topics"]["c:1"]["id"])
        count = min(300, place.n + 3)
        got = [frame["d"][0]["value"] for frame in [await browser.frame() for _ in range(count)]]
        assert got == list(range(count))
        await hub.leave(browser.client)
        resumed += 1
    await publishing
    assert resumed > 3


@pytest.mark.parametrize("since", ["1-1", "9999999999999999-1"])
async def test_an_id_of_another_life_means_reload(
    hub: Hub, publisher: Publisher, since: str
) -> None:
    ids = send(publisher, 1, 2)
    browser = Browser(hub)
    answer = await browser.open(since=since)
    assert (answer["t"], answer["d"]) == ("reset", [{"reason": "epoch"}])
    assert answer["id"] == ids[-1]
    assert (await browser.frame())["topics"]["c:1"] == {"id": ids[-1], "recovered": 0}
    send(publisher, 3)
    assert await browser.values(1) == [3]


async def test_history_that_is_gone_is_said_to_be_gone(hub: Hub, publisher: Publisher) -> None:
    ids = send(publisher, *range(HISTORY["d"] * 6), topic="d:x")
    browser = Browser(hub)
    answer = await browser.open("d:x", since=ids[0])
    assert (answer["t"], answer["d"]) == ("reset", [{"reason": "history"}])


async def test_subscribing_again_with_since_repeats_from_there(
    hub: Hub, publisher: Publisher
) -> None:
    browser = Browser(hub)
    await browser.open()
    ids = send(publisher, 1, 2, 3)
    assert await browser.values(3) == [1, 2, 3]
    await browser.open(since=ids[0])
    assert await browser.values(2) == [2, 3]


async def test_a_hole_is_seen_and_filled(hub: Hub, publisher: Publisher) -> None:
    """Redis cuts a subscriber whose buffer is full; here it is cut on purpose, again and again."""
    browser = Browser(hub)
    await browser.open()
    for value in range(60):
        if value % 20 == 10:
            publisher.redis.client_kill_filter(_type="pubsub")
        send(publisher, value)
    assert await browser.values(60) == list(range(60))
    assert browser.frames.empty()


async def test_a_restart_of_redis_closes_no_socket_and_loses_no_message(
    own_valkey: Valkey,
) -> None:
    hub, publisher = Hub(own_valkey.url), Publisher(own_valkey.url)
    browsers = [Browser(hub) for _ in range(5)]
    for browser in browsers:
        await browser.open()
    send(publisher, *range(10))
    for browser in browsers:
        assert await browser.values(10) == list(range(10))
    await asyncio.to_thread(own_valkey.stop)
    await asyncio.to_thread(own_valkey.start)
    send(publisher, *range(10, 40))  # before the hub is back: nobody hears these live
    values: list[list[float]] = []
    for browser in browsers:
        frames = [await browser.frame() for _ in range(31)]
        values.append([item["value"] for f in frames if f["t"] == "tel" for item in f["d"]])
        # Redis may have forgotten its last second, so pages are told to look again, once.
        assert [f["d"] for f in frames if f["t"] == "reset"] == [[{"reason": "epoch"}]]
    send(publisher, 40)
    for browser in browsers:
        assert await browser.values(1) == [40]
        assert browser.client.code is None
    await hub.stop()
    assert values == [list(range(10, 40))] * 5


async def test_without_redis_a_new_socket_is_told_to_come_back(own_valkey: Valkey) -> None:
    own_valkey.stop()
    hub = Hub(own_valkey.url)
    browser = Browser(hub)
    with pytest.raises(RealtimeUnavailable):
        await browser.open()
    own_valkey.start()
    again = Browser(hub)
    assert (await again.open())["t"] == "ok"
    await hub.stop()


async def test_an_idle_hub_is_not_cut_by_the_client_library(hub: Hub, publisher: Publisher) -> None:
    """redis-py 8 ends idle connections after 5 s unless told otherwise."""
    browser = Browser(hub)
    await browser.open()
    (before,) = publisher.redis.client_list(_type="pubsub")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(7):
            await browser.frames.get()
    (after,) = publisher.redis.client_list(_type="pubsub")
    assert after["id"] == before["id"]
    send(publisher, 1)
    assert await browser.values(1) == [1]


async def test_a_stalled_socket_delays_nobody_and_hoards_nothing(
    hub: Hub, publisher: Publisher
) -> None:
    slow, quick = Browser(hub, stalled=True), Browser(hub)
    await slow.open()
    await quick.open()
    for start in range(0, 2000, 100):
        send(publisher, *range(start, start + 100))
        assert await quick.values(100) == list(range(start, start + 100))
    assert len(slow.client.outbox) == CONFLATE_FROM
    slow.going.set()
    frames = [await slow.frame() for _ in range(CONFLATE_FROM + 1)]
    assert frames[-1]["d"][0]["value"] == 1999


async def test_a_socket_that_takes_nothing_is_cut(hub: Hub, publisher: Publisher) -> None:
    slow = Browser(hub, stalled=True, send_timeout_s=0.2)
    await slow.open()
    async with asyncio.timeout(5):
        assert await slow.writer == Close.TOO_SLOW


async def test_alerts_are_not_dropped_for_a_slow_socket_it_is_cut_instead(
    hub: Hub, publisher: Publisher
) -> None:
    slow, quick = Browser(hub, stalled=True, send_timeout_s=0.5), Browser(hub)
    await slow.open()
    await quick.open()
    publisher.publish([alert("c:1", [{"n": n}]) for n in range(MOST_WAITING + 50)])
    got = [(await quick.frame())["d"][0]["n"] for _ in range(300)]
    assert got == list(range(300))
    async with asyncio.timeout(5):
        assert await slow.writer == Close.TOO_SLOW
