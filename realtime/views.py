"""The dashboards. Who is not logged in is asked to; what is not theirs does not exist."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from devices.models import Community, Device
from realtime.messages import VERSION
from realtime.presenters.device_page import device_context
from realtime.presenters.facts import look_at, look_closely
from realtime.presenters.live import communities_live, device_live, heads
from realtime.presenters.pages import community_context, overview_context
from realtime.presenters.snapshot import snapshot
from realtime.topics import community_topic, device_topic

View = Callable[..., HttpResponseBase]


def page(view: View) -> View:
    """A dashboard: for those logged in, read only, never kept by a browser or proxy."""
    return require_safe(never_cache(login_required(view)))


def data(view: View) -> View:
    """A snapshot: as `page`, but who is not logged in gets 401 instead of a login page."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            refusal = {"v": VERSION, "t": "err", "code": "login", "text": "Log in."}
            return JsonResponse(refusal, status=401)
        return view(request, *args, **kwargs)

    return require_safe(never_cache(answered))


@page
def overview(request: HttpRequest) -> HttpResponse:
    """The viewer's communities, with what is wrong first."""
    communities = list(Community.objects.visible_to(request.user))
    # The heads of the topics are read before the values: see `heads`.
    live = communities_live(communities, reverse("overview-snapshot"))
    fleet = look_at(_devices(request), timezone.now())
    context = overview_context(request, communities, fleet, live)
    return _render(request, "overview.html", context, communities)


@page
def community(request: HttpRequest, slug: str) -> HttpResponse:
    """One community: what is wrong, open alerts, and its devices, worst first."""
    shown = get_object_or_404(Community.objects.visible_to(request.user), slug=slug)
    live = communities_live([shown], reverse("community-snapshot", args=[slug]))
    fleet = look_at(_devices(request, community=shown), timezone.now())
    context = community_context(request, shown, fleet, live)
    return _render(request, "community.html", context, [shown])


@page
def device(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One device: its values with their age, its tank, its history, its sources."""
    shown = _device(request, uuid)
    live = device_live(shown, reverse("device-snapshot", args=[uuid]))
    context = device_context(request, look_closely([shown], timezone.now()), live)
    return _render(request, "device.html", context, [shown.community])


@data
def overview_snapshot(request: HttpRequest) -> JsonResponse:
    """Values and states of all the viewer's devices."""
    communities = Community.objects.visible_to(request.user)
    positions = heads([community_topic(pk) for pk in communities.values_list("pk", flat=True)])
    return _snapshot(_devices(request), positions)


@data
def community_snapshot(request: HttpRequest, slug: str) -> JsonResponse:
    """Values and states of a community's devices."""
    shown = get_object_or_404(Community.objects.visible_to(request.user), slug=slug)
    positions = heads([community_topic(shown.pk)])
    return _snapshot(_devices(request, community=shown), positions)


@data
def device_snapshot(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """Values and state of one device."""
    shown = _device(request, uuid)
    positions = heads([device_topic(uuid)])
    return _snapshot([shown], positions)


def _device(request: HttpRequest, uuid: UUID) -> Device:
    devices = Device.objects.visible_to(request.user).select_related("type", "community")
    return get_object_or_404(devices, uuid=uuid)


def _devices(request: HttpRequest, **which: object) -> list[Device]:
    devices = Device.objects.visible_to(request.user).filter(**which)
    # Prefetched, not joined: few types and communities are shared by many devices.
    return list(devices.prefetch_related("type", "community"))


def _snapshot(devices: Sequence[Device], positions: Mapping[str, str]) -> JsonResponse:
    return JsonResponse(snapshot(look_closely(devices, timezone.now()), positions))


def _render(
    request: HttpRequest, template: str, context: dict[str, Any], communities: Sequence[Community]
) -> HttpResponse:
    """The page with its times in the communities' zone; in UTC where they have several."""
    zones = {one.zone for one in communities}
    zone = zones.pop() if len(zones) == 1 else "UTC"
    with timezone.override(zoneinfo.ZoneInfo(zone)):
        return render(request, template, {**context, "zone": zone})
