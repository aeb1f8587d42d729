"""Staff can look at what the store holds, of their own communities, and change none of it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import Connection, Membership, ThingSpeakChannel
from devices.readings.samples import Received, Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import FAR, START, device, metrics

pytestmark = pytest.mark.django_db
PAGES = ["latest", "receivedentry", "rollupentry"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("superuser", [True, False])
def test_lists_show_the_rows_that_one_may_see(
    client: Client, store: ReadingStore, page: str, superuser: bool
) -> None:
    account = Connection.objects.create(name="Account")
    tanks = [device("Asia/Kolkata"), device()]
    for number, tank in enumerate(tanks):
        tank.name = f"Tank number {number}"
        tank.save()
        channel = ThingSpeakChannel.objects.create(device=tank, connection=account, channel_id=9)
        (level,) = metrics(tank, 1)
        entry = Received(channel.pk, tank.pk, START, 1, {"field1": "48.0 cm"})
        store.write([Sample(tank.pk, START, 1, {level.pk: 48.0})], [entry])
    store.roll_up(FAR)
    user = User.objects.create_user("staff", is_staff=True, is_superuser=superuser)
    Membership.objects.create(community=tanks[0].community, user=user)
    client.force_login(user)

    answer = client.get(f"/admin/readings/{page}/")

    assert answer.status_code == 200
    text = answer.content.decode()
    assert "Tank number 0" in text
    assert "48.0" in text
    assert ("Tank number 1" in text) is superuser
    assert client.get(f"/admin/readings/{page}/add/").status_code == 403
