"""The routes of ThingSpeak: who is asked for, may they, which faults strike, what is answered, and
the note of it.
"""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from simulator.answers import delivery_of, error, instead_of_data, too_many
from simulator.channels import Channels
from simulator.clock import Clock
from simulator.distortions import seen_through
from simulator.faults import Fault, Faults
from simulator.journal import Journal, Times, Visit
from simulator.limiter import Limiter
from simulator.messages import Answer, Request
from simulator.query import PLAIN, BadQuery, key_of
from simulator.reading import CONTENT_TYPES, ENDPOINTS, Call, Outcome, card
from simulator.render import dumps, xml

CACHE_S = 300.0
"""Answers of more than 100 entries (or for `days`) are kept this long, as documented."""
_CACHED_ANSWERS = 64
_PER_PAGE = 15
_KEY = re.compile(r"((?:^|[?&])(?:key|api_?key)=)[^&]*", re.IGNORECASE)
_ROUTE = re.compile(
    r"/channels/(?P<id>\d{1,12})"
    r"(?:/(?:(?P<what>status|last_entry_id|feeds?)|fields?/(?:field)?(?P<field>[1-8]))"
    r"(?:/(?:entry/)?(?P<which>last_data_age|last|\d{1,12}))?)?"
    r"(?:\.(?P<format>\w+))?"
)
_PUBLIC = re.compile(r"/channels/public(?:\.(?P<format>json|xml))?")


@dataclass(frozen=True, slots=True)
class Route:
    """What a path asks for."""

    endpoint: str
    channel: int
    field: int | None
    which: str | None
    format: str | None


def route_of(path: str) -> Route | None:
    """Plural and singular paths, with and without suffix; None if ThingSpeak has no such path."""
    match = _ROUTE.fullmatch(path)
    if match is None:
        return None
    what, field, which = match["what"], match["field"], match["which"]
    if what in {"status", "last_entry_id"}:
        endpoint = what
    elif what is None and field is None:
        endpoint = "view"
    elif which == "last_data_age":
        endpoint = which
    else:
        endpoint = "single" if which else "feeds"
    if which and endpoint in {"status", "last_entry_id"}:
        return None
    return Route(endpoint, int(match["id"]), int(field) if field else None, which, match["format"])


@dataclass(slots=True)
class _Kept:
    outcome: Outcome
    since: float


class Api:
    """Answers requests under /channels."""

    def __init__(self, channels: Channels, clock: Clock, faults: Faults, journal: Journal) -> None:
        self.channels = channels
        self.clock = clock
        self.faults = faults
        self.journal = journal
        self.limiter: Limiter | None = None
        self._kept: dict[tuple[object, ...], _Kept] = {}

    def forget(self) -> None:
        """Drop the kept answers, so that a changed fault or clock shows at once."""
        self._kept.clear()

    def answer(self, request: Request) -> Answer:
        """The answer to a request, faults included, and its note in the journal."""
        route = route_of(request.path)
        channel = route.channel if route else None
        key = key_of(request.headers, request.params)
        path = _KEY.sub(r"\1***", request.target) if key else request.target
        times = Times(time.time(), time.monotonic(), self.clock.now())
        visit = self.journal.arrive(times, channel, path, key=key is not None)
        met = self.faults.meet(channel)
        try:
            outcome = self._outcome(request, route, key, met)
        except Exception:
            self.journal.answer(visit, 500, [], ())
            self.journal.leave(visit, time.time())
            raise
        self.journal.answer(
            visit, outcome.answer.status, outcome.rows, tuple(fault.kind for fault in met)
        )
        # A copy, because kept answers are sent again and delivery belongs to one sending.
        said = outcome.answer
        sent = partial(self._leave, visit)
        return Answer(
            said.status, said.body, said.content_type, said.headers, delivery_of(met), sent
        )

    def _leave(self, visit: Visit) -> None:
        self.journal.leave(visit, time.time())

    def _outcome(
        self, request: Request, route: Route | None, key: str | None, met: list[Fault]
    ) -> Outcome:
        wait = (
            self.limiter.refusal(route.channel if route else None, self.clock.now())
            if self.limiter
            else None
        )
        if wait is not None and self.limiter:
            return Outcome(too_many(wait if self.limiter.retry_after else None, time.time()), [])
        instead = instead_of_data(met, time.time())
        if instead is not None:
            return Outcome(instead, [])
        if request.method not in {"GET", "HEAD"}:
            return Outcome(error(405), [])
        try:
            if route is None:
                return Outcome(self._public(request), [])
            return self._channel(request, route, key, met)
        except BadQuery as problem:
            return Outcome(error(400, str(problem)), [])

    def _channel(
        self, request: Request, route: Route, key: str | None, met: list[Fault]
    ) -> Outcome:
        channel = self.channels.get(route.channel)
        if channel is None:
            return Outcome(error(404, as_text=route.format not in {"json", "xml", None}), [])
        if route.format not in CONTENT_TYPES:
            return Outcome(error(406), [])
        permitted = channel.facts.opens_with(key) and not any(
            fault.kind == "wrong_key" for fault in met
        )
        seen = seen_through(channel, met) if met else channel
        now = self.clock.now()
        call = Call(seen, request.params, route.format, permitted, now, route.field, route.which)
        if route.endpoint != "feeds" or not permitted:
            return ENDPOINTS[route.endpoint](call)
        return self._perhaps_kept(request, call)

    def _perhaps_kept(self, request: Request, call: Call) -> Outcome:
        """A list, from the kept answers if the same one was given within five minutes."""
        name = (request.path, *sorted(request.params.items()))
        kept = self._kept.get(name)
        if kept and 0 <= call.now - kept.since < CACHE_S:
            return kept.outcome
        outcome = ENDPOINTS["feeds"](call)
        if len(outcome.rows) > 100 or "days" in request.params:
            while len(self._kept) >= _CACHED_ANSWERS:
                del self._kept[next(iter(self._kept))]
            self._kept.pop(name, None)
            self._kept[name] = _Kept(outcome, call.now)
        return outcome

    def _public(self, request: Request) -> Answer:
        """channels/public: pages of fifteen, by tag, user name or distance in km."""
        match = _PUBLIC.fullmatch(request.path)
        if match is None:
            return error(404)
        params = request.params
        page = int(params["page"]) if params.get("page", "").isdecimal() else 1
        cards = [card(one, self.clock.now(), PLAIN) for one in self.channels if one.facts.public]
        found = [shown for shown in cards if _matches(shown, params)]
        first = _PER_PAGE * (max(page, 1) - 1)
        body = {
            "pagination": {
                "current_page": page,
                "per_page": _PER_PAGE,
                "total_entries": len(found),
            },
            "channels": found[first : first + _PER_PAGE],
        }
        text = xml("response", body) if match["format"] == "xml" else dumps(body)
        return Answer(200, text.encode(), CONTENT_TYPES[match["format"]])


def _matches(shown: Mapping[str, object], params: Mapping[str, str]) -> bool:
    """Whether a channel has the tag, the user and the place that a search of the public list asks
    for.
    """
    if params.get("tag") or params.get("username", shown["username"]) != shown["username"]:
        return False
    asked = [params.get(name) for name in ("latitude", "longitude", "distance")]
    try:
        numbers = [float(text) for text in asked if text]
    except ValueError as problem:
        raise BadQuery("latitude, longitude and distance must be numbers") from problem
    if len(numbers) < 3:
        return True
    here = float(str(shown["latitude"])), float(str(shown["longitude"]))
    return _distance_km(here, (numbers[0], numbers[1])) <= numbers[2]


def _distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    (lat1, lon1), (lat2, lon2) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    half = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * 6371 * math.asin(min(1.0, math.sqrt(half)))
