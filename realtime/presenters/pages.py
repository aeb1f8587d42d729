"""The overview and a community's page: what each template reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest

from devices.alerts.state import State
from devices.models import Community, Device, Picture
from realtime.presenters import admin_links
from realtime.presenters.cards import SOURCE_LABELS, alert_rows, community_card, device_card
from realtime.presenters.facts import Fleet, SeenDevice, with_latest
from realtime.presenters.live import banners
from realtime.presenters.rows import Ages, DeviceCard, Live, Problem

MOST_ATTENTION = 30
MOST_TANKS = 3  # of one community
MOST_COMMUNITIES_WITH_TANKS = 30
TILES_PER_PAGE = 36
MOST_NAMED = 3

_SAYS = {
    State.ALERT: ("{names}: alert", "{count} devices have alerts: {names}"),
    State.OFFLINE: ("{names} is offline", "{count} devices are offline: {names}"),
    State.STALE: ("{names} is stale", "{count} devices are stale: {names}"),
}


def state_filter(request: HttpRequest) -> str:
    """The state asked for by `?state=`; empty for none and for what is no state."""
    asked = request.GET.get("state", "")
    return asked if asked in set(State) else ""


def overview_context(
    request: HttpRequest, communities: Sequence[Community], fleet: Fleet, live: Live | None
) -> dict[str, Any]:
    """What `overview.html` reads; `fleet` holds all devices of the communities."""
    wanted = state_filter(request)
    found = fleet.in_state(wanted) if wanted else fleet.needing_attention()
    by_community: dict[int, list[SeenDevice]] = defaultdict(list)
    for seen in fleet.devices:
        by_community[seen.device.community_id].append(seen)
    ranked = sorted(communities, key=lambda one: (_rank(by_community[one.pk]), one.name))
    tanks = {one.pk: _tanks(by_community[one.pk]) for one in ranked[:MOST_COMMUNITIES_WITH_TANKS]}
    attention = found[:MOST_ATTENTION]
    # Everybody's values at once: a device may be in both lists.
    several = {seen.device.pk: seen for seen in chain(attention, *tanks.values())}
    cards = {card.uuid: card for card in _cards(list(several.values()), fleet)}

    def shown(some: Iterable[SeenDevice]) -> list[DeviceCard]:
        return [cards[seen.device.uuid] for seen in some]

    return {
        "live": live,
        "freshness": Ages(),
        "banners": banners(live, fleet.outages, fleet.now),
        "counts": fleet.counts(),
        "state_filter": wanted,
        "attention": shown(attention),
        "attention_total": len(found),
        "communities": [
            community_card(one, by_community[one.pk], shown(tanks.get(one.pk, ())))
            for one in ranked
        ],
        "add_community_url": admin_links.add_url(request, Community),
        "add_device_url": admin_links.add_url(request, Device),
    }


def _cards(shown: Sequence[SeenDevice], fleet: Fleet) -> list[DeviceCard]:
    return [device_card(seen, fleet.now) for seen in with_latest(shown)]


def _tanks(devices: Iterable[SeenDevice]) -> list[SeenDevice]:
    """The first few tanks and sumps: by name, so that they keep their places; drawable first."""
    tanks = [seen for seen in devices if seen.device.type.picture in (Picture.TANK, Picture.SUMP)]
    tanks.sort(key=lambda s: (s.device.tank_height_cm is None, s.device.name, s.device.pk))
    return tanks[:MOST_TANKS]


def _rank(devices: Sequence[SeenDevice]) -> tuple[int, int]:
    """A community is as bad as its worst device; an empty one comes last."""
    return devices[0].state.rank if devices else (len(State) + 1, 0)


def community_context(
    request: HttpRequest, community: Community, fleet: Fleet, live: Live | None
) -> dict[str, Any]:
    """What `community.html` reads; `fleet` holds all devices of the community."""
    wanted = state_filter(request)
    found = fleet.in_state(wanted) if wanted else fleet.devices
    page = Paginator(found, TILES_PER_PAGE).get_page(request.GET.get("page"))
    return {
        "live": live,
        "freshness": Ages(),
        "banners": banners(live, fleet.outages, fleet.now),
        "community": community_card(community, fleet.devices),
        "devices": _cards(list(page.object_list), fleet),
        "alerts": alert_rows(fleet.devices),
        "problems": problems(fleet),
        "counts": fleet.counts(),
        "total": len(fleet.devices),
        "state_filter": wanted,
        "add_device_url": admin_links.add_url(request, Device),
        "page": page if page.has_other_pages() else None,
    }


def problems(fleet: Fleet) -> list[Problem]:
    """What is wrong in a few lines: devices by state, then sources that need somebody."""
    lines = []
    for state, (one, many) in _SAYS.items():
        concerned = fleet.in_state(state)
        if concerned:
            lines.append(_problem(state, concerned, one, many))
    return lines + _failing(fleet)


def _problem(state: State, concerned: Sequence[SeenDevice], one: str, many: str) -> Problem:
    named = ", ".join(seen.device.name for seen in concerned[:MOST_NAMED])
    more = len(concerned) - MOST_NAMED
    names = f"{named} and {more} more" if more > 0 else named
    single = len(concerned) == 1
    text = (one if single else many).format(names=names, count=len(concerned))
    url = concerned[0].device.get_absolute_url() if single else f"?state={state}"
    since = min((seen.state.since for seen in concerned if seen.state.since), default=None)
    return Problem(text, state, url, since)


def _failing(fleet: Fleet) -> list[Problem]:
    return [
        Problem(
            f"{seen.device.name}: {SOURCE_LABELS[one.condition.state].lower()}",
            State.ALERT,
            seen.device.get_absolute_url(),
            one.condition.since,
        )
        for seen in fleet.devices
        for one in seen.sources
        if one.condition.state.needs_someone
    ][:MOST_NAMED]
