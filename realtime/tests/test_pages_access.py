"""Who sees which page: owner, team mate, stranger, nobody."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import Device, Role
from realtime.tests import network

pytestmark = pytest.mark.django_db
PAGES = ("/", "/communities/hill-village/", "/devices/{uuid}/")
SNAPSHOTS = tuple(f"{page}snapshot/" for page in PAGES)


@pytest.fixture
def tank() -> Device:
    """A tank in the hill village; the valley has its own people."""
    hill = network.community("Hill village")
    valley = network.community("Valley")
    network.user("manager", hill, role=Role.MANAGER)
    network.user("viewer", hill)
    network.user("stranger", valley)
    network.user("administrator", is_superuser=True, is_staff=True)
    tank = network.reporting(hill, "School tank", network.account())
    network.reporting(valley, "Temple tank", network.account("Another account"))
    return tank


def as_(name: str) -> Client:
    return network.client_of(User.objects.get(username=name))


@pytest.mark.parametrize("name", ["manager", "viewer", "administrator"])
@pytest.mark.parametrize("page", PAGES)
def test_members_see_their_pages(tank: Device, page: str, name: str) -> None:
    response = as_(name).get(page.format(uuid=tank.uuid))
    assert response.status_code == 200
    assert "School tank" in response.content.decode() or page == "/"
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("page", SNAPSHOTS)
def test_members_get_the_snapshots(tank: Device, page: str) -> None:
    response = as_("viewer").get(page.format(uuid=tank.uuid))
    assert response.status_code == 200
    assert {item["device"] for item in response.json()["state"]} == {str(tank.uuid)}
    assert {item["device"] for item in response.json()["tel"]} == {str(tank.uuid)}


@pytest.mark.parametrize("page", [*PAGES[1:], *SNAPSHOTS[1:]])
def test_to_a_stranger_it_looks_as_if_there_were_nothing(tank: Device, page: str) -> None:
    stranger = as_("stranger")
    foreign = stranger.get(page.format(uuid=tank.uuid))
    missing = stranger.get(page.format(uuid=uuid.uuid4()).replace("hill", "no-such"))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content
    assert "School tank" not in foreign.content.decode()


def test_a_stranger_sees_only_their_own_on_the_overview(tank: Device) -> None:
    page = as_("stranger").get("/").content.decode()
    assert "Valley" in page
    assert "Hill village" not in page
    assert "School tank" not in page


def test_a_strangers_snapshot_holds_only_their_own(tank: Device) -> None:
    snapshot = as_("stranger").get("/snapshot/").json()
    assert str(tank.uuid) not in str(snapshot)
    assert snapshot["counts"]["total"] == 1


@pytest.mark.parametrize("page", PAGES)
def test_nobody_is_asked_to_log_in_and_comes_back(tank: Device, page: str) -> None:
    address = page.format(uuid=tank.uuid)
    response = Client().get(address)
    assert response.status_code == 302
    assert response["Location"] == f"/login/?next={address}"


@pytest.mark.parametrize("page", SNAPSHOTS)
def test_nobodys_browser_learns_that_the_session_ended(tank: Device, page: str) -> None:
    response = Client().get(page.format(uuid=tank.uuid))
    assert response.status_code == 401
    assert response.json()["code"] == "login"


def test_whoever_leaves_a_community_sees_it_no_more(tank: Device) -> None:
    client = as_("viewer")
    assert client.get(tank.get_absolute_url()).status_code == 200
    tank.community.memberships.filter(user__username="viewer").delete()
    assert client.get(tank.get_absolute_url()).status_code == 404


def test_a_deactivated_account_sees_nothing(tank: Device) -> None:
    client = as_("viewer")
    User.objects.filter(username="viewer").update(is_active=False)
    assert client.get(tank.get_absolute_url()).status_code == 302


@pytest.mark.parametrize("page", PAGES)
def test_pages_only_show(tank: Device, page: str) -> None:
    assert as_("manager").post(page.format(uuid=tank.uuid)).status_code == 405


def test_only_staff_is_led_into_the_admin(tank: Device) -> None:
    viewer = as_("viewer").get(tank.get_absolute_url())
    assert viewer.context["device"].admin_url is None
    assert viewer.context["rejections_url"] is None
    staff = as_("administrator").get(tank.get_absolute_url())
    assert staff.context["device"].admin_url == f"/admin/devices/device/{tank.pk}/change/"
