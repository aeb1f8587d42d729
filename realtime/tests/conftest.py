"""A Valkey of our own, and the sockets served by a real uvicorn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.db import connections

from realtime.hub import Hub
from realtime.publish import Publisher
from realtime.routing import websocket_urlpatterns
from realtime.tests.valkey import Valkey, free_port


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


def use(settings: Any, server: Valkey) -> None:
    """Point the site at this server."""
    settings.REDIS_URL = server.url
    layer = settings.CHANNEL_LAYERS["default"]
    host = {"address": server.url, "socket_timeout": None}
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [host]}}}


@pytest.fixture
def valkey(shared_valkey: Valkey, settings: Any) -> Valkey:
    """Empty, and the one that the site is configured for."""
    use(settings, shared_valkey)
    Publisher(shared_valkey.url).redis.flushall()
    return shared_valkey


@pytest.fixture
def own_valkey(tmp_path: Any, settings: Any) -> Iterator[Valkey]:
    """One that the test may stop and start."""
    server = Valkey(tmp_path)
    server.start()
    use(settings, server)
    yield server
    server.stop()


@pytest.fixture
async def hub(valkey: Valkey) -> AsyncIterator[Hub]:
    hub = Hub(valkey.url)
    yield hub
    await hub.stop()


class Server:
    """uvicorn, as in production, in a thread."""

    def __init__(self, application: Any) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            application,
            host="127.0.0.1",
            port=self.port,
            ws="websockets-sansio",
            loop="uvloop",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        started = self._server.startup

        async def startup(*args: Any, **kwargs: Any) -> None:
            await started(*args, **kwargs)
            self._ready.set()

        self._server.startup = startup  # type: ignore[method-assign]
        self._server.run()

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        # Queries of the sockets ran in asgiref's one thread: close its connections there.
        asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture
def serve(transactional_db: None) -> Iterator[Any]:
    """Starts the sockets' server."""
    running: list[Server] = []

    def start() -> Server:
        routes: Any = websocket_urlpatterns
        server = Server(AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(routes))))
        running.append(server)
        return server.__enter__()

    yield start
    for server in running:
        server.__exit__()
