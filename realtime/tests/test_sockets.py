"""The sockets as a browser meets them: real uvicorn, real Valkey, real sessions."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client as HttpClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devices.models import Community, Device, DeviceType, Membership
from realtime import publish, replay
from realtime.consumers import TopicConsumer
from realtime.messages import alert, telemetry
from realtime.tests.conftest import Server
from realtime.tests.test_outbox import reading
from realtime.tests.valkey import Valkey
from realtime.topics import community_topic, device_topic

BACKEND = "django.contrib.auth.backends.ModelBackend"
Opened = AbstractAsyncContextManager[ClientConnection]


@dataclass
class Site:
    """A community with an owner and a team mate, a stranger, and the sockets' server."""

    server: Server
    community: Community
    device: Device
    people: dict[str, User]

    def __post_init__(self) -> None:
        self.cookies = {name: cookie(user) for name, user in self.people.items()}
        self.cookies["nobody"] = ""
        self.community_path = f"/ws/community/{self.community.pk}/updates"
        self.device_path = f"/ws/device/{self.device.uuid}/telemetry"
        self.topic = community_topic(self.community.pk)

    def open(self, who: str, path: str | None = None, origin: str | None = "own") -> Opened:
        return connect(
            f"ws://127.0.0.1:{self.server.port}{path or self.community_path}",
            origin=self.server.origin if origin == "own" else origin,  # type: ignore[arg-type]
            additional_headers={"Cookie": f"sessionid={self.cookies[who]}"},
            proxy=None,
        )

    @asynccontextmanager
    async def live(self, who: str, path: str | None = None) -> AsyncIterator[ClientConnection]:
        """An open socket whose subscription was answered."""
        async with self.open(who, path) as socket:
            answer = await frame(socket)
            assert answer["t"] == "ok", answer
            yield socket

    async def publish(self, *values: float, topic: str | None = None) -> list[str]:
        batch = [telemetry(topic or self.topic, [reading("level", 1, v)]) for v in values]
        receipt = await asyncio.to_thread(publish.publish, batch)
        return list(receipt.ids)


def cookie(user: User) -> str:
    http = HttpClient()
    http.force_login(user, backend=BACKEND)
    return str(http.cookies["sessionid"].value)


async def frame(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        content: dict[str, Any] = json.loads(await socket.recv())
        return content


async def close_code(socket: ClientConnection) -> int | None:
    """Read until the server closes."""
    async with asyncio.timeout(8):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


async def values(socket: ClientConnection, count: int) -> list[float]:
    frames = [await frame(socket) for _ in range(count)]
    assert {one["t"] for one in frames} == {"tel"}
    return [item["value"] for one in frames for item in one["d"]]


@pytest.fixture
def site(valkey: Valkey, serve: Callable[[], Server]) -> Site:
    return build(serve())


def build(server: Server) -> Site:
    names = ("owner", "mate", "stranger", "root")
    people = {name: get_user_model().objects.create_user(name) for name in names}
    people["root"].is_superuser = True
    people["root"].save()
    community = Community.objects.create(name="Hill", slug="hill")
    elsewhere = Community.objects.create(name="Vale", slug="vale")
    Membership.objects.create(community=community, user=people["owner"], role="manager")
    Membership.objects.create(community=community, user=people["mate"], role="viewer")
    Membership.objects.create(community=elsewhere, user=people["stranger"], role="manager")
    kind = DeviceType.objects.create(name="Tank", slug="tank-for-sockets")
    device = Device.objects.create(community=community, type=kind, name="Tank 1")
    return Site(server, community, device, people)


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TopicConsumer, "recheck_s", 0.2)


@pytest.mark.parametrize("who", ["owner", "mate", "root"])
async def test_members_hear_their_community(site: Site, who: str) -> None:
    async with site.live(who) as socket:
        await site.publish(182.4)
        got = await frame(socket)
        assert (got["v"], got["t"], got["topic"]) == (1, "tel", site.topic)
        assert got["d"][0]["value"] == 182.4
        assert got["id"] == await asyncio.to_thread(replay.head, site.topic)


@pytest.mark.parametrize("kind", ["device", "node"])
async def test_members_hear_their_devices(site: Site, kind: str) -> None:
    async with site.live("mate", f"/ws/{kind}/{site.device.uuid}/telemetry") as socket:
        await site.publish(7, topic=device_topic(site.device.uuid))
        assert await values(socket, 1) == [7]


@pytest.mark.parametrize(
    ("who", "code"), [("stranger", 4403), ("nobody", 4401)], ids=["stranger", "nobody"]
)
async def test_others_are_told_apart_from_a_broken_network_and_hear_nothing(
    site: Site, who: str, code: int
) -> None:
    for path in (site.community_path, site.device_path):
        async with site.open(who, path) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await frame(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


async def test_what_does_not_exist_looks_like_what_is_somebody_elses(site: Site) -> None:
    for path in (
        "/ws/community/999999/updates",
        f"/ws/community/{2**70}/updates",
        f"/ws/device/{uuid4()}/telemetry",
    ):
        async with site.open("owner", path) as socket:
            assert await close_code(socket) == 4403


@pytest.mark.parametrize("origin", ["http://evil.example", None])
async def test_a_page_of_another_site_cannot_connect(site: Site, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with site.open("owner", origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_an_unknown_address_is_refused_without_a_server_error(site: Site) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with site.open("owner", "/ws/everything"):
            pass
    assert refused.value.response.status_code == 403


async def test_a_page_that_carries_its_head_id_misses_nothing_before_it_connects(
    site: Site,
) -> None:
    head = await asyncio.to_thread(replay.head, site.topic)
    ids = await site.publish(1, 2, 3)
    async with site.open("mate", f"{site.community_path}?since={head}") as socket:
        answer = await frame(socket)
        assert answer["topics"] == {site.topic: {"id": ids[-1], "recovered": 3}}
        assert await values(socket, 3) == [1, 2, 3]
        await site.publish(4)
        assert await values(socket, 1) == [4]


async def test_an_open_socket_can_ask_for_what_came_after_an_id(site: Site) -> None:
    ids = await site.publish(1, 2)
    async with site.live("mate") as socket:
        await socket.send(json.dumps({"op": "sub", "ref": 5, "since": {site.topic: ids[0]}}))
        answer = await frame(socket)
        assert (answer["t"], answer["ref"]) == ("ok", 5)
        assert await values(socket, 1) == [2]


async def test_a_page_of_several_communities_hears_them_all_over_one_socket(site: Site) -> None:
    ids = await site.publish(1, 2, 3)
    both = {"op": "sub", "topics": [site.topic, device_topic(site.device.uuid)], "ref": 1}
    async with site.open("mate", f"{site.community_path}?subscribe=later") as socket:
        await socket.send(json.dumps({**both, "since": {site.topic: ids[1]}}))
        first = await frame(socket)
        assert first["topics"] == {site.topic: {"id": ids[2], "recovered": 1}}
        assert await values(socket, 1) == [3]
        assert (await frame(socket))["topics"].keys() == {device_topic(site.device.uuid)}
        await site.publish(4, topic=device_topic(site.device.uuid))
        assert await values(socket, 1) == [4]


async def test_a_socket_cannot_reach_for_the_topics_of_others(site: Site) -> None:
    foreign = await Community.objects.aget(slug="vale")
    async with site.live("mate") as socket:
        for topic in (community_topic(foreign.pk), "c:999999", f"d:{uuid4()}", "nonsense"):
            await socket.send(json.dumps({"op": "sub", "topics": [topic], "ref": topic}))
            answer = await frame(socket)
            assert (answer["t"], answer["ref"], answer["code"]) == ("err", topic, "topic")
        await site.publish(1, topic=community_topic(foreign.pk))
        await site.publish(2)
        assert await values(socket, 1) == [2]


async def test_ping_is_answered(site: Site) -> None:
    async with site.live("mate") as socket:
        await socket.send('{"op":"ping","ref":"a"}')
        assert await frame(socket) == {"v": 1, "t": "pong", "ref": "a"}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("nonsense", 4400),
        (b"\x00\x01", 4400),
        ('{"op":"ping","ref":"' + "x" * 20_000 + '"}', 4413),
    ],
)
async def test_bad_frames_end_the_socket_with_the_reason(
    site: Site, sent: str | bytes, code: int
) -> None:
    async with site.live("mate") as socket:
        await socket.send(sent)
        assert await close_code(socket) == code


async def test_a_bad_position_in_the_address_ends_the_socket(site: Site) -> None:
    async with site.open("mate", f"{site.community_path}?since=yesterday") as socket:
        assert await close_code(socket) == 4400


async def test_a_socket_that_talks_too_much_is_ended(site: Site) -> None:
    async with site.live("mate") as socket:
        for _ in range(40):
            await socket.send('{"op":"ping"}')
        assert await close_code(socket) == 4429


async def test_many_sockets_cost_one_redis_subscription(site: Site) -> None:
    connection = publish.publisher()
    async with site.live("owner") as first, site.live("mate") as second, site.live("root") as third:
        ((_, count),) = connection.redis.pubsub_numsub(connection.keys.channel(site.topic))
        assert count == 1
        await site.publish(*range(50))
        for socket in (first, second, third):
            assert await values(socket, 50) == list(range(50))


async def test_a_browser_that_stops_reading_is_cut_and_delays_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TopicConsumer, "send_timeout_s", 0.5)
    connection = publish.publisher()
    # Sockets are compressed: only what cannot be compressed fills their buffers.
    block = [alert(site.topic, [{"text": os.urandom(32_000).hex()}])] * 20

    def reachable() -> int:
        ((_, count),) = connection.redis.pubsub_numsub(connection.keys.channel(site.topic))
        return int(count)

    async with site.open("owner") as stalled, site.live("mate", site.device_path) as other:
        await frame(stalled)
        stalled.transport.pause_reading()
        async with asyncio.timeout(20):
            while reachable():  # until the server has let go of the only listener
                await asyncio.to_thread(publish.publish, block)
                await site.publish(1, topic=device_topic(site.device.uuid))
                assert await values(other, 1) == [1]
        stalled.transport.abort()


async def test_losing_the_membership_ends_the_socket_at_once(site: Site) -> None:
    async with site.live("mate") as mate, site.live("owner") as owner:
        membership = await Membership.objects.aget(user=site.people["mate"])
        await sync_to_async(membership.delete)()
        assert await close_code(mate) == 4403
        await site.publish(1)
        assert await values(owner, 1) == [1]


async def test_losing_an_added_topic_ends_the_socket_for_a_new_start(site: Site) -> None:
    vale = await Community.objects.aget(slug="vale")
    also = await Membership.objects.acreate(community=vale, user=site.people["mate"])
    async with site.live("mate") as socket:
        await socket.send(json.dumps({"op": "sub", "topics": [community_topic(vale.pk)]}))
        assert (await frame(socket))["t"] == "ok"
        await sync_to_async(also.delete)()
        assert await close_code(socket) == 1013
    async with site.live("mate"):
        pass


async def test_logging_out_ends_the_sockets_of_that_session_only(site: Site) -> None:
    first = site.cookies["mate"]
    async with site.live("mate") as here:
        site.cookies["mate"] = await sync_to_async(cookie)(site.people["mate"])
        async with site.live("mate") as elsewhere:
            await sync_to_async(log_out)(first)
            assert await close_code(here) == 4401
            await site.publish(1)
            assert await values(elsewhere, 1) == [1]


def log_out(session_key: str) -> None:
    http = HttpClient()
    http.cookies["sessionid"] = session_key
    http.logout()


@pytest.mark.usefixtures("quick_checks")
async def test_access_is_checked_again_even_if_nobody_says_so(site: Site) -> None:
    async with site.live("mate") as socket:
        # An update in bulk sends no signal.
        await sync_to_async(Membership.objects.filter(user=site.people["mate"])._raw_delete)(
            "default"
        )
        assert await close_code(socket) == 4403


@pytest.mark.usefixtures("quick_checks")
async def test_a_deactivated_account_is_signed_out(site: Site) -> None:
    async with site.live("mate") as socket:
        await sync_to_async(get_user_model().objects.filter(username="mate").update)(
            is_active=False
        )
        assert await close_code(socket) in (4401, 4403)


async def test_a_restart_of_redis_keeps_sockets_open_and_loses_nothing(
    own_valkey: Valkey, serve: Callable[[], Server]
) -> None:
    site = await sync_to_async(build)(await sync_to_async(serve)())
    async with site.live("mate") as socket:
        await site.publish(*range(5))
        assert await values(socket, 5) == list(range(5))
        await asyncio.to_thread(own_valkey.stop)
        await asyncio.to_thread(own_valkey.start)
        await site.publish(*range(5, 25))
        frames = [await frame(socket) for _ in range(21)]
        got = [item["value"] for one in frames if one["t"] == "tel" for item in one["d"]]
        assert got == list(range(5, 25))
        assert [one["t"] for one in frames if one["t"] != "tel"] == ["reset"]
        await site.publish(25)
        assert await values(socket, 1) == [25]


async def test_without_redis_a_socket_says_when_to_come_back(
    own_valkey: Valkey, serve: Callable[[], Server]
) -> None:
    site = await sync_to_async(build)(await sync_to_async(serve)())
    own_valkey.stop()
    async with site.open("mate") as socket:
        async with asyncio.timeout(8):
            answer = json.loads(await socket.recv())
        assert answer["t"] == "bye"
        assert 2 <= answer["retry_after_s"] <= 8
        assert await close_code(socket) == 1013


async def test_an_idle_socket_is_not_cut(site: Site) -> None:
    """redis-py 8 ends idle connections after 5 s unless told otherwise."""
    async with site.live("mate") as socket:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await socket.recv()
        await site.publish(1)
        assert await values(socket, 1) == [1]
