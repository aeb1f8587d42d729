"""Staff can look at what the store holds, of their own communities, and change none of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from devices.models import Connection, Membership, ThingSpeakChannel
from devices.readings.models import RetentionRule
from devices.readings.samples import Received, Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import (
    FAR,
    LONG_AGO,
    START,
    device,
    in_the_database,
    metrics,
)

pytestmark = pytest.mark.django_db
PAGES = ["latest", "receivedentry", "rollupentry"]
LISTED = PAGES if in_the_database() else ["latest"]


@pytest.mark.parametrize("page", LISTED)
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

    answer = client.get(f"/admin/readings/{page}/?{'time=any' if page == 'receivedentry' else ''}")

    assert answer.status_code == 200
    text = answer.content.decode()
    assert "Tank number 0" in text
    assert "48.0" in text
    assert ("Tank number 1" in text) is superuser
    assert client.get(f"/admin/readings/{page}/add/").status_code == 403


@pytest.mark.skipif(not in_the_database(), reason="the tables are not in the database")
def test_entries_of_the_last_day_are_listed_until_more_is_asked_for(
    client: Client, store: ReadingStore
) -> None:
    tank = device()
    account = Connection.objects.create(name="Account")
    channel = ThingSpeakChannel.objects.create(device=tank, connection=account, channel_id=9)
    for hours, text in ((0, "now"), (20, "today"), (100, "lately"), (1000, "once")):
        at = START - timedelta(hours=hours)
        store.write([], [Received(channel.pk, tank.pk, at, 1, {"field1": text})])
    with time_machine.travel(START + timedelta(minutes=1), tick=False):
        client.force_login(User.objects.create_superuser("admin"))
        pages = {
            query: client.get(f"/admin/readings/receivedentry/{query}").content.decode()
            for query in ("", "?time=hour", "?time=week", "?time=any", "?time=nonsense")
        }
    texts = ("now", "today", "lately", "once")
    seen = {
        query: [text for text in texts if f"&quot;{text}&quot;" in page]
        for query, page in pages.items()
    }
    said = {query: "Only entries whose own time" in page for query, page in pages.items()}

    assert seen == {
        "": ["now", "today"],
        "?time=hour": ["now"],
        "?time=week": ["now", "today", "lately"],
        "?time=any": ["now", "today", "lately", "once"],
        "?time=nonsense": ["now", "today"],
    }
    assert said == {query: query != "?time=any" for query in pages}
    assert 'href="?time=any"' in pages[""]


def test_what_retention_will_drop_is_shown_before(client: Client, store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write([Sample(level.device_id, START, 1, {level.pk: 48.0})])
    admin = User.objects.create_superuser("admin")
    client.force_login(admin)
    with time_machine.travel(START + timedelta(days=1), tick=False):
        RetentionRule.objects.all().delete()
        RetentionRule.objects.create()
        fresh = client.get("/admin/readings/retentionrule/").content.decode()
    with time_machine.travel(START + timedelta(days=60), tick=False):
        client.force_login(admin)  # the session has ended
        later = client.get("/admin/readings/retentionrule/").content.decode()

    assert "Nothing is dropped before 28 November 2026" in fresh
    assert "Nothing is dropped before" not in later
    assert "November 2026" in later
    assert "3 March 2027" in later  # 90 days after November, and two
    assert "90 days" in later
    assert "730 days" in later
    assert "(Whole site)" in later


def test_the_page_says_that_the_clock_is_not_believed(client: Client, store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write([Sample(level.device_id, START, 1, {level.pk: 48.0})])
    RetentionRule.objects.all().delete()
    RetentionRule.objects.create()
    RetentionRule.objects.update(changed_at=LONG_AGO)
    admin = User.objects.create_superuser("admin")
    pages = []
    for hours in (23, 365 * 24):
        with time_machine.travel(START + timedelta(hours=hours), tick=False):
            client.force_login(admin)
            pages.append(client.get("/admin/readings/retentionrule/").content.decode())

    assert "not believed" not in pages[0]
    assert "The server’s clock is not believed." in pages[1]
    assert "It shows 20 November 2027, 10:00 UTC" in pages[1]
    assert "as on 21 November 2026, 10:00 UTC" in pages[1]
    assert "If the clock is wrong, put it right" in pages[1]
    november = pages[1].partition("November 2026</th>")[2].partition("</tr>")[0]
    assert "3 March 2027" in november
    assert "within the hour" not in november


def test_deleting_rules_in_the_list_gives_notice(client: Client) -> None:
    RetentionRule.objects.all().delete()
    stays, goes = (
        RetentionRule.objects.create(),
        RetentionRule.objects.create(community=device().community),
    )
    RetentionRule.objects.update(changed_at=LONG_AGO)
    client.force_login(User.objects.create_superuser("admin"))

    client.post(
        "/admin/readings/retentionrule/",
        {"action": "delete_selected", "_selected_action": [goes.pk], "post": "yes"},
    )

    assert not RetentionRule.objects.filter(pk=goes.pk).exists()
    stays.refresh_from_db()
    assert stays.changed_at > LONG_AGO
