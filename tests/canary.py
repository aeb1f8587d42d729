"""What the canary tests play with: planted keys, a provider of all faults, and the whole way in."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from django.utils import timezone

from devices.models import Connection, Device, ThingSpeakChannel
from devices.models.standard_types import ensure_standard_types
from devices.secrets import Secret
from devices.tests.scene import Scene
from ingestion import tasks
from ingestion.claims import Claim
from ingestion.dispatch import Queues, dispatch, poll_now
from ingestion.models import PollLog, PollState
from ingestion.polling import Equipment
from ingestion.resilience.gate import RedisGate
from ingestion.resilience.transport import RequestsTransport
from ingestion.tests import stack as network
from ingestion.tests.fault_server import FaultServer, Peer, Play
from ingestion.work import Worker

READ, ACCOUNT, TYPED = "READCANARY7Q4X81", "ACCOUNTCANARY5W2Z", "TYPEDCANARY6M3K9"
OF_SIMULATOR = "DEMOREADKEY00106"
SECRETS = (READ, ACCOUNT, TYPED, OF_SIMULATOR)


def ok(peer: Peer) -> None:
    at = timezone.now() - timedelta(seconds=90)
    row = {"created_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "entry_id": 1, "field1": "5", "field2": "x"}
    body = {"channel": {"id": 1, "name": "Tank", "field1": "Level"}, "feeds": [row]}
    peer.answer(json.dumps(body).encode())


def refused(status: str, *headers: str) -> Play:
    """A provider that repeats the key in its words, as some do."""
    body = f'{{"error": "no access for api_key={READ} {ACCOUNT} {TYPED}"}}'.encode()
    return lambda peer: peer.answer(body, status, *headers)


def cut_off(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + READ.encode())
    peer.sock.close()


# What becomes of channel 1, 2, …
ENDINGS: Mapping[int, Play] = {
    1: ok,
    2: lambda peer: peer.answer(b"-1", "400 Bad Request"),
    3: refused("500 Internal Server Error"),
    4: Peer.reset,
    5: refused("302 Found", f"Location: /sink?api_key={READ}"),
    6: lambda peer: peer.answer(f"<html>{READ}</html>".encode()),
    7: cut_off,
    8: refused("404 Not Found"),
    9: refused("401 Unauthorized", f"WWW-Authenticate: Key {READ}"),
}
OUTCOMES = {
    1: "ok", 2: "credential", 3: "server", 4: "connect", 5: "redirected", 6: "not_the_api",
    7: "cut_off", 8: "not_found", 9: "credential",
}  # fmt: skip
UNREADABLE, BROKEN, KEYLESS, NO_HOST = 20, 21, 22, 23


@dataclass
class Flow:
    """Beat, broker, worker and gate on one Redis; the provider answers with `ENDINGS`."""

    scene: Scene
    server: FaultServer
    url: str
    redis: redis.Redis
    worker: Worker
    heard: list[Any] = field(default_factory=list)

    def tick(self, redis_url: str) -> None:
        """Hand out what is due through the real broker, and carry it out."""
        application = tasks.poll.app
        keys = {"global_keyprefix": "telemetry:celery:"}
        broker = f"redis+socket://{redis_url.removeprefix('unix://')}"
        with (
            application.connection_for_write(broker, transport_options=keys) as line,
            closing(application.amqp.Producer(line)) as producer,
        ):

            def queue(task: Any, work: Any, claims: Sequence[Claim]) -> None:
                rows = [(one.pk, one.token, one.not_before) for one in claims]
                task.apply_async((rows,), producer=producer)
                work(claims)

            def polls(claims: Sequence[Claim]) -> None:
                queue(tasks.poll, self.worker.poll, claims)

            def pages(claims: Sequence[Claim]) -> None:
                queue(tasks.fill, self.worker.fill, claims)

            dispatch(timezone.now, self.worker.equipment.gate, Queues(polls, pages))

    def channel(self, number: int, account: Connection, **changes: Any) -> ThingSpeakChannel:
        device = Device.objects.create(
            community=self.scene.hill.community, type=self.scene.hill.device.type, name=f"D{number}"
        )
        values = {"read_key": READ, "history_from": timezone.now() - timedelta(hours=1), **changes}
        return network.channel(account, number, ("field1", "field2"), device, **values)


def listen_to_everything(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, also what the site's own configuration keeps quiet."""
    # Not django.template: it tells of every variable that a page does not have.
    for name in ("", "urllib3", "requests", "celery", "kombu", "redis", "django.request", "axes"):
        caplog.set_level(logging.DEBUG, name)


@contextmanager
def running(redis_socket: str, settings: Any) -> Iterator[Flow]:
    """A channel for every ending, each with a planted key, and the provider that ends so."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": settings.REDIS_URL}}
    ensure_standard_types()  # tests with real commits empty the tables
    scene = Scene.make()
    plays = {f"/channels/{number}/feeds.json": play for number, play in ENDINGS.items()}
    server = FaultServer({**plays, f"/channels/{KEYLESS}/feeds.json": ok})
    with redis.Redis(unix_socket_path=redis_socket) as client, server.running() as url:
        client.flushall()
        equipment = Equipment(RedisGate(client), RequestsTransport(allowed=["127.0.0.0/8"]))
        scene.hill.channel.delete()
        scene.valley.channel.delete()
        account = scene.hill.connection
        account.base_url, account.rate_limit = url, 6000
        account.account_key = Secret.of(ACCOUNT)  # type: ignore[assignment]
        account.save()
        flow = Flow(scene, server, url, client, Worker(equipment))
        for number in ENDINGS:
            flow.channel(number, account)
        flow.channel(KEYLESS, account, read_key="")
        flow.channel(BROKEN, account, read_key=f"{READ}\r\nX-Key: {READ}")
        other = Fernet(Fernet.generate_key()).encrypt(READ.encode()).decode()
        flow.channel(UNREADABLE, account, read_key=Secret(other))
        nowhere = Connection.objects.create(
            name="Nowhere", base_url="http://no-such-host.invalid", account_key=ACCOUNT
        )
        flow.channel(NO_HOST, nowhere)
        yield flow


def poll_everything(flow: Flow, redis_url: str) -> None:
    """Twice, so that repeats, quarantines and open alerts are there too."""
    pubsub: Any = flow.redis.pubsub  # untyped
    with pubsub() as listener:
        listener.psubscribe("*")
        for _ in range(2):
            flow.tick(redis_url)
            poll_now(list(PollState.objects.values_list("pk", flat=True)), timezone.now())
        while (message := listener.get_message(timeout=0.1)) is not None:
            flow.heard.append(message)
    outcomes = dict(PollLog.objects.values_list("source__thingspeakchannel__channel_id", "outcome"))
    assert outcomes == {
        **OUTCOMES, KEYLESS: "ok", BROKEN: "credential", UNREADABLE: "ours", NO_HOST: "name",
    }  # fmt: skip


def assert_clean(text: str, where: str) -> None:
    """None of the keys is in the text."""
    for secret in SECRETS:
        assert secret not in text, where
