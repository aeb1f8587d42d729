"""Every address of the site, asked by everybody: who gets what stands in one table.

A route without a row in `EXPECTED` (for the admin: in `tests.test_tenancy_admin`) fails: nothing
is reachable before somebody has said who may reach it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from devices.access import ScopedQuerySet
from devices.alerts.models import Alert
from devices.models import Community, Connection, Device
from tests.test_tenancy_admin import admin_rule
from tests.test_tenancy_scene import (
    GONE,
    INSIDERS,
    OK,
    PEOPLE,
    REFUSED,
    TO_LOGIN,
    Places,
    Rule,
    Tenancy,
)

Route = tuple[str, str]


def routes(patterns: Any = None, prefix: str = "", space: str = "") -> Iterator[Route]:
    """(name, or the route itself where it has none; route) of every address."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            inner = f"{space}{one.namespace}:" if one.namespace else space
            yield from routes(one.url_patterns, route, inner)
        elif isinstance(one, URLPattern):
            yield (f"{space}{one.name}" if one.name else route), route


ROUTES = list(routes())

# For everybody, signed in or not.
PUBLIC = Rule(nobody=OK, others=OK)
# For everybody who is signed in; what it holds differs, and never names another community.
OWN_PAGE, OWN_DATA = Rule(nobody=TO_LOGIN, others=OK), Rule(nobody=REFUSED, others=OK)


def of_hill(nobody: str, *args: str) -> Rule:
    """Something of Hill: for its people, and for nobody else as if it were not there."""
    return Rule(nobody=nobody, others=GONE, insiders=OK, args=args)


EXPECTED: dict[str, Rule] = {
    "healthz": PUBLIC,
    "readyz": PUBLIC,
    "login": Rule(nobody=OK, others="home"),
    "logout": Rule(nobody="only POST", others="only POST"),
    "overview": OWN_PAGE,
    "overview-snapshot": OWN_DATA,
    "community": of_hill(TO_LOGIN, "slug"),
    "community-snapshot": of_hill(REFUSED, "slug"),
    "device": of_hill(TO_LOGIN, "uuid"),
    "device-snapshot": of_hill(REFUSED, "uuid"),
    "api": PUBLIC,  # what may be asked, without any data
    "schema": PUBLIC,
    "community-list": OWN_DATA,
    "community-detail": of_hill(REFUSED, "community"),
    "device-list": OWN_DATA,
    "device-detail": of_hill(REFUSED, "uuid"),
    "device-latest": of_hill(REFUSED, "uuid"),
    "device-completeness": of_hill(REFUSED, "uuid"),
    "device-export": of_hill(REFUSED, "uuid"),
    # Notes of a person's own downloads, by names that the person gave: nobody has this one.
    "download": Rule(nobody=REFUSED, others=GONE, insiders=GONE, args=("uuid",)),
    # A stranger's POST, tried in `test_tenancy_changes`, finds no such device.
    "device-import": Rule(nobody=REFUSED, others="only POST", args=("uuid",)),
    "import-detail": of_hill(REFUSED, "readingimport"),
    "metric-list": OWN_DATA,
    "metric-detail": of_hill(REFUSED, "metric"),
    "metric-explanation": of_hill(REFUSED, "metric"),
    "metric-history": of_hill(REFUSED, "metric"),
    "metric-measures": of_hill(REFUSED, "metric"),
    # It measures a number, which has no states: its own people are told so.
    "metric-states": Rule(nobody=REFUSED, others=GONE, insiders="incomplete", args=("metric",)),
    "metric-series": of_hill(REFUSED, "metric"),
    "latest": OWN_DATA,
    "histories": Rule(nobody=REFUSED, others="incomplete"),  # metrics must be named
    "alert-list": OWN_DATA,
    "alert-detail": of_hill(REFUSED, "alert"),
    "ingestion-status": OWN_DATA,
    "ingestion-status-one": of_hill(REFUSED, "connection"),
    "devicetype-list": OWN_DATA,
    "devicetype-detail": Rule(nobody=REFUSED, others=OK, args=("devicetype",)),
}


def rule_of(name: str, route: str) -> Rule:
    return admin_rule(name, route) if route.startswith("admin/") else EXPECTED[name]


def section(route: str) -> str:
    """Tests come in portions: each model of the admin, the API, the pages."""
    parts = route.split("/")
    if parts[0] == "admin" and len(parts) > 3 and "<" not in parts[1] + parts[2]:
        return "/".join(parts[:3])
    return parts[0] if parts[0] in ("admin", "api") else "pages"


SECTIONS: dict[str, list[Route]] = defaultdict(list)
for _name, _route in ROUTES:
    SECTIONS[section(_route)].append((_name, _route))


@pytest.fixture
def tenancy(db: None, redis_socket: str, settings: Any) -> Tenancy:
    settings.REDIS_URL = f"unix://{redis_socket}"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    return Tenancy.make()


@pytest.mark.parametrize("portion", SECTIONS)
def test_every_route_gives_everybody_what_the_table_says(tenancy: Tenancy, portion: str) -> None:
    wrong = []
    before = tenancy.fingerprint()
    for name, route in SECTIONS[portion]:
        rule = rule_of(name, route)
        for who in PEOPLE:
            wrong += tenancy.complaints(name, route, rule, who)
    assert not wrong, "\n".join(wrong)
    assert tenancy.fingerprint() == before  # whoever was refused has changed nothing


def test_every_row_of_the_table_is_a_route() -> None:
    assert EXPECTED.keys() == {name for name, route in ROUTES if not route.startswith("admin/")}
    assert len(ROUTES) > 150


LISTS = ("device-list", "metric-list", "latest", "alert-list", "ingestion-status")


@pytest.mark.parametrize("who", ["stranger", "unattached"])
def test_lists_and_filters_never_name_another_community(tenancy: Tenancy, who: str) -> None:
    places = tenancy.places
    for name in LISTS:
        for query in (f"community={places.slug}", f"device={places.uuid}", "page_size=500"):
            answer = tenancy.client(who).get(f"{places.url(name)}?{query}")
            assert answer.status_code in (200, 400, 404)
            assert places.canaries_in(answer) in ([], [places.slug])  # at most what was asked
    answer = tenancy.client(who).get(places.url("overview-snapshot"))
    assert not places.canaries_in(answer)


def scoped_models() -> list[Any]:
    return [one for one in apps.get_models() if isinstance(one._default_manager.all(), _Scoped)]


_Scoped: Any = ScopedQuerySet


def test_nobody_sees_a_row_without_an_active_account_and_a_membership(tenancy: Tenancy) -> None:
    """The one rule itself: what pages forget to ask, the queryset still refuses."""
    inactive = tenancy.scene.manager
    inactive.is_active = False
    inactive.save()
    outage = Connection.objects.create(name="Shared")
    tenancy.scene.hill.channel.connection = outage
    tenancy.scene.hill.channel.save()
    Alert.objects.create(
        key="u", kind="upstream_down", severity="warning", text="down", connection=outage,
        opened_at=timezone.now(),
    )  # fmt: skip
    fired = User.objects.create_superuser("fired", is_active=False)
    models = scoped_models()
    assert {Community, Device, Connection, Alert} <= set(models)
    for model in models:
        for user in (AnonymousUser(), inactive, fired, tenancy.user("unattached")):
            for rule in ("visible_to", "operable_by", "managed_by"):
                found = getattr(model._default_manager.all(), rule)(user)
                assert not found.exists(), (model, user, rule)
        assert model._default_manager.visible_to(tenancy.user("viewer")).exists(), model
        assert not model._default_manager.operable_by(tenancy.user("viewer")).exists(), model


def test_an_outage_of_a_shared_account_is_told_to_those_it_affects_only(tenancy: Tenancy) -> None:
    shared = Connection.objects.create(name="Shared")
    outage = Alert.objects.create(
        key="u", kind="upstream_down", severity="warning", text="down", connection=shared,
        opened_at=timezone.now(),
    )  # fmt: skip
    tenancy.scene.hill.channel.connection = shared
    tenancy.scene.hill.channel.save()
    for who in INSIDERS:
        assert outage in Alert.objects.visible_to(tenancy.user(who)), who
    for who in ("stranger", "unattached"):
        assert outage not in Alert.objects.visible_to(tenancy.user(who)), who


def test_places_hold_a_row_of_everything(tenancy: Tenancy) -> None:
    assert isinstance(tenancy.places, Places)
    for model in scoped_models():
        assert model._default_manager.visible_to(tenancy.user("manager")).exists(), model
