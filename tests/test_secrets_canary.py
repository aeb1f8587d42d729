"""Keys planted in every place that takes one come out nowhere but in the request's one header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection as database
from django.test import Client
from django.urls import reverse

from devices.models import Connection, Device, ThingSpeakChannel
from devices.tests.scene import browser
from ingestion.models import PollLog
from ingestion.tests import stack as network
from ingestion.tests.stack import Stack
from simulator.testing import RunningSimulator
from tests.canary import (
    ACCOUNT,
    ENDINGS,
    KEYLESS,
    OF_SIMULATOR,
    READ,
    SECRETS,
    TYPED,
    Flow,
    assert_clean,
    listen_to_everything,
    poll_everything,
    running,
)
from tests.test_tenancy_changes import save

ENCRYPTED = {"account_key", "read_key", "secret"}
"""Columns that hold tokens; the texts themselves are in none."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def flow(redis_socket: str, settings: Any, caplog: pytest.LogCaptureFixture) -> Iterator[Flow]:
    listen_to_everything(caplog)
    with running(redis_socket, settings) as flow:
        yield flow


def test_keys_leave_in_one_header_and_in_nothing_else(
    flow: Flow, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    poll_everything(flow, settings.REDIS_URL)
    client = browser(flow.scene.admin)
    replace_account_key(client, flow.scene.hill.connection)
    tokens = stored_tokens()
    for where, text in pages(client):
        assert_clean(text, where)
        assert not [token for token in tokens if token in text], where
    for where, text in everything_in_redis(flow.redis):
        assert_clean(text, where)
        assert not [token for token in tokens if token in text], where
    assert_clean(repr(flow.heard), "published")
    assert flow.heard  # somebody would have heard
    assert_clean(caplog.text, "log lines")
    for record in caplog.records:
        assert_clean(repr(record.__dict__), "log record")
    assert "Starting new HTTP connection" in caplog.text  # the libraries' own lines are there
    for where, text in everything_in_the_database():
        assert_clean(text, where)
        if where.partition(".")[2] not in ENCRYPTED:
            assert not [token for token in tokens if token in text], where
    dump = StringIO()
    call_command("dumpdata", stdout=dump)
    assert_clean(dump.getvalue(), "dumpdata")
    assert not [token for token in tokens if token in dump.getvalue()]


def test_the_provider_gets_the_key_in_the_header_only(flow: Flow, settings: Any) -> None:
    poll_everything(flow, settings.REDIS_URL)
    heads = [head.decode() for head in flow.server.requests]
    assert len(heads) >= len(ENDINGS) + 1
    for head in heads:
        line, *headers = head.split("\r\n")
        assert_clean(line, "request line")
        carrying = [one for one in headers if any(secret in one for secret in SECRETS)]
        expected = ACCOUNT if f"/{KEYLESS}/" in line else READ
        assert carrying == [f"THINGSPEAKAPIKEY: {expected}"]
    assert not any("/sink" in head for head in heads)  # no redirect was followed with the key


def replace_account_key(client: Client, account: Connection) -> None:
    path = reverse("admin:devices_connection_change", args=[account.pk])
    assert save(client, path, account_key=TYPED).status_code == 302
    account.refresh_from_db()
    assert account.account_key.reveal() == TYPED


def stored_tokens() -> set[str]:
    """The encrypted forms, of rows and of their former versions."""
    tokens = {one.account_key.token for one in Connection.objects.all()}
    tokens |= {one.account_key.token for one in Connection.history.all()}
    channels: Any = ThingSpeakChannel.objects.all()
    tokens |= {one.read_key.token for one in channels}
    return tokens - {""}


SECTIONS = {
    "devices": (
        "connection",
        "thingspeakchannel",
        "device",
        "fieldmapping",
        "calibrationversion",
        "job",
    ),
    "ingestion": (
        "pollstate",
        "polllog",
        "rejection",
        "gap",
        "import",
        "mappingpause",
        "fieldprofile",
        "priorityslack",
    ),
    "readings": ("latest", "receivedentry", "readingimport"),
    "alerts": ("alert",),
}


def pages(client: Client) -> Iterator[tuple[str, str]]:
    """Every page that tells of polling, of sources or of changes."""
    paths = ["/", "/snapshot/", "/readyz", "/admin/", "/admin/search/?s=channel&extended=1"]
    paths += [f"/api/v1/{name}/" for name in ("devices", "metrics", "latest", "alerts")]
    status = "/admin/ingestion/status/"
    paths += ["/api/v1/ingestion/status/", status]
    paths += [f"{status}{name}" for name in ("now/", "levels/", "levels.csv", "outages.csv")]
    paths += [device.get_absolute_url() for device in Device.objects.all()]
    for app, models in SECTIONS.items():
        for model in models:
            paths.append(reverse(f"admin:{app}_{model}_changelist"))
    kept: tuple[Any, ...] = (Connection, ThingSpeakChannel)
    for kind in kept:
        name = f"admin:devices_{kind._meta.model_name}"
        for row in kind.objects.all():
            paths += [reverse(f"{name}_{what}", args=[row.pk]) for what in ("change", "history")]
            version = row.history.values_list("pk", flat=True)[0]
            paths.append(reverse(f"{name}_simple_history", args=[row.pk, version]))
    accounts = Connection.objects.values_list("pk", flat=True)
    paths += [reverse("admin:devices_connection_now", args=[pk]) for pk in accounts]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code in (200, 503), path
        yield path, answer.content.decode()
        yield f"{path} (headers)", repr(answer.headers)


def everything_in_redis(client: Any) -> Iterator[tuple[str, str]]:
    """Every key with its value, whatever its type."""
    readers = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "stream": lambda key: client.xrange(key),
    }
    kinds = set()
    for key in client.scan_iter():
        kind = client.type(key).decode()
        kinds.add(kind)
        yield f"redis {key.decode()}", repr((key, readers[kind](key)))
    assert kinds >= {"hash", "list", "stream"}  # gate, queue, live messages


def everything_in_the_database() -> Iterator[tuple[str, str]]:
    """Every column of every table, as the database holds it."""
    with database.cursor() as cursor:
        for table in database.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    yield f"{table}.{name}", str(value)


def test_the_simulator_is_given_the_right_key_and_keeps_none(
    redis_socket: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    listen_to_everything(caplog)
    settings.REDIS_URL = f"unix://{redis_socket}"
    with RunningSimulator() as simulator:
        stack = Stack(simulator)
        account = network.connection(simulator)
        network.channel(account, 710006, read_key=OF_SIMULATOR, history_from=stack.at)
        stack.advance(300)
        stack.tick()
        assert PollLog.objects.get().outcome == "ok"  # it is private: the key did arrive
        assert_clean(json.dumps(simulator.control("journal")), "journal of the simulator")
    assert_clean(caplog.text, "log lines")
