"""Sockets and topics: members hear their own, to everybody else they do not exist."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from asgiref import testing
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.db import connections

from devices.models import Community, Device, Membership
from devices.models.standard_types import ensure_standard_types
from realtime import publish
from realtime.hub import get_hub
from realtime.messages import Close, alert, state, telemetry
from realtime.routing import websocket_urlpatterns
from realtime.tests.test_outbox import reading
from realtime.topics import community_topic, device_topic
from tests.test_tenancy_scene import INSIDERS, PEOPLE, Tenancy

pytestmark = pytest.mark.django_db(transaction=True)

# Each address, and the row of Hill that it names.
SOCKETS = {
    "ws/community/<int:pk>/updates": "community",
    "ws/device/<uuid:uuid>/telemetry": "uuid",
    "ws/node/<uuid:uuid>/telemetry": "uuid",
    "": None,  # whatever is left: refused in the handshake
}
ROUTES: Any = websocket_urlpatterns
Communicator: Any = testing.ApplicationCommunicator  # untyped


def test_every_socket_address_has_a_row() -> None:
    assert [str(one.pattern) for one in websocket_urlpatterns] == list(SOCKETS)


def test_every_kind_of_topic_has_a_row() -> None:
    assert set(publish.HISTORY) == {"c", "d"}


@pytest.fixture
def tenancy(redis_socket: str, settings: Any) -> Tenancy:
    settings.REDIS_URL = f"unix://{redis_socket}"
    layer = settings.CHANNEL_LAYERS["default"]
    host = {"address": settings.REDIS_URL, "socket_timeout": None}
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [host]}}}
    publish.publisher().redis.flushall()
    ensure_standard_types()  # tests with real commits empty the tables
    return Tenancy.make()


@pytest.fixture
async def open_(tenancy: Tenancy) -> AsyncIterator[Callable[..., Any]]:
    """Opens a socket as somebody, closes it again, and the hub at the end."""
    site = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(ROUTES)))

    @asynccontextmanager
    async def opened(who: str, path: str, origin: str = "http://testserver") -> AsyncIterator[Any]:
        session = tenancy.client(who).cookies.get("sessionid")
        cookie = f"sessionid={session.value}" if session else ""
        address, _, query = path.partition("?")
        headers = [(b"origin", origin.encode()), (b"cookie", cookie.encode())]
        scope = {
            "type": "websocket", "path": address, "query_string": query.encode(),
            "headers": headers, "subprotocols": [],
        }  # fmt: skip
        socket = Communicator(site, scope)
        await socket.send_input({"type": "websocket.connect"})
        answer = await socket.receive_output(timeout=5)
        yield socket if answer["type"] == "websocket.accept" else None
        await socket.send_input({"type": "websocket.disconnect", "code": 1001})
        await socket.wait(timeout=5)

    yield opened
    await get_hub().stop()
    await sync_to_async(connections.close_all)()  # asgiref's thread has its own


def hills(tenancy: Tenancy, route: str) -> str:
    row = SOCKETS[route]
    path = route if row is None else route.split("<")[0] + str(tenancy.places.rows[row])
    return "/" + path + ("/" + route.rpartition("/")[2] if row else "ws/elsewhere")


def missing(route: str) -> str:
    nowhere = UUID(int=1) if "uuid" in route else 999_999_999
    return "/" + route.split("<")[0] + f"{nowhere}/" + route.rpartition("/")[2]


async def first(socket: Any) -> Any:
    """The first frame, or the code of the close."""
    message = await socket.receive_output(timeout=5)
    return message["code"] if message["type"] == "websocket.close" else json.loads(message["text"])


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("route", [one for one in SOCKETS if one])
async def test_who_may_open_which_socket(
    tenancy: Tenancy, open_: Callable[..., Any], route: str, who: str
) -> None:
    expected = Close.NOT_SIGNED_IN if who == "nobody" else Close.NOT_YOURS
    async with open_(who, hills(tenancy, route)) as socket:
        got = await first(socket)
    if who in INSIDERS:
        assert got["t"] == "ok"
    else:
        assert got == expected
    async with open_(who, missing(route)) as socket:
        assert await first(socket) == expected  # a foreign one is as good as none


@pytest.mark.parametrize("who", ["nobody", "stranger", "admin"])
async def test_other_addresses_and_origins_are_refused_in_the_handshake(
    tenancy: Tenancy, open_: Callable[..., Any], who: str
) -> None:
    async with open_(who, hills(tenancy, "")) as socket:
        assert socket is None
    community = hills(tenancy, "ws/community/<int:pk>/updates")
    async with open_(who, community, origin="http://evil.example") as socket:
        assert socket is None


def topics_of(tenancy: Tenancy) -> tuple[list[str], list[str], list[str]]:
    """Valley's, Hill's, and nobody's."""
    scene = tenancy.scene
    both = [
        [community_topic(one.community.pk), device_topic(one.device.uuid)]
        for one in (scene.valley, scene.hill)
    ]
    nobodys = [
        community_topic(999_999_999), device_topic(UUID(int=1)), "c:*", "c:", "*", "d:", "",
        "telemetry:live:0:epoch", f"C:{scene.hill.community.pk}", f"c:{scene.hill.community.pk} ",
        f"c:0{scene.hill.community.pk}", str(scene.hill.device.uuid).upper(), "c:" + "9" * 30,
        f"d:{str(scene.hill.device.uuid).upper()}",
    ]  # fmt: skip
    return both[0], both[1], nobodys


async def answers(socket: Any, ref: int) -> list[Any]:
    """Every frame up to the answer to a ping sent now, or to the end of the socket."""
    await ask(socket, {"op": "ping", "ref": ref})
    frames: list[Any] = []
    while True:
        frame = await first(socket)
        if isinstance(frame, int) or frame["t"] == "pong":
            return frames
        frames.append(frame)


async def tell(*topics: str) -> None:
    """Publish one message of every kind to each of the topics."""
    item = {"device": "x", "state": "offline"}
    batch = [
        make(topic, [content])
        for topic in topics
        for make, content in (
            (telemetry, reading("level", 1, 1.0)), (state, item), (alert, {"id": 1}),
        )
    ]  # fmt: skip
    await sync_to_async(publish.publish)(batch)


async def test_foreign_topics_are_refused_and_never_heard(
    tenancy: Tenancy, open_: Callable[..., Any]
) -> None:
    own, foreign, nobodys = topics_of(tenancy)
    async with open_("stranger", f"/ws/community/{own[0][2:]}/updates") as socket:
        assert (await first(socket))["t"] == "ok"
        since = dict.fromkeys(foreign, "1-0")
        await ask(socket, {"op": "sub", "ref": 1, "topics": [*foreign, *nobodys], "since": since})
        refused = await answers(socket, 2)
        assert {(one["t"], one["code"]) for one in refused} == {("err", "topic")}
        # Foreign and missing topics are refused in the same words.
        words = {f"No topic {topic[:60]} for you." for topic in (*foreign, *nobodys)}
        assert {one["text"] for one in refused} == words
        await tell(*foreign, own[0])
        heard = [await first(socket) for _ in range(3)]
        assert {one["topic"] for one in heard} == {own[0]}
        assert await answers(socket, 3) == []


async def ask(socket: Any, request: dict[str, Any]) -> None:
    await socket.send_input({"type": "websocket.receive", "text": json.dumps(request)})


async def test_the_administrator_hears_all_and_a_member_all_of_the_own_community(
    tenancy: Tenancy, open_: Callable[..., Any]
) -> None:
    valleys, hills_, _ = topics_of(tenancy)
    for who, may in (("admin", [*valleys, *hills_]), ("member", hills_)):
        async with open_(who, f"/ws/community/{hills_[0][2:]}/updates?subscribe=later") as socket:
            await ask(socket, {"op": "sub", "ref": 1, "topics": [*valleys, *hills_]})
            found = await answers(socket, 2)
            assert {t for one in found if one["t"] == "ok" for t in one["topics"]} == set(may), who


@pytest.mark.parametrize("loses", ["membership", "device"])
async def test_what_was_taken_away_is_no_longer_heard(
    tenancy: Tenancy, open_: Callable[..., Any], loses: str
) -> None:
    _, foreign, _ = topics_of(tenancy)
    hill = tenancy.scene.hill
    async with open_("member", f"/ws/device/{hill.device.uuid}/telemetry") as socket:
        assert (await first(socket))["t"] == "ok"
        take: Callable[[], Awaitable[Any]] = (
            Membership.objects.filter(user=tenancy.people["member"]).adelete
            if loses == "membership"
            else Device.objects.filter(pk=hill.device.pk).adelete
        )
        await take()
        await ask(socket, {"op": "sub", "ref": 1, "topics": foreign})
        found = await answers(socket, 2)
    granted = {topic for one in found if one["t"] == "ok" for topic in one["topics"]}
    assert granted == (set() if loses == "membership" else {foreign[0]})


async def test_moving_a_device_takes_it_from_its_former_community(
    tenancy: Tenancy, open_: Callable[..., Any]
) -> None:
    hill, valley = tenancy.scene.hill, tenancy.scene.valley
    assert isinstance(valley.community, Community)
    await Device.objects.filter(pk=hill.device.pk).aupdate(community=valley.community)
    async with open_("member", f"/ws/device/{hill.device.uuid}/telemetry") as socket:
        assert await first(socket) == Close.NOT_YOURS
    async with open_("stranger", f"/ws/device/{hill.device.uuid}/telemetry") as socket:
        assert (await first(socket))["t"] == "ok"
