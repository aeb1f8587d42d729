"""Addresses of the sockets; `telemetry_site.asgi` adds origin check and session."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path, re_path

from realtime.consumers import CommunityConsumer, DeviceConsumer


async def nothing_here(scope: Any, receive: Any, send: Any) -> None:
    """Refuse a socket whose address is unknown: 403 in the handshake, not a server error."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})


def _at(route: str, application: Any) -> URLPattern:
    pattern: URLPattern = path(route, application)  # Channels uses Django's routes for ASGI too
    return pattern


websocket_urlpatterns: list[URLPattern] = [
    _at("ws/community/<int:pk>/updates", CommunityConsumer.as_asgi()),
    _at("ws/device/<uuid:uuid>/telemetry", DeviceConsumer.as_asgi()),
    _at("ws/node/<uuid:uuid>/telemetry", DeviceConsumer.as_asgi()),
    re_path("", nothing_here),  # type: ignore[arg-type]
]
