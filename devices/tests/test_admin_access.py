"""The admin shows and changes what a person's role allows; others' rows do not exist there."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from devices.models import Community, Connection, Device, Membership, Role
from devices.tests.scene import KEY, Scene, Village, browser

OWNED = ("community", "connection", "device", "metric", "thingspeakchannel", "fieldmapping")


def row_of(village: Village, model: str) -> int:
    rows = {
        "community": village.community, "connection": village.connection, "device": village.device,
        "metric": village.metric, "thingspeakchannel": village.channel,
        "fieldmapping": village.mapping,
    }  # fmt: skip
    return int(rows[model].pk)


def page(model: str, what: str, *args: object) -> str:
    return reverse(f"admin:devices_{model}_{what}", args=args)


@pytest.mark.parametrize("model", OWNED)
@pytest.mark.parametrize("who", ["manager", "operator", "viewer"])
def test_lists_hold_the_own_rows_only(scene: Scene, who: str, model: str) -> None:
    text = browser(scene.user(who)).get(page(model, "changelist")).content.decode()
    assert "Hill" in text
    assert "Valley" not in text  # neither as a row nor as the name of a filter


@pytest.mark.parametrize("model", OWNED)
def test_foreign_rows_cannot_be_opened_or_changed(scene: Scene, model: str) -> None:
    client = browser(scene.stranger)
    for what in ("change", "delete", "history"):
        path = page(model, what, row_of(scene.hill, model))
        for answer in (client.get(path), client.post(path, {"post": "yes"})):
            assert answer.status_code in (302, 403, 404)
            assert b"Hill" not in answer.content
    assert Device.objects.filter(name="Tank of Hill").exists()


@pytest.mark.parametrize("who", ["nobody", "plain"])
def test_the_admin_is_closed_without_the_staff_flag(scene: Scene, who: str) -> None:
    scene.viewer.is_staff = False
    scene.viewer.save()
    client = browser(scene.viewer if who == "plain" else None)
    for model in OWNED:
        assert client.get(page(model, "changelist")).status_code == 302


def device_data(village: Village, **changes: object) -> dict[str, object]:
    return {
        "name": "New name", "community": village.community.pk, "type": village.device.type_id,
        "enabled": "on", "place": "", "latitude": "", "longitude": "", "tank_height_cm": "",
        "tank_capacity_l": "", "installed_at": "", "notes": "", "metrics-TOTAL_FORMS": 0,
        "metrics-INITIAL_FORMS": 0, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("who", "works"),
    [
        ("admin", True),
        ("manager", True),
        ("operator", True),
        ("viewer", False),
        ("stranger", False),
    ],
)
def test_who_may_change_a_device(scene: Scene, who: str, works: bool) -> None:
    path = page("device", "change", scene.hill.device.pk)
    browser(scene.user(who)).post(path, device_data(scene.hill))
    scene.hill.device.refresh_from_db()
    assert (scene.hill.device.name == "New name") is works


def test_a_viewer_reads_without_buttons(scene: Scene) -> None:
    answer = browser(scene.viewer).get(page("device", "change", scene.hill.device.pk))
    assert answer.status_code == 200
    assert b'name="_save"' not in answer.content
    channel = browser(scene.viewer).get(page("thingspeakchannel", "change", scene.hill.channel.pk))
    assert channel.status_code == 200
    assert b'name="_verify"' not in channel.content
    assert b"poll-now" not in channel.content


def test_a_device_cannot_be_moved_into_a_foreign_community(scene: Scene) -> None:
    path = page("device", "change", scene.hill.device.pk)
    data = device_data(scene.hill, community=scene.valley.community.pk)
    answer = browser(scene.operator).post(path, data)
    assert b"Select a valid choice" in answer.content
    scene.hill.device.refresh_from_db()
    assert scene.hill.device.community == scene.hill.community


@pytest.mark.parametrize("field", ["device", "connection"])
def test_autocomplete_offers_own_rows_only(scene: Scene, field: str) -> None:
    query = f"?app_label=devices&model_name=thingspeakchannel&field_name={field}"
    for who, names in (("operator", {"Hill"}), ("stranger", {"Valley"}), ("viewer", set())):
        answer = browser(scene.user(who)).get(reverse("admin:autocomplete") + query)
        if answer.status_code == 200:
            found = {row["text"].split()[-1] for row in answer.json()["results"]}
            assert found == names, who


def test_metrics_of_other_devices_are_no_choice_in_a_mapping(scene: Scene) -> None:
    answer = browser(scene.admin).get(page("thingspeakchannel", "change", scene.hill.channel.pk))
    inline = answer.context["inline_admin_formsets"][0].formset
    for form in (*inline.forms, inline.empty_form):
        assert set(form.fields["metric"].queryset) == {scene.hill.metric}


def test_a_shared_account_stays_usable_but_hidden(scene: Scene) -> None:
    shared = Connection.objects.create(name="Shared account", account_key=KEY)
    scene.hill.channel.connection = shared
    scene.hill.channel.save()
    client = browser(scene.operator)
    assert "Shared account" not in client.get(page("connection", "changelist")).content.decode()
    form = client.get(page("thingspeakchannel", "change", scene.hill.channel.pk)).context
    choices = form["adminform"].form.fields["connection"].queryset
    assert set(choices) == {shared, scene.hill.connection}


def test_only_managers_keep_members(scene: Scene) -> None:
    path = page("community", "change", scene.hill.community.pk)
    data = {
        "name": "Hill", "slug": "hill", "zone": "Asia/Kolkata", "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0, "memberships-0-user": "stranger",
        "memberships-0-role": "viewer", "memberships-0-community": scene.hill.community.pk,
    }  # fmt: skip
    browser(scene.operator).post(path, data)
    assert not Membership.objects.filter(user=scene.stranger, role=Role.VIEWER).exists()
    answer = browser(scene.manager).post(path, data)
    assert answer.status_code == 302, answer.context["errors"]
    assert Membership.objects.filter(
        user=scene.stranger, community=scene.hill.community, role=Role.VIEWER
    ).exists()


def test_a_manager_gets_no_list_of_all_users(scene: Scene) -> None:
    path = page("community", "change", scene.hill.community.pk)
    text = browser(scene.manager).get(path).content.decode()
    assert "operator" in text
    assert "stranger" not in text
    query = "?app_label=devices&model_name=membership&field_name=user"
    assert browser(scene.manager).get(reverse("admin:autocomplete") + query).status_code == 403


def test_only_the_administrator_adds_communities_and_sees_users(scene: Scene) -> None:
    assert browser(scene.manager).get(page("community", "add")).status_code == 403
    assert browser(scene.manager).get(reverse("admin:auth_user_changelist")).status_code == 403
    assert browser(scene.admin).get(page("community", "add")).status_code == 200


def test_deleting_a_community_counts_what_goes_with_it(scene: Scene) -> None:
    path = page("community", "delete", scene.hill.community.pk)
    assert browser(scene.manager).get(path).status_code == 403
    text = browser(scene.admin).get(path).content.decode()
    assert "devices" in text.lower()
    browser(scene.admin).post(path, {"post": "yes"})
    assert not Community.objects.filter(name="Hill").exists()
    assert Device.objects.filter(name="Tank of Valley").exists()
    assert LogEntry.objects.filter(object_repr="Hill").exists()


def test_a_connection_in_use_says_what_is_in_the_way(scene: Scene) -> None:
    path = page("connection", "delete", scene.hill.connection.pk)
    text = browser(scene.operator).get(path).content.decode()
    assert "Tank of Hill" in text
    browser(scene.operator).post(path, {"post": "yes"})
    assert Connection.objects.filter(pk=scene.hill.connection.pk).exists()


def test_a_stored_key_does_not_follow_a_new_address(scene: Scene) -> None:
    path = page("connection", "change", scene.hill.connection.pk)
    form = browser(scene.operator).get(path).context["adminform"].form
    data = {name: value for name, value in form.initial.items() if name in form.fields}
    data |= {"base_url": "https://elsewhere.example", "account_key": "", "enabled": "on"}
    answer = browser(scene.operator).post(path, data)
    assert b"Enter the key again" in answer.content
    scene.hill.connection.refresh_from_db()
    assert scene.hill.connection.base_url == "https://api.thingspeak.com"


def test_staff_without_a_community_see_empty_lists(scene: Scene, client: Client) -> None:
    Membership.objects.filter(user=scene.viewer).delete()
    for model in OWNED:
        text = browser(scene.viewer).get(page(model, "changelist")).content.decode()
        assert "Hill" not in text
        assert "Valley" not in text
