"""Pages cost the same number of queries, and few, however many devices there are."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.alerts.watch import Trouble, open_alert
from devices.models import Community, Device, Role
from realtime.tests import network
from realtime.way_in import Entry, SourceDetail, register

pytestmark = pytest.mark.django_db
MOST = 17


def cost(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def grow(where: Community, count: int) -> Device:
    """Devices in all conditions, on an account of their own."""
    via = network.account(f"Account {Device.objects.count()}")
    devices = [
        network.reporting(where, f"Tank {Device.objects.count()}", via, age_s=5 + 200 * (n % 3))
        for n in range(count)
    ]
    for device in devices[::3]:
        open_alert(Trouble.offline(device), "silent", "Silent.", timezone.now())
    open_alert(Trouble.upstream(via), "timeout", "Away.", timezone.now())
    return devices[0]


@pytest.mark.parametrize("staff", [False, True])
def test_queries_do_not_grow_with_the_network(staff: bool) -> None:
    hill = network.community("Hill village")
    who = network.user("somebody", hill, is_staff=staff)
    client = network.client_of(who)
    device = grow(hill, 3)
    pages = [
        "/",
        hill.get_absolute_url(),
        device.get_absolute_url(),
        "/snapshot/",
        "/communities/hill-village/snapshot/",
        f"{device.get_absolute_url()}snapshot/",
    ]
    small = [cost(client, page) for page in pages]
    grow(hill, 57)
    grow(network.community("Unseen"), 3)
    assert [cost(client, page) for page in pages] == small
    assert max(small) <= MOST


def test_an_operators_device_page_with_everything_on_it_stays_within_the_limit() -> None:
    hill = network.community("Hill village")
    client = network.client_of(network.user("operator", hill, role=Role.OPERATOR, is_staff=True))
    device = network.reporting(hill, "Tank", network.account())
    (channel,) = device.sources.all()
    at = timezone.now()
    entry = Entry(at, 1, {"field1": "abc"}, refusals={"field1": "“abc” is not a number."})
    detail = {channel.pk: SourceDetail("channel 1", "/admin/", entry)}
    before = register(network.KnownPolling(detail=detail))
    try:
        # Ingestion asks up to five of its own: polling, details (2), refusals, completeness.
        assert cost(client, device.get_absolute_url()) <= MOST - 5
    finally:
        register(before)
