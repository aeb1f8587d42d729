"""Nobody changes, moves, attaches, chooses or deletes what belongs to another community."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from devices.alerts.models import Alert
from devices.models import (
    Connection,
    Device,
    FieldMapping,
    Membership,
    Metric,
    Role,
    ThingSpeakChannel,
)
from ingestion.models import PollState
from tests.test_tenancy_scene import Tenancy

OUTSIDERS = ("stranger", "unattached")


@pytest.fixture
def tenancy(db: None) -> Tenancy:
    return Tenancy.make()


def page(model: str, what: str, *args: object, app: str = "devices") -> str:
    return reverse(f"admin:{app}_{model}_{what}", args=args)


def save(client: Client, path: str, **changes: Any) -> Any:
    """Send a page's form as a browser would, with some boxes changed."""
    page = client.get(path)
    form = page.context["adminform"].form
    data = {name: form[name].value() for name in form.fields}
    for inline in page.context["inline_admin_formsets"]:
        data |= {one.html_name: one.value() for one in inline.formset.management_form}
    sent = {name: value for name, value in (data | changes).items() if value is not None}
    return client.post(path, {name: value for name, value in sent.items() if value is not False})


NEW_ROWS = [
    ("device", {"name": "Stolen", "enabled": "on"}, ("community",)),
    ("metric", {"name": "stolen", "label": "Stolen", "data_type": "float"}, ("device",)),
    ("thingspeakchannel", {"channel_id": 9, "enabled": "on"}, ("device", "connection")),
    ("connection", {"name": "Stolen", "enabled": "on"}, ("community",)),
]


@pytest.mark.parametrize("who", ["stranger", "viewer", "unattached", "member"])
@pytest.mark.parametrize(("model", "boxes", "owners"), NEW_ROWS, ids=[one[0] for one in NEW_ROWS])
def test_nothing_can_be_attached_to_another_community(
    tenancy: Tenancy, who: str, model: str, boxes: dict[str, Any], owners: tuple[str, ...]
) -> None:
    path = page(model, "add")
    hill = {owner: tenancy.places.rows[owner] for owner in owners}
    data = {"type": tenancy.places.rows["devicetype"], **boxes, **hill}
    before = tenancy.fingerprint()
    if who == "stranger":
        answer = save(tenancy.client(who), path, **data)
        errors = answer.context["adminform"].form.errors
        assert set(owners) <= set(errors), errors  # «not one of the available choices»
    else:
        tenancy.client(who).post(path, data)
    assert tenancy.fingerprint() == before


def test_own_rows_cannot_be_moved_into_another_community(tenancy: Tenancy) -> None:
    client, valley = tenancy.client("stranger"), tenancy.scene.valley
    places = tenancy.places.rows
    before = tenancy.fingerprint()
    for model, own, box in (
        ("device", valley.device.pk, "community"),
        ("connection", valley.connection.pk, "community"),
        ("thingspeakchannel", valley.channel.pk, "connection"),
    ):
        answer = save(client, page(model, "change", own), **{box: places[box]})
        assert box in answer.context["adminform"].form.errors, model
    # Not offered as boxes at all: sent all the same, they change nothing.
    save(client, page("metric", "change", valley.metric.pk), device=places["device"])
    save(client, page("thingspeakchannel", "change", valley.channel.pk), device=places["device"])
    save(client, page("fieldmapping", "change", valley.mapping.pk), metric=places["metric"])
    assert Metric.objects.get(pk=valley.metric.pk).device == valley.device
    assert ThingSpeakChannel.objects.get(pk=valley.channel.pk).device == valley.device
    assert FieldMapping.objects.get(pk=valley.mapping.pk).metric == valley.metric
    PollState.objects.filter(pk=valley.channel.pk).delete()  # saving makes it due
    assert without_history(tenancy.fingerprint()) == without_history(before)


def without_history(text: str) -> list[str]:
    return [row for row in json.loads(text) if "historical" not in row["model"] and row["model"]]


def test_a_foreign_metric_cannot_be_fed_by_the_own_channel(tenancy: Tenancy) -> None:
    valley = tenancy.scene.valley
    path = page("thingspeakchannel", "change", valley.channel.pk)
    new = {
        "mappings-TOTAL_FORMS": 1, "mappings-INITIAL_FORMS": 0, "mappings-0-field": "field2",
        "mappings-0-metric": tenancy.places.rows["metric"], "mappings-0-data_type": "float",
        "mappings-0-decimal_mark": ".", "mappings-0-scale": 1, "mappings-0-offset": 0,
    }  # fmt: skip
    answer = save(tenancy.client("stranger"), path, **new)
    assert "metric" in answer.context["inline_admin_formsets"][0].formset.errors[0]
    mine = {**new, "mappings-0-id": tenancy.scene.hill.mapping.pk, "mappings-INITIAL_FORMS": 1}
    save(tenancy.client("stranger"), path, **mine, **{"mappings-0-DELETE": "on"})
    assert FieldMapping.objects.filter(pk=tenancy.scene.hill.mapping.pk).exists()


@pytest.mark.parametrize("who", [*OUTSIDERS, "viewer"])
def test_bulk_actions_do_not_reach_beyond_what_a_person_operates(
    tenancy: Tenancy, who: str
) -> None:
    before = tenancy.fingerprint()
    for model in (
        "device", "metric", "connection", "thingspeakchannel", "fieldmapping", "calibrationversion",
    ):  # fmt: skip
        for action in ("delete_selected", "poll_chosen_now", "accept_names"):
            data = {
                "action": action, "_selected_action": tenancy.places.rows[model], "post": "yes",
                "select_across": 1, "index": 0,
            }  # fmt: skip
            tenancy.client(who).post(page(model, "changelist"), data)
    scene = tenancy.scene
    assert Device.objects.filter(pk=scene.hill.device.pk).exists()
    assert Connection.objects.filter(pk=scene.hill.connection.pk).exists()
    if who != "stranger":  # «all» were the stranger's own rows
        assert tenancy.fingerprint() == before


@pytest.mark.parametrize("who", [*OUTSIDERS, "viewer"])
def test_alerts_of_others_cannot_be_acknowledged(tenancy: Tenancy, who: str) -> None:
    data = {"action": "acknowledge", "_selected_action": tenancy.places.rows["alert"]}
    tenancy.client(who).post(page("alert", "changelist", app="alerts"), data)
    assert Alert.objects.get(pk=tenancy.places.rows["alert"]).acknowledged_at is None


@pytest.mark.parametrize("who", ["nobody", "stranger", "unattached", "member", "viewer"])
@pytest.mark.parametrize("what", ["poll_now", "decide"])
def test_buttons_of_a_foreign_channel_do_nothing(tenancy: Tenancy, who: str, what: str) -> None:
    channel = tenancy.scene.hill.channel.pk
    due = PollState.objects.get(pk=channel).next_poll_at
    answer = tenancy.client(who).post(page("thingspeakchannel", what, channel))
    missing = tenancy.client(who).post(page("thingspeakchannel", what, 999_999))
    if who == "viewer":
        assert answer.status_code == 403
    else:
        assert answer.status_code == missing.status_code
    assert PollState.objects.get(pk=channel).next_poll_at == due
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("who", ["nobody", "stranger", "unattached", "member", "viewer"])
def test_the_pause_of_a_foreign_account_is_ended_by_nobody(tenancy: Tenancy, who: str) -> None:
    account = tenancy.scene.hill.connection.pk
    answer = tenancy.client(who).post(page("connection", "resume", account))
    missing = tenancy.client(who).post(page("connection", "resume", 999_999))
    assert answer.status_code == (403 if who == "viewer" else missing.status_code)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("who", ["unattached", "viewer"])
def test_previews_are_for_those_who_operate(tenancy: Tenancy, who: str) -> None:
    assert tenancy.client(who).post(page("thingspeakchannel", "preview")).status_code == 403


@pytest.mark.parametrize("who", ["viewer", "stranger", "operator"])
def test_a_former_version_is_never_saved_as_the_present(tenancy: Tenancy, who: str) -> None:
    hill = tenancy.scene.hill
    version = tenancy.places.rows["device version"]
    hill.device.name = "Renamed"
    hill.device.save()
    path = page("device", "simple_history", hill.device.pk, version)
    data = {"name": "Back again", "community": hill.community.pk, "type": hill.device.type_id}
    assert tenancy.client(who).post(path, data).status_code in (404, 405)
    assert Device.objects.get(pk=hill.device.pk).name == "Renamed"


FILE = b"Time (UTC),Entry number,water_level_cm\n2026-01-01 05:30:00,1,20\n"


@pytest.mark.parametrize("who", ["nobody", "stranger", "unattached", "member", "viewer"])
def test_readings_are_imported_into_no_foreign_device(tenancy: Tenancy, who: str) -> None:
    client, places = tenancy.client(who), tenancy.places
    before = tenancy.fingerprint()
    for dry_run in ("true", "false"):
        for name in (places.url, places.missing):
            parts = {"file": SimpleUploadedFile("r.csv", FILE), "dry_run": dry_run}
            answer = client.post(name("device-import", "uuid"), parts)
            sees = who in ("member", "viewer") and name == places.url
            assert answer.status_code == (403 if sees or who == "nobody" else 404)
            assert "Hill" not in answer.content.decode()
    for device in (places.rows["device"], ""):
        boxes = {"file": SimpleUploadedFile("r.jsonl", of_device(places.uuid)), "device": device}
        answer = client.post(page("readingimport", "add", app="readings"), boxes)
        assert answer.status_code in (200, 302, 403)
        assert who in ("viewer", "member") or "Tank of Hill" not in answer.content.decode()
    imported = page("readingimport", "change", places.rows["readingimport"], app="readings")
    client.post(imported, {"_import": "1"})
    assert tenancy.fingerprint() == before


def of_device(uuid: str) -> bytes:
    """A file of JSON lines that says it is of this device."""
    columns = [{"name": name, "unit": ""} for name in ("time", "entry")]
    columns.append({"name": "water_level_cm", "unit": "cm"})
    row = {"time": "2026-01-01T05:30:00Z", "entry": 1, "water_level_cm": 20}
    return f"{json.dumps({'device_uuid': uuid, 'columns': columns})}\n{json.dumps(row)}\n".encode()


# Every box of the admin that searches rows: (app, model, field).
SEARCHED = [
    ("devices", "device", "community"), ("devices", "metric", "device"),
    ("devices", "thingspeakchannel", "device"), ("devices", "thingspeakchannel", "connection"),
    ("devices", "connection", "community"), ("devices", "membership", "community"),
    ("devices", "membership", "user"),
]  # fmt: skip


@pytest.mark.parametrize("who", [*OUTSIDERS, "member", "nobody"])
@pytest.mark.parametrize(("app", "model", "box"), SEARCHED)
def test_search_boxes_offer_nothing_of_another_community(
    tenancy: Tenancy, who: str, app: str, model: str, box: str
) -> None:
    query = {"app_label": app, "model_name": model, "field_name": box, "term": "Hill"}
    answer = tenancy.client(who).get(reverse("admin:autocomplete"), query)
    if answer.status_code == 200:
        assert answer.json()["results"] == []
    else:
        assert answer.status_code in (302, 403)


@pytest.mark.parametrize("who", ["manager", "stranger", "unattached"])
def test_nobody_but_the_administrator_makes_people_or_gives_rights(
    tenancy: Tenancy, who: str
) -> None:
    client, user = tenancy.client(who), tenancy.user(who)
    client.post(reverse("admin:auth_user_change", args=[user.pk]), {"is_superuser": "on"})
    client.post(reverse("admin:auth_user_add"), {"username": "new"})
    user.refresh_from_db()
    assert not user.is_superuser
    assert not type(user).objects.filter(username="new").exists()
    if who != "manager":
        path = page("community", "change", tenancy.places.rows["community"])
        data = {
            "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 0,
            "memberships-0-user": user.username, "memberships-0-role": Role.MANAGER,
        }  # fmt: skip
        client.post(path, data)
        hill = tenancy.scene.hill.community
        assert not Membership.objects.filter(user=user, community=hill).exists()


LOOKUPS = (
    "device__community__name__startswith=H", "community__memberships__user__password__startswith=m",
    "device__community__id__exact=1", "q=Hill", "q=hill", "o=1", "e=1", "all=",
)  # fmt: skip


@pytest.mark.parametrize("who", OUTSIDERS)
def test_lists_cannot_be_asked_about_another_community(tenancy: Tenancy, who: str) -> None:
    lists = [page(one, "changelist") for one in ("device", "metric", "connection", "community")]
    lists += [page(one, "changelist", app="ingestion") for one in ("polllog", "rejection", "gap")]
    lists += [page("alert", "changelist", app="alerts")]
    for path in lists:
        for query in LOOKUPS:
            answer = tenancy.client(who).get(f"{path}?{query}", follow=True)
            text = answer.content.decode().replace(query.partition("=")[2], "")
            assert "of Hill" not in text, (path, query)
            assert tenancy.places.slug not in text, (path, query)
